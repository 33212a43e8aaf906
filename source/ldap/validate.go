package ldap

import (
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"
)

var (
	slugForm = regexp.MustCompile(`^[-a-zA-Z0-9_]{1,40}$`)
	// attributeForm is RFC 4512, section 2.5: a short name or an OID, with options.
	attributeForm = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*|[0-9]+(\.[0-9]+)+)(;[A-Za-z0-9-]+)*$`)
)

// Validate returns everything that is wrong with the configuration, each problem with the name of its field. It
// reads no file and does not connect; Check does both.
func (c Config) Validate() error {
	c = c.withDefaults()
	var p problems
	if !slugForm.MatchString(c.Slug) {
		p.add("slug", "%q: want 1 to 40 letters, digits, - or _", c.Slug)
	}
	c.validateServer(&p)
	c.validateBind(&p)
	c.validateScope(&p)
	p = append(p, c.Limits.Validate()...)
	if err := c.NoAddress.Validate(); err != nil {
		p = append(p, err)
	}
	if c.PageSize < 1 || c.PageSize > 100_000 {
		p.add("page_size", "%d: want 1 to 100000", c.PageSize)
	}
	for field, d := range map[string]time.Duration{"connect_timeout": c.ConnectTimeout,
		"request_timeout": c.RequestTimeout} {
		if d < 0 {
			p.add(field, "%v: want a positive duration such as 30s", d)
		}
	}
	slices.SortStableFunc(p, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(p...)
}

func (c *Config) validateServer(p *problems) {
	servers, err := parseServers(c.ServerURI)
	if err != nil {
		p.add("server_uri", "%w", err)
	}
	plain := 0
	for _, s := range servers {
		if s.scheme == "ldap" {
			plain++
		}
		if c.exposes(s) {
			p.add("server_uri", "%s would carry the bind password in the clear: use ldaps://, start_tls: true or, if the "+
				"network is trusted, allow_plaintext: true", s)
		}
	}
	if c.StartTLS && plain == 0 && err == nil {
		p.add("start_tls", "it is for ldap:// and %q has none", c.ServerURI)
	}
	if (c.ClientCertificateFile == "") != (c.ClientKeyFile == "") {
		p.add("client_certificate_file", "it and client_key_file go together")
	}
}

// exposes reports whether binding to s would send the password over a network in the clear (RFC 4513, section 6.3.3).
func (c *Config) exposes(s server) bool {
	return s.scheme == "ldap" && c.BindCN != "" && !c.StartTLS && !c.AllowPlaintext && !loopback(s.host)
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

func (c *Config) validateBind(p *problems) {
	sources := 0
	for _, s := range []string{string(c.BindPasswordFile), c.BindPasswordEnv} {
		if s != "" {
			sources++
		}
	}
	switch {
	case sources == 2:
		p.add("bind_password_file", "it and bind_password_env exclude each other")
	case c.BindCN != "" && sources == 0:
		// A name without a password is an "unauthenticated bind", which many servers take for success (RFC 4513, 5.1.2).
		p.add("bind_cn", "it needs bind_password_file or bind_password_env")
	case c.BindCN == "" && sources > 0:
		p.add("bind_cn", "it is empty though there is a bind password")
	}
}

func (c *Config) validateScope(p *problems) {
	if c.Preset != "" && !slices.Contains(PresetNames(), c.Preset) {
		p.add("preset", "%q is unknown: want one of %s", c.Preset, strings.Join(PresetNames(), ", "))
	}
	if c.BaseDN == "" && (c.Preset == "" || strings.HasPrefix(c.ServerURI, "file:")) {
		p.add("base_dn", "it is required")
	}
	for field, dn := range map[string]string{
		"base_dn": c.BaseDN, "additional_user_dn": c.AdditionalUserDN, "additional_group_dn": c.AdditionalGroupDN,
	} {
		if _, err := NormalizeDN(dn); err != nil {
			p.add(field, "%w", err)
		}
	}
	for field, filter := range map[string]string{
		"user_object_filter": c.UserObjectFilter, "group_object_filter": c.GroupObjectFilter,
	} {
		if _, err := ldap.CompileFilter(filter); err != nil {
			p.add(field, "%q: %w", filter, err)
		}
	}
	for _, name := range c.memberFields() {
		if !attributeForm.MatchString(name) {
			p.add("group_membership_field", "%q is not the name of an LDAP attribute", name)
		}
		if slices.ContainsFunc(dynamicMembers, func(d string) bool { return strings.EqualFold(d, name) }) {
			p.add("group_membership_field", "%s has a search and no members: Rollcall does not resolve dynamic groups", name)
		}
	}
	for field, name := range map[string]string{
		"object_uniqueness_field":       c.ObjectUniquenessField,
		"user_object_uniqueness_field":  c.UserObjectUniquenessField,
		"group_object_uniqueness_field": c.GroupObjectUniquenessField,
		"user_name_field":               c.UserNameField,
	} {
		if name != "" && !attributeForm.MatchString(name) {
			p.add(field, "%q is not the name of an LDAP attribute", name)
		}
	}
	if !c.SyncUsers && !c.SyncGroups {
		p.add("sync_users", "it and sync_groups are both false: nothing is left to read")
	}
}

// problems collects errors that begin with the name of a field.
type problems []error

func (p *problems) add(field, format string, args ...any) {
	*p = append(*p, fmt.Errorf(field+": "+format, args...))
}
