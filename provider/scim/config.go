package scim

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"rollcall/internal/problem"
	"rollcall/internal/secret"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// Config describes one SCIM server. The zero value of a field means its default.
type Config struct {
	provider.Settings `yaml:",inline" preview:"free"`

	// Endpoint is the root of the service, above /Users and /Groups. Plain http is only for this machine.
	Endpoint string `yaml:"endpoint"`
	// Profile names the kind of server, or an OwnProfile. The default is generic.
	Profile string `yaml:"profile"`
	// TokenFile holds a bearer token. The client needs it, a username or a client_id.
	TokenFile secret.File `yaml:"token_file"`
	// Username and PasswordFile are for basic authentication.
	Username     string      `yaml:"username"`
	PasswordFile secret.File `yaml:"password_file"`
	// ClientID and ClientSecretFile are for client credentials of OAuth 2, for which TokenURL issues tokens.
	ClientID         string      `yaml:"client_id"`
	ClientSecretFile secret.File `yaml:"client_secret_file"`
	TokenURL         string      `yaml:"token_url"`
	Scopes           []string    `yaml:"scopes"`
	// CAFile holds additional certificate authorities, as PEM.
	CAFile secret.PublicFile `yaml:"ca_file"`
	// Domains are the domains that addresses of users may be in. None means all.
	Domains []string `yaml:"domains" preview:"free"`
	// DefaultGroupEmailDomain is the value of domain in expressions.
	DefaultGroupEmailDomain string `yaml:"default_group_email_domain" preview:"free"`

	Behaviour `yaml:",inline"`

	own map[string]provider.Profile // the profiles of the file
}

// SetProfiles implements provider.Profiled.
func (c *Config) SetProfiles(own map[string]provider.Profile) { c.own = own }

// SetDefaults fills in the fields that are not set, also from the profile.
func (c *Config) SetDefaults() {
	c.Settings.SetDefaults()
	if c.Profile == "" {
		c.Profile = DefaultProfile
	}
	c.Endpoint = strings.TrimRight(c.Endpoint, "/")
	c.DefaultGroupEmailDomain = strings.ToLower(strings.TrimSpace(c.DefaultGroupEmailDomain))
	for i, d := range c.Domains {
		c.Domains[i] = strings.ToLower(strings.TrimSpace(d))
	}
	b, err := c.behaviour()
	if err != nil { // It is reported by Validate. Until then the limits must not be zero.
		b, _ = OwnProfile{}.behaviour()
	}
	c.fill(b)
}

// behaviour returns the values of the profile.
func (c *Config) behaviour() (Behaviour, error) {
	if own, ok := c.own[c.Profile].(OwnProfile); ok {
		if own.Validate(c.Profile) != nil {
			return OwnProfile{}.behaviour() // What is wrong is reported of the profile, and not of each provider.
		}
		return own.behaviour()
	}
	p, err := LoadProfile(c.Profile, slices.Collect(maps.Keys(c.own))...)
	return p.Behaviour, err
}

// Validate returns every mistake, including those of the mappings, as problem.Errors. It reads no file.
func (c Config) Validate() error {
	c.SetDefaults()
	errs := []error{c.Settings.Validate(), c.validate()}
	fail := func(field, format string, args ...any) {
		errs = append(errs, problem.Field(field, format, args...))
	}
	if c.Endpoint == "" {
		fail("endpoint", "is needed: the root of the service, above /Users and /Groups")
	} else if err := remote.CheckURL(c.Endpoint); err != nil {
		fail("endpoint", "%v", err)
	}
	if _, err := c.behaviour(); err != nil {
		fail("profile", "%v", err)
	}
	for _, d := range c.Domains {
		if strings.ContainsAny(d, "@/ ") || !strings.Contains(d, ".") {
			fail("domains", "%q is no domain", d)
		}
	}
	if _, mapped := c.GroupPropertyMappings[plan.AddressField]; mapped {
		fail(mapping.GroupKey+"."+plan.AddressField, "cannot be mapped: groups of SCIM have no address")
	}
	errs = append(errs, c.checkCredentials())
	_, err := c.Mapping()
	return errors.Join(append(errs, err)...)
}

// checkCredentials checks that exactly one way to sign in is configured.
func (c *Config) checkCredentials() error {
	ways := 0
	for _, set := range []bool{c.TokenFile != "", c.Username != "", c.ClientID != ""} {
		if set {
			ways++
		}
	}
	switch {
	case ways == 0:
		return problem.Field("token_file",
			"is needed, or username with password_file, or client_id with client_secret_file")
	case ways > 1:
		return problem.Field("token_file", "%d ways to sign in are set; keep one of token_file, username and client_id",
			ways)
	case c.Username != "" && c.PasswordFile == "":
		return problem.Field("password_file", "is needed: the password of username")
	case c.Username == "" && c.PasswordFile != "":
		return problem.Field("username", "is needed with password_file")
	case c.ClientID == "" && (c.ClientSecretFile != "" || c.TokenURL != ""):
		return problem.Field("client_id", "is needed with client_secret_file and token_url")
	case c.ClientID == "":
		return nil
	case c.ClientSecretFile == "":
		return problem.Field("client_secret_file", "is needed: the secret of client_id")
	case c.TokenURL == "":
		return problem.Field("token_url", "is needed: the address that issues tokens for client_id")
	}
	if err := remote.CheckURL(c.TokenURL); err != nil {
		return problem.Field("token_url", "%v", err)
	}
	return nil
}

// Mapping compiles the scope and the mappings.
func (c Config) Mapping() (*mapping.Mapping, error) {
	return mapping.Compile(c.spec(), c.MappingOptions(c.DefaultGroupEmailDomain))
}
