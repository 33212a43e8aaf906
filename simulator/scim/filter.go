package scim

import (
	"encoding/json"
	"slices"
	"strings"
)

// filter is a parsed filter (RFC 7644, section 3.4.2.2).
type filter struct {
	// op is and, or, not, valuePath, or the operator of a comparison.
	op          string
	path        []string // the attribute and, where it is named, its sub-attribute
	urn         string
	value       any
	left, right *filter
}

// parser reads filters and paths of PATCH. It works on the rest of the text.
type parser struct{ rest string }

var comparisons = []string{"eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "pr"}

// parseFilter parses a filter. ok is false where it is not valid.
func parseFilter(s string) (f *filter, ok bool) {
	p := &parser{s}
	f = p.or()
	p.blanks()
	return f, f != nil && p.rest == ""
}

func (p *parser) blanks() { p.rest = strings.TrimLeft(p.rest, " ") }

// word takes a keyword that is followed by a blank, a parenthesis or the end.
func (p *parser) word(w string) bool {
	p.blanks()
	if len(p.rest) < len(w) || !strings.EqualFold(p.rest[:len(w)], w) {
		return false
	}
	if after := p.rest[len(w):]; after != "" && !strings.ContainsRune(" ()]", rune(after[0])) {
		return false
	}
	p.rest = p.rest[len(w):]
	return true
}

func (p *parser) char(c string) bool {
	p.blanks()
	rest, ok := strings.CutPrefix(p.rest, c)
	if ok {
		p.rest = rest
	}
	return ok
}

func (p *parser) or() *filter {
	left := p.and()
	for left != nil && p.word("or") {
		left = join("or", left, p.and())
	}
	return left
}

func (p *parser) and() *filter {
	left := p.term()
	for left != nil && p.word("and") {
		left = join("and", left, p.term())
	}
	return left
}

func join(op string, left, right *filter) *filter {
	if right == nil {
		return nil
	}
	return &filter{op: op, left: left, right: right}
}

func (p *parser) term() *filter {
	negated := p.word("not")
	if p.char("(") {
		f := p.or()
		if f == nil || !p.char(")") {
			return nil
		}
		if negated {
			return &filter{op: "not", left: f}
		}
		return f
	}
	if negated {
		return nil
	}
	urn, path := p.attribute()
	if len(path) == 0 {
		return nil
	}
	if p.char("[") {
		f := p.or()
		if f == nil || !p.char("]") {
			return nil
		}
		return &filter{op: "valuePath", urn: urn, path: path, left: f}
	}
	for _, op := range comparisons {
		if p.word(op) {
			return p.comparison(&filter{op: op, urn: urn, path: path})
		}
	}
	return nil
}

func (p *parser) comparison(f *filter) *filter {
	if f.op == "pr" {
		return f
	}
	p.blanks()
	dec := json.NewDecoder(strings.NewReader(p.rest))
	if err := dec.Decode(&f.value); err != nil {
		return nil
	}
	switch f.value.(type) {
	case map[string]any, []any:
		return nil
	}
	p.rest = p.rest[dec.InputOffset():]
	return f
}

// attribute takes the name of an attribute, with its URN and its sub-attribute.
func (p *parser) attribute() (urn string, path []string) {
	p.blanks()
	end := strings.IndexFunc(p.rest, func(r rune) bool { return !nameChar(r) && r != ':' && r != '.' })
	if end < 0 {
		end = len(p.rest)
	}
	name := p.rest[:end]
	if i := strings.LastIndex(name, ":"); i >= 0 {
		urn, name = name[:i], name[i+1:]
	}
	path = strings.Split(name, ".")
	if len(path) > 2 || slices.Contains(path, "") {
		return "", nil
	}
	p.rest = p.rest[end:]
	return urn, path
}

func nameChar(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '$'
}

// names returns the attributes of a filter and whether it only has eq and and.
func (f *filter) names() (names []string, simple bool) {
	switch f.op {
	case "and", "or":
		left, a := f.left.names()
		right, b := f.right.names()
		return append(left, right...), a && b && f.op == "and"
	case "not", "valuePath":
		names, _ = f.left.names()
		return append(names, strings.Join(f.path, ".")), false
	}
	return []string{strings.Join(f.path, ".")}, f.op == "eq"
}

// equals returns the value that the filter compares an attribute with by eq, where nothing else is in the filter.
func (f *filter) equals(name string) (string, bool) {
	s, ok := f.value.(string)
	return s, ok && f.op == "eq" && strings.EqualFold(strings.Join(f.path, "."), name)
}

// matches evaluates the filter over an object with these definitions.
func (f *filter) matches(object map[string]any, defs []attribute, k *kind) bool {
	switch f.op {
	case "and":
		return f.left.matches(object, defs, k) && f.right.matches(object, defs, k)
	case "or":
		return f.left.matches(object, defs, k) || f.right.matches(object, defs, k)
	case "not":
		return !f.left.matches(object, defs, k)
	}
	if k != nil && f.urn != "" && !strings.EqualFold(f.urn, k.core.id) {
		ext := k.extension(f.urn)
		if ext == nil {
			return f.op == "ne"
		}
		object, _ = object[ext.id].(map[string]any)
		defs = ext.attributes
	}
	def := find(defs, f.path[0])
	if def == nil {
		return f.op == "ne"
	}
	values := listOf(object[def.name])
	if f.op == "valuePath" {
		return slices.ContainsFunc(values, func(v any) bool {
			m, ok := v.(map[string]any)
			return ok && f.left.matches(m, def.sub, nil)
		})
	}
	sub := def
	if def.kind == "complex" {
		name := "value"
		if len(f.path) > 1 {
			name = f.path[1]
		}
		if sub = find(def.sub, name); sub == nil {
			return f.op == "ne"
		}
		for i, v := range values {
			m, _ := v.(map[string]any)
			values[i] = m[sub.name]
		}
	}
	if f.op == "ne" {
		return !slices.ContainsFunc(values, func(v any) bool { return compare("eq", v, f.value, sub.exact) })
	}
	return slices.ContainsFunc(values, func(v any) bool { return compare(f.op, v, f.value, sub.exact) })
}

// listOf returns the values of an attribute, in a list of its own.
func listOf(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return append([]any(nil), v...)
	}
	return []any{v}
}

func compare(op string, have, want any, exact bool) bool {
	if op == "pr" {
		return have != nil && have != ""
	}
	h, text := have.(string)
	w, also := want.(string)
	if !text || !also {
		return op == "eq" && have == want && have != nil
	}
	if !exact {
		h, w = strings.ToLower(h), strings.ToLower(w)
	}
	switch op {
	case "eq":
		return h == w
	case "co":
		return strings.Contains(h, w)
	case "sw":
		return strings.HasPrefix(h, w)
	case "ew":
		return strings.HasSuffix(h, w)
	case "gt":
		return h > w
	case "ge":
		return h >= w
	case "lt":
		return h < w
	case "le":
		return h <= w
	}
	return false
}
