package ldap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/source"
)

// Limits of one search of Locate: the number of entries and the seconds of the server's time.
const (
	mostSightings  = 10
	locateSeconds  = 5
	locateAnything = "(objectClass=*)"
)

var _ source.Locator = (*Source)(nil)

// Locate implements source.Locator. It searches the bases of the configuration without its filters, then everything
// that the server holds. The server decides whether an entry matches a filter: a second search asks for that one entry.
func (s *Source) Locate(ctx context.Context, w source.Wanted) (source.Location, error) {
	dir, err := s.open(ctx)
	if err != nil {
		return source.Location{}, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	defer dir.close()
	if s, err = s.rooted(dir.about()); err != nil {
		return source.Location{}, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	l := locating{Source: s, dir: dir, wanted: w, out: source.Location{Server: dir.String()}}
	if err := l.find(ctx); err != nil {
		return l.out, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	return l.out, nil
}

// locating is one Locate under way.
type locating struct {
	*Source
	dir    searcher
	wanted source.Wanted
	out    source.Location
}

func (l *locating) find(ctx context.Context) error {
	if l.wanted.DN != "" {
		found, err := l.search(ctx, request{base: l.wanted.DN, scope: ldap.ScopeBaseObject, filter: locateAnything})
		if err != nil {
			return err
		}
		return l.judge(ctx, found)
	}
	filter := l.filter()
	if filter == "" {
		return nil // No entry can have such an id.
	}
	for _, base := range l.bases() {
		found, err := l.search(ctx, request{base: base, scope: ldap.ScopeWholeSubtree, filter: filter})
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return l.judge(ctx, found)
		}
	}
	return nil
}

// scopes returns those that the entry may belong to.
func (l *locating) scopes() []*scope {
	all := []*scope{&l.user, &l.group}
	return slices.DeleteFunc(all, func(s *scope) bool { return l.wanted.Kind != 0 && s.kind != l.wanted.Kind })
}

// bases returns where to look, without the places that others contain and that come before them.
func (l *locating) bases() []string {
	var all []string
	for _, s := range l.scopes() {
		all = append(all, s.base)
	}
	all = append(append(all, l.cfg.BaseDN), l.dir.about().contexts...)
	var out, norms []string
	for _, base := range all {
		norm, err := NormalizeDN(base)
		if err != nil || slices.ContainsFunc(norms, func(n string) bool { return under(norm, n) }) {
			continue
		}
		out, norms = append(out, base), append(norms, norm)
	}
	return out
}

// filter asks for what is wanted and for nothing else; values are escaped (RFC 4515, section 3).
func (l *locating) filter() string {
	var b strings.Builder
	equal := func(attr, value string) { b.WriteString("(" + attr + "=" + ldap.EscapeFilter(value) + ")") }
	switch w := l.wanted; {
	case w.ID != "":
		seen := map[string]bool{}
		for _, id := range append([]directory.ID{w.ID}, w.Or...) {
			for _, s := range l.scopes() {
				text, err := s.unique.assertion(string(id))
				if key := strings.ToLower(s.unique.attr + "=" + text); err == nil && !seen[key] {
					seen[key] = true
					b.WriteString("(" + s.unique.attr + "=" + text + ")")
				}
			}
		}
	case w.Mail != "": // The other two are where Active Directory has addresses besides.
		equal("mail", w.Mail)
		equal("userPrincipalName", w.Mail)
		equal("proxyAddresses", "smtp:"+w.Mail)
	case w.UserName != "":
		at := slices.IndexFunc(l.user.outputs, func(o output) bool { return o.name == directory.UserName })
		names := l.user.outputs[at].from
		if w.Kind != directory.User && !slices.Contains(names, "cn") { // which is what groups are called
			names = append(slices.Clone(names), "cn")
		}
		for _, attr := range names {
			equal(attr, w.UserName)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "(|" + b.String() + ")"
}

// search runs one bounded search. A place that the server does not want to search is noted; only a server that does not
// answer is an error.
func (l *locating) search(ctx context.Context, r request) ([]*ldap.Entry, error) {
	r.limit, r.seconds = mostSightings, locateSeconds
	r.attrs = slices.Concat(l.user.attrs, l.group.attrs)
	var found []*ldap.Entry
	err := l.dir.search(ctx, r, func(e *ldap.Entry) error {
		kept := &ldap.Entry{DN: e.DN} // The entry itself is used again for the next one.
		for _, a := range e.Attributes {
			attribute := *a
			kept.Attributes = append(kept.Attributes, &attribute)
		}
		found = append(found, kept)
		return nil
	})
	_, answered := errors.AsType[*resultError](err)
	switch {
	case err == nil, answered && len(found) > 0 && hasCode(err, ldap.LDAPResultSizeLimitExceeded):
		l.out.Searched = append(l.out.Searched, place(r.base))
	case answered && hasCode(err, ldap.LDAPResultNoSuchObject):
		l.out.Searched = append(l.out.Searched, place(r.base)) // Nothing is there, or nothing that we may see.
	case answered:
		l.out.Unsearched = append(l.out.Unsearched, err.Error())
		read := slices.ContainsFunc(l.scopes(), func(s *scope) bool { return s.base == r.base })
		l.out.Incomplete = l.out.Incomplete || read || l.wanted.DN != ""
	default:
		return nil, err
	}
	return found, nil
}

func place(base string) string {
	if base == "" {
		return "everything"
	}
	return base
}

// judge says of each entry what keeps it out.
func (l *locating) judge(ctx context.Context, found []*ldap.Entry) error {
	for _, e := range found {
		var best *source.Sighting
		for _, s := range l.scopes() {
			one, err := l.sight(ctx, s, e)
			if err != nil {
				return err
			}
			if best == nil || met(one) > met(best) {
				best = one
			}
		}
		l.out.Sightings = append(l.out.Sightings, *best)
	}
	return nil
}

func met(s *source.Sighting) (n int) {
	for _, r := range s.Rules {
		if r.Met {
			n++
		}
	}
	return n
}

// sight judges an entry by the rules of one kind, in the order in which Read applies them.
func (l *locating) sight(ctx context.Context, s *scope, e *ldap.Entry) (*source.Sighting, error) {
	d := newDecoder(s, l.dir.about().types)
	rec := d.record(e, l.opts.now())
	out := &source.Sighting{Ref: directory.Ref{Kind: s.kind, ID: rec.ID}, DN: e.DN}
	rule := func(key, setting string, ok bool, detail string) {
		if ok {
			detail = ""
		}
		out.Rules = append(out.Rules, source.Rule{Key: key, Setting: setting, Met: ok, Detail: detail})
	}
	switches := map[directory.Kind]string{directory.User: "sync_users", directory.Group: "sync_groups"}
	rule(switches[s.kind], fmt.Sprint(s.enabled), s.enabled, fmt.Sprintf("%ss are not read from this source", s.kind))
	norm, err := NormalizeDN(e.DN)
	rule(l.baseKey(s), s.base, err == nil && under(norm, s.baseNorm),
		fmt.Sprintf("it is at %s, which is not below %s", e.DN, s.base))
	failed, err := l.failing(ctx, e.DN, s.filter)
	if err != nil {
		return nil, err
	}
	rule(s.kind.String()+"_object_filter", s.filter, len(failed) == 0, "it does not match "+strings.Join(failed, " nor "))
	if s.leaveBuiltIn {
		rule("leave_out_built_in", "true", !rec.builtIn, "it is built into Active Directory ("+criticalObject+")")
	}
	rule(l.uniqueKey(s), s.unique.attr, rec.problem == "", rec.problem)
	if s.kind == directory.Group && out.Broken() == nil {
		if out.LeftOut, err = l.leftOut(ctx, rec); err != nil {
			return nil, err
		}
	}
	if rec.problem == "" {
		entry := rec.Entry
		entry.Source = l.cfg.Slug
		out.Entry = &entry
	}
	return out, nil
}

// leftOut returns the values of a group in scope that lead to no usable entry.
func (l *locating) leftOut(ctx context.Context, group record) ([]source.LeftOut, error) {
	r, err := newReading(ctx, l.Source, l.dir, directory.Query{})
	if err != nil {
		return nil, err
	}
	r.groups = []record{group}
	if err = r.complete(ctx, &r.group, r.groups); err == nil {
		err = r.resolveThese(ctx)
	}
	return r.left.values, err
}

// baseKey and uniqueKey name what decided, as the configuration has it.
func (l *locating) baseKey(s *scope) string {
	switch {
	case s.kind == directory.User && l.cfg.AdditionalUserDN != "":
		return "additional_user_dn"
	case s.kind == directory.Group && l.cfg.AdditionalGroupDN != "":
		return "additional_group_dn"
	}
	return "base_dn"
}

func (src *Source) uniqueKey(s *scope) string {
	switch {
	case s.kind == directory.User && src.cfg.UserObjectUniquenessField != "":
		return "user_object_uniqueness_field"
	case s.kind == directory.Group && src.cfg.GroupObjectUniquenessField != "":
		return "group_object_uniqueness_field"
	}
	return "object_uniqueness_field"
}

// failing returns the clauses of a filter that the entry does not match; none where it matches. The clauses of a
// conjunction are tried one by one, and the filter itself is the only one where none of them can be blamed.
func (l *locating) failing(ctx context.Context, dn, filter string) ([]string, error) {
	ok, err := l.matches(ctx, dn, filter)
	if err != nil || ok {
		return nil, err
	}
	packet, err := ldap.CompileFilter(filter)
	if err != nil || packet.Tag != ldap.FilterAnd {
		return []string{filter}, nil // the server has decided, and the library cannot split the filter
	}
	var failed []string
	for _, child := range packet.Children {
		clause, err := ldap.DecompileFilter(child)
		if err != nil {
			return []string{filter}, nil // as above
		}
		some, err := l.failing(ctx, dn, clause)
		if err != nil {
			return nil, err
		}
		failed = append(failed, some...)
	}
	if len(failed) == 0 {
		return []string{filter}, nil
	}
	return failed, nil
}

// matches asks whether one entry matches a filter.
func (l *locating) matches(ctx context.Context, dn, filter string) (bool, error) {
	found := false
	r := request{base: dn, scope: ldap.ScopeBaseObject, filter: filter, attrs: []string{ldapNoAttributes}, limit: 1,
		seconds: locateSeconds}
	err := l.dir.search(ctx, r, func(*ldap.Entry) error { found = true; return nil })
	if found || hasCode(err, ldap.LDAPResultNoSuchObject) {
		return found, nil // There is at most one entry; it may also have left meanwhile.
	}
	return false, err
}

// ldapNoAttributes asks for entries without attributes (RFC 4511, section 4.5.1.8).
const ldapNoAttributes = "1.1"
