package ldap

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/source"
)

var _ source.Viewer = (*Source)(nil)

// Unseen implements source.Viewer. A filter item about an attribute that the account may not search is Undefined, and
// so is its negation (RFC 4511, section 4.5.1.7). An entry that lacks an attribute and does not match (!(attribute=*))
// may therefore have it. Active Directory fails a read of hidden attributes, and a file hides nothing.
func (s *Source) Unseen(ctx context.Context, users []directory.Ref) ([]directory.Finding, error) {
	open, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	defer open.close()
	se, ok := open.(*session)
	if !ok || open.about().domain {
		return nil, nil
	}
	if s, err = s.rooted(open.about()); err != nil {
		return nil, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	var found []directory.Finding
	if err = s.learn(ctx, se); err == nil && se.root.types.complete {
		r := &reading{src: s, dir: open, now: s.opts.now(), user: s.user}
		r.user.unique = s.cfg.identifier(s.user.unique.attr, se.root.types)
		err = r.unseen(ctx, users, func(ref directory.Ref, dn, attr string) {
			found = append(found, hiddenActivity(ref, dn, attr))
		})
	}
	if err != nil {
		return nil, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	return found, nil
}

// schemaKept is how long Unseen uses a schema.
const schemaKept = time.Hour

type keptSchema struct {
	types *schema
	at    time.Time
}

// learn gives a session the schema of its server. A single entry must not cost a read of the whole schema.
func (s *Source) learn(ctx context.Context, se *session) error {
	if kept, ok := s.schemas.Load(se.server); ok && s.opts.now().Sub(kept.(keptSchema).at) < schemaKept {
		se.root.types = kept.(keptSchema).types
		return nil
	}
	err := se.readSchema(ctx)
	if err == nil {
		s.schemas.Store(se.server, keptSchema{se.root.types, s.opts.now()})
	}
	return err
}

// unseen calls hidden for each attribute that a user may have and the account may not see.
func (r *reading) unseen(ctx context.Context, users []directory.Ref,
	hidden func(of directory.Ref, dn, attr string)) error {
	u, types := &r.user, r.dir.about().types
	probed := slices.DeleteFunc(slices.Clone(u.activity), func(attr string) bool { return !types.knows(attr) })
	asked := make(map[string]directory.Ref, len(users)) // by the key of the ID
	for _, ref := range users {
		asked[u.unique.key(ref.ID)] = ref
	}
	for some := range slices.Chunk(users, batch) {
		any := anyOf(u.unique.attr, some, func(ref directory.Ref) (string, error) {
			return u.unique.assertion(string(ref.ID))
		})
		if any == "" {
			continue
		}
		lacks := map[string]map[string]directory.Ref{} // by attribute and DN
		for _, attr := range probed {
			lacks[attr] = map[string]directory.Ref{}
		}
		attrs := append([]string{u.unique.attr}, probed...)
		err := r.each(ctx, u.base, "(&"+u.filter+any+")", attrs, func(e *ldap.Entry) {
			id, _ := u.unique.of(rawValues(e, u.unique.attr, types))
			ref, ok := asked[u.unique.key(id)]
			for _, attr := range probed {
				if ok && len(valuesOf(e, attr)) == 0 {
					lacks[attr][e.DN] = ref
				}
			}
		})
		if err != nil {
			return err
		}
		for _, attr := range probed {
			filter := "(&" + any + "(!(" + attr + "=*)))"
			err := r.each(ctx, u.base, filter, []string{u.unique.attr}, func(e *ldap.Entry) { delete(lacks[attr], e.DN) })
			if err != nil {
				return err
			}
			for _, dn := range slices.Sorted(maps.Keys(lacks[attr])) {
				hidden(lacks[attr][dn], dn, attr)
			}
		}
	}
	return nil
}

func hiddenActivity(ref directory.Ref, dn, attr string) directory.Finding {
	return directory.Finding{Ref: ref, DN: dn, Problem: fmt.Sprintf("it was inactive, and the bind account may not "+
		"see whether it has %s: grant the account the right to read and search that attribute of the entry", attr)}
}

// each reads all entries below a base that match a filter.
func (r *reading) each(ctx context.Context, base, filter string, attrs []string, do func(*ldap.Entry)) error {
	req := request{base: base, scope: ldap.ScopeWholeSubtree, filter: filter, attrs: attrs, paged: true}
	return r.search(ctx, req, func(e *ldap.Entry) error {
		do(e)
		return nil
	})
}

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
		err := r.each(ctx, s.base, "(&"+s.filter+"(|"+names+"))", s.attrs, func(e *ldap.Entry) {
			if rec := r.record(d, e); rec.ID != "" && !rec.builtIn {
				r.named[g.norm] = append(r.named[g.norm], rec.Ref())
			}
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
			c.unused(key, fields[0], c.report.Groups.Count, c.otherMemberships())
		}
		return
	}
	types := c.dir.about().types
	if !slices.ContainsFunc(c.group.members, types.knows) {
		known(key, c.group.members[0], "every group would be empty")
		return
	}
	if !slices.ContainsFunc(c.group.members, func(attr string) bool { return c.have[types.key(attr)] }) {
		c.unused(key, c.group.members[0], c.report.Groups.Count, c.otherMemberships())
	}
}

// otherMemberships says which attribute of the samples has the memberships, or "".
func (c *checking) otherMemberships() string {
	types := c.dir.about().types
	has := func(attr string) bool { return c.have[types.key(attr)] }
	if i := slices.IndexFunc(groupMemberships, has); i >= 0 {
		return fmt.Sprintf("; groups there have %s: set group_membership_field: %[1]s", groupMemberships[i])
	}
	if i := slices.IndexFunc(userMemberships, has); i >= 0 {
		return fmt.Sprintf("; users there name their groups in %s: set user_membership_field: %[1]s",
			userMemberships[i])
	}
	return ""
}

// unused warns of an attribute that no entry of the samples has. better says which one to take.
func (c *checking) unused(key, attr string, entries int, better ...string) {
	name := strings.TrimPrefix(attr, "ldap.")
	if entries > 0 && !c.have[c.dir.about().types.key(name)] {
		advice := cmp.Or(strings.Join(better, ""), ": is the name right, and may the bind account read it?")
		c.report.warn("%s: none of the entries on the first page has %s%s", key, attr, advice)
	}
}
