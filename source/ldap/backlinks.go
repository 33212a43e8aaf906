package ldap

import (
	"context"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/fault"
)

// backlinks are the users by the normalised DNs of the groups that they name in user_membership_field.
type backlinks map[string][]directory.Ref

// checkBacklinks refuses an attribute of users that names no entries, as far as the schema is known.
func (r *reading) checkBacklinks() error {
	types := r.dir.about().types
	for _, attr := range r.user.members {
		if k := types.kind(attr); k != nil && !k.dn {
			return fault.Errorf(fault.Invalid, "user_membership_field: the values of %s are no DNs, so they name no "+
				"groups: name the attribute of users with the DNs of their groups, such as memberOf", attr)
		}
	}
	return nil
}

// backlinks returns what the users that were read say, and forgets their values.
func (r *reading) backlinks() backlinks {
	out := r.named
	if out == nil {
		out = backlinks{}
	}
	if len(r.user.members) == 0 {
		return out
	}
	norms := map[string]string{} // Many users name the same groups.
	for rec := range r.seen() {
		if rec.Kind != directory.User {
			continue
		}
		for _, dn := range slices.Concat(rec.values...) {
			norm, known := norms[dn]
			if !known {
				norm, _ = NormalizeDN(dn)
				norms[dn] = norm
			}
			if norm != "" {
				out[norm] = append(out[norm], rec.Ref())
			}
		}
		rec.values = nil
	}
	return out
}

