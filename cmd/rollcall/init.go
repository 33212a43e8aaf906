package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/source/ldap"
)

// initializer is one run of rollcall init.
type initializer struct {
	*env
	cfg    ldap.Config
	output string
}

func initCommand(e *env) *cobra.Command {
	in := initializer{env: e}
	c := &cobra.Command{
		Use: "init URI", Short: "Look at a directory and write a first configuration for it",
		Long: "Connects to an LDAP server (ldaps://host, ldap://host) or opens an LDIF export (file:///path.ldif), " +
			"finds out what\n" +
			"kind of directory it is, reads it once, shows what is in it, and writes a commented rollcall.yaml. An " +
			"existing file\n" +
			"is never overwritten. Nothing is written to the directory.",
		Example: "  rollcall init ldaps://dc1.example.com --bind-name svc-rollcall@example.com --bind-password-file " +
			"/etc/rollcall/ldap\n" +
			"  rollcall init file:///tmp/people.ldif --output trial.yaml",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in.cfg.ServerURI = args[0]
			return in.run(cmd.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&in.output, "output", "rollcall.yaml", "the file to write")
	f.StringVar(&in.cfg.Slug, "slug", "corp", "the name of the source in paths; it cannot be changed later")
	f.StringVar(&in.cfg.Preset, "preset", "",
		"the family of the server, where it is not recognised: "+strings.Join(ldap.PresetNames(), ", "))
	f.StringVar(&in.cfg.BaseDN, "base-dn", "", "where people and groups are, where the server does not say")
	f.StringVar(&in.cfg.BindCN, "bind-name", "", "the DN to bind as or, for Active Directory, user@domain")
	f.StringVar((*string)(&in.cfg.BindPasswordFile), "bind-password-file", "", "file with the password")
	f.StringVar((*string)(&in.cfg.CAFile), "ca-file", "", "PEM file with the authorities to trust")
	f.BoolVar(&in.cfg.StartTLS, "start-tls", false, "ask for TLS on an ldap:// connection")
	return c
}

// interesting are the attributes that init looks for, and the field of Google Workspace that each fits.
func interesting() map[string]string {
	return map[string]string{
		"title": "organizations.title", "department": "organizations.department",
		"departmentNumber": "organizations.department",
		"telephoneNumber":  "phones.work", "mobile": "phones.mobile", "employeeType": "", "manager": "", "proxyAddresses": "",
	}
}

func (in *initializer) run(ctx context.Context) error {
	if _, err := os.Lstat(in.output); !errors.Is(err, fs.ErrNotExist) {
		return wrongUse("%s exists and is not overwritten: name another file with --output", in.output)
	}
	within, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	preset, base, err := ldap.Detect(within, in.cfg)
	if err != nil && in.cfg.BaseDN == "" {
		return err
	}
	preset = cmp.Or(in.cfg.Preset, preset)
	if preset == "" {
		return wrongUse("the kind of directory is not recognised: name it with --preset (%s)",
			strings.Join(ldap.PresetNames(), ", "))
	}
	cfg := ldap.PresetConfig(preset)
	cfg.Slug, cfg.ServerURI, cfg.StartTLS, cfg.CAFile = in.cfg.Slug, in.cfg.ServerURI, in.cfg.StartTLS, in.cfg.CAFile
	cfg.BindCN, cfg.BindPasswordFile, cfg.BaseDN = in.cfg.BindCN, in.cfg.BindPasswordFile, cmp.Or(in.cfg.BaseDN, base)
	src, err := ldap.New(cfg, slices.Sorted(maps.Keys(interesting())))
	if err != nil {
		return err
	}
	found, err := src.Survey(within)
	if err != nil {
		return err
	}
	in.show(&cfg, found)
	if err := in.write(&cfg, found); err != nil {
		return err
	}
	_, err = fmt.Fprintf(in.stdout, "\n%s is written. Complete the provider in it, then run: rollcall check --config "+
		"%s\n", in.output, in.output)
	return err
}

// show prints what was found.
func (in *initializer) show(cfg *ldap.Config, s *ldap.Survey) {
	fmt.Fprintf(in.stdout, "%s: preset %s, base %s\n", s.Server, cfg.Preset, cfg.BaseDN)
	fmt.Fprintf(in.stdout, "%d users (%d disabled, %d without mail) and %d groups are in scope; %d entries cannot be "+
		"used\n",
		s.Users, s.Inactive, s.Addressless, s.Groups, len(s.Findings))
	for _, list := range []struct {
		title  string
		counts map[string]int
	}{{"Domains of mail", s.Domains}, {"Containers of users", s.Containers}, {"Attributes that users have", s.Filled}} {
		if len(list.counts) == 0 {
			continue
		}
		fmt.Fprintf(in.stdout, "\n%s:\n", list.title)
		for _, name := range byCount(list.counts) {
			fmt.Fprintf(in.stdout, "  %6d  %s\n", list.counts[name], cell(name))
		}
	}
	const most = 10
	if len(s.Findings) > 0 {
		fmt.Fprintf(in.stdout, "\nEntries that cannot be used, the first %d:\n", min(most, len(s.Findings)))
	}
	for _, f := range s.Findings[:min(most, len(s.Findings))] {
		fmt.Fprintf(in.stdout, "  %s: %s\n", cell(f.DN), cell(f.Problem))
	}
	for _, note := range s.Notes {
		fmt.Fprintf(in.stdout, "\n%s\n", cell(note))
	}
}

// byCount returns the names with the largest counts first, at most 20.
func byCount(counts map[string]int) []string {
	const most = 20
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
	return names[:min(most, len(names))]
}

// write writes the configuration to a file that does not exist yet.
func (in *initializer) write(cfg *ldap.Config, s *ldap.Survey) error {
	f, err := os.OpenFile(in.output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(draft(cfg, s))
	return errors.Join(err, f.Close())
}

// draft returns the text of the configuration.
func draft(cfg *ldap.Config, s *ldap.Survey) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	optional := func(key, value string) {
		if value != "" {
			line("      %s: %q", key, value)
		}
	}
	line("# Written by rollcall init. docs/configuration.md has every key; the preset has the defaults of its family.")
	line("sources:\n  ldap:\n    - slug: %q # part of what is stored: do not change it later", cfg.Slug)
	line("      preset: %s", cfg.Preset)
	line("      server_uri: %q # several, separated by commas, are tried in order", cfg.ServerURI)
	optional("bind_cn", cfg.BindCN)
	optional("bind_password_file", absolute(string(cfg.BindPasswordFile)))
	optional("ca_file", absolute(string(cfg.CAFile)))
	if cfg.StartTLS {
		line("      start_tls: true")
	}
	optional("base_dn", cfg.BaseDN)
	line("      schedule: \"*/15 * * * *\"")
	domain := "example.com"
	if names := byCount(s.Domains); len(names) > 0 {
		domain = names[0]
	}
	line("\n# Complete this provider and take the # away. %d of %d users have mail in %s.", s.Domains[domain], s.Users,
		domain)
	line("# providers:\n#   google_workspace:\n#     - id: 1\n#       name: %q\n#       sources: [%q]", domain, cfg.Slug)
	line("#       delegated_subject: admin@%s\n#       credentials_file: google.json", domain)
	line("#       default_group_email_domain: %s\n#       require_approval: first_run # the first plan waits for a "+
		"person", domain)
	line("#       schedule: after_source\n#       user_property_mappings:")
	fields := map[string]bool{}
	attributes := interesting()
	for _, attr := range byCount(s.Filled) {
		if field := attributes[attr]; field != "" && !fields[field] {
			fields[field] = true
			line("#         %s: ldap.%s # filled in for %d of the users", field, attr, s.Filled[attr])
		}
	}
	line("#       group_property_mappings:\n#         # The group's own mail, or one that is made from its name.")
	line("#         address: coalesce(mail, slug(cn) + \"@%s\")", domain)
	return b.String()
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

func checkCommand(e *env) *cobra.Command {
	var offline, noRedis, write bool
	c := &cobra.Command{
		Use: "check [CONTAINER]", Short: "Validate the configuration and try each connection",
		Long: "Reads the configuration (--config, else ROLLCALL_CONFIG, else rollcall.yaml), names every mistake in it " +
			"with file and line, and\n" +
			"then tries Redis, each source and each provider, or only CONTAINER: what was found, or why it failed. It ends " +
			"with 1 " +
			"if\n" +
			"anything failed. Redis is needed for syncs and not for `rollcall plan`: with --no-redis it may be missing. It " +
			"writes nothing\n" +
			"anywhere, except with --probe, which creates, changes and deletes one user and one group on a SCIM server, and " +
			"prints the keys\n" +
			"of the configuration that fit the server.",
		Example: "  rollcall check\n  rollcall check --no-redis\n  rollcall check --offline --config " +
			"/etc/rollcall/rollcall.yaml\n  rollcall check scim:1 --probe",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if write && len(args) == 0 {
				return wrongUse("--probe needs a provider: rollcall check scim:1 --probe")
			}
			p, err := e.configured()
			if err != nil {
				return err
			}
			cfg, warnings, err := config.Load(p.Config, config.Options{Types: e.types, Getenv: e.getenv, Strict: p.StrictFiles})
			if err != nil {
				return err
			}
			for _, w := range warnings {
				fmt.Fprintln(e.stdout, "warning:", w)
			}
			fmt.Fprintf(e.stdout, "%s: no mistakes\n", p.Config)
			if offline {
				return nil
			}
			probes := boot.Probes(p, cfg, e.getenv)
			if len(args) > 0 {
				if probes, err = only(probes, args[0], write); err != nil {
					return err
				}
			}
			return tryAll(cmd.Context(), e, probes, noRedis)
		},
	}
	c.Flags().BoolVar(&write, "probe", false,
		"find out how a SCIM server behaves, with a user and a group for the purpose")
	c.Flags().BoolVar(&offline, "offline", false, "check the file only")
	c.Flags().BoolVar(&noRedis, "no-redis", false, "do not fail where no Redis answers")
	return c
}

// only returns the probe of one container. With write, it writes.
func only(probes []boot.Probe, name string, write bool) ([]boot.Probe, error) {
	var known []string
	for _, p := range probes {
		if known = append(known, p.Name); p.Name != name {
			continue
		}
		switch {
		case write && p.Write == nil:
			return nil, wrongUse("%s cannot be probed; --probe is for providers", name)
		case write:
			p.Try = p.Write
		}
		return []boot.Probe{p}, nil
	}
	return nil, wrongUse("%q is not configured: known are %s", name, strings.Join(known, ", "))
}

// tryAll tries each connection and continues after a failure. With noRedis, an unreachable Redis is not a failure.
func tryAll(ctx context.Context, e *env, probes []boot.Probe, noRedis bool) error {
	var failed bool
	for _, probe := range probes {
		within, cancel := context.WithTimeout(ctx, time.Minute)
		lines, err := probe.Try(within)
		cancel()
		for _, l := range lines {
			fmt.Fprintf(e.stdout, "%s: %s\n", probe.Name, l)
		}
		switch {
		case err == nil:
			fmt.Fprintf(e.stdout, "%s: ok\n", probe.Name)
		case !noRedis || !errors.Is(err, boot.ErrNoRedis):
			failed = true
			fmt.Fprintf(e.stdout, "%s: FAILED: %v\n", probe.Name, err)
		}
	}
	if failed {
		return errQuiet
	}
	return nil
}
