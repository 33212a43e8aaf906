// Package config reads what an operator wrote: the YAML file with sources and providers, and the environment of a
// process.
//
// Each adapter owns its part of the file, with its defaults and its checks; this package puts the parts together,
// checks what one part says of another, and turns every mistake into one line with the file, the line and the field.
// All of them are reported at once, as nobody likes to find out one at a time. It opens no connection.
package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"rollcall/mapping"
	"rollcall/provider"
	"rollcall/provider/entra"
	"rollcall/provider/googleworkspace"
	"rollcall/source/ldap"
)

// Config is the file. Paths in it are absolute once it is loaded.
type Config struct {
	// File is where it was read.
	File      string    `yaml:"-"`
	Sources   Sources   `yaml:"sources"`
	Providers Providers `yaml:"providers"`
}

// Sources are the directories that are read.
type Sources struct {
	LDAP []ldap.Config `yaml:"ldap"`
}

// Providers are the tenants that are written.
type Providers struct {
	GoogleWorkspace []GoogleWorkspace `yaml:"google_workspace"`
	MicrosoftEntra  []MicrosoftEntra  `yaml:"microsoft_entra"`
}

// GoogleWorkspace is one Google Workspace account.
type GoogleWorkspace struct {
	googleworkspace.Config `yaml:",inline"`
	// Mapping is what its expressions were compiled to.
	Mapping *mapping.Mapping `yaml:"-"`
}

// MicrosoftEntra is one Microsoft Entra tenant.
type MicrosoftEntra struct {
	entra.Config `yaml:",inline"`
	// Mapping is what the expressions were compiled to.
	Mapping *mapping.Mapping `yaml:"-"`
}

// Options say how to load.
type Options struct {
	// Getenv reads the environment for settings that name a variable; os.Getenv where it is nil.
	Getenv func(string) string
	// Strict makes errors of secret files that others can read.
	Strict bool
}

// maxSize bounds the file: a configuration is never as large.
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
	if opts.Getenv == nil {
		opts.Getenv = os.Getenv
	}
	root, problems := parseDocument(path, data)
	if problems != nil {
		return nil, nil, problems
	}
	c := &Config{File: path}
	d := newDecoder(path)
	d.decode(root, value(c), "")
	if d.left < 0 {
		return nil, nil, Problems{{File: path, Message: "is too large once its aliases are written out"}}
	}
	k := checker{decoder: d, Config: c, opts: opts, dir: filepath.Dir(path)}
	k.check()
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
	for _, p := range c.entries() {
		if !Uses(p.settings, slug) {
			continue
		}
		for _, name := range (*p.mapping).Attributes() {
			if _, ok := byName[strings.ToLower(name)]; !ok {
				byName[strings.ToLower(name)] = name
			}
		}
	}
	names := make([]string, 0, len(byName))
	for _, name := range byName {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// entry is what is checked of a provider of any type.
type entry struct {
	// typ is the key in the file and in container names, path where the provider stands.
	typ, path string
	// keys are those that the file may have for it.
	keys     map[string]structField
	settings *provider.Settings
	defaults func()
	validate func() error
	compile  func() (*mapping.Mapping, error)
	mapping  **mapping.Mapping
	// secrets are the fields with the path of a secret file.
	secrets map[string]*string
}

// entries lists the providers of every type: a new type is one more loop.
func (c *Config) entries() []entry {
	var out []entry
	for i := range c.Providers.GoogleWorkspace {
		p := &c.Providers.GoogleWorkspace[i]
		out = append(out, entry{
			typ: "google_workspace", path: index("providers.google_workspace", i),
			keys: fields(reflect.TypeFor[GoogleWorkspace]()), settings: &p.Settings,
			defaults: p.SetDefaults, validate: func() error { return p.Validate() },
			compile: func() (*mapping.Mapping, error) { return p.Config.Mapping() }, mapping: &p.Mapping,
			secrets: map[string]*string{"credentials_file": &p.CredentialsFile},
		})
	}
	for i := range c.Providers.MicrosoftEntra {
		p := &c.Providers.MicrosoftEntra[i]
		out = append(out, entry{
			typ: "microsoft_entra", path: index("providers.microsoft_entra", i),
			keys: fields(reflect.TypeFor[MicrosoftEntra]()), settings: &p.Settings,
			defaults: p.SetDefaults, validate: func() error { return p.Validate() },
			compile: func() (*mapping.Mapping, error) { return p.Config.Mapping() }, mapping: &p.Mapping,
			secrets: map[string]*string{
				"client_secret_file": &p.ClientSecretFile, "certificate_file": &p.CertificateFile, "certificate_password_file": &p.CertificatePasswordFile,
				"federated_token_file": &p.FederatedTokenFile, "ca_file": &p.CAFile,
			},
		})
	}
	return out
}
