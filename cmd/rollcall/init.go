package main

import (
	"bufio"
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

	"rollcall/provider"
	"rollcall/source/ldap"
)

// initializer is one run of rollcall init.
type initializer struct {
	*env
	cfg    ldap.Config
	output string
	// kind is the type of the provider in the file, and domain that of its addresses.
	kind, domain string
	answers      *bufio.Reader
}

func initCommand(e *env) *cobra.Command {
	in := initializer{env: e}
	c := &cobra.Command{
		Use: "init URI", Short: "Look at a directory and write a first configuration for it",
		Long: `Connects to an LDAP server (ldaps://host, ldap://host) or opens an LDIF export
(file:///path.ldif), and finds out what kind of directory it is. It reads the directory once,
shows what is in it, and writes a commented rollcall.yaml. On a terminal it asks for what it
cannot find out; elsewhere flags say it. An existing file is never overwritten. Nothing is written
to the directory.`,
		Example: "  rollcall init ldaps://dc1.example.com --bind-name svc-rollcall@example.com --bind-password-file " +
			"/etc/rollcall/ldap\n  rollcall init file:///tmp/people.ldif --output trial.yaml",
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
	f.StringVar(&in.cfg.TLSPinSHA256, "tls-pin-sha256", "", "fingerprint of the only certificate to trust")
	f.BoolVar(&in.cfg.StartTLS, "start-tls", false, "ask for TLS on an ldap:// connection")
	f.StringVar(&in.kind, "provider", "", "the type of the provider in the file: "+strings.Join(in.kinds(), ", "))
	f.StringVar(&in.domain, "domain", "", "the domain of the tenant; the one that most users have in mail")
	return c
}

// kinds returns the names of the types of provider.
func (in *initializer) kinds() (out []string) {
	for i := range in.types {
		out = append(out, in.types[i].Name)
	}
	return out
}

// attributes returns the attributes that some type of provider has a field for, and others that are worth counting.
func (in *initializer) attributes() []string {
	out := []string{"proxyAddresses", "mailAlternateAddress"}
	for i := range in.types {
		for _, m := range in.types[i].Starter.Mappings {
			out = append(out, m[0])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ask asks a person at a terminal. Elsewhere, and for an empty answer, it returns the preset answer. Ctrl-C is an
// error.
func (in *initializer) ask(ctx context.Context, question, preset string) (string, error) {
	if !in.asks {
		return preset, nil
	}
	if preset != "" {
		question += " [" + preset + "]"
	}
	fmt.Fprint(in.stdout, question+": ")
	if in.answers == nil {
		in.answers = bufio.NewReader(in.stdin)
	}
	answer := make(chan string, 1)
	go func() {
		line, _ := in.answers.ReadString('\n') // What was read before an error counts.
		answer <- line
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(in.stdout)
		return "", &exit{codeInterrupted, fmt.Errorf("nothing is written: %w", ctx.Err())}
	case line := <-answer:
		return cmp.Or(strings.TrimSpace(line), preset), nil
	}
}

func (in *initializer) run(ctx context.Context) error {
	if _, err := os.Lstat(in.output); !errors.Is(err, fs.ErrNotExist) {
		return wrongUse("%s exists and is not overwritten: name another file with --output", in.output)
	}
	if in.kind != "" && !slices.Contains(in.kinds(), in.kind) {
		return wrongUse("--provider %s: known are %s", in.kind, strings.Join(in.kinds(), ", "))
	}
	within, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cfg, err := in.detect(within)
	if err != nil {
		return err
	}
	src, err := ldap.New(cfg, in.attributes(), ldap.Options{})
	if err != nil {
		return err
	}
	found, err := src.Survey(within)
	if err != nil {
		return err
	}
	in.show(&cfg, found)
	if err := in.write(within, &cfg, found); err != nil {
		return err
	}
	_, err = fmt.Fprintf(in.stdout, "\n%s is written. Complete the provider in it, then run: rollcall check --config "+
		"%s\n", in.output, in.output)
	return err
}

// detect finds out what kind of directory it is. It returns the configuration of the source.
func (in *initializer) detect(ctx context.Context) (_ ldap.Config, err error) {
	if !strings.HasPrefix(in.cfg.ServerURI, "file:") && in.cfg.BindCN == "" {
		if in.cfg.BindCN, err = in.ask(ctx,
			"Name to bind as: a DN or, for Active Directory, user@domain (empty binds anonymously)", ""); err != nil {
			return ldap.Config{}, err
		}
	}
	if in.cfg.BindCN != "" && in.cfg.BindPasswordFile == "" {
		if *(*string)(&in.cfg.BindPasswordFile), err = in.ask(ctx, "File with its password", ""); err != nil {
			return ldap.Config{}, err
		}
	}
	preset, bases, err := ldap.Detect(ctx, in.cfg)
	if err != nil {
		return ldap.Config{}, err
	}
	base := in.cfg.BaseDN
	if base == "" && len(bases) == 1 {
		base = bases[0]
	}
	if base == "" {
		if base, err = in.ask(ctx, fmt.Sprintf("DN below which people and groups are (the server has %q)", bases),
			""); err != nil {
			return ldap.Config{}, err
		}
	}
	if base == "" {
		return ldap.Config{}, wrongUse("the server does not say where its people are (it has %q): name the DN with "+
			"--base-dn",
			bases)
	}
	if preset = cmp.Or(in.cfg.Preset, preset); preset == "" {
		if preset, err = in.ask(ctx, "Family of the server ("+strings.Join(ldap.PresetNames(), ", ")+")",
			""); err != nil {
			return ldap.Config{}, err
		}
	}
	if !slices.Contains(ldap.PresetNames(), preset) {
		hint := ""
		if strings.HasPrefix(in.cfg.ServerURI, "file:") {
			hint = ". An export shows it in operational attributes such as entryUUID, which ldapsearch gives for " +
				"'*' '+'"
		}
		return ldap.Config{}, wrongUse("the kind of directory is not recognised: name it with --preset (%s)%s",
			strings.Join(ldap.PresetNames(), ", "), hint)
	}
	cfg := ldap.PresetConfig(preset)
	cfg.Slug, cfg.ServerURI, cfg.StartTLS, cfg.CAFile = in.cfg.Slug, in.cfg.ServerURI, in.cfg.StartTLS, in.cfg.CAFile
	cfg.BindCN, cfg.BindPasswordFile, cfg.BaseDN = in.cfg.BindCN, in.cfg.BindPasswordFile, base
	cfg.TLSPinSHA256 = in.cfg.TLSPinSHA256
	return cfg, nil
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
	}{{"Domains of mail", s.Domains}, {"Containers of users", s.Containers}, {"Attributes that users have", s.Filled},
		{"Entries by class", s.Classes}, {"Out of scope", s.OutOfScope}} {
		if len(list.counts) == 0 {
			continue
		}
		fmt.Fprintf(in.stdout, "\n%s:\n", list.title)
		for _, name := range byCount(list.counts) {
			fmt.Fprintf(in.stdout, "  %6d  %s\n", list.counts[name], cell(name))
		}
	}
	in.list("Users without mail, who get no account until they have one", s.WithoutMail)
	in.list(fmt.Sprintf("Users with mail and without givenName (%d); Google Workspace takes nobody without one, and "+
		"such entries are often no people", len(s.Nameless)), s.Nameless)
	in.list("Addresses of several users, who are held until one of them has another", s.Shared)
	var unusable []string
	for _, f := range s.Findings {
		unusable = append(unusable, f.DN+": "+f.Problem)
	}
	in.list("Entries that cannot be used", unusable)
	for _, note := range s.Notes {
		fmt.Fprintf(in.stdout, "\n%s\n", cell(note))
	}
}

// list prints the first lines of a list.
func (in *initializer) list(title string, lines []string) {
	const most = 10
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(in.stdout, "\n%s, the first %d:\n", title, min(most, len(lines)))
	for _, line := range lines[:min(most, len(lines))] {
		fmt.Fprintf(in.stdout, "  %s\n", cell(line))
	}
}

// write writes the configuration to a file that does not exist yet.
func (in *initializer) write(ctx context.Context, cfg *ldap.Config, s *ldap.Survey) error {
	kind, question := in.kind, "\nType of the tenant ("+strings.Join(in.kinds(), ", ")+")"
	var err error
	for !slices.Contains(in.kinds(), kind) {
		if kind, err = in.ask(ctx, question, in.kinds()[0]); err != nil {
			return err
		}
	}
	domain := in.domain
	if names := byCount(s.Domains); domain == "" && len(names) > 0 {
		domain = names[0]
		if len(names) > 1 {
			if domain, err = in.ask(ctx,
				"Domain of the tenant; people with mail in another one are held unless the tenant has it "+
					"too", domain); err != nil {
				return err
			}
		}
	}
	var d draft
	d.source(cfg)
	for i := range in.types {
		if in.types[i].Name == kind {
			d.provider(&in.types[i], cfg, s, cmp.Or(domain, "example.com"))
		}
	}
	f, err := os.OpenFile(in.output, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(d.String())
	return errors.Join(err, f.Close())
}

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
	d.line("# Written by rollcall init. docs/configuration.md has every key; the preset has the defaults of its " +
		"family.")
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
	d.line("\n# Complete this provider and take the # away. %d of %d users have mail in %s.", s.Domains[domain],
		s.Users, domain)
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
			lines = append(lines, fmt.Sprintf("# %s: coalesce(givenName, cn) # else %d users with mail are held, "+
				"because they have no givenName", f.Name, n))
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
