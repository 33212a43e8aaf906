package entra

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"

	"rollcall/internal/problem"
	"rollcall/internal/secret"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
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
	provider.Settings `yaml:",inline"`

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
	// MaxRequestsPerSecond is the part of the quota that all workers together may use, in resource units. The default
	// is 784.
	MaxRequestsPerSecond float64 `yaml:"max_requests_per_second"`
	// MaxWritesPerSecond is the same for writes. The default is 19.6.
	MaxWritesPerSecond float64 `yaml:"max_writes_per_second"`
}

// SetDefaults fills in the fields that are not set.
func (c *Config) SetDefaults() {
	c.Settings.SetDefaults()
	if c.Authority == "" {
		c.Authority = DefaultAuthority
	}
	if !strings.HasSuffix(c.Authority, "/") {
		c.Authority += "/"
	}
	if c.Endpoint == "" {
		c.Endpoint = DefaultEndpoint
	}
	c.Endpoint = strings.TrimRight(c.Endpoint, "/")
	if c.MaxRequestsPerSecond == 0 {
		c.MaxRequestsPerSecond = DefaultRequestsPerSecond
	}
	if c.MaxWritesPerSecond == 0 {
		c.MaxWritesPerSecond = DefaultWritesPerSecond
	}
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
	if err := checkURL(c.Endpoint, true); err != nil {
		fail("endpoint", "%v", err)
	}
	if err := checkURL(c.Authority, false); err != nil {
		fail("authority", "%v", err)
	}
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
	return mapping.Compile(Spec(), mapping.Options{
		User: c.UserPropertyMappings, Group: c.GroupPropertyMappings,
		FilterGroup: c.FilterGroup, Exclude: c.Exclude, UserFilter: c.UserFilter, GroupFilter: c.GroupFilter,
		RekeyBy: c.RekeyBy, Nested: mapping.Nested(c.NestedGroups), NoAddress: c.NoAddress, NoAddressOf: c.NoAddressOf,
	})
}

// checkURL allows https anywhere and, with plainHere, plain http on this machine. An access token never crosses a
// network in clear.
func checkURL(s string, plainHere bool) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return fmt.Errorf("%q is not a URL", s)
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case u.Scheme == "https", u.Scheme == "http" && loopback && plainHere:
		return nil
	case plainHere:
		return fmt.Errorf("%q: plain http is for this machine only, use https", s)
	}
	return fmt.Errorf("%q: use https", s)
}
