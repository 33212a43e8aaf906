package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/robfig/cron/v3"

	"rollcall/internal/problem"
	"rollcall/internal/secret"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/source/ldap"
)

// AfterSource is the schedule of a provider that runs after each run of a source that changed something.
const AfterSource = "after_source"

// checker looks at what was decoded.
type checker struct {
	*decoder
	*Config
	opts     Options
	dir      string
	warnings []string
}

func (k *checker) check() {
	if len(k.Sources.LDAP) == 0 && len(k.problems) == 0 {
		k.fail("sources", "no source is configured: write down at least one under sources.ldap")
	}
	slugs := map[string]string{}
	for i := range k.Sources.LDAP {
		s := &k.Sources.LDAP[i]
		path := index("sources.ldap", i)
		k.adopt(path, fields(reflect.TypeFor[ldap.Config]()), s.Validate())
		k.once(slugs, strings.ToLower(s.Slug), join(path, "slug"), "the slug "+s.Slug)
		k.schedule(join(path, "schedule"), s.Schedule, false)
		k.files(path, value(s))
		if name := s.BindPasswordEnv; name != "" && !k.opts.NoFiles && k.opts.Getenv(name) == "" {
			k.fail(join(path, "bind_password_env"), "the environment has no %s, or it is empty", name)
		}
	}
	k.profiles()
	ids := map[string]string{}
	for i := range k.Providers {
		p := &k.Providers[i]
		p.Config.SetDefaults()
		p.NoAddressOf = k.noAddress(p.Settings)
		if p.Enabled == nil {
			p.Enabled = new(true)
		}
		k.adopt(p.path, fields(reflect.TypeOf(p.Config).Elem()), p.Config.Validate())
		p.Mapping, _ = p.Config.Mapping() // what is wrong with it, Validate said
		if p.Mapping != nil {
			for _, w := range p.Mapping.Warnings() {
				path := join(p.path, w.Field)
				k.warnings = append(k.warnings, Problem{k.file, k.line(path), path, w.Err.Error()}.String())
			}
		}
		if p.ID != 0 {
			k.once(ids, p.Container().String(), join(p.path, "id"), fmt.Sprintf("the id %d", p.ID))
		}
		k.schedule(join(p.path, "schedule"), p.Schedule, true)
		k.sources(p)
		k.files(p.path, value(p.Config))
	}
}

// profiles checks each profile, and gives those of its type to each provider.
func (k *checker) profiles() {
	for _, name := range slices.Sorted(maps.Keys(k.Profiles)) {
		for _, own := range slices.Sorted(maps.Keys(k.Profiles[name])) {
			p := k.Profiles[name][own]
			k.adopt(join(join("profiles", name), own), fields(reflect.TypeOf(p)), p.Validate(own))
		}
	}
	for i := range k.Providers {
		if c, ok := k.Providers[i].Config.(provider.Profiled); ok {
			c.SetProfiles(k.Profiles[k.Providers[i].Type.Name])
		}
	}
}

// noAddress returns what the sources of a provider say of entries without an address.
func (k *checker) noAddress(s *provider.Settings) map[string]plan.Addressless {
	of := map[string]plan.Addressless{}
	for i := range k.Sources.LDAP {
		if src := &k.Sources.LDAP[i]; src.NoAddress != "" && Uses(s, src.Slug) {
			of[src.Slug] = src.NoAddress
		}
	}
	return of
}

// once refuses a name that stands twice.
func (k *checker) once(seen map[string]string, name, path, what string) {
	if name == "" {
		return
	}
	if first, twice := seen[name]; twice {
		k.fail(path, "%s is taken: see line %d", what, k.line(first))
		return
	}
	seen[name] = path
}

