package main

import (
	"cmp"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"rollcall/provider"
	"rollcall/source/ldap"
)

// byCount returns the names with the largest counts first, at most 20.
func byCount(counts map[string]int) []string {
	const most = 20
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
	return names[:min(most, len(names))]
}

// draft is the text of a configuration on its way.
type draft struct{ strings.Builder }

func (d *draft) line(format string, args ...any) { fmt.Fprintf(d, format+"\n", args...) }

// source writes the source.
func (d *draft) source(cfg *ldap.Config) {
	optional := func(key, value string) {
		if value != "" {
			d.line("      %s: %q", key, value)
		}
	}
	d.line("# Written by rollcall init. docs/configuration.md has every key; the preset has the defaults of its family.")
	d.line("sources:\n  ldap:\n    - slug: %q # part of what is stored: do not change it later", cfg.Slug)
	d.line("      preset: %s", cfg.Preset)
	d.line("      server_uri: %q # several, separated by commas, are tried in order", cfg.ServerURI)
	optional("bind_cn", cfg.BindCN)
	optional("bind_password_file", absolute(string(cfg.BindPasswordFile)))
	optional("ca_file", absolute(string(cfg.CAFile)))
	optional("tls_pin_sha256", cfg.TLSPinSHA256)
	if cfg.StartTLS {
		d.line("      start_tls: true")
	}
	optional("base_dn", cfg.BaseDN)
	d.line("      schedule: \"*/15 * * * *\"")
}

// provider writes a provider as a comment, with the mappings that fit the attributes which users have.
func (d *draft) provider(t *provider.Type, cfg *ldap.Config, s *ldap.Survey, domain string) {
	comment := func(format string, args ...any) { d.line("# "+format, args...) }
	d.line("\n# Complete this provider and take the # away. %d of %d users have mail in %s.", s.Domains[domain], s.Users,
		domain)
	comment("providers:\n#   %s:\n#     - id: 1\n#       name: %q\n#       sources: [%q]", t.Name, domain, cfg.Slug)
	for _, setting := range t.Starter.Settings {
		comment("      %s", strings.ReplaceAll(setting, "{domain}", domain))
	}
	comment("      require_approval: first_run # the first plan waits for a person")
	comment("      # adoption: by_address # takes over accounts that exist, by their address")
	comment("      schedule: after_source")
	d.mappings(t, s)
	if t.Fields.GroupAddress != "" {
		comment("      group_property_mappings:")
		comment("        # The group's own mail, or one that is made from its name.")
		comment("        address: coalesce(mail, slug(cn) + \"@%s\")", domain)
	}
}

// mappings writes the mappings of users as a comment.
func (d *draft) mappings(t *provider.Type, s *ldap.Survey) {
	var lines []string
	written := map[string]bool{}
	for _, m := range t.Starter.Mappings {
		attribute, field, expression := m[0], m[1], m[2]
		n := s.Filled[attribute]
		if n == 0 || written[field] {
			continue
		}
		written[field] = true
		lines = append(lines, fmt.Sprintf("%s: %s # %s is filled in for %d of the users", field,
			cmp.Or(expression, "ldap."+attribute), attribute, n))
	}
	for _, f := range t.Fields.User {
		if n := len(s.Nameless); n > 0 && f.Required && f.Default == "givenName" {
			lines = append(lines, fmt.Sprintf("# %s: coalesce(givenName, cn) # else %d users with mail are held, because they "+
				"have no givenName", f.Name, n))
		}
	}
	if len(lines) > 0 {
		d.line("#       user_property_mappings:")
	}
	for _, line := range lines {
		d.line("#         %s", line)
	}
}

// absolute returns the absolute path of a file that was named from the working directory.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
