package ldap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/fault"
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
		filter := anyOf(s.unique.attr, some,
			func(id directory.ID) (string, error) { return s.unique.assertion(string(id)) })
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
		err := r.each(ctx, s.base, "(&"+s.filter+filter+"))", s.attrs, func(e *ldap.Entry) {
			if rec := r.record(d, e); rec.ID != "" && !rec.builtIn {
				x.add(&rec)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// parseRange reads "member;range=0-1499" or "member;range=1500-*" ([MS-ADTS], section 3.1.1.3.1.3.3). next is where
// to go on.
func parseRange(name string) (base string, next int, last, ok bool) {
	base, options, found := strings.Cut(name, ";")
	if !found {
		return "", 0, false, false
	}
	for option := range strings.SplitSeq(options, ";") {
		if len(option) < 6 || !strings.EqualFold(option[:6], "range=") {
			continue
		}
		_, to, ok := strings.Cut(option[6:], "-")
		if !ok {
			return "", 0, false, false
		}
		if to == "*" {
			return base, 0, true, true
		}
		end, err := strconv.Atoi(to)
		return base, end + 1, false, err == nil
	}
	return "", 0, false, false
}

// usnChanged is the number of the last change of an entry of Active Directory. The server also raises it for a change
// of linked values, such as members, which have numbers of their own (Microsoft's article 825916).
const usnChanged = "uSNChanged"

// mostReads bounds how often an entry is read that changes while it is read.
const mostReads = 5

// complete reads the entries again of which the server gave only the first values of an attribute. The rest takes more
// requests. An entry that changes between them, time after time, is held, because it would lack members that it has.
func (r *reading) complete(ctx context.Context, s *scope, records []record) error {
	for i := range records {
		rec := &records[i]
		if !rec.partial {
			continue
		}
		rec.partial = false
		var e *ldap.Entry
		var err error
		for n := 0; n < mostReads && e == nil && err == nil; n++ {
			e, err = r.whole(ctx, s, rec.DN)
		}
		switch {
		case err != nil:
			return err
		case e == nil:
			rec.blame(fmt.Sprintf("it has more values than the server gives at once, and it changed during each of %d "+
				"reads, or was moved or deleted meanwhile: the next run reads it again", mostReads))
		default:
			*rec = r.record(newDecoder(s, r.dir.about().types), e)
		}
	}
	return nil
}

// whole reads one entry with all values. It returns nil if the entry changed meanwhile, or is no longer there.
func (r *reading) whole(ctx context.Context, s *scope, dn string) (*ldap.Entry, error) {
	e, err := r.base(ctx, dn, s.filter, s.attrs)
	if err != nil || e == nil {
		return nil, err
	}
	for _, a := range e.Attributes {
		name, next, last, ok := parseRange(a.Name)
		if !ok {
			continue
		}
		a.Name = name
		for !last {
			more, err := r.base(ctx, dn, "(objectClass=*)", []string{fmt.Sprintf("%s;range=%d-*", name, next)})
			if err != nil || more == nil {
				return nil, err
			}
			if !slices.Equal(valuesOf(more, usnChanged), valuesOf(e, usnChanged)) {
				return nil, nil
			}
			start := next
			for _, part := range more.Attributes {
				if base, to, end, ok := parseRange(part.Name); ok && strings.EqualFold(base, name) {
					a.Values, a.ByteValues = slices.Concat(a.Values, part.Values), slices.Concat(a.ByteValues,
						part.ByteValues)
					next, last = to, end
				}
			}
			if !last && next <= start {
				return nil, fault.Errorf(fault.Unavailable, "read %s of %s on %s: the server gave the first %d values "+
					"and not the rest", name, dn, r.dir, start)
			}
		}
	}
	return e, nil
}

// base reads one entry, and the number of its last change. It returns nil if the entry is not there.
func (r *reading) base(ctx context.Context, dn, filter string, attrs []string) (*ldap.Entry, error) {
	var out *ldap.Entry
	req := request{base: dn, scope: ldap.ScopeBaseObject, filter: filter,
		attrs: append(slices.Clone(attrs), usnChanged)}
	err := r.search(ctx, req, func(e *ldap.Entry) error {
		out = &ldap.Entry{DN: e.DN}
		for _, a := range e.Attributes { // They are those of the next entry, too.
			kept := ldap.EntryAttribute{Name: a.Name, Values: a.Values, ByteValues: a.ByteValues}
			out.Attributes = append(out.Attributes, &kept)
		}
		return nil
	})
	if ldap.IsErrorWithCode(err, ldap.LDAPResultNoSuchObject) {
		return nil, nil
	}
	return out, err
}
