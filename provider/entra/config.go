// Package entra provisions users, security groups and memberships to one Microsoft Entra tenant through Microsoft
// Graph v1.0.
//
// The adapter translates and classifies. It neither paces nor decides. The only request that it repeats itself is one
// with a refused access token. A [Caller] may pace and repeat each request. The Graph client is our own, because the
// official one takes minutes and gigabytes to build.
//
// # Anchors
//
//   - A user carries the ID of the directory's entry in onPremisesImmutableId. For a UUID this is the base64 of the
//     sixteen bytes in the order of RFC 9562, for any other ID the base64 of the text; see encodeAnchor.
//   - A group carries the ID in uniqueName, as rollcall-<ID>. It is set when the group is created, by
//     PATCH /groups(uniqueName='…') with Prefer: create-if-missing. This request creates the group once, however
//     often it is sent. No other request creates groups, and the uniqueName of a group can never be changed.
//   - A group of an entry that was created again in the directory carries the new ID in mailNickname, as
//     rollcall-entry-<ID>.
//
// An onPremisesImmutableId does not show which product wrote it. Read marks such objects (plan.Object.Unproven). The
// engine takes such an account for ours only where its ID is that of a known entry.
//
// Graph has no place for our mark on a suspension. Only the ledger has it.
//
// # Refusals
//
// A refusal of a listing, or of an access token without the permission, is Denied, because it concerns the tenant.
// Any other refusal concerns one object (fault.Refused), also the 403 of a tenant without room. The decision depends
// only on the request and its token, so that all workers decide alike; see denial.
//
// # Addresses
//
// The address of a user is the userPrincipalName. Groups have no address, because the mailNickname of a security
// group need not be unique. So groups are never adopted.
//
// # Reads
//
// The first read gets users and groups, with members, from the beginning of a delta query, and later reads continue
// it. The tokens are kept in a [Cache] together with the state up to them. After three days, or when a token has
// expired, the query starts again. Delta lags behind writes, so an object that is in the ledger and not in delta is
// looked up before it counts as gone. An unreadable object is in the state as read-only.
//
// # Writes
//
// Writes are sent in batches of twenty requests, and one request adds up to twenty members to a group. Each answer is
// judged separately, and a request with a temporary failure is sent again alone. Before users or groups lose
// something they are read again, users together with the administrators.
package entra

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"strings"

	"rollcall/internal/problem"
	"rollcall/internal/secret"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/provider/remote"
)

// The defaults of Config.
const (
	DefaultAuthority = "https://login.microsoftonline.com/"
	DefaultEndpoint  = "https://graph.microsoft.com/v1.0"
	// DefaultRequestsPerSecond is 98 % of the 8,000 resource units in ten seconds that a tenant of more than 500
	// users grants an app. Smaller tenants grant 5,000 (from 50 users) or 3,500.
	DefaultRequestsPerSecond = 784
	// DefaultWritesPerSecond is 98 % of the 3,000 writes in 150 seconds.
	DefaultWritesPerSecond = 19.6
)

// Config describes one Microsoft Entra tenant. The zero value of a field means its default.
type Config struct {
	provider.Settings `yaml:",inline" preview:"free"`

	// TenantID is the tenant's id, or one of its domains.
	TenantID string `yaml:"tenant_id"`
	// ClientID is the id of the app registration.
	ClientID string `yaml:"client_id"`
	// ClientSecretFile holds a client secret of the app. The app needs a secret, a certificate or a workload
	// identity.
	ClientSecretFile secret.File `yaml:"client_secret_file"`
	// CertificateFile holds a certificate of the app with its private key, as PEM or PKCS #12.
	// CertificatePasswordFile holds the password of a PKCS #12 file.
	CertificateFile         secret.File `yaml:"certificate_file"`
	CertificatePasswordFile secret.File `yaml:"certificate_password_file"`
	// FederatedTokenFile holds the token of a workload identity (Kubernetes).
	FederatedTokenFile secret.File `yaml:"federated_token_file"`
	// WorkloadIdentity takes the path of the token file from AZURE_FEDERATED_TOKEN_FILE.
	WorkloadIdentity bool `yaml:"workload_identity"`
	// Authority is the sign-in service. Other clouds have https://login.microsoftonline.us/ or
	// https://login.chinacloudapi.cn/.
	Authority string `yaml:"authority"`
	// Endpoint is Microsoft Graph with its version, such as https://graph.microsoft.us/v1.0.
	Endpoint string `yaml:"endpoint"`
	// CAFile holds additional certificate authorities, as PEM, for a private endpoint or the simulator.
	CAFile secret.PublicFile `yaml:"ca_file"`
	// EndSessions says whether the sessions of an account are revoked when it is suspended. It needs
	// SessionsPermission.
	EndSessions provider.Sessions `yaml:"end_sessions" preview:"free"`
	// MaxRequestsPerSecond is the part of the quota that all workers together may use, in resource units. The default
	// is 784.
	MaxRequestsPerSecond float64 `yaml:"max_requests_per_second"`
	// MaxWritesPerSecond is the same for writes. The default is 19.6.
	MaxWritesPerSecond float64 `yaml:"max_writes_per_second"`
}

