package ldap

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
)

// batch is how many IDs, or login names, one filter asks for.
const batch = 50

// refs reads just these entries, and of groups the members too, without listing the directory.
func (r *reading) refs(ctx context.Context, refs []directory.Ref) error {
	refs = slices.Clone(refs)
	slices.SortFunc(refs, directory.Ref.Compare)
	refs = slices.Compact(refs)
	for _, s := range r.scopes() {
		var ids []directory.ID
		for _, ref := range refs {
			if ref.Kind == s.kind {
				ids = append(ids, ref.ID)
			}
		}
		if !s.enabled {
			ids = nil
		}
		records, err := r.byID(ctx, s, ids)
		if err != nil {
			return err
		}
		r.keep(s, records)
	}
	r.note(refs)
	return r.resolveThese(ctx)
}

// byID reads the entries of one kind with these IDs. The filter may match more than these IDs,
// because a server compares by its schema; other entries are dropped.
func (r *reading) byID(ctx context.Context, s *scope, ids []directory.ID) ([]record, error) {
	var records []record
	for some := range slices.Chunk(ids, batch) {
		filter := anyOf(s.unique.attr, some, func(id directory.ID) (string, error) { return s.unique.assertion(string(id)) })
		if filter == "" {
			continue
		}
		more, err := r.scan(ctx, s, "(&"+s.filter+filter+")")
		if err != nil {
			return nil, err
		}
		records = append(records, more...)
	}
	return slices.DeleteFunc(records, func(rec record) bool { return !slices.Contains(ids, rec.ID) }), nil
}

// anyOf returns a filter for entries with one of the values in the attribute; "" when no value is possible.
func anyOf[T any](attr string, values []T, assertion func(T) (string, error)) string {
	var b strings.Builder
	for _, v := range values {
		if text, err := assertion(v); err == nil {
			b.WriteString("(" + attr + "=" + text + ")")
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "(|" + b.String() + ")"
}

// note reports as absent what was asked for and not seen at all.
func (r *reading) note(refs []directory.Ref) {
	seen := map[directory.Ref]bool{}
	for _, records := range [][]record{r.users, r.groups} {
		for i := range records {
			seen[records[i].Ref()] = true
		}
	}
	for _, f := range r.findings {
		seen[f.Ref] = true
	}
	for _, ref := range refs {
		if !seen[ref] {
			r.absent = append(r.absent, ref)
		}
	}
}

// resolveThese resolves the members of the groups that were read, looking up just these members.
func (r *reading) resolveThese(ctx context.Context) error {
	x := newMemberIndex(r.group.members, 0)
	if err := r.logins(ctx, x); err != nil {
		return err
	}
	found, err := r.lookup(ctx, x, r.unknown(x))
	if err != nil {
		return err
	}
	maps.Copy(x.refs.close, found)
	if err := r.belong(ctx, x); err != nil {
		return err
	}
	if err := r.readPrimaries(ctx); err != nil {
		return err
	}
	if err := r.readBacklinks(ctx); err != nil {
		return err
	}
	if err := r.findNamesakes(ctx, x); err != nil {
		return err
	}
	r.assign(x)
	return nil
}

// logins adds the users with login names that are values of the groups to the index.
func (r *reading) logins(ctx context.Context, x *memberIndex) error {
	s := &r.user
	if !s.enabled {
		return nil
	}
	var values []string
	for i := range r.groups {
		for field, some := range r.groups[i].values {
			if x.fields[field].byLogin {
				values = append(values, some...)
			}
		}
	}
	slices.Sort(values)
	values = slices.Compact(values)
	at := slices.IndexFunc(s.outputs, func(o output) bool { return o.name == directory.UserName })
	d := newDecoder(s, r.dir.about().types)
	for some := range slices.Chunk(values, batch) {
		filter := "(|"
		for _, attr := range s.outputs[at].from {
			filter += anyOf(attr, some, func(v string) (string, error) { return ldap.EscapeFilter(v), nil })
		}
		req := request{base: s.base, scope: ldap.ScopeWholeSubtree, filter: "(&" + s.filter + filter + "))", attrs: s.attrs,
			paged: true}
		err := r.search(ctx, req, func(e *ldap.Entry) error {
			if rec := r.record(d, e); rec.ID != "" && !rec.builtIn {
				x.add(&rec)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
