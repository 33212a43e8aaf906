// Package config reads the YAML file with sources and providers, and the environment of a process.
//
// Each adapter owns its part of the file with its defaults and checks. This package combines the parts and checks
// references between them. Each problem becomes one line with the file, the line and the field. All problems are
// reported at once. The package opens no connection.
package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rollcall/container"
	"rollcall/internal/problem"
	"rollcall/mapping"
	"rollcall/provider"
	"rollcall/provider/all"
	"rollcall/source/ldap"
)

// Config is the file. Paths in it are absolute once it is loaded.
type Config struct {
	// File is where it was read.
	File string `yaml:"-"`
	// Types are the types of provider that the file may have.
	Types     []provider.Type `yaml:"-"`
	Sources   Sources         `yaml:"sources"`
	Profiles  Profiles        `yaml:"profiles"`
	Providers Providers       `yaml:"providers"`
	// SecretFiles are the secret files that sources and providers name, unless Options.NoFiles was set.
	SecretFiles []string `yaml:"-"`
}

// Sources are the directories that are read.
type Sources struct {
	LDAP []ldap.Config `yaml:"ldap"`
}

// Profiles are settings that providers share, by type and name.
type Profiles map[string]map[string]provider.Profile

// Providers are the tenants that are written, in the order of the types and of the file.
type Providers []Provider

// Provider is one tenant.
type Provider struct {
	*provider.Settings
	Type   *provider.Type
	Config provider.Config
	// Mapping is what the expressions were compiled to.
	Mapping *mapping.Mapping

	path string // in the file
}

// Container returns the id of the provider.
func (p *Provider) Container() container.ID { return container.Provider(p.Type.Name, p.ID) }

// Provider returns a provider by its id, nil where it is not configured.
func (c *Config) Provider(id container.ID) *Provider {
	i := slices.IndexFunc(c.Providers, func(p Provider) bool { return p.Container() == id })
	if i < 0 {
		return nil
	}
	return &c.Providers[i]
}

// Source returns a source by its slug, nil where it is not configured.
func (c *Config) Source(slug string) *ldap.Config {
	i := slices.IndexFunc(c.Sources.LDAP, func(s ldap.Config) bool { return s.Slug == slug })
	if i < 0 {
		return nil
	}
	return &c.Sources.LDAP[i]
}

// EnabledSources returns the sources that are read.
func (c *Config) EnabledSources() (out []*ldap.Config) {
	for i := range c.Sources.LDAP {
		if s := &c.Sources.LDAP[i]; s.Enabled {
			out = append(out, s)
		}
	}
	return out
}

// EnabledProviders returns the providers that are written.
func (c *Config) EnabledProviders() (out []*Provider) {
	for i := range c.Providers {
		if p := &c.Providers[i]; p.On() {
			out = append(out, p)
		}
	}
	return out
}

// Slugs returns the sources of a provider with these settings. A disabled source is no longer read, but its entries
// stay. Disabling a source must not look like the departure of all its entries.
func (c *Config) Slugs(s *provider.Settings) (out []string) {
	for i := range c.Sources.LDAP {
		if slug := c.Sources.LDAP[i].Slug; Uses(s, slug) {
			out = append(out, slug)
		}
	}
	return out
}

// Containers returns the ids of all sources and providers, enabled or not.
func (c *Config) Containers() []container.ID {
	var out []container.ID
	for i := range c.Sources.LDAP {
		out = append(out, container.Source(c.Sources.LDAP[i].Slug))
	}
	for i := range c.Providers {
		out = append(out, c.Providers[i].Container())
	}
	return out
}

// Options say how to load.
type Options struct {
	// Getenv reads the environment for settings that name a variable; os.Getenv where it is nil.
	Getenv func(string) string
	// Types are the types of provider; all.Types where it is nil.
	Types []provider.Type
	// Strict makes errors of secret files that others can read.
	Strict bool
	// NoFiles leaves the files and variables that the configuration names unread. A process that opens no source and no
	// tenant does not need them.
	NoFiles bool
}

