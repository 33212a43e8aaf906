package googleworkspace

import (
	"context"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"rollcall/simulator/fault"
)

// Config describes a tenant. The zero value is a tenant with the domain example.com, without delays, quota and
// faults.
type Config struct {
	// CustomerID is the tenant's customerId. The default is "C0rollca1".
	CustomerID string
	// Domains are the customer's domains, with the primary one first. The default is example.com.
	Domains []string
	// UnverifiedDomains belong to the customer but cannot have addresses yet.
	UnverifiedDomains []string
	// OtherDomains belong to other customers of Google. Keys and new addresses there return 403.
	OtherDomains []string
	// AdminEmail is the super administrator that exists from the start. The default is admin@ the primary domain.
	AdminEmail string
	// OrgUnits are the paths of organizational units that exist from the start, besides "/".
	OrgUnits []string
	// Schemas are the custom schemas of users that exist from the start.
	Schemas []Schema
	// GroupNamespaces are the namespaces accepted in a group's externalIds. The default is "system/external", and "*"
	// accepts any.
	GroupNamespaces []string
	// Scopes are delegated to the service account. The default is all scopes of the served methods.
	Scopes []string

	// Key is the service account's key, of 2048 bits or more. If nil, a key is created on first use. Tests with many
	// tenants share one, because creating it takes a while.
	Key *rsa.PrivateKey

	// Now is the tenant's clock for creation times, delays and quotas. The default is time.Now.
	Now func() time.Time
	// AuthNow is the clock of the token endpoint and of access tokens. It is separate from Now because real clients
	// sign with the time of day, independently of the tenant's clock. The default is time.Now.
	AuthNow func() time.Time
	// Wait implements the Delay effect. The default sleeps until the request is cancelled.
	Wait func(context.Context, time.Duration)
	// TokenLifetime is the lifetime of an access token. The default is one hour.
	TokenLifetime time.Duration

	// Consistency delays what reads show. It is off by default.
	Consistency Consistency
	// Quota bounds the calls. It is off by default.
	Quota Quota
	// Faults are injected from the start; see Tenant.Inject.
	Faults []Fault
	// Seed makes ids and random faults repeatable.
	Seed uint64
	// OnRequest is called with the method id of each Directory API request before the request is processed.
	OnRequest func(methodID string)
	// CallLog is the number of newest calls in the log. The default is 100,000.
	CallLog int
}

// Tenant is one customer's directory. It is safe for concurrent use.
type Tenant struct {
	cfg     Config
	routes  []route
	secret  []byte
	account serviceAccount

	mu         sync.RWMutex
	nextID     uint64
	domains    []*domainRec
	users      map[string]*userRec
	deletions  []deletion // deletions, oldest first
	groups     map[string]*groupRec
	addresses  map[string]owner               // every address in use, lower case
	memberOf   map[string]map[string]struct{} // member id to group ids
	external   map[string]string              // id of an external member to its address
	orgUnits   map[string]*orgUnitRec         // by lower-case path
	schemas    map[string]Schema              // by name
	userOrder  map[string]order[*userRec]     // by orderBy; absent when stale
	groupOrder *order[*groupRec]              // by address; nil when stale

	auth   tokenStore
	quota  quotaState
	faults fault.Set
	calls  callLog

	keyOnce sync.Once
	key     *rsa.PrivateKey
	keyErr  error
}

// owner is the user or group that has an address.
type owner struct {
	user  *userRec
	group *groupRec
}

// New returns a tenant with its administrator only. It panics on invalid addresses, which are a mistake in the
// caller's code.
func New(cfg Config) *Tenant {
	t := &Tenant{
		cfg:       withDefaults(cfg),
		users:     map[string]*userRec{},
		groups:    map[string]*groupRec{},
		addresses: map[string]owner{},
		memberOf:  map[string]map[string]struct{}{},
		external:  map[string]string{},
		orgUnits:  map[string]*orgUnitRec{},
		schemas:   map[string]Schema{},
		userOrder: map[string]order[*userRec]{},
	}
	secret := sha256.Sum256([]byte(fmt.Sprint("page tokens of ", t.cfg.CustomerID, t.cfg.Seed)))
	t.secret = secret[:]
	t.account = newServiceAccount(t.cfg.CustomerID)
	t.routes = routes()
	t.quota.set(t.cfg.Quota)
	t.faults.Seed, t.faults.SignIn = t.cfg.Seed, TokenMethod
	t.faults.Inject(t.cfg.Faults...)
	t.calls.keep = t.cfg.CallLog
	now := t.cfg.Now()
	for i, name := range t.cfg.Domains {
		t.domains = append(t.domains, &domainRec{name: strings.ToLower(name), primary: i == 0, verified: true, created: now})
	}
	for _, name := range t.cfg.UnverifiedDomains {
		t.domains = append(t.domains, &domainRec{name: strings.ToLower(name), created: now})
	}
	t.addOrgUnits(t.cfg.OrgUnits)
	for _, s := range t.cfg.Schemas {
		t.schemas[s.Name] = s
	}
	if _, err := t.AddUser(User{PrimaryEmail: t.cfg.AdminEmail, GivenName: "Ada", FamilyName: "Administrator",
		IsAdmin: true}); err != nil {
		panic(fmt.Sprintf("googleworkspace: administrator %s: %v", t.cfg.AdminEmail, err))
	}
	return t
}

func withDefaults(cfg Config) Config {
	if cfg.CustomerID == "" {
		cfg.CustomerID = "C0rollca1"
	}
	if len(cfg.Domains) == 0 {
		cfg.Domains = []string{"example.com"}
	}
	if cfg.AdminEmail == "" {
		cfg.AdminEmail = "admin@" + cfg.Domains[0]
	}
	if len(cfg.GroupNamespaces) == 0 {
		cfg.GroupNamespaces = []string{"system/external"}
	}
	if len(cfg.Scopes) == 0 {
		cfg.Scopes = allScopes()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.AuthNow == nil {
		cfg.AuthNow = time.Now
	}
	if cfg.Wait == nil {
		cfg.Wait = wait
	}
	if cfg.TokenLifetime == 0 {
		cfg.TokenLifetime = time.Hour
	}
	if cfg.CallLog == 0 {
		cfg.CallLog = 100_000
	}
	return cfg
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// digest returns the bytes for an id. They look random but repeat with the seed.
func (t *Tenant) digest(kind, name string) [32]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%s/%d/%s/%s", t.cfg.CustomerID, t.cfg.Seed, kind, name))
}

// newUserID returns 21 digits, as in Google's user ids.
func (t *Tenant) newUserID() string {
	t.nextID++
	return t.numericID("user", fmt.Sprint(t.nextID))
}

func (t *Tenant) numericID(kind, name string) string {
	sum := t.digest(kind, name)
	return fmt.Sprintf("1%020d", binary.BigEndian.Uint64(sum[:8]))
}

// newGroupID returns 15 letters and digits beginning with 0, as in Google's group ids.
func (t *Tenant) newGroupID() string {
	t.nextID++
	sum := t.digest("group", fmt.Sprint(t.nextID))
	return "0" + hex.EncodeToString(sum[:7])
}
