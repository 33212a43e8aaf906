package mapping

import (
	"cmp"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/plan"
)

// mostOptions bounds the cost of an attribute with very many values. An entry of Active Directory has no more of one
// attribute, but for links such as memberOf.
const mostOptions = 1300

// ordered returns the entry with the values of each attribute in an order that does not depend on the directory's,
// because LDAP has none (RFC 4511, section 4.1.7). The value that is taken where one is needed comes first. That is
// the value marked as primary (SMTP:), then the one in the entry's RDN, one in a verified domain, and the first in
// byte order.
func (v *evaluation) ordered(e *directory.Entry) *directory.Entry {
	if !slices.ContainsFunc(e.Attributes, func(a directory.Attribute) bool { return len(a.Values) > 1 }) {
		return e
	}
	out := *e
	out.Attributes = slices.Clone(e.Attributes)
	naming := namingValues(e.DN)
	for i := range out.Attributes {
		a := &out.Attributes[i]
		if len(a.Values) < 2 {
			continue
		}
		a.Values = slices.Clone(a.Values)
		slices.SortFunc(a.Values, func(x, y string) int {
			return cmp.Or(cmp.Compare(v.rank(x, naming), v.rank(y, naming)), strings.Compare(x, y))
		})
		a.Values = slices.Compact(a.Values)
	}
	return &out
}

// The ranks of a value, the best first.
const (
	rankPrimary = iota
	rankNaming
	rankVerified
	rankOther
)

func (v *evaluation) rank(value string, naming []string) int {
	_, domain, address := strings.Cut(value, "@")
	switch {
	case strings.HasPrefix(value, "SMTP:"):
		return rankPrimary
	case slices.ContainsFunc(naming, func(n string) bool { return strings.EqualFold(n, value) }):
		return rankNaming
	case address && slices.Contains(v.domains, strings.ToLower(domain)):
		return rankVerified
	}
	return rankOther
}

// namingValues returns the values in the entry's own RDN, which are those by which it is called (RFC 4512, section
// 2.3.1).
func namingValues(dn string) (out []string) {
	parts, err := parseDN(dn)
	if err != nil || len(parts) == 0 {
		return nil
	}
	for _, a := range parts[0] {
		out = append(out, a.value)
	}
	return out
}

// options returns what else the address and the fields could be if another value of an attribute came first. An account
// keeps what it has as long as it is one of these. e is ordered.
func (v *evaluation) options(s *side, e *directory.Entry, d *plan.Desired) {
	naming := namingValues(e.DN)
	for i := range e.Attributes {
		values := e.Attributes[i].Values
		named := 0
		for _, value := range values {
			if v.rank(value, naming) == rankNaming {
				named++
			}
		}
		if len(values) < 2 || named == 1 || !s.reads(e.Attributes[i].Name) {
			continue // The naming value wins, or the attribute decides about nothing: there is nothing to choose from.
		}
		for _, value := range values[1:min(len(values), mostOptions)] {
			other := *e
			other.Attributes = slices.Clone(e.Attributes)
			rest := slices.DeleteFunc(slices.Clone(values), func(x string) bool { return x == value })
			other.Attributes[i].Values = append([]string{value}, rest...)
			v.load(s, &other)
			v.option(s, e.Attributes[i].Name, d)
		}
	}
}

// option notes what the address and the fields that depend on one attribute are for the loaded entry.
func (v *evaluation) option(s *side, attribute string, d *plan.Desired) {
	alternative := plan.Desired{Ref: d.Ref}
	for i := range s.fields {
		if f := &s.fields[i]; f.reads(attribute) {
			if values, err := v.field(f); err == nil {
				alternative.Fields = append(alternative.Fields, directory.Attribute{Name: f.Name, Values: values})
			}
		}
	}
	if s.address.reads(attribute) {
		v.address(s, &holder{Desired: &alternative})
	}
	d.AddOption(&alternative)
}

// reads reports whether the address or a field depends on the attribute.
func (s *side) reads(attribute string) bool {
	return s.address.reads(attribute) || slices.ContainsFunc(s.fields, func(f field) bool { return f.reads(attribute) })
}

// reads reports whether the expression depends on the attribute.
func (e *expression) reads(attribute string) bool {
	same := func(name string) bool { return strings.EqualFold(name, attribute) }
	return slices.ContainsFunc(e.attributes, same) || slices.ContainsFunc(e.variables, same) ||
		attribute == directory.Mail && slices.Contains(e.variables, "mails")
}
