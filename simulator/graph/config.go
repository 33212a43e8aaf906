package graph

import (
	"context"
	"crypto"
	"crypto/x509"
	"time"
)

// Config describes a tenant. The zero value is a tenant with the domain example.com, an app that may do everything
// the simulator serves, no delays, no quota and no faults.
type Config struct {
	// TenantID is the tenant's id; made from Seed when empty.
	TenantID string
	// DisplayName of the organization; "Example" when empty.
	DisplayName string
	// Domains are the verified domains, the default one first; example.com when empty.
	Domains []string
	// FederatedDomains are those of Domains with users that sign in elsewhere. A new user there needs an
	// onPremisesImmutableId.
	FederatedDomains []string
	// UnverifiedDomains have been added and not been proved.
	UnverifiedDomains []string

	// App is the app registration that signs in.
	App App
	// TokenLifetime is how long an access token lives; one hour when zero.
	TokenLifetime time.Duration

	// HardDeleteGroups deletes security groups for good at once, as older pages of the documentation have it.
	// Microsoft 365 groups always go to deleted items.
	HardDeleteGroups bool
	// Retention is how long deleted items stay; 30 days when zero.
	Retention time.Duration
	// DeltaLifetime is how long a state token of delta lives; 7 days when zero.
	DeltaLifetime time.Duration
	// DeltaPage is how many objects a page of delta holds; 200 when zero.
	DeltaPage int
	// DeltaMembers is how many members a page of delta holds; 1,000 when zero. Larger groups spread over pages.
	DeltaMembers int

	// Now is the tenant's clock: creation times, delays, quotas, state tokens. The default is time.Now.
	Now func() time.Time
	// AuthNow is the clock of the token endpoint and of access tokens. It is separate from Now because real clients
	// sign with the time of day whatever the tenant's clock says. The default is time.Now.
	AuthNow func() time.Time
	// Wait is how the Delay effect waits. The default sleeps until the request is given up.
	Wait func(context.Context, time.Duration)

	// Consistency delays what reads show. Off by default.
	Consistency Consistency
	// Quota bounds the calls. Off by default.
	Quota Quota
	// Faults are injected from the start; see Tenant.Inject.
	Faults []Fault
	// Seed makes ids, the order of batch answers and the faults with a probability repeatable.
	Seed uint64
	// OnRequest is called with the method of each Graph call, batch items included, before anything is done about it.
	OnRequest func(method string)
	// CallLog is how many of the newest calls are kept in the log; 100,000 when zero.
	CallLog int
}

// App is an app registration with its service principal in the tenant.
type App struct {
	// ClientID is the app's id; made from Config.Seed when empty.
	ClientID string
	// Secret is the client secret; "simulated-secret" when empty.
	Secret string
	// Certificates may sign client assertions.
	Certificates []*x509.Certificate
	// Federated are the workload identities that may sign in as the app.
	Federated []FederatedCredential
	// Permissions are the application permissions that an administrator has consented to;
	// DefaultPermissions when nil.
	Permissions []string
	// Administrator says that the app holds an administrator's role as well, so that it may change administrators.
	Administrator bool
}

// FederatedCredential trusts the tokens of another issuer, as workload identity federation does.
type FederatedCredential struct {
	Issuer, Subject string
	// Audience is "api://AzureADTokenExchange" when empty.
	Audience string
	// Key checks the signature. Without one, any signature passes.
	Key crypto.PublicKey
}

// defaultPermissions are what a provisioner needs, and no more.
var defaultPermissions = []string{
	"User.ReadWrite.All", "Group.ReadWrite.All", "Directory.Read.All", "Domain.Read.All", "Organization.Read.All",
}

// DefaultPermissions returns the application permissions of an App that names none.
func DefaultPermissions() []string { return append([]string(nil), defaultPermissions...) }

func withDefaults(cfg Config) Config {
	setDefault(&cfg.TenantID, uuidOf("tenant", cfg.Seed))
	setDefault(&cfg.App.ClientID, uuidOf("app", cfg.Seed))
	setDefault(&cfg.App.Secret, "simulated-secret")
	setDefault(&cfg.DisplayName, "Example")
	setDefault(&cfg.TokenLifetime, time.Hour)
	setDefault(&cfg.Retention, 30*24*time.Hour)
	setDefault(&cfg.DeltaLifetime, 7*24*time.Hour)
	setDefault(&cfg.DeltaPage, 200)
	setDefault(&cfg.DeltaMembers, 1_000)
	setDefault(&cfg.CallLog, 100_000)
	if len(cfg.Domains) == 0 {
		cfg.Domains = []string{"example.com"}
	}
	if cfg.App.Permissions == nil {
		cfg.App.Permissions = DefaultPermissions()
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
	return cfg
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
