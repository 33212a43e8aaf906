// Package config reads the YAML file with sources and providers, and the environment of a process.
//
// Each adapter owns its part of the file with its defaults and checks. This package combines the parts and checks
// references between them. Each problem becomes one line with the file, the line and the field. All problems are
// reported at once. The package opens no connection.
package config

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rollcall/container"
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
// read. It is refused where it names a server, an account or a file that the running one does not name for the same
// source or provider, so that it can be carried out as a preview.
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
