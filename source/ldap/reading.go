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
	// user and group are the source's, as this directory's schema and family have them.
	user, group scope
	// known are the IDs that the caller knows, by kind and key.
	known    map[directory.Kind]map[string]directory.ID
	position directory.Position

	users, groups []record
	// held are records with a known ID that cannot be used. Members still refer to them.
	held     []record
	absent   []directory.Ref
	findings []directory.Finding
	coverage []directory.Coverage
	notes    []string
	left     leftOut
	// builtIn counts what was left out as a part of Active Directory.
	builtIn map[directory.Kind]int
	// primaries are users who were read for their primary group alone.
	primaries []record
	// named are users who were read for the groups that they name alone. belongs has the groups of the users that were
	// read by their ids.
	named   backlinks
	belongs map[directory.Ref][]directory.Ref
}

// newReading prepares a read: it finds out how far the server is, and reads its schema where attributes are used that
// the standard schemas do not have.
func newReading(ctx context.Context, s *Source, dir searcher, q directory.Query) (*reading, error) {
	r := &reading{src: s, dir: dir, now: s.opts.now(), user: s.user, group: s.group,
		known:   map[directory.Kind]map[string]directory.ID{},
		builtIn: map[directory.Kind]int{}}
	if place, ok := dir.(interface {
		position(ctx context.Context, base string) (directory.Position, error)
	}); ok {
		var err error
		if r.position, err = place.position(ctx, s.cfg.BaseDN); err != nil {
			return nil, err
		}
	}
	if se, ok := dir.(*session); ok {
		if se.root.family != activeDirectory && slices.ContainsFunc(r.scopes(), (*scope).special) {
			if err := se.readSchema(ctx); err != nil {
				return nil, err
			}
		}
	}
	if !r.position.IsZero() {
		r.notes = append(r.notes, "read from "+r.position.String())
	}
	root := dir.about()
	for _, sc := range r.scopes() {
		sc.unique = s.cfg.identifier(sc.unique.attr, root.types)
		switch root.family {
		case activeDirectory:
			sc.attrs = append(slices.Clone(sc.attrs), "objectClass")
		case openLDAP:
		default:
			sc.attrs = append(slices.Clone(sc.attrs), conflictAttribute)
		}
	}
	if err := r.checkBacklinks(); err != nil {
		return nil, err
	}
	return r, r.remember(ctx, q)
}

// remember keeps the known IDs of the kinds with several spellings of an ID.
func (r *reading) remember(ctx context.Context, q directory.Query) error {
	var refs []directory.Ref
	if q.Known != nil && (r.user.unique.ignoreCase || r.group.unique.ignoreCase) {
		var err error
		if refs, err = q.Known(ctx); err != nil {
			return err
		}
	}
	for _, ref := range slices.Concat(refs, q.Refs) {
		sc := r.scope(ref.Kind)
		if !sc.unique.ignoreCase {
			continue
		}
		if r.known[ref.Kind] == nil {
			r.known[ref.Kind] = map[string]directory.ID{}
		}
		r.known[ref.Kind][sc.unique.key(ref.ID)] = ref.ID
	}
	return nil
}

// scopes returns both kinds, users first.
func (r *reading) scopes() []*scope { return []*scope{&r.user, &r.group} }

func (r *reading) scope(kind directory.Kind) *scope {
	if kind == directory.Group {
		return &r.group
	}
	return &r.user
}

// record decodes an entry and gives it the ID under which it is known.
func (r *reading) record(d *decoder, e *ldap.Entry) record {
	rec := d.record(e, r.now)
	rec.ID = r.spelled(rec.Kind, rec.ID, rec.key)
	return rec
}

// spelled returns the known ID that is equal to one by the attribute's matching rule, else the ID itself.
func (r *reading) spelled(kind directory.Kind, id directory.ID, key string) directory.ID {
	if known, ok := r.known[kind][key]; ok && id != "" {
		return known
	}
	return id
}

// search searches and tells how far it came.
func (r *reading) search(ctx context.Context, req request, each func(*ldap.Entry) error) error {
	if r.src.opts.Progress == nil {
		return r.dir.search(ctx, req, each)
	}
	r.src.opts.Progress()
	n := 0
	return r.dir.search(ctx, req, func(e *ldap.Entry) error {
		if n++; n%1000 == 0 {
			r.src.opts.Progress()
		}
		return each(e)
	})
}

// all reads everything in scope.
func (r *reading) all(ctx context.Context) error {
	for _, s := range r.scopes() {
		if !s.enabled {
			continue
		}
		records, err := r.scan(ctx, s, s.filter)
		if err != nil {
			return err
		}
		nameless := 0
		for _, f := range r.findings {
			if f.Kind == s.kind && f.ID == "" {
				nameless++
			}
		}
		held := slices.ContainsFunc(r.held, func(h record) bool { return h.Kind == s.kind })
		if nameless > 0 && len(records) == 0 && !held {
			return r.noIdentifier(s, nameless)
		}
		r.keep(s, records)
	}
	return r.resolveAll(ctx)
}

