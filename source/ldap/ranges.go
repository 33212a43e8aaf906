package ldap

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/fault"
)

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
			rec.blame(fmt.Sprintf("it has more values than the server gives at once, and it changed during each of %d reads, "+
				"or was moved or deleted meanwhile: the next run reads it again", mostReads))
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
					a.Values, a.ByteValues = slices.Concat(a.Values, part.Values), slices.Concat(a.ByteValues, part.ByteValues)
					next, last = to, end
				}
			}
			if !last && next <= start {
				return nil, fault.Errorf(fault.Unavailable, "read %s of %s on %s: the server gave the first %d values and not "+
					"the rest", name, dn, r.dir, start)
			}
		}
	}
	return e, nil
}

// base reads one entry, and the number of its last change. It returns nil if the entry is not there.
func (r *reading) base(ctx context.Context, dn, filter string, attrs []string) (*ldap.Entry, error) {
	var out *ldap.Entry
	req := request{base: dn, scope: ldap.ScopeBaseObject, filter: filter, attrs: append(slices.Clone(attrs), usnChanged)}
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
