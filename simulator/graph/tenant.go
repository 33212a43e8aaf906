package graph

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rollcall/simulator/fault"
)

// Tenant is one Entra tenant. It is safe for concurrent use.
type Tenant struct {
	cfg    Config
	routes []route
	secret []byte

	mu       sync.RWMutex
	last     uint64 // the newest ordinal: of objects and of memberships
	lag      Consistency
	byID     map[string]*object
	users    collection
	groups   collection
	roles    collection
	domains  []*domain
	unique   uniqueIndex
	epoch    int       // of state tokens; a reset of delta raises it
	graves   []*object // deleted items, the oldest first
	nextGone atomic.Int64

	requests atomic.Uint64
	quota    quotaState
	faults   fault.Set
	calls    callLog
}

// New returns a tenant without users, with its domains and the role of global administrators.
func New(cfg Config) *Tenant {
	cfg = withDefaults(cfg)
	secret := sha256.Sum256(fmt.Append(nil, "tokens of ", cfg.TenantID, cfg.Seed))
	t := &Tenant{
		cfg:    cfg,
		secret: secret[:],
		lag:    cfg.Consistency,
		byID:   map[string]*object{},
		unique: newUniqueIndex(),
		routes: routes(),
	}
	t.quota.set(cfg.Quota)
	t.faults.Seed, t.faults.SignIn = cfg.Seed, TokenMethod
	t.faults.Inject(cfg.Faults...)
	t.calls.keep = cfg.CallLog
	t.nextGone.Store(never)
	t.addDomains()
	t.addRole(GlobalAdministrator)
	return t
}

// TenantID returns the tenant's id.
func (t *Tenant) TenantID() string { return t.cfg.TenantID }

// ClientID returns the app's id.
func (t *Tenant) ClientID() string { return t.cfg.App.ClientID }

// ClientSecret returns the app's secret.
func (t *Tenant) ClientSecret() string { return t.cfg.App.Secret }

// collection has the objects of one kind in the order of their creation, including deleted items, and the log of
// their changes.
type collection struct {
	kind *kind
	list []*object
	log  []change
}

// after returns the objects created after the one with the given ordinal.
func (c *collection) after(ord uint64) []*object {
	i, found := slices.BinarySearchFunc(c.list, ord, func(o *object, ord uint64) int {
		switch {
		case o.ord < ord:
			return -1
		case o.ord > ord:
			return 1
		}
		return 0
	})
	if found {
		i++
	}
	return c.list[i:]
}

func (c *collection) drop(o *object) {
	if i := len(c.list) - len(c.after(o.ord)) - 1; i >= 0 && c.list[i] == o {
		c.list = slices.Delete(c.list, i, i+1)
	}
}

func (t *Tenant) collection(k *kind) *collection {
	switch k {
	case userKind:
		return &t.users
	case groupKind:
		return &t.groups
	}
	return &t.roles
}

func (t *Tenant) nextOrdinal() uint64 {
	t.last++
	return t.last
}

// add creates an object. The caller has checked everything.
func (t *Tenant) add(k *kind, id string, props map[string]any, now time.Time) *object {
	o := &object{kind: k, ord: t.nextOrdinal(), id: id, created: now}
	if o.id == "" {
		o.id = uuidOf(k.name, t.cfg.Seed, o.ord)
	}
	props["id"] = o.id
	if k.property("createdDateTime") != nil && props["createdDateTime"] == nil {
		props["createdDateTime"] = now
	}
	o.set(state{from: now, props: props}, 0, now)
	c := t.collection(k)
	c.kind = k
	c.list = append(c.list, o)
	t.byID[o.id] = o
	t.unique.claim(o, props)
	c.log = append(c.log, change{at: now, object: o, what: created})
	return o
}

// uuidOf returns a UUID that depends on its arguments alone.
func uuidOf(kind string, numbers ...uint64) string {
	sum := sha256.Sum256(fmt.Append(nil, kind, numbers))
	sum[6], sum[8] = sum[6]&0x0f|0x40, sum[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", sum[:4], sum[4:6], sum[6:8], sum[8:10], sum[10:16])
}

// isUUID reports whether s has the form of an object's id.
func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range s {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case !strings.ContainsRune("0123456789abcdefABCDEF", c):
			return false
		}
	}
	return true
}