// maxSize is the size limit of the file, far above any real configuration.
const maxSize = 4 << 20

// Load reads and checks the file. The error is of type Problems. Warnings come as whole lines.
func Load(path string, opts Options) (*Config, []string, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxSize {
		return nil, nil, Problems{{File: path, Message: "is too large for a configuration"}}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, Problems{{File: path, Message: "cannot be read: " + cause(err)}}
	}
	return Parse(path, data, opts)
}

// Parse checks the text of a file. Paths of other files are relative to the directory of path.
func Parse(path string, data []byte, opts Options) (*Config, []string, error) {
	return parse(path, data, opts, nil)
}

// Next checks the text of a file that is to replace a running one, and that an operator sent. Nothing that it names is
// read. It must be safe to carry out as a preview. A server, an account or a file that the running one does not name
// for the same source or provider is refused.
func Next(running *Config, data []byte, opts Options) (*Config, []string, error) {
	opts.NoFiles, opts.Types = true, running.Types
	return parse(filepath.Join(filepath.Dir(running.File), "the new configuration"), data, opts, running)
}

func parse(path string, data []byte, opts Options, running *Config) (*Config, []string, error) {
	if opts.Getenv == nil {
		opts.Getenv = os.Getenv
	}
	if opts.Types == nil {
		opts.Types = all.Types()
	}
	root, problems := parseDocument(path, data)
	if problems != nil {
		return nil, nil, problems
	}
	c := &Config{File: path, Types: opts.Types}
	d := newDecoder(path, opts.Types)
	d.decode(root, value(c), "")
	if d.left < 0 {
		return nil, nil, Problems{{File: path, Message: "is too large once its aliases are written out"}}
	}
	k := checker{decoder: d, Config: c, opts: opts, dir: filepath.Dir(path)}
	k.check()
	if running != nil {
		k.within(running)
	}
	if len(d.problems) > 0 {
		return nil, nil, d.sorted()
	}
	return c, k.warnings, nil
}

// Uses reports whether a provider with these settings is provisioned from the source.
func Uses(s *provider.Settings, slug string) bool {
	return len(s.Sources) == 0 || slices.Contains(s.Sources, slug)
}

// Attributes returns the attributes that mappings read from a source beyond those that every source reads, sorted.
// Names that differ only in case come once.
func (c *Config) Attributes(slug string) []string {
	byName := map[string]string{}
	for _, p := range c.Providers {
		if !Uses(p.Settings, slug) {
			continue
		}
		for _, name := range p.Mapping.Attributes() {
			if _, ok := byName[strings.ToLower(name)]; !ok {
				byName[strings.ToLower(name)] = name
			}
		}
	}
	return slices.Sorted(maps.Values(byName))
}

// Deciding returns how the mappings of the providers decide which users of a source are active.
func (c *Config) Deciding(slug string) ldap.Deciding {
	by := ldap.Deciding{Alone: true}
	used := false
	for _, p := range c.Providers {
		if Uses(p.Settings, slug) {
			own, names := p.Mapping.Activity()
			by.Alone, by.By, used = by.Alone && !own, append(by.By, names...), true
		}
	}
	slices.Sort(by.By)
	by.Alone, by.By = by.Alone && used, slices.Compact(by.By)
	return by
}