// noIdentifier is the error for a kind of which no entry can be used: that is a configuration, not an entry.
func (r *reading) noIdentifier(s *scope, n int) error {
	problem := r.findings[len(r.findings)-1]
	hint := "set object_uniqueness_field to an attribute that the entries have: objectGUID for Active Directory, " +
		"ipaUniqueID for FreeIPA, nsUniqueId for 389, entryUUID for OpenLDAP"
	if _, file := r.dir.(*file); file {
		hint = "export operational attributes too, for example with: ldapsearch -LLL … '*' '+'"
	}
	return fault.Errorf(fault.Invalid, "read %s: none of the %d %ss found can be used: %s (%s): %s", r.dir, n, s.kind,
		problem.Problem, problem.DN, hint)
}

func (r *reading) keep(s *scope, records []record) {
	if s.kind == directory.User {
		r.users = records
		return
	}
	r.groups = records
}

// scan searches one scope and returns its usable records, sorted by ID. The others become findings.
func (r *reading) scan(ctx context.Context, s *scope, filter string) ([]record, error) {
	d := newDecoder(s, r.dir.about().types)
	var records []record
	var incomplete bool
	req := request{base: s.base, scope: ldap.ScopeWholeSubtree, filter: filter, attrs: s.attrs, paged: true}
	err := r.search(ctx, req, func(e *ldap.Entry) error {
		rec := r.record(d, e)
		if rec.builtIn {
			r.builtIn[s.kind]++
			return nil
		}
		if rec.ID == "" {
			r.find(&rec, rec.problem)
			return nil
		}
		incomplete = incomplete || rec.partial
		if len(records) == cap(records) { // append would grow it by a quarter, and copy it fifteen times.
			records = slices.Grow(records, max(100, len(records)))
		}
		records = append(records, rec)
		return nil
	})
	if err == nil {
		err = r.visible(d)
	}
	if err == nil && incomplete {
		err = r.complete(ctx, s, records)
	}
	if err != nil {
		return nil, err
	}
	if filter == s.filter {
		r.coverage = append(r.coverage, d.coverage()...)
	}
	return r.usable(records), nil
}

// visible fails a read in which accounts of Active Directory lack an attribute that decides whether they are
// active. The server gives both to every account, so the bind account may not read them, and every account would
// count as active. The same holds for an export from Active Directory.
func (r *reading) visible(d *decoder) error {
	_, export := r.dir.(*file)
	if d.scope.kind != directory.User || !r.dir.about().domain && r.src.cfg.Preset != PresetActiveDirectory &&
		(!export || !strings.EqualFold(d.scope.unique.attr, "objectGUID")) {
		return nil
	}
	account := r.src.cfg.BindCN
	account = cmp.Or(account, "an anonymous client")
	way := account + " may not read it. Grant it the right to read the property set \"Account Restrictions\" of user " +
		"objects (or membership in \"Pre-Windows 2000 Compatible Access\")"
	if export {
		way = "the export leaves it out, or the account that made it may not read it. Export again with this attribute"
	}
	for i, n := range d.hidden {
		if n > 0 {
			return fault.Errorf(fault.Denied, "read users on %s: %d of %d accounts have no %s, which Active Directory "+
				"gives to each of them: %s", r.dir, n, d.users, activityAttributes[i], way)
		}
	}
	return nil
}

func (r *reading) find(rec *record, problem string) {
	f := directory.Finding{Ref: rec.Ref(), DN: rec.DN, Problem: problem}
	if label := rec.Label(); label != string(rec.ID) {
		f.Label = label
	}
	if rec.ID == "" {
		f.Attributes = rec.Attributes
	}
	r.findings = append(r.findings, f)
}

// usable sorts records by ID and sets aside those that have a problem or share an ID: which of them is the known one
// cannot be told. An entry that the server gave twice is one entry.
func (r *reading) usable(records []record) []record {
	slices.SortStableFunc(records, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.norm, b.norm))
	})
	records = slices.CompactFunc(records, func(a, b record) bool { return a.key == b.key && a.norm == b.norm })
	out := records[:0]
	for i := 0; i < len(records); {
		end := i + 1
		for end < len(records) && records[end].key == records[i].key {
			end++
		}
		switch rec := records[i]; {
		case end > i+1:
			r.shared(records[i:end])
		case rec.problem != "":
			r.find(&rec, rec.problem)
			r.held = append(r.held, rec)
		default:
			out = append(out, rec)
		}
		i = end
	}
	clear(records[len(out):])
	slices.SortFunc(out, func(a, b record) int { return cmp.Compare(a.ID, b.ID) })
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
		r.find(&rec, fmt.Sprintf("it shares its unique id with %s: make object_uniqueness_field unique, or read again "+
			"if the entry was moved just now", strings.Join(others, " and ")))
		r.held = append(r.held, rec)
	}
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
		Entries: entries, Absent: r.absent, Findings: r.findings, Notes: r.notes,
		Referrals: r.dir.referrals(),
		Coverage:  r.coverage, Position: r.position, Belongs: r.belongs,
	}
}
