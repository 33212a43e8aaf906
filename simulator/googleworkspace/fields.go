package googleworkspace

import "strings"

// mask is a parsed `fields` parameter, Google's partial response: "nextPageToken,users(id,name/givenName)".
// A nil mask at a name means everything below it.
type mask map[string]mask

// parseFields returns nil for the empty parameter.
func parseFields(s string) (mask, *apiError) {
	if s == "" {
		return nil, nil
	}
	p := fieldParser{rest: s}
	m, ok := p.list()
	if !ok || p.rest != "" {
		return nil, invalid("Invalid field selection %s", s)
	}
	return m, nil
}

type fieldParser struct{ rest string }

func (p *fieldParser) eat(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

// list reads a comma-separated list of paths, up to a closing bracket or the end.
func (p *fieldParser) list() (mask, bool) {
	m := mask{}
	for {
		if !p.path(m) {
			return nil, false
		}
		if !p.eat(",") {
			return m, true
		}
	}
}

// path reads "a", "a/b" or "a(b,c)" into m.
func (p *fieldParser) path(m mask) bool {
	end := strings.IndexAny(p.rest, ",/()")
	if end < 0 {
		end = len(p.rest)
	}
	name := strings.TrimSpace(p.rest[:end])
	p.rest = p.rest[end:]
	if name == "" {
		return false
	}
	switch {
	case p.eat("/"):
		below := mask{}
		if !p.path(below) {
			return false
		}
		m.add(name, below)
	case p.eat("("):
		below, ok := p.list()
		if !ok || !p.eat(")") {
			return false
		}
		m.add(name, below)
	default:
		m.add(name, nil)
	}
	return true
}

// add joins two selections below one name. The wider one wins.
func (m mask) add(name string, below mask) {
	old, seen := m[name]
	if seen && (old == nil || below == nil) {
		m[name] = nil
		return
	}
	if !seen {
		m[name] = below
		return
	}
	for n, b := range below {
		old.add(n, b)
	}
}

// apply returns the part of a value that the mask selects.
func (m mask) apply(value any) any {
	if m == nil {
		return value
	}
	switch v := value.(type) {
	case *rendered:
		return m.object(v.doc)
	case map[string]any:
		return m.object(v)
	case []*rendered:
		return each(m, v)
	case []map[string]any:
		return each(m, v)
	case []any:
		return each(m, v)
	}
	return value
}

func (m mask) object(doc map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	if below, all := m["*"]; all {
		for name, value := range doc {
			out[name] = below.apply(value)
		}
	}
	for name, below := range m {
		if value, ok := doc[name]; ok {
			out[name] = below.apply(value)
		}
	}
	return out
}

func each[T any](m mask, values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = m.apply(v)
	}
	return out
}
