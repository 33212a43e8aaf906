package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"rollcall/internal/problem"
	"rollcall/provider"
	"rollcall/source/ldap"
)

// decoder fills in structs from YAML nodes by their yaml tags. The library would do so too, but stops at the line
// where it finds a mistake, knows no path, and forgets the lines that later checks want to name.
type decoder struct {
	file string
	// lines is where each path stands.
	lines    map[string]int
	problems Problems
	// spoiled has the paths with decoding problems. Later checks ignore their empty values.
	spoiled map[string]bool
	types   []provider.Type
	// left bounds the work, as aliases can make a small file large.
	left int
}

func newDecoder(file string, types []provider.Type) *decoder {
	return &decoder{file: file, types: types, lines: map[string]int{}, spoiled: map[string]bool{}, left: 100_000}
}

func value(v any) reflect.Value { return reflect.ValueOf(v).Elem() }

// fail notes a mistake at a path, or at the nearest path around it that stands in the file.
func (d *decoder) fail(path, format string, args ...any) {
	d.problems = append(d.problems, Problem{
		File: d.file, Line: d.line(path), Field: path, Message: fmt.Sprintf(format, args...),
	})
}

// spoil is fail for a value that is not there for the later checks.
func (d *decoder) spoil(path, format string, args ...any) {
	d.spoiled[path] = true
	d.fail(path, format, args...)
}

func (d *decoder) line(path string) int {
	for at := path; at != ""; at = at[:max(0, strings.LastIndexAny(at, ".["))] {
		if line, ok := d.lines[at]; ok {
			return line
		}
	}
	return 0
}

// reset sets the defaults of list elements. They come from the preset that the element names, or are the general
// ones.
func reset(v reflect.Value, n *yaml.Node) {
	c, ok := reflect.TypeAssert[*ldap.Config](v.Addr())
	if !ok {
		return
	}
	*c = ldap.PresetConfig(presetOf(n, 0))
}

// presetOf returns the preset that a table names, or that is merged into it.
func presetOf(n *yaml.Node, depth int) (preset string) {
	const deepest = 10
	switch {
	case depth > deepest:
	case n.Kind == yaml.AliasNode:
		return presetOf(n.Alias, depth+1)
	case n.Kind == yaml.SequenceNode && depth > 0: // of a merge, the first wins
		for _, one := range n.Content {
			if preset = presetOf(one, depth+1); preset != "" {
				return preset
			}
		}
	case n.Kind == yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			switch key, value := n.Content[i].Value, n.Content[i+1]; key {
			case "preset":
				return value.Value
			case "<<":
				preset = presetOf(value, depth+1)
			}
		}
	}
	return preset
}

func (d *decoder) decode(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if d.left--; d.left < 0 {
		return
	}
	if isNull(n) {
		return
	}
	switch into := v.Addr().Interface().(type) {
	case *Providers:
		if d.is(n, yaml.MappingNode, path, "a table") {
			d.decodeProviders(n, into, path)
		}
		return
	case *Profiles:
		if d.is(n, yaml.MappingNode, path, "a table") {
			d.decodeProfiles(n, into, path)
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		if d.is(n, yaml.MappingNode, path, "a table") {
			d.decodeStruct(n, v, path)
		}
	case reflect.Slice:
		if d.is(n, yaml.SequenceNode, path, "a list") {
			d.decodeList(n, v, path)
		}
	case reflect.Map:
		if d.is(n, yaml.MappingNode, path, "a table") {
			d.decodeMap(n, v, path)
		}
	default:
		d.decodeScalar(n, v, path)
	}
}

func (d *decoder) is(n *yaml.Node, kind yaml.Kind, path, want string) bool {
	if n.Kind != kind {
		d.spoil(path, "want %s, got %s", want, describe(n))
	}
	return n.Kind == kind
}

func (d *decoder) decodeStruct(n *yaml.Node, v reflect.Value, path string) {
	known := fields(v.Type())
	for _, p := range d.pairs(n, path) {
		at, ok := known[p.key]
		if !ok {
			d.unknown(path, p.key, slices.Sorted(maps.Keys(known)))
			continue
		}
		d.decode(p.value, v.FieldByIndex(at.index), join(path, p.key))
	}
}

// decodeProviders decodes the list of each type, whatever order the file has them in.
func (d *decoder) decodeProviders(n *yaml.Node, list *Providers, path string) {
	lists := map[string]reflect.Value{}
	known := make([]string, len(d.types))
	for i := range d.types {
		t := &d.types[i]
		known[i] = t.Name
		lists[t.Name] = reflect.New(reflect.SliceOf(reflect.TypeOf(t.New()).Elem())).Elem()
	}
	slices.Sort(known)
	for _, p := range d.pairs(n, path) {
		if v, ok := lists[p.key]; ok {
			d.decode(p.value, v, join(path, p.key))
		} else {
			d.unknown(path, p.key, known)
		}
	}
	for i := range d.types {
		t := &d.types[i]
		for j, v := range lists[t.Name].Seq2() {
			cfg := v.Addr().Interface().(provider.Config)
			at := index(join(path, t.Name), int(j.Int()))
			*list = append(*list, Provider{Settings: cfg.Common(), Type: t, Config: cfg, path: at})
		}
	}
}

// decodeProfiles decodes the profiles of each type that can have some.
func (d *decoder) decodeProfiles(n *yaml.Node, into *Profiles, path string) {
	*into = Profiles{}
	known := map[string]provider.Profile{}
	for i := range d.types {
		if t := &d.types[i]; t.Profile != nil {
			known[t.Name] = t.Profile
		}
	}
	for _, p := range d.pairs(n, path) {
		empty, ok := known[p.key]
		if !ok {
			d.unknown(path, p.key, slices.Sorted(maps.Keys(known)))
			continue
		}
		table := reflect.New(reflect.MapOf(reflect.TypeFor[string](), reflect.TypeOf(empty))).Elem()
		d.decode(p.value, table, join(path, p.key))
		named := map[string]provider.Profile{}
		for name, profile := range table.Seq2() {
			named[name.String()] = profile.Interface().(provider.Profile)
		}
		(*into)[p.key] = named
	}
}

// secretKeys are what people write down though it is a secret, and what to write down instead.
var secretKeys = map[string]string{
	"bind_password": "bind_password_file", "password": "a key that ends in _file", "credentials": "credentials_file",
	"client_secret": "client_secret_file", "token": "a key that ends in _file",
}

// unknown refuses a key, and takes what was meant for said.
func (d *decoder) unknown(path, key string, known []string) {
	at := join(path, key)
	if instead, ok := secretKeys[key]; ok {
		d.fail(at, "secrets are not written here: use %s", instead)
		d.spoiled[join(path, instead)] = true
		d.spoiled[join(path, "bind_cn")] = true // which wants a password
		return
	}
	if near := problem.Nearest(key, known); near != "" {
		d.fail(at, "unknown key: did you mean %s?", near)
		d.spoiled[join(path, near)] = true
		return
	}
	d.fail(at, "unknown key: known are %s", strings.Join(known, ", "))
}

func (d *decoder) decodeList(n *yaml.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, el := range n.Content {
		at := index(path, i)
		d.lines[at] = el.Line
		reset(v.Index(i), el)
		if isNull(el) {
			d.spoil(at, "is empty")
			d.spoiled[path] = true
		}
		d.decode(el, v.Index(i), at)
	}
}

func (d *decoder) decodeMap(n *yaml.Node, v reflect.Value, path string) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, p := range d.pairs(n, path) {
		el := reflect.New(v.Type().Elem()).Elem()
		d.decode(p.value, el, join(path, p.key))
		v.SetMapIndex(reflect.ValueOf(p.key).Convert(v.Type().Key()), el)
	}
}

