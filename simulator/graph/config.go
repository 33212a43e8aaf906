package graph

import (
	"context"
	"crypto"
	"crypto/x509"
	"time"
)

// Config describes a tenant. The zero value is a tenant with the domain example.com and an app with permission for
// everything that the simulator serves. It has no delays, quota or faults.
type Config struct {
	// TenantID is the tenant's id. The default is derived from Seed.
	TenantID string
	// DisplayName is the name of the organization. The default is "Example".
	DisplayName string
	// Domains are the verified domains, with the default one first. The default is example.com.
	Domains []string
	// FederatedDomains are the Domains with a federated sign-in. A new user there needs an onPremisesImmutableId.
	FederatedDomains []string
	// UnverifiedDomains have been added but not verified.
	UnverifiedDomains []string

	// App is the app registration that signs in.
	App App
	// TokenLifetime is the lifetime of an access token. The default is one hour.
	TokenLifetime time.Duration

	// HardDeleteGroups deletes security groups permanently at once, as older pages of the documentation describe.
	// Microsoft 365 groups always go to deleted items.
	HardDeleteGroups bool
	// Retention is how long deleted items stay. The default is 30 days.
	Retention time.Duration
	// DeltaLifetime is the lifetime of a state token of delta. The default is 7 days.
	DeltaLifetime time.Duration
	// EmptyPages makes every list begin with a page that has a link to the next page and no object. Pages may be
	// empty, as the documentation says.
	EmptyPages bool
	// DeltaPage is the number of objects in a page of delta. The default is 200.
	DeltaPage int
	// DeltaMembers is the number of members in a page of delta. The default is 1,000. Larger groups are spread over
	// pages.
	DeltaMembers int

	// Now is the tenant's clock for creation times, delays, quotas and state tokens. The default is time.Now.
	Now func() time.Time
	// AuthNow is the clock of the token endpoint and of access tokens. It is separate from Now because real clients
	// sign with the time of day, independently of the tenant's clock. The default is time.Now.
	AuthNow func() time.Time
	// Wait implements the Delay effect. The default sleeps until the request is cancelled.
	Wait func(context.Context, time.Duration)

	// Consistency delays what reads show. It is off by default.
	Consistency Consistency
	// ObjectQuota is the size of the directory. The organization shows it as directorySizeQuota, which the metadata of
	// v1.0 does not have, unless it is zero. Creations beyond it are not refused; inject a Fault for that.
	ObjectQuota int
	// Quota bounds the calls. It is off by default.
	Quota Quota
	// Faults are injected from the start; see Tenant.Inject.
	Faults []Fault
	// Seed makes ids, the order of batch responses and random faults repeatable.
	Seed uint64
	// OnRequest is called with the method of each Graph call, including batch items, before the call is processed.
	OnRequest func(method string)
	// CallLog is the number of newest calls in the log. The default is 100,000.
	CallLog int
}

// App is an app registration with its service principal in the tenant.
type App struct {
	// ClientID is the app's id. The default is derived from Config.Seed.
	ClientID string
	// Secret is the client secret. The default is "simulated-secret".
	Secret string
	// Certificates may sign client assertions.
	Certificates []*x509.Certificate
	// Federated are the workload identities that may sign in as the app.
	Federated []FederatedCredential
	// Permissions are the application permissions that an administrator has consented to. The default is
	// DefaultPermissions.
	Permissions []string
	// Administrator reports that the app also has an administrator's role, so that it may change administrators.
	Administrator bool
}

// FederatedCredential trusts the tokens of another issuer, as workload identity federation does.
type FederatedCredential struct {
	Issuer, Subject string
	// Audience defaults to "api://AzureADTokenExchange".
	Audience string
	// Key checks the signature. Without a key, any signature passes.
	Key crypto.PublicKey
}

// defaultPermissions are the permissions that a provisioner needs, and no more.
var defaultPermissions = []string{
	"User.ReadWrite.All", "Group.ReadWrite.All", "Directory.Read.All", "Domain.Read.All", "Organization.Read.All",
}

// DefaultPermissions returns the application permissions of an App without Permissions.
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
