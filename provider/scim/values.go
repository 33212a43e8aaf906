package scim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"rollcall/fault"
	"rollcall/plan"
)

// edit is what a change adds to the values of an attribute and drops from them. Others may have added more values,
// which stay (RFC 7643, section 2.4).
type edit struct{ add, drop []string }

// editOf returns the edit of a list, or of the primary value of one. What another field of the list gives is not
// dropped.
func (p *Provider) editOf(c *plan.Change, f plan.FieldChange, at slot) (edit, error) {
	if p.cfg.single() && len(f.After) > 1 {
		err := fmt.Errorf("%s: the server takes one value (single_values), and the mapping gives %d", f.Name,
			len(f.After))
		return edit{}, &fault.Error{Kind: fault.Invalid, Field: f.Name, Err: err}
	}
	without := func(list, other []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(v string) bool { return hasText(other, v) })
	}
	elsewhere := func(v string) bool { return p.givenElsewhere(c, at, v) }
	return edit{add: f.After, drop: slices.DeleteFunc(without(f.Before, f.After), elsewhere)}, nil
}

// edited reports whether the value of a slot is an edit, of which the ledger has what is ours.
func (s *slot) edited() bool { return s.many || s.primary && s.sub == "value" }

// givenElsewhere reports whether a value of a list is also the primary one, or a primary value also one of the list.
func (p *Provider) givenElsewhere(c *plan.Change, at slot, value string) bool {
	return slices.ContainsFunc(p.userFields, func(name string) bool {
		other, _ := parseSlot(name)
		if !other.edited() || other.attr != at.attr || other.primary == at.primary {
			return false
		}
		for _, f := range c.Fields {
			if f.Name == name {
				return hasText(f.After, value)
			}
		}
		now, _ := p.given.Load(c.Ref)
		given, _ := now.(plan.Given)
		capabilities := p.Capabilities()
		return capabilities.After(given, []plan.FieldChange{{Name: name, Before: []string{value}}}) != given
	})
}

// marked returns an attribute with the value of the edit as the primary one. It changes no argument.
func (e edit) marked(have any, s slot, single bool) any {
	next := slices.Clone(elements(have))
	at, want := element(next, s, single), -1
	ours := at >= 0 && (single || hasText(e.drop, elementText(next[at])))
	for _, text := range e.add {
		want = slices.IndexFunc(next, func(el any) bool { return strings.EqualFold(elementText(el), text) })
		if want < 0 && ours {
			old, _ := next[at].(map[string]any)
			next[at], want = changedObject(old, "value", text), at
		} else if want < 0 {
			next, want = append(next, map[string]any{"value": text}), len(next)
		}
	}
	for i, el := range next {
		if (i == want) == primary(el) {
			continue
		}
		var flag any
		if i == want {
			flag = true
		}
		old, isObject := el.(map[string]any)
		if !isObject {
			old = map[string]any{"value": el}
		}
		next[i] = changedObject(old, "primary", flag)
	}
	if ours && want != at {
		next = slices.Delete(next, at, at+1)
	}
	if len(next) == 0 {
		return nil
	}
	return next
}

// applied returns an attribute after the edit, or nil where nothing is left. It changes no argument.
func (e edit) applied(have any, s slot, single bool) any {
	next := slices.DeleteFunc(slices.Clone(elements(have)), func(el any) bool {
		return s.typed(el) && (single && len(e.add) > 0 || hasText(e.drop, elementText(el)))
	})
	for _, text := range e.add {
		if hasText(s.texts(next), text) {
			continue
		}
		el := map[string]any{"value": text}
		if s.typ != "" {
			el["type"] = s.typ
		}
		if single {
			el["primary"] = true
		}
		next = append(next, el)
	}
	if len(next) == 0 {
		return nil
	}
	return next
}

// missed reports whether the values that a resource shows lack what the edit did. A server may show none of them.
func (e edit) missed(now []string) bool {
	has := func(v string) bool { return hasText(now, v) }
	lacks := func(v string) bool { return !has(v) }
	return slices.ContainsFunc(e.drop, has) || len(now) > 0 && slices.ContainsFunc(e.add, lacks)
}

// typed reports whether an element is one that the slot is about. A slot without a type is about all of them.
func (s *slot) typed(el any) bool {
	m, _ := el.(map[string]any)
	return s.typ == "" || strings.EqualFold(asText(m[key(m, "type")]), s.typ)
}

// elements returns the elements of an attribute. Some servers show a single value without a list.
func elements(have any) []any {
	list, many := have.([]any)
	if !many && have != nil && have != "" {
		list = []any{have}
	}
	return list
}

// describes refuses a text that describes a value of a list, such as emails.work.display, where there is no such value.
// An element without a value is not written.
func (r resource) describes(list []setting, single bool) error {
	after := func(s slot) any {
		object := r.object(s)
		have := object[key(object, s.attr)]
		for _, one := range list {
			if one.urn == s.urn && strings.EqualFold(one.attr, s.attr) {
				have = changed(have, one.slot, one.value, single)
			}
		}
		return have
	}
	for _, one := range list {
		if !one.inList() || one.sub != "display" || one.empty() {
			continue
		}
		if element(elements(after(one.slot)), one.slot, single) < 0 {
			err := fmt.Errorf("%s describes a value that the account does not have", one.name)
			return &fault.Error{Kind: fault.Invalid, Field: one.name, Err: err}
		}
	}
	return nil
}

// hasText reports whether a list has a text, without letter case.
func hasText(list []string, text string) bool {
	return slices.ContainsFunc(list, func(v string) bool { return strings.EqualFold(v, text) })
}

// texts returns the values of the elements that the slot is about.
func (s *slot) texts(have any) (out []string) {
	for _, el := range elements(have) {
		if text := elementText(el); text != "" && s.typed(el) {
			out = append(out, text)
		}
	}
	return out
}

// elementText returns the value of an element. Some servers show simple values.
func elementText(el any) string {
	if m, ok := el.(map[string]any); ok {
		el = m[key(m, "value")]
	}
	return strings.TrimSpace(asText(el))
}

// values returns the values of a slot.
func (r resource) values(s slot, single bool) []string {
	if s.many {
		object := r.object(s)
		return s.texts(object[key(object, s.attr)])
	}
	if v := r.get(s, single); v != "" {
		return []string{v}
	}
	return nil
}

// unprotecting refuses roles that would protect their users from Rollcall itself.
func (c *Config) unprotecting(role string) error {
	if pattern := c.protectsRole(role); pattern != "" {
		return errors.New("a user with the role " + role + " is never suspended (protected_roles: " + pattern + ")")
	}
	return nil
}