func (d *decoder) decodeScalar(n *yaml.Node, v reflect.Value, path string) {
	want := typeName(v.Type())
	if n.Kind != yaml.ScalarNode {
		d.spoil(path, "want %s, got %s", want, describe(n))
		return
	}
	// The library cuts 1.5 down to 1.
	fraction := want == wholeNumber && n.ShortTag() != "!!int"
	if err := n.Decode(v.Addr().Interface()); err != nil || fraction {
		d.spoil(path, "want %s, got %q", want, n.Value)
	}
}

type pair struct {
	key   string
	value *yaml.Node
	line  int
}

// pairs returns the keys of a table with their values, and those that it merges (<<: *name) where it has none itself.
func (d *decoder) pairs(n *yaml.Node, path string) []pair {
	var out []pair
	var merged []pair
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			merged = append(merged, pair{value: val, line: key.Line})
			continue
		}
		if key.Kind != yaml.ScalarNode {
			d.fail(path, "line %d: a key is %s, want a text", key.Line, describe(key))
			continue
		}
		at := join(path, key.Value)
		if first, twice := seen[key.Value]; twice {
			d.problems = append(d.problems, Problem{d.file, key.Line, at,
				fmt.Sprintf("stands here twice: first in line %d", first)})
			continue
		}
		seen[key.Value] = key.Line
		d.lines[at] = key.Line
		out = append(out, pair{key.Value, val, key.Line})
	}
	for _, m := range merged {
		out = append(out, d.merge(m, path, seen)...)
	}
	return out
}

// merge returns the keys of another table that are not there already. They stand where they are merged.
func (d *decoder) merge(m pair, path string, seen map[string]int) []pair {
	n := m.value
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		d.fail(path, "<< merges one table, got %s", describe(n))
		return nil
	}
	var out []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, val := n.Content[i], n.Content[i+1]
		if _, own := seen[key.Value]; own || key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
			continue
		}
		seen[key.Value] = m.line
		d.lines[join(path, key.Value)] = m.line
		out = append(out, pair{key.Value, val, m.line})
	}
	return out
}

// structField is where a key's value goes.
type structField struct {
	index []int
	typ   reflect.Type
}

// fields returns the keys of a struct, those of inlined structs among them.
func fields(t reflect.Type) map[string]structField {
	out := map[string]structField{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, opts, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case strings.Contains(opts, "inline"):
			for key, inner := range fields(f.Type) {
				out[key] = structField{append([]int{i}, inner.index...), inner.typ}
			}
		case name != "" && name != "-":
			out[name] = structField{[]int{i}, f.Type}
		}
	}
	return out
}

const wholeNumber = "a whole number"

// typeName says what is wanted, for people.
func typeName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t == reflect.TypeFor[time.Duration]() {
		return "a duration such as 30s or 720h"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64, reflect.Uint, reflect.Uint64:
		return wholeNumber
	case reflect.Float64, reflect.Float32:
		return "a number"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list"
	}
	return "a table"
}
