package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"

	"rollcall/container"
	"rollcall/internal/secret"
)

// Digests returns a digest of each enabled source and provider. Two processes that decide alike have equal digests. A
// digest covers the scope, the mapping, the policy, the schedule and the build. It does not cover where secret files
// are.
func (c *Config) Digests(build string) map[container.ID]string {
	out := map[container.ID]string{}
	for i := range c.Sources.LDAP {
		if s := &c.Sources.LDAP[i]; s.Enabled {
			out[container.Source(s.Slug)] = digest(build, s, c.Attributes(s.Slug), c.Deciding(s.Slug))
		}
	}
	for i := range c.Providers {
		p := &c.Providers[i]
		if !p.On() {
			continue
		}
		var slugs []string
		for j := range c.Sources.LDAP {
			if slug := c.Sources.LDAP[j].Slug; Uses(p.Settings, slug) {
				slugs = append(slugs, slug)
			}
		}
		out[p.Container()] = digest(build, p.Config, slugs)
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
