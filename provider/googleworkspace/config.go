package googleworkspace

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"strings"

	"rollcall/internal/problem"
	"rollcall/internal/secret"
	"rollcall/mapping"
	"rollcall/provider"
)

// The defaults of Config.
const (
	DefaultEndpoint = "https://admin.googleapis.com/"
	DefaultCustomer = "my_customer"
	// DefaultRequestsPerSecond is 98 % of the published 2,400 queries a minute.
	DefaultRequestsPerSecond = 39.2
)

// Config describes one Google Workspace account. The zero value of a field means its default.
type Config struct {
	provider.Settings `yaml:",inline"`

	// DelegatedSubject is the administrator that the service account impersonates.
	DelegatedSubject string `yaml:"delegated_subject"`
	// CredentialsFile is the JSON key of a service account with domain-wide delegation.
	CredentialsFile secret.File `yaml:"credentials_file"`
	// Customer is the customerId of the account. The default is my_customer.
	Customer string `yaml:"customer"`
	// DefaultGroupEmailDomain is the domain of the addresses that are generated for groups.
	DefaultGroupEmailDomain string `yaml:"default_group_email_domain"`
	// Endpoint is the root of the API. Plain http is only for tests on this machine.
	Endpoint string `yaml:"endpoint"`
	// MaxRequestsPerSecond is the part of the quota that all workers together may use. The default is 39.2.
	MaxRequestsPerSecond float64 `yaml:"max_requests_per_second"`
}

// UserCreatesPerSecond is the rate of new users over all workers. Google publishes 40 calls a second, and 10 new
// users a second in a domain. So a quarter of the calls may create users, also where the quota of calls was raised.
func (c *Config) UserCreatesPerSecond() float64 { return c.MaxRequestsPerSecond / 4 }

// SetDefaults fills in the fields that are not set.
func (c *Config) SetDefaults() {
	c.Settings.SetDefaults()
	if c.Customer == "" {
		c.Customer = DefaultCustomer
	}
	if c.Endpoint == "" {
		c.Endpoint = DefaultEndpoint
	}
	if !strings.HasSuffix(c.Endpoint, "/") {
		c.Endpoint += "/"
	}
	if c.MaxRequestsPerSecond == 0 {
		c.MaxRequestsPerSecond = DefaultRequestsPerSecond
	}
	c.DelegatedSubject = strings.ToLower(strings.TrimSpace(c.DelegatedSubject))
	c.DefaultGroupEmailDomain = strings.ToLower(strings.TrimSpace(c.DefaultGroupEmailDomain))
}

// Validate returns every mistake, including those of the mappings, as problem.Errors. It reads no file.
func (c Config) Validate() error {
	c.SetDefaults()
	errs := []error{c.Settings.Validate()}
	fail := func(field, format string, args ...any) {
		errs = append(errs, problem.Field(field, format, args...))
	}
	if c.DelegatedSubject == "" {
		fail("delegated_subject", "is needed: the address of an administrator")
	} else if a, err := mail.ParseAddress(c.DelegatedSubject); err != nil || a.Address != c.DelegatedSubject {
		fail("delegated_subject", "%q is not an address", c.DelegatedSubject)
	}
	if c.CredentialsFile == "" {
		fail("credentials_file", "is needed: the JSON key of the service account")
	}
	if d := c.DefaultGroupEmailDomain; d == "" {
		fail("default_group_email_domain", "is needed: the domain of the groups' addresses")
	} else if strings.ContainsAny(d, "@/ ") || !strings.Contains(d, ".") {
		fail("default_group_email_domain", "%q is no domain", d)
	}
	if err := checkURL(c.Endpoint); err != nil {
		fail("endpoint", "%v", err)
	}
	if c.MaxRequestsPerSecond < 0 {
		fail("max_requests_per_second", "%v is negative", c.MaxRequestsPerSecond)
	}
	_, err := c.Mapping()
	errs = append(errs, err)
	return errors.Join(errs...)
}

// Mapping compiles the scope and the mappings.
func (c Config) Mapping() (*mapping.Mapping, error) {
	return mapping.Compile(Spec(), mapping.Options{
		User: c.UserPropertyMappings, Group: c.GroupPropertyMappings, Domain: c.DefaultGroupEmailDomain,
		FilterGroup: c.FilterGroup, Exclude: c.Exclude, UserFilter: c.UserFilter, GroupFilter: c.GroupFilter,
		RekeyBy: c.RekeyBy, Nested: mapping.Nested(c.NestedGroups), NoAddress: c.NoAddress, NoAddressOf: c.NoAddressOf,
	})
}

// checkURL allows https anywhere and plain http on this machine, so that an access token never crosses a network in
// clear.
func checkURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" {
		return fmt.Errorf("%q is not a URL", s)
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme == "https" || u.Scheme == "http" && loopback {
		return nil
	}
	return fmt.Errorf("%q: plain http is for this machine only, use https", s)
}