// adopt adds the problems of an adapter. They concern a field, or are errors with a text that begins with a field.
func (k *checker) adopt(path string, known map[string]structField, err error) {
	for _, p := range problem.All(err) {
		field, message := p.Field, p.Err.Error()
		if field == "" {
			name, rest, ok := strings.Cut(message, ": ")
			if _, is := known[name]; ok && is {
				field, message = name, rest
			}
		}
		if field == "" {
			k.fail(path, "%s", message)
			continue
		}
		at := join(path, field)
		if k.spoiled[at] {
			continue
		}
		if _, written := k.lines[at]; !written && errors.Is(p.Err, mapping.ErrNoDomain) {
			continue // a default expression: the adapter asks for the domain itself
		}
		k.fail(at, "%s", message)
	}
}

// sources refuses slugs that no source has.
func (k *checker) sources(p *Provider) {
	var known []string
	for i := range k.Sources.LDAP {
		if slug := k.Sources.LDAP[i].Slug; slug != "" {
			known = append(known, slug)
		}
	}
	if len(known) < len(k.Sources.LDAP) || k.spoiled["sources.ldap"] {
		return // the one that is meant may be the one without a name
	}
	for i, slug := range p.Sources {
		path := index(join(p.path, "sources"), i)
		switch {
		case slices.Index(p.Sources, slug) < i:
			k.fail(path, "the source %q stands here twice", slug)
		case slices.Contains(known, slug):
		case problem.Nearest(slug, known) != "":
			k.fail(path, "unknown source %q: did you mean %s?", slug, problem.Nearest(slug, known))
		default:
			k.fail(path, "unknown source %q: known are %s", slug, strings.Join(known, ", "))
		}
	}
}

// schedule refuses what the scheduler would not understand.
func (k *checker) schedule(path, spec string, isProvider bool) {
	switch {
	case spec == "":
	case spec == AfterSource && isProvider:
	case spec == AfterSource:
		k.fail(path, "%s is for providers: a source needs a cron expression such as */15 * * * *", AfterSource)
	default:
		if _, err := parseSchedule(spec); err != nil {
			want := "five fields such as */15 * * * *, or @hourly"
			if isProvider {
				want += ", or " + AfterSource
			}
			k.fail(path, "%q is no schedule (%v): want %s", spec, err, want)
		}
	}
}

// parseSchedule parses a cron expression of five fields or a descriptor (@hourly, @every 10m).
func parseSchedule(spec string) (s cron.Schedule, err error) {
	defer func() {
		// The parser panics on a time zone that ends nowhere ("TZ=UTC").
		if recover() != nil {
			s, err = nil, errors.New("nothing follows the time zone")
		}
	}()
	return cron.ParseStandard(spec)
}

// files checks the files that a source or provider names. Their types say which of them are secret.
func (k *checker) files(path string, v reflect.Value) {
	known := fields(v.Type())
	for _, key := range slices.Sorted(maps.Keys(known)) {
		switch file := v.FieldByIndex(known[key].index).Addr().Interface().(type) {
		case *secret.File:
			k.secretFile(join(path, key), (*string)(file))
		case *secret.PublicFile:
			k.plainFile(join(path, key), (*string)(file))
		}
	}
}

// absolute makes a path relative to the configuration's directory absolute. It reports whether there is a path.
func (k *checker) absolute(file *string) bool {
	if *file == "" {
		return false
	}
	if !filepath.IsAbs(*file) {
		*file = filepath.Join(k.dir, *file)
	}
	if abs, err := filepath.Abs(*file); err == nil {
		*file = abs
	}
	return true
}

func (k *checker) secretFile(path string, file *string) {
	written := *file
	if !k.absolute(file) || k.opts.NoFiles {
		return
	}
	k.SecretFiles = append(k.SecretFiles, *file)
	_, warning, err := secret.FromFile(*file, k.opts.Strict)
	if err != nil {
		k.fail(path, "%s", shorten(cause(err), *file, written))
	}
	if warning != "" {
		k.warnings = append(k.warnings, Problem{k.file, k.line(path), path, shorten(warning, *file, written)}.String())
	}
}