// readBacklinks reads the users that name one of the groups that were read.
func (r *reading) readBacklinks(ctx context.Context) error {
	s := &r.user
	if !s.enabled || len(s.members) == 0 {
		return nil
	}
	r.named = backlinks{}
	d := newDecoder(s, r.dir.about().types)
	for i := range r.groups {
		g := &r.groups[i]
		names := ""
		for _, attr := range s.members {
			names += "(" + attr + "=" + ldap.EscapeFilter(g.DN) + ")"
		}
		filter := "(&" + s.filter + "(|" + names + "))"
		req := request{base: s.base, scope: ldap.ScopeWholeSubtree, filter: filter, attrs: s.attrs, paged: true}
		err := r.search(ctx, req, func(e *ldap.Entry) error {
			if rec := r.record(d, e); rec.ID != "" && !rec.builtIn {
				r.named[g.norm] = append(r.named[g.norm], rec.Ref())
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// belong finds the groups in scope that the users name who were read by their ids.
func (r *reading) belong(ctx context.Context, x *memberIndex) error {
	if len(r.user.members) == 0 || !r.group.enabled {
		return nil
	}
	unknown := map[string]string{}
	named := map[directory.Ref][]string{}
	for rec := range r.seen() {
		if rec.Kind != directory.User {
			continue
		}
		named[rec.Ref()] = []string{}
		for _, dn := range slices.Concat(rec.values...) {
			if norm, err := NormalizeDN(dn); err == nil && under(norm, r.group.baseNorm) {
				unknown[norm], named[rec.Ref()] = dn, append(named[rec.Ref()], norm)
			}
		}
	}
	found, err := r.lookup(ctx, x, unknown)
	if err != nil {
		return err
	}
	r.belongs = map[directory.Ref][]directory.Ref{}
	for user, groups := range named {
		list := []directory.Ref{}
		for _, norm := range groups {
			if ref, ok := found[norm]; ok && ref.Kind == directory.Group {
				list = append(list, ref)
			}
		}
		slices.SortFunc(list, directory.Ref.Compare)
		r.belongs[user] = slices.Compact(list)
	}
	return nil
}

// claim is a user that names a group in an attribute.
type claim struct{ attr, user, group string }

// claim remembers the first user with each attribute of user_membership_field.
func (c *checking) claim(rec *record) {
	if rec.Kind != directory.User {
		return
	}
	for i, attr := range c.user.members {
		known := slices.ContainsFunc(c.claims, func(k claim) bool { return k.attr == attr })
		if !known && i < len(rec.values) && len(rec.values[i]) > 0 {
			c.claims = append(c.claims, claim{attr, rec.DN, rec.values[i][0]})
		}
	}
}

// judgeBacklinks searches for the groups that users name, as a read of a single group does. A server may compute such
// an attribute only when it is read, and a bind account may have the right to read it and none to search in it.
func (c *checking) judgeBacklinks(ctx context.Context) error {
	for _, k := range c.claims {
		found, more := false, false
		req := request{base: c.user.base, scope: ldap.ScopeWholeSubtree, attrs: []string{ldapNoAttributes}, paged: true,
			filter: "(&" + c.user.filter + "(" + k.attr + "=" + ldap.EscapeFilter(k.group) + "))", sample: &more}
		err := c.dir.search(ctx, req, func(*ldap.Entry) error { found = true; return nil })
		switch {
		case found:
			continue
		case err != nil && ctx.Err() != nil:
			return err
		}
		answer := "finds nobody"
		if err != nil {
			answer = "fails (" + err.Error() + ")"
		}
		c.report.warn("user_membership_field: %s has the value %s in %s, and a search for (%[3]s=%[2]s) %[4]s. Full "+
			"syncs read such members, but syncs of a single group and delta runs miss them. Give the bind account the "+
			"right to search in %[3]s, or name an attribute in group_membership_field "+
			"instead", k.user, k.group, k.attr, answer)
	}
	return nil
}

// names reports attributes of the configuration that the server's schema does not have, or that no entry has.
func (c *checking) names() {
	types := c.dir.about().types
	cfg := &c.src.cfg
	known := func(key, attr, consequence string) bool {
		if attr != "" && !types.knows(attr) {
			c.report.fail("%s: the server's schema has no attribute %q: %s", key, attr, consequence)
			return false
		}
		return true
	}
	if c.user.enabled {
		known(c.src.uniqueKey(&c.user), c.user.unique.attr, "no user can be told from another")
		if known("user_name_field", cfg.UserNameField, "no user has a login name") && cfg.UserNameField != "" {
			c.unused("user_name_field", cfg.UserNameField, c.report.Users.Count)
		}
		for _, attr := range c.user.members {
			if known("user_membership_field", attr, "no user would be a member of a group by it") {
				c.unused("user_membership_field", attr, c.report.Users.Count)
			}
		}
	}
	if c.group.enabled {
		known(c.src.uniqueKey(&c.group), c.group.unique.attr, "no group can be told from another")
		c.memberships(known)
	}
	for _, s := range c.scopes() {
		packet, err := ldap.CompileFilter(s.filter)
		if err != nil || !s.enabled {
			continue
		}
		walkFilter(packet, func(attr, _ string) {
			known(s.kind.String()+"_object_filter", attr, "that part of the filter matches nothing")
		})
	}
	for _, attr := range c.src.mapped {
		if !types.knows(attr) {
			c.report.warn("a mapping asks for ldap.%s: the server's schema has no such attribute", attr)
			continue
		}
		c.unused("a mapping", "ldap."+attr, c.report.Users.Count+c.report.Groups.Count)
	}
}

// memberships checks the membership attributes. Of several, one that the server or its groups do not have is normal.
func (c *checking) memberships(known func(key, attr, consequence string) bool) {
	const key = "group_membership_field"
	if len(c.user.members) > 0 {
		return // Groups without members are normal here.
	}
	if fields := c.group.members; len(fields) == 1 {
		if known(key, fields[0], "every group would be empty") {
			c.unused(key, fields[0], c.report.Groups.Count)
		}
		return
	}
	types := c.dir.about().types
	if !slices.ContainsFunc(c.group.members, types.knows) {
		known(key, c.group.members[0], "every group would be empty")
		return
	}
	if !slices.ContainsFunc(c.group.members, func(attr string) bool { return c.have[types.key(attr)] }) {
		c.unused(key, c.group.members[0], c.report.Groups.Count)
	}
}

// unused warns of an attribute that no entry of the samples has.
func (c *checking) unused(key, attr string, entries int) {
	name := strings.TrimPrefix(attr, "ldap.")
	if entries > 0 && !c.have[c.dir.about().types.key(name)] {
		c.report.warn("%s: none of the entries on the first page has %s: is the name right, and may the bind account "+
			"read it?", key, attr)
	}
}
