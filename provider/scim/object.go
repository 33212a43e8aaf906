package scim

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/plan"
)

// unproven is why an externalId may be another system's.
const unproven = "its externalId may be another system's"

// userObject describes a user in the planner's terms.
func (p *Provider) userObject(r resource) plan.Object {
	name := r.text(userNameAttr)
	o := plan.Object{
		Ref: directory.Ref{Kind: directory.User, ID: directory.ID(r.anchor())}, RemoteID: r.id(),
		Address: strings.ToLower(strings.TrimSpace(name)), Active: r.active(), Fields: p.fields(r, p.userFields),
		Protected: p.protectsUser(r),
	}
	if o.ID != "" {
		o.Unproven = unproven
	}
	if o.Address == "" {
		o.Label = r.id()
	}
	return o
}

// groupObject describes a group in the planner's terms, without its members.
func (p *Provider) groupObject(r resource) plan.Object {
	o := plan.Object{
		Ref: directory.Ref{Kind: directory.Group, ID: directory.ID(r.anchor())}, RemoteID: r.id(),
		Label: r.text("displayName"), Active: true, Fields: p.fields(r, p.groupFields),
		Protected: p.cfg.Protects(r.id()),
	}
	if o.ID != "" {
		o.Unproven = unproven
	}
	return o
}

// fields returns the mapped fields of a resource.
func (p *Provider) fields(r resource, mapped []string) directory.Attributes {
	out := make(directory.Attributes, 0, len(mapped))
	for _, name := range mapped {
		s, _ := parseSlot(name)
		value := r.get(s, p.cfg.single())
		if s.user && value != "" {
			value = p.names.NameOf(value)
		}
		if value != "" {
			out = append(out, directory.Attribute{Name: name, Values: []string{value}})
		}
	}
	return out
}

// protectsUser returns why a user is never adopted, suspended or deleted, or "".
func (p *Provider) protectsUser(r resource) string {
	if why := p.cfg.Protects(r.id(), r.text(userNameAttr)); why != "" {
		return why
	}
	roles := r[key(r, "roles")]
	list, many := roles.([]any)
	if !many {
		list = []any{roles} // Some servers show a single role without a list.
	}
	for _, el := range list {
		texts := []string{asText(el)}
		if m, ok := el.(map[string]any); ok {
			texts = []string{asText(m[key(m, "value")]), asText(m[key(m, "display")])}
		}
		for _, role := range texts {
			if pattern := p.protectsRole(role); pattern != "" {
				return fmt.Sprintf("has the role %s (protected_roles: %s)", role, pattern)
			}
		}
	}
	return ""
}

// protectsRole returns the pattern that a role matches, or "". A role may be a path, so * matches slashes as well.
func (p *Provider) protectsRole(role string) string {
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", "\x00") }
	i := slices.IndexFunc(p.cfg.ProtectedRoles, func(pattern string) bool {
		ok, err := path.Match(plain(pattern), plain(role))
		return ok && err == nil && role != ""
	})
	if i < 0 {
		return ""
	}
	return p.cfg.ProtectedRoles[i]
}
