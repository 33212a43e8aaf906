package discoverytest

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxInProse finds the limit of a parameter that has it in its description only.
var maxInProse = regexp.MustCompile(`Max(?:imum)? allowed value is (\d+)`)

// query checks the parameters of a request.
func (s site) query(m *method, vars map[string]string, query url.Values) {
	s.c.t.Helper()
	for _, name := range slices.Sorted(maps.Keys(m.Parameters)) {
		p := m.Parameters[name]
		_, inPath := vars[name]
		if p.Required && !inPath && !query.Has(name) {
			s.report("parameter %s: required, and absent", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		p := m.Parameters[name]
		if p == nil || p.Location == "path" {
			p = s.c.doc.Parameters[name]
		}
		if p == nil {
			s.report("parameter %s: unknown", name)
			continue
		}
		values := query[name]
		if len(values) > 1 && !p.Repeated {
			s.report("parameter %s: given %d times", name, len(values))
		}
		for _, value := range values {
			s.parameter(name, p, value)
		}
	}
	if fields := query.Get("fields"); fields != "" {
		s.fields(m, fields)
	}
}

func (s site) parameter(name string, p *schema, value string) {
	s.c.t.Helper()
	if len(p.Enum) > 0 && !slices.Contains(p.Enum, value) {
		s.report("parameter %s: %q is none of %v", name, value, p.Enum)
	}
	switch p.Type {
	case "boolean":
		if value != "true" && value != "false" {
			s.report("parameter %s: %q is no boolean", name, value)
		}
	case "integer":
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			s.report("parameter %s: %q is no integer", name, value)
			return
		}
		if low, err := strconv.ParseInt(p.Minimum, 10, 64); err == nil && n < low {
			s.report("parameter %s: %d is below the minimum of %d", name, n, low)
		}
		limit := p.Maximum
		if found := maxInProse.FindStringSubmatch(p.Description); limit == "" && found != nil {
			limit = found[1]
		}
		if high, err := strconv.ParseInt(limit, 10, 64); err == nil && n > high {
			s.report("parameter %s: %d is above the maximum of %d", name, n, high)
		}
	}
}

// fields checks that a mask names fields of the answer.
func (s site) fields(m *method, mask string) {
	s.c.t.Helper()
	p := &maskReader{site: s, rest: mask}
	if !p.list(m.Response) || p.rest != "" {
		s.report("parameter fields: %q is malformed", mask)
	}
}

// maskReader walks "a,b/c,d(e,f)" along a schema. A nil schema is one that anything fits.
type maskReader struct {
	site
	rest string
}

func (p *maskReader) list(of *schema) bool {
	for {
		if !p.path(of) {
			return false
		}
		if !p.eat(",") {
			return true
		}
	}
}

func (p *maskReader) path(of *schema) bool {
	p.c.t.Helper()
	end := strings.IndexAny(p.rest, ",/()")
	if end < 0 {
		end = len(p.rest)
	}
	name := p.rest[:end]
	p.rest = p.rest[end:]
	if name == "" {
		return false
	}
	below := p.field(of, name)
	switch {
	case p.eat("/"):
		return p.path(below)
	case p.eat("("):
		return p.list(below) && p.eat(")")
	}
	return true
}

func (p *maskReader) eat(prefix string) bool {
	rest, ok := strings.CutPrefix(p.rest, prefix)
	if ok {
		p.rest = rest
	}
	return ok
}

// field returns the schema of a field, through arrays; nil where nothing is known.
func (p *maskReader) field(of *schema, name string) *schema {
	p.c.t.Helper()
	if of == nil || name == "*" {
		return nil
	}
	owner := of.Ref
	of = p.c.doc.resolve(of)
	if of.Properties[name] == nil {
		if of.AdditionalProperties == nil {
			p.report("parameter fields: %s has no field %q", owner, name)
		}
		return nil
	}
	below := of.Properties[name]
	if below.Type == "array" {
		below = below.Items
	}
	if p.c.doc.resolve(below).Type != "object" {
		return nil
	}
	return below
}
