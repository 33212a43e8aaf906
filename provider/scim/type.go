// Package scim provisions users, groups and memberships to servers of SCIM 2.0 (RFC 7643, RFC 7644), with cursors of
// RFC 9865.
//
// It translates and classifies. Retries, pacing and decisions are left to others. A [Caller] may repeat and pace each
// request.
//
// # Anchors
//
// The externalId of a user or group is the ID of the directory's entry. It does not show which system wrote it. So
// Read marks such objects (plan.Object.Unproven), and the engine takes an object for ours only where its ID is that of
// a known entry. SCIM has no place for our mark on a suspension. Only the ledger has it.
//
// # Servers
//
// Servers differ in what they publish, and in what they do. Each run reads ServiceProviderConfig, ResourceTypes and
// Schemas. A [Profile] says the rest, and the configuration replaces its values. Only 404 and 501 mean that a
// description is not published.
//
// # Reads
//
// Lists are read by index or by cursor, and are checked against their totals. An object that is in the ledger and not
// in a list is looked up before it counts as gone. Filters only narrow a read down. Every result is compared again,
// because servers compare with or without letter case, or ignore filters.
//
// # Writes
//
// A change is a PATCH, or a PUT of the resource that was read, with If-Match where the server has versions. Lists of
// values are sent as a whole, with the elements of others as they were read. Members are changed in chunks. A sample of
// the writes is read back, and each suspension is.
package scim

import (
	"errors"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"rollcall/internal/problem"
	"rollcall/internal/secret"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/provider/remote"
)

// The buckets of the quota, besides pace.Calls and pace.Writes.
const (
	userWrites  = "user_writes"
	userCreates = "user_creates"
)

// Type returns SCIM as a type of provider.
func Type() provider.Type {
	return provider.Type{
		Name: "scim", Title: "SCIM", Product: "SCIM 2.0", Secret: "token",
		Keys: map[string]string{
			"endpoint": "Root of the service, above `/Users` and `/Groups`: `https://example.com/scim/v2`. Plain " +
				"http is for tests on this machine only.",
			"profile": "The kind of server, which sets the keys from `update` on: one of the profiles in " +
				"[scim.md](scim.md), or one of your own under `profiles.scim`.",
			"token_file": "A bearer token. It, `username` or `client_id` is needed.",
			"token_header": "The header in which the server wants the token as it is, such as `X-API-Key`. The " +
				"default is `Authorization`, with `Bearer` before the token.",
			"username": "The user name for basic authentication.", "password_file": "The password of that user.",
			"client_id":                  "The id of a client of OAuth 2 (client credentials).",
			"client_secret_file":         "The secret of that client.",
			"token_url":                  "The address that issues access tokens for it.",
			"scopes":                     "The scopes of those tokens.",
			"ca_file":                    "More certificate authorities, as PEM.",
			"domains":                    "The domains that addresses of users may be in; none means all of them.",
			"default_group_email_domain": "The value of `domain` in expressions. Groups have no address here.",
			"update": "How users and groups are changed: `patch`, `object_patch` (without paths), `put`, or `auto` " +
				"for what the server publishes.",
			"filters": "The attributes that the server can filter by: `userName`, `externalId`, `groups.value`, " +
				"`members.value`, or `none`.",
			"paging":    "How lists are read: `index`, `cursor` (RFC 9865), or `auto` for what the server publishes.",
			"page_size": "How many resources a page asks for.",
			"members": "Where members are read: `list` has them in the list of groups, `get` in each group whose " +
				"version changed, `user_filter` in the users of each group.",
			"member_update": "How members are changed: `patch`, `put` or `auto`.",
			"member_removal": "How PATCH removes members: `path`, or `value` where the server takes no filter " +
				"in a path.",
			"member_chunk":  "How many members one request adds or removes.",
			"single_values": "True where a multi-valued attribute of a user has one value at most.",
			"protected_roles": "Patterns of roles. Users with such a role are never adopted, suspended or " +
				"deleted.",
			"max_requests_per_second":     "What all workers together may use of the quota.",
			"max_writes_per_second":       "The same for everything but GET.",
			"max_user_writes_per_second":  "The same for changes of users.",
			"max_user_creates_per_second": "The same for new users.",
		},
		Fields: Spec(), Profile: OwnProfile{}, New: func() provider.Config { return new(Config) },
		Starter: provider.Starter{
			Settings: []string{"endpoint: https://scim.{domain}/scim/v2", "token_file: scim-token"},
			Mappings: [][3]string{
				{"title", "title", ""}, {"department", "enterprise.department", ""},
				{"departmentNumber", "enterprise.department", ""}, {"telephoneNumber", "phoneNumbers.work", ""},
				{"mobile", "phoneNumbers.mobile", ""}, {"manager", "enterprise.manager", "address_of(ldap.manager)"},
				{"employeeNumber", "enterprise.employeeNumber", "employeeNumber"},
				{"employeeID", "enterprise.employeeNumber", "employeeNumber"},
			},
		},
	}
}

// Quotas returns the quota of the server.
func (c *Config) Quotas() []provider.Quota {
	return []provider.Quota{{Rates: map[string]float64{pace.Calls: c.Requests, pace.Writes: c.Writes,
		userWrites: c.UserWrites, userCreates: c.UserCreates}}}
}

// Open implements provider.Config.
func (c *Config) Open(env provider.Env) (provider.Tenant, error) {
	opts := Options{Observe: env.Request, Wrap: env.Wrap, Caller: pace.NewCaller(env.Pace("", c.RequestTimeout))}
	p, err := New(*c, opts)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// Config describes one SCIM server. The zero value of a field means its default.
type Config struct {
	provider.Settings `yaml:",inline" preview:"free"`

	// Endpoint is the root of the service, above /Users and /Groups. Plain http is only for this machine.
	Endpoint string `yaml:"endpoint"`
	// Profile names the kind of server, or an OwnProfile. The default is generic.
	Profile string `yaml:"profile"`
	// TokenFile holds a bearer token. The client needs it, a username or a client_id.
	TokenFile secret.File `yaml:"token_file"`
	// TokenHeader is the header that has the token, and nothing else, where that is not Authorization: Bearer.
	TokenHeader string `yaml:"token_header"`
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

// headerName matches the name of a header. ownHeaders are those that requests have in any case.
var headerName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
var ownHeaders = []string{"Accept", "Accept-Encoding", "Connection", "Content-Encoding", "Content-Length",
	"Content-Type", "Cookie", "Expect", "Host", "If-Match", "If-None-Match", "Proxy-Authorization", "Range",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "User-Agent"}

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
	case c.TokenHeader != "" && c.TokenFile == "":
		return problem.Field("token_file", "is needed with token_header: the value of that header")
	case c.TokenHeader != "" && (!headerName.MatchString(c.TokenHeader) || slices.Contains(ownHeaders,
		http.CanonicalHeaderKey(c.TokenHeader))):
		return problem.Field("token_header", "%q is no header for a token: want a name such as X-API-Key",
			c.TokenHeader)
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
