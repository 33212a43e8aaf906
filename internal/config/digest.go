package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/internal/secret"
	"rollcall/source/ldap"
)

// Digests returns a digest of each enabled source and provider. Two processes that decide alike have equal digests. A
// digest covers the scope, the mapping, the policy, the schedule and the build. It does not cover where secret files
// are.
func (c *Config) Digests(build string) map[container.ID]string {
	out := map[container.ID]string{}
	for _, s := range c.EnabledSources() {
		out[container.Source(s.Slug)] = digest(build, s, c.Attributes(s.Slug), c.Deciding(s.Slug))
	}
	for _, p := range c.EnabledProviders() {
		out[p.Container()] = digest(build, p.Config, c.Slugs(p.Settings))
	}
	return out
}

func digest(values ...any) string {
	const size = 8 // bytes; two configurations of one container never have the same by accident
	h := sha256.New()
	for _, v := range values {
		writeValue(h, reflect.ValueOf(v))
	}
	return hex.EncodeToString(h.Sum(nil)[:size])
}

// writeValue writes a value in a form that differs for different values of one type.
func writeValue(w io.Writer, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			fmt.Fprint(w, "nil;")
			return
		}
		writeValue(w, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			hidden := !f.IsExported() || f.Type == reflect.TypeFor[secret.File]() ||
				f.Type == reflect.TypeFor[secret.PublicFile]()
			if !hidden {
				fmt.Fprintf(w, "%s=", f.Name)
				writeValue(w, v.Field(i))
			}
		}
		fmt.Fprint(w, "};")
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			writeValue(w, v.Index(i))
		}
		fmt.Fprint(w, "];")
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int {
			return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
		})
		for _, k := range keys {
			fmt.Fprintf(w, "%q:", fmt.Sprint(k))
			writeValue(w, v.MapIndex(k))
		}
		fmt.Fprint(w, "};")
	case reflect.String:
		fmt.Fprintf(w, "%q;", v.String())
	case reflect.Func, reflect.Chan:
	default:
		fmt.Fprintf(w, "%v;", v)
	}
}

// useCommand says what to do with a change that is beyond a preview of the API.
const useCommand = "a preview in the API and on the page connects only as the running configuration says: " +
	"run `rollcall preview NEW.yaml` where its files are"

// within refuses what the running configuration does not name. Fields with the tag preview:"free" connect to nothing.
func (k *checker) within(running *Config) {
	for i := range k.Sources.LDAP {
		s := &k.Sources.LDAP[i]
		path := index("sources.ldap", i)
		was := running.Source(s.Slug)
		switch {
		case !s.Enabled || s.Slug == "":
		case was == nil:
			k.fail(join(path, "slug"), "%s is not in the running configuration, and %s", container.Source(s.Slug), useCommand)
		default:
			k.same(path, value(s), value(was))
			k.askable(path, s, was)
		}
	}
	for i := range k.Providers {
		p := &k.Providers[i]
		was := running.Provider(p.Container())
		switch {
		case !p.On() || p.ID == 0:
		case was == nil:
			k.fail(join(p.path, "id"), "%s is not in the running configuration, and %s", p.Container(), useCommand)
		default:
			k.same(p.path, value(p.Config), value(was.Config))
		}
	}
}

// same refuses differences of fields that are not free.
func (k *checker) same(path string, v, was reflect.Value) {
	known := fields(v.Type())
	for _, key := range slices.Sorted(maps.Keys(known)) {
		at := known[key].index
		if free(v.Type(), at) || k.spoiled[join(path, key)] ||
			reflect.DeepEqual(v.FieldByIndex(at).Interface(), was.FieldByIndex(at).Interface()) {
			continue
		}
		k.fail(join(path, key), "differs from the running configuration, and %s", useCommand)
	}
}

// free reports whether a field, or the struct that it is inlined from, has the tag.
func free(t reflect.Type, index []int) bool {
	for _, i := range index {
		f := t.Field(i)
		if f.Tag.Get("preview") == "free" {
			return true
		}
		t = f.Type
	}
	return false
}

// asserted matches the attribute of an assertion in a filter (RFC 4515).
var asserted = regexp.MustCompile(`\(\s*([^()&|!=~<>:]*)[=~<>:]`)

// askable refuses a changed filter that asks for an attribute with a secret, because the preview would tell who has it.
func (k *checker) askable(path string, s, was *ldap.Config) {
	for _, f := range []struct {
		key, is, was string
		names        func(string) []string
	}{
		{"user_object_filter", s.UserObjectFilter, was.UserObjectFilter, assertions},
		{"group_object_filter", s.GroupObjectFilter, was.GroupObjectFilter, assertions},
		{"group_membership_field", s.GroupMembershipField, was.GroupMembershipField, listed},
		{"user_membership_field", s.UserMembershipField, was.UserMembershipField, listed},
	} {
		if f.is == f.was {
			continue
		}
		for _, name := range f.names(f.is) {
			switch reason := directory.Unmappable(name); {
			case name == "":
				k.fail(join(path, f.key), "asks for every attribute, and %s", useCommand)
			case reason != "":
				k.fail(join(path, f.key), "%s cannot be asked for: %s", name, reason)
			}
		}
	}
}

// listed returns the attributes of a list.
func listed(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// assertions returns the attributes that a filter names, an empty one for an assertion about every attribute.
func assertions(filter string) (names []string) {
	for _, m := range asserted.FindAllStringSubmatch(filter, -1) {
		names = append(names, strings.TrimSpace(m[1]))
	}
	return names
}
