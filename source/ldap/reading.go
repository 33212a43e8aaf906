package ldap

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/fault"
)

// reading is one Read under way.
type reading struct {
	src *Source
	dir searcher
	now time.Time

	users, groups []record
	// held are records that were seen under an ID that is not theirs alone. Members still refer to them.
	held     []record
	absent   []directory.Ref
	findings []directory.Finding
	doubts   []string
	notes    []string
}

func newReading(s *Source, dir searcher) *reading {
	return &reading{src: s, dir: dir, now: s.now()}
}

// search searches and tells how far it came.
func (r *reading) search(ctx context.Context, req request, each func(*ldap.Entry) error) error {
	if r.src.progress == nil {
		return r.dir.search(ctx, req, each)
	}
	r.src.progress()
	n := 0
	return r.dir.search(ctx, req, func(e *ldap.Entry) error {
		if n++; n%1000 == 0 {
			r.src.progress()
		}
		return each(e)
	})
}

// all reads everything in scope.
func (r *reading) all(ctx context.Context) error {
	for _, s := range []*scope{&r.src.user, &r.src.group} {
		if !s.enabled {
			continue
		}
		missing := len(r.findings)
		records, err := r.scan(ctx, s, s.filter)
		if err != nil {
			return err
		}
		missing = len(r.findings) - missing
		if missing > 0 && len(records) == 0 && !slices.ContainsFunc(r.held, func(h record) bool { return h.Kind == s.kind }) {
			return r.noIdentifier(s, missing)
		}
		r.keep(s, records)
		if missing > 0 {
			r.doubts = append(r.doubts, fmt.Sprintf("%d of the %ss that were read cannot be told from others (see the findings): someone we know may be among them", missing, s.kind))
		}
	}
	return r.resolveAll(ctx)
}

// noIdentifier is the error for a kind of which no entry can be used: that is a configuration, not an entry.
func (r *reading) noIdentifier(s *scope, n int) error {
	problem := r.findings[len(r.findings)-1]
	hint := "set object_uniqueness_field to an attribute that the entries have: objectGUID for Active Directory, ipaUniqueID for FreeIPA, nsUniqueId for 389, entryUUID for OpenLDAP"
	if _, file := r.dir.(*file); file {
		hint = "export operational attributes too, for example with: ldapsearch -LLL … '*' '+'"
	}
	return fault.Errorf(fault.Invalid, "read %s: none of the %d %ss found can be used: %s (%s): %s", r.dir, n, s.kind, problem.Problem, problem.DN, hint)
}

func (r *reading) keep(s *scope, records []record) {
	if s.kind == directory.User {
		r.users = records
		return
	}
	r.groups = records
}

// scan searches one scope and returns its usable records, sorted by ID.
func (r *reading) scan(ctx context.Context, s *scope, filter string) ([]record, error) {
	d := newDecoder(s)
	var records []record
	var incomplete bool
	req := request{base: s.base, scope: ldap.ScopeWholeSubtree, filter: filter, attrs: s.attrs, paged: true}
	err := r.search(ctx, req, func(e *ldap.Entry) error {
		rec, problem := d.record(e, r.now)
		if problem != "" {
			r.find(s.kind, rec.ID, rec.DN, problem)
			return nil
		}
		incomplete = incomplete || len(rec.rest) > 0
		records = append(records, rec)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if incomplete {
		if err := r.complete(ctx, d, records); err != nil {
			return nil, err
		}
	}
	return r.distinct(records), nil
}

func (r *reading) find(kind directory.Kind, id directory.ID, dn, problem string) {
	r.findings = append(r.findings, directory.Finding{Ref: directory.Ref{Kind: kind, ID: id}, DN: dn, Problem: problem})
}

// distinct sorts records by ID and sets aside those that share one: which of them we know cannot be told.
func (r *reading) distinct(records []record) []record {
	slices.SortStableFunc(records, func(a, b record) int { return cmp.Compare(a.ID, b.ID) })
	out := records[:0]
	for i := 0; i < len(records); {
		end := i + 1
		for end < len(records) && records[end].ID == records[i].ID {
			end++
		}
		if end == i+1 {
			out = append(out, records[i])
			i = end
			continue
		}
		r.shared(records[i:end])
		i = end
	}
	clear(records[len(out):])
	return out
}

func (r *reading) shared(same []record) {
	for i, rec := range same {
		others := make([]string, 0, len(same)-1)
		for j := range same {
			if j != i {
				others = append(others, same[j].DN)
			}
		}
		r.find(rec.Kind, rec.ID, rec.DN, fmt.Sprintf("it shares its unique id with %s: make object_uniqueness_field unique, or read again if the entry was moved just now", strings.Join(others, " and ")))
		r.held = append(r.held, rec)
	}
}

// complete fetches what range retrieval left out.
func (r *reading) complete(ctx context.Context, d *decoder, records []record) error {
	for i := range records {
		for _, p := range records[i].rest {
			values, err := r.remainder(ctx, records[i].DN, p)
			if err != nil {
				return err
			}
			d.extend(&records[i], p.name, values)
		}
		records[i].rest = nil
	}
	return nil
}

// remainder fetches the values of one attribute from p.next on.
func (r *reading) remainder(ctx context.Context, dn string, p partial) ([][]byte, error) {
	var values [][]byte
	for last := false; !last; {
		found, start := false, p.next
		req := request{base: dn, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attrs: []string{fmt.Sprintf("%s;range=%d-*", p.name, p.next)}}
		err := r.search(ctx, req, func(e *ldap.Entry) error {
			for _, a := range e.Attributes {
				base, next, end, ok := parseRange(a.Name)
				if !ok || !strings.EqualFold(base, p.name) {
					continue
				}
				values = append(values, a.ByteValues...)
				found, p.next, last = true, next, end
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if !found || !last && p.next <= start {
			return nil, fault.Errorf(fault.Unavailable, "read %s of %s on %s: the server gave the first %d values and not the rest", p.name, dn, r.dir, start)
		}
	}
	return values, nil
}

// snapshot puts the results together.
func (r *reading) snapshot() directory.Snapshot {
	entries := make([]directory.Entry, 0, len(r.users)+len(r.groups))
	for _, records := range [][]record{r.users, r.groups} {
		for i := range records {
			e := records[i].Entry
			e.Source = r.src.cfg.Slug
			entries = append(entries, e)
		}
	}
	slices.SortFunc(r.findings, func(a, b directory.Finding) int {
		return cmp.Or(a.Ref.Compare(b.Ref), strings.Compare(a.DN, b.DN))
	})
	slices.SortFunc(r.absent, directory.Ref.Compare)
	return directory.Snapshot{
		Entries: entries, Absent: r.absent, Findings: r.findings, Doubts: r.doubts, Notes: r.notes, Referrals: r.dir.referrals(),
	}
}
