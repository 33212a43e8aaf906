package graph

import (
	"slices"
	"strings"
)

// selected is the content of $select. Nil is the default of the kind.
type selected struct {
	names []string // as shown in @odata.context
	known map[*kind][]*property
	// members and manager are relationships, which only delta selects.
	members, manager bool
}

// has reports whether a property was requested.
func (s *selected) has(name string) bool { return slices.Contains(s.names, name) }

// properties returns the properties of an object of that kind that a response shows.
func (s *selected) properties(k *kind) []*property {
	if s == nil {
		return k.defaults
	}
	if list, done := s.known[k]; done {
		return list
	}
	list := make([]*property, 0, len(s.names))
	for _, name := range s.names {
		if p := k.properties[name]; p != nil {
			list = append(list, p)
		}
	}
	if s.known == nil {
		s.known = map[*kind][]*property{}
	}
	s.known[k] = list
	return list
}

// directoryObjects stands for the kinds of a mixed collection.
var directoryObjects *kind

// selection reads $select. If k is directoryObjects, a property may be of any kind.
func selection(c *call, k *kind) (*selected, *apiError) {
	value := c.query.Get("$select")
	if value == "" {
		return nil, nil
	}
	s := &selected{}
	for name := range strings.SplitSeq(value, ",") {
		name = strings.TrimSpace(name)
		if name == "members" && k == groupKind && c.route.id == "groups.delta" {
			s.members = true
			continue
		}
		if name == managed && k == userKind && c.route.id == "users.delta" {
			s.manager = true
			continue
		}
		p := lookup(k, name)
		if p == nil {
			return nil, malformed("Parsing OData Select and Expand failed: Could not find a property named '%s' on type "+
				"'microsoft.graph.%s'.", name, typeName(k))
		}
		if !s.has(p.name) {
			s.names = append(s.names, p.name)
		}
	}
	return s, nil
}

func lookup(k *kind, name string) *property {
	if k != directoryObjects {
		return k.property(name)
	}
	for _, each := range []*kind{userKind, groupKind, roleKind} {
		if p := each.property(name); p != nil {
			return p
		}
	}
	return nil
}

func typeName(k *kind) string {
	if k == directoryObjects {
		return "directoryObject"
	}
	return k.name
}

// within refuses properties that are not stored in the directory itself, for lists that can only show those.
func (s *selected) within(k *kind) *apiError {
	if s == nil {
		return nil
	}
	for _, name := range s.names {
		if p := lookup(k, name); p != nil && p.is(elsewhere) {
			return notServed()
		}
	}
	return nil
}

// contextURL returns the @odata.context of a collection or of one of its entities.
func contextURL(c *call, set string, s *selected, entity bool) string {
	var b strings.Builder
	b.WriteString(c.base)
	b.WriteString("/$metadata#")
	b.WriteString(set)
	if s != nil {
		b.WriteString("(" + strings.Join(s.names, ",") + ")")
	}
	if entity {
		b.WriteString("/$entity")
	}
	return b.String()
}