// checkOIDC checks the settings of the sign-in of people.
func (p *Process) checkOIDC() error {
	if p.OIDCIssuer == "" && p.OIDCClientID == "" && p.OIDCRedirectURL == "" && p.OIDCSecretFile == "" {
		return nil
	}
	var errs []error
	fail := func(name, text string) { errs = append(errs, problem.Field(variable(name), "%s", text)) }
	for _, v := range [][2]string{{"OIDC_ISSUER", p.OIDCIssuer}, {"OIDC_REDIRECT_URL", p.OIDCRedirectURL}} {
		name, value := v[0], v[1]
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
			u.Scheme != "https" && (u.Scheme != "http" || !IsLoopback(net.JoinHostPort(u.Hostname(), "0"))) {
			fail(name, "want an https:// address without user, query and fragment; http:// is for this machine only")
		}
	}
	if p.OIDCClientID == "" {
		fail("OIDC_CLIENT_ID", "is not set")
	}
	if !strings.HasSuffix(p.OIDCRedirectURL, "/login/callback") {
		fail("OIDC_REDIRECT_URL", "has to end with /login/callback")
	}
	if !slices.Contains(strings.Fields(p.OIDCScopes), "openid") {
		fail("OIDC_SCOPES", "has to contain openid")
	}
	if p.OIDCClaim == "" {
		fail("OIDC_CLAIM", "is empty")
	}
	if p.TokensFile == "" {
		fail("TOKENS_FILE", "is needed, because its lines give rights to groups of people")
	}
	return errors.Join(errs...)
}

// Proxies returns the prefixes of ROLLCALL_TRUSTED_PROXIES. By default these are the loopback addresses if
// ROLLCALL_BEHIND_PROXY is set, and none otherwise.
func (p *Process) Proxies() ([]netip.Prefix, error) {
	list := p.TrustedProxies
	if list == "" && p.BehindProxy {
		list = "127.0.0.0/8,::1"
	}
	var out []netip.Prefix
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			var addr netip.Addr
			if addr, err = netip.ParseAddr(text); err == nil {
				prefix, err = addr.Prefix(addr.BitLen())
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%q: want addresses or prefixes such as 10.0.0.0/8, separated by commas", text)
		}
		out = append(out, prefix.Masked())
	}
	return out, nil
}

// RedisIsLocal reports whether Redis is in this process, behind a socket or on this machine. A host:port without a host
// is this machine.
func (p *Process) RedisIsLocal() bool {
	u, err := url.Parse(p.RedisURL)
	switch {
	case strings.HasPrefix(p.RedisURL, Embedded):
		return true
	case err != nil:
		return false
	}
	hosts := append([]string{u.Host}, u.Query()["addr"]...)
	return u.Scheme == "unix" || !slices.ContainsFunc(hosts, func(host string) bool {
		return !strings.HasPrefix(host, ":") && !IsLoopback(host) &&
			!IsLoopback(net.JoinHostPort(strings.Trim(host, "[]"), "0"))
	})
}

// checkRedisAccess refuses a Redis that another machine can read or change, unless the operator permits it.
func (p *Process) checkRedisAccess() error {
	var errs []error
	fail := func(name, text string) { errs = append(errs, problem.Field(variable(name), "%s", text)) }
	encrypted := strings.HasPrefix(p.RedisURL, "rediss")
	password := carriesPassword(p.RedisURL) || p.RedisPasswordFile != "" || p.RedisCertFile != ""
	const advice = ", or set ROLLCALL_REDIS_INSECURE=true if only Rollcall can reach it"
	switch {
	case p.RedisIsLocal() || p.RedisInsecure || checkRedis(p.RedisURL) != nil:
	case !encrypted:
		fail("REDIS_URL", "Redis is on another machine and the connection has no TLS: use rediss://"+advice)
	case !password:
		fail("REDIS_URL", "Redis is on another machine and has no password: set ROLLCALL_REDIS_PASSWORD_FILE"+advice)
	}
	if u, err := url.Parse(p.RedisURL); err == nil && u.Query().Has("skip_verify") {
		fail("REDIS_URL", "skip_verify is not supported: name the authority in ROLLCALL_REDIS_CA_FILE")
	}
	if (p.RedisCertFile == "") != (p.RedisKeyFile == "") {
		fail("REDIS_CERT_FILE", "it and ROLLCALL_REDIS_KEY_FILE go together")
	}
	if !encrypted && (p.RedisCAFile != "" || p.RedisCertFile != "") {
		fail("REDIS_CA_FILE", "it and ROLLCALL_REDIS_CERT_FILE need a rediss:// URL")
	}
	return errors.Join(errs...)
}