// SetDefaults fills in the fields that are not set.
func (c *Config) SetDefaults() {
	c.Settings.SetDefaults()
	c.Authority = cmp.Or(c.Authority, DefaultAuthority)
	if !strings.HasSuffix(c.Authority, "/") {
		c.Authority += "/"
	}
	c.Endpoint = cmp.Or(c.Endpoint, DefaultEndpoint)
	c.Endpoint = strings.TrimRight(c.Endpoint, "/")
	c.EndSessions.SetDefault()
	c.MaxRequestsPerSecond = cmp.Or(c.MaxRequestsPerSecond, DefaultRequestsPerSecond)
	c.MaxWritesPerSecond = cmp.Or(c.MaxWritesPerSecond, DefaultWritesPerSecond)
	c.TenantID, c.ClientID = strings.ToLower(strings.TrimSpace(c.TenantID)), strings.ToLower(strings.TrimSpace(c.ClientID))
}

// Rates returns the quota for a pace.Limiter.
func (c Config) Rates() map[string]float64 {
	c.SetDefaults()
	return map[string]float64{pace.ResourceUnits: c.MaxRequestsPerSecond, pace.Writes: c.MaxWritesPerSecond}
}

var domain = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`)

// Validate returns every mistake, including those of the mappings, as problem.Errors. It reads no file.
func (c Config) Validate() error {
	c.SetDefaults()
	errs := []error{c.Settings.Validate()}
	fail := func(field, format string, args ...any) {
		errs = append(errs, problem.Field(field, format, args...))
	}
	if c.TenantID == "" {
		fail("tenant_id", "is needed: the id of the tenant")
	} else if !isObjectID(c.TenantID) && !domain.MatchString(c.TenantID) {
		fail("tenant_id", "%q is neither an id nor a domain", c.TenantID)
	}
	if c.ClientID == "" {
		fail("client_id", "is needed: the id of the app registration")
	} else if !isObjectID(c.ClientID) {
		fail("client_id", "%q is no id", c.ClientID)
	}
	errs = append(errs, c.checkCredentials())
	if err := remote.CheckURL(c.Endpoint); err != nil {
		fail("endpoint", "%v", err)
	}
	if err := remote.CheckURL(c.Authority); err != nil {
		fail("authority", "%v", err)
	} else if strings.HasPrefix(c.Authority, "http:") {
		fail("authority", "%q: use https", c.Authority)
	}
	errs = append(errs, c.EndSessions.Validate())
	if c.MaxRequestsPerSecond < 0 {
		fail("max_requests_per_second", "%v is negative", c.MaxRequestsPerSecond)
	}
	if c.MaxWritesPerSecond < 0 {
		fail("max_writes_per_second", "%v is negative", c.MaxWritesPerSecond)
	}
	if _, mapped := c.GroupPropertyMappings[plan.AddressField]; mapped {
		fail(mapping.GroupKey+"."+plan.AddressField, "cannot be mapped: groups of Microsoft Entra ID have no address")
	}
	_, err := c.Mapping()
	return errors.Join(append(errs, err)...)
}

// checkCredentials checks that exactly one way to sign in is configured.
func (c *Config) checkCredentials() error {
	var given []string
	for field, set := range map[string]bool{
		"client_secret_file": c.ClientSecretFile != "", "certificate_file": c.CertificateFile != "",
		"federated_token_file": c.FederatedTokenFile != "", "workload_identity": c.WorkloadIdentity,
	} {
		if set {
			given = append(given, field)
		}
	}
	switch {
	case len(given) == 0:
		return problem.Field("client_secret_file",
			"is needed, or certificate_file, federated_token_file or workload_identity: true")
	case len(given) > 1:
		return problem.Field("client_secret_file",
			"%d ways to sign in are set; keep one of client_secret_file, certificate_file, federated_token_file "+
				"and workload_identity", len(given))
	case c.CertificatePasswordFile != "" && c.CertificateFile == "":
		return problem.Field("certificate_password_file", "there is no certificate_file")
	}
	return nil
}

// Mapping compiles the scope and the mappings.
func (c Config) Mapping() (*mapping.Mapping, error) {
	return mapping.Compile(Spec(), c.MappingOptions(""))
}

// Type returns Microsoft Entra ID as a type of provider.
func Type() provider.Type {
	return provider.Type{
		Name: "microsoft_entra", Title: "Microsoft Entra", Product: "Microsoft Entra ID", Secret: "client_secret",
		Keys: map[string]string{
			"tenant_id": "The tenant's id, or one of its domains.",
			"client_id": "The id of the app registration. It needs the application permissions `User.ReadWrite.All`, " +
				"`Group.ReadWrite.All`, `Directory.Read.All` and `Domain.Read.All`, with an administrator's consent.",
			"client_secret_file":        "A client secret of the app. It, `certificate_file` or a workload identity is needed.",
			"certificate_file":          "A certificate of the app with its private key, as PEM or PKCS #12.",
			"certificate_password_file": "The password of that file.",
			"federated_token_file":      "The token of a workload identity (Kubernetes).",
			"workload_identity":         "Take the path of that token from `AZURE_FEDERATED_TOKEN_FILE`.",
			"authority": "The sign-in service: `https://login.microsoftonline.us/` or " +
				"`https://login.chinacloudapi.cn/` for other clouds.",
			"endpoint": "Microsoft Graph with its version: `https://graph.microsoft.us/v1.0`, " +
				"`https://microsoftgraph.chinacloudapi.cn/v1.0`.",
			"ca_file":                 "More certificate authorities, as PEM: for a private endpoint or the simulator.",
			"end_sessions":            provider.SessionsKey("the permission `User.RevokeSessions.All`"),
			"max_requests_per_second": "What all workers together may use of the quota, in resource units.",
			"max_writes_per_second":   "The same for writes.",
		},
		Fields: Spec(), New: func() provider.Config { return new(Config) }, EntryID: decodeAnchor,
		Starter: provider.Starter{
			Settings: []string{"tenant_id: 00000000-0000-0000-0000-000000000000",
				"client_id: 00000000-0000-0000-0000-000000000000", "client_secret_file: entra-secret"},
			Mappings: [][3]string{
				{"title", "jobTitle", ""}, {"department", "department", ""}, {"departmentNumber", "department", ""},
				{"company", "companyName", ""}, {"o", "companyName", ""}, {"telephoneNumber", "businessPhones", ""},
				{"mobile", "mobilePhone", ""}, {"employeeNumber", "employeeId", "employeeNumber"},
				{"employeeID", "employeeId", "employeeNumber"}, {"employeeType", "employeeType", ""},
				{"physicalDeliveryOfficeName", "officeLocation", ""}, {"c", "usageLocation", ""},
				{"manager", "manager", "address_of(ldap.manager)"},
			},
		},
	}
}

// Quotas returns the quota of the tenant.
func (c *Config) Quotas() []provider.Quota { return []provider.Quota{{Rates: c.Rates()}} }

// Open implements provider.Config.
func (c *Config) Open(env provider.Env) (provider.Tenant, error) {
	opts := Options{Cache: env.Cache, Getenv: env.Getenv, Options: remote.Options{Observe: env.Request, Wrap: env.Wrap,
		Caller: pace.NewCaller(env.Pace("", c.RequestTimeout))}}
	if limiter := env.Limiters[""]; limiter != nil {
		// Graph says that the quota is nearly spent before it refuses: all workers slow down then, and no request is refused.
		opts.Strained = func(ctx context.Context, _ float64) { _ = limiter.Refused(ctx, 0) }
	}
	p, err := New(*c, opts)
	if err != nil {
		return nil, err
	}
	return p, nil
}
