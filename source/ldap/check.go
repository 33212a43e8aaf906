package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/fault"
)

// Report is what Check found out about one server or file.
type Report struct {
	// Server is the URI; Family, Vendor and Version are what it says about itself.
	Server, Family, Vendor, Version string
	// TLS is the version of the protocol in use, or empty.
	TLS string
	// Contexts are the naming contexts that the server holds.
	Contexts []string
	// Paging reports whether the server announces paged results.
	Paging bool
	// Users and Groups are what the first page of each search has.
	Users, Groups Sample
	// Warnings are questionable. Problems make a sync fail, or come to nothing.
	Warnings, Problems []string
}

// Sample is one kind of entry as its first page shows it.
type Sample struct {
	// Searched is false where the kind is not read at all.
	Searched bool
	// Count is how many entries the page has; More says that others follow.
	Count int
	More  bool
	// Unusable is how many of them have no usable unique id.
	Unusable int
	// Disabled is how many of them are disabled accounts.
	Disabled int
	// BuiltIn is how many further entries are left out as parts of Active Directory.
	BuiltIn int
	// Example is the DN of the first.
	Example string
	// Entries are those that can be used, without the members of groups.
	Entries []directory.Entry
}

// Check connects to each server in turn, binds and reads the first page of both searches. It returns a report for every
// server that it reached. The error joins the errors of the others and the problems of all: a sync would fail on them.
func (s *Source) Check(ctx context.Context) ([]Report, error) {
	var reports []Report
	var errs []error
	for _, srv := range s.servers {
		report, err := s.checkServer(ctx, srv)
		if err != nil {
			errs = append(errs, fmt.Errorf("source %s: %w", s.cfg.Slug, err))
			continue
		}
		report.Warnings = append(slices.Clone(s.warnings), report.Warnings...)
		reports = append(reports, *report)
		for _, problem := range report.Problems {
			errs = append(errs, fault.Errorf(fault.Invalid, "source %s: %s: %s", s.cfg.Slug, srv, problem))
		}
	}
	return reports, errors.Join(errs...)
}

func (s *Source) checkServer(ctx context.Context, srv server) (*Report, error) {
	report := &Report{Server: srv.String(), Family: string(unknownFamily)}
	var dir searcher
	if srv.scheme == "file" {
		f, err := openFile(ctx, srv.path)
		if err != nil {
			return nil, err
		}
		dir = f
	} else {
		se, err := s.connectTo(ctx, srv)
		if err != nil {
			return nil, err
		}
		dir = se
		report.describe(se)
		if err := s.checkSchema(ctx, se); err != nil {
			se.close()
			return nil, err
		}
	}
	defer dir.close()
	s, err := s.rooted(dir.about())
	if err != nil {
		return nil, err
	}
	r, err := newReading(ctx, s, dir, directory.Query{})
	if err != nil {
		return nil, err
	}
	c := checking{reading: r, report: report, have: map[string]bool{}}
	return report, c.run(ctx)
}

// checkSchema reads the server's schema. Active Directory's is large and takes long, so it is asked for the
// attributes of the configuration alone.
func (s *Source) checkSchema(ctx context.Context, se *session) error {
	_, container, ok := strings.Cut(se.root.subschema, ",") // CN=Aggregate,CN=Schema,…
	if se.root.family != activeDirectory || !ok {
		return se.readSchema(ctx)
	}
	filter := anyOf("lDAPDisplayName", s.configured(),
		func(attr string) (string, error) { return ldap.EscapeFilter(attr), nil })
	types := &schema{kinds: map[string]*attributeKind{}, complete: true}
	values, err := valuesAt(ctx, se, request{base: container, scope: ldap.ScopeSingleLevel, filter: filter,
		attrs: []string{"lDAPDisplayName"}, paged: true})
	for _, v := range values {
		kind := standardSchema.kind(string(v))
		if kind == nil {
			kind = &attributeKind{names: []string{string(v)}}
		}
		types.kinds[strings.ToLower(string(v))] = kind
	}
	if len(values) > 0 {
		se.root.types = types
	}
	return err
}

// configured returns the attributes that the configuration names, as the server knows them.
func (s *Source) configured() []string {
	names := slices.Concat(s.mapped, s.group.members, s.user.members,
		[]string{s.user.unique.attr, s.group.unique.attr, s.cfg.UserNameField})
	for _, filter := range []string{s.user.filter, s.group.filter} {
		if packet, err := ldap.CompileFilter(filter); err == nil {
			walkFilter(packet, func(attr, _ string) { names = append(names, attr) })
		}
	}
	for i, name := range names {
		names[i], _, _ = strings.Cut(preferred(name), ";")
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

func (r *Report) describe(se *session) {
	r.Family, r.Vendor, r.Version = string(se.root.family), se.root.vendor, se.root.version
	r.Contexts = se.root.contexts
	r.Paging = se.root.supports(ldap.ControlTypePaging)
	if conn, ok := se.raw.Conn.(*tls.Conn); ok {
		r.TLS = tls.VersionName(conn.ConnectionState().Version)
	}
	if !r.Paging {
		r.warn("the server does not announce paged results: everything comes in one answer, or not at all")
	}
}

func (r *Report) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

func (r *Report) fail(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// checking is the check of one server under way. It reads as a sync does, the first page of each kind.
type checking struct {
	*reading
	report *Report
	// have are the keys of the attributes that some entry of the samples has; claims are users that name a group.
	have   map[string]bool
	claims []claim
}

func (c *checking) run(ctx context.Context) error {
	for _, s := range c.scopes() {
		if !s.enabled {
			continue
		}
		out := &c.report.Users
		if s.kind == directory.Group {
			out = &c.report.Groups
		}
		if err := c.sample(ctx, s, out); err != nil {
			return err
		}
	}
	c.names()
	return c.judgeBacklinks(ctx)
}

// identifiers are the unique ids that directories have, by family.
var identifiers = []string{"entryUUID", "objectGUID", "ipaUniqueID", "nsUniqueId"}

// groupMemberships are the attributes of groups that have their members, and userMemberships those of users that have
// their groups.
var (
	groupMemberships = []string{"member", "uniqueMember", "memberUid"}
	userMemberships  = []string{"memberOf", "groupMembership"}
)

// page is what the first page of a search has.
type page struct {
	records []record
	have    map[string]int // by identifier
	classes map[string]int // by object class, in lower case
	builtin []string       // DNs of groups with isCriticalSystemObject
}

// sample reads a first page. It asks for the identifiers and memberships of all families, to say which ones the entries
// have.
func (c *checking) sample(ctx context.Context, s *scope, out *Sample) error {
	out.Searched = true
	wide, memberships := *s, userMemberships
	if s.kind == directory.Group {
		memberships = groupMemberships
	}
	wide.attrs = slices.Concat(s.attrs, identifiers, []string{"objectClass"}, builtInMarks, memberships)
	d := newDecoder(&wide, c.dir.about().types)
	p := page{have: map[string]int{}, classes: map[string]int{}}
	req := request{base: s.base, scope: ldap.ScopeWholeSubtree, filter: s.filter, attrs: wide.attrs, paged: true,
		sample: &out.More}
	err := c.dir.search(ctx, req, func(e *ldap.Entry) error {
		for _, attr := range identifiers {
			p.have[attr] += min(1, len(e.GetEqualFoldRawAttributeValues(attr)))
		}
		for _, attr := range memberships {
			if len(e.GetEqualFoldRawAttributeValues(attr)) > 0 {
				c.have[d.types.key(attr)] = true
			}
		}
		for _, class := range e.GetEqualFoldAttributeValues("objectClass") {
			p.classes[strings.ToLower(class)]++
		}
		if !s.leaveBuiltIn && isBuiltIn(e) {
			p.builtin = append(p.builtin, e.DN)
		}
		rec := c.record(d, e)
		if rec.builtIn {
			out.BuiltIn++
			return nil
		}
		c.claim(&rec)
		if rec.ID != "" && rec.problem == "" {
			out.Entries = append(out.Entries, rec.Entry)
		}
		rec.values, rec.Attributes = nil, nil
		p.records = append(p.records, rec)
		return nil
	})
	if err != nil {
		return err
	}
	for i, attr := range d.asked {
		if d.counts[i] > 0 {
			c.have[d.types.key(attr)] = true
		}
	}
	out.count(p.records)
	if err := c.visible(d); err != nil {
		c.report.fail("%v", err)
	}
	c.judgeIDs(s, out, &p)
	c.judgeValues(s, p.records)
	c.judgeScope(s, out, &p)
	if err := c.judgeActivity(ctx, s, p.records); err != nil {
		return err
	}
	return c.judgeFilter(ctx, s, out)
}

func (out *Sample) count(records []record) {
	out.Count = len(records)
	for i := range records {
		if i == 0 {
			out.Example = records[i].DN
		}
		switch {
		case records[i].ID == "":
			out.Unusable++
		case !records[i].Active:
			out.Disabled++
		}
	}
}

// judgeIDs reports entries without a unique id, and entries that share one.
func (c *checking) judgeIDs(s *scope, out *Sample, p *page) {
	if out.Unusable > 0 {
		better := "no other identifier that is known is on all of them"
		// What the family is known for goes before what merely happens to be there.
		for _, attr := range slices.Concat([]string{family(c.report.Family).uniqueness()}, identifiers) {
			if p.have[attr] == out.Count {
				better = attr + " is on all of them"
				break
			}
		}
		say := c.report.warn
		if out.Unusable == out.Count {
			say = c.report.fail
		}
		at := slices.IndexFunc(p.records, func(rec record) bool { return rec.ID == "" })
		say("%d of %d %ss have no usable %s, such as %s: %s", out.Unusable, out.Count, s.kind, s.unique.attr,
			p.records[at].DN, better)
	}
	seen := map[string]record{}
	for _, rec := range p.records {
		first, taken := seen[rec.key]
		if taken && rec.ID != "" && first.norm != rec.norm {
			c.report.fail("the %ss %s and %s share the unique id %q: neither can be synced; make %s unique", s.kind,
				first.DN,
				rec.DN, rec.ID, s.unique.attr)
		}
		seen[rec.key] = rec
	}
}

// judgeValues names the first entries that a sync would hold.
func (c *checking) judgeValues(s *scope, records []record) {
	const most = 5
	n := 0
	for _, rec := range records {
		if rec.ID == "" || rec.problem == "" {
			continue
		}
		if n++; n <= most {
			c.report.warn("the %s %s will be held: %s", s.kind, rec.DN, rec.problem)
		}
	}
	if n > most {
		c.report.warn("%d more %ss will be held for such reasons", n-most, s.kind)
	}
}

// judgeActivity reports an attribute that decides whether a user is active, and that the account may not see of the
// first user. Where it is hidden, disabled people are active.
func (c *checking) judgeActivity(ctx context.Context, s *scope, records []record) error {
	at := slices.IndexFunc(records, func(rec record) bool { return rec.ID != "" && rec.Active })
	_, online := c.dir.(*session)
	about := c.dir.about()
	if s.kind != directory.User || at < 0 || !online || about.domain || !about.types.complete {
		return nil
	}
	return c.unseen(ctx, []directory.Ref{records[at].Ref()}, func(_ directory.Ref, dn, attr string) {
		c.report.warn("the bind account may not see whether %s has %s, so that disabled people would count as active: "+
			"grant the account the right to read and search that attribute", dn, attr)
	})
}

// judgeScope counts what is usually not meant to be in scope.
func (c *checking) judgeScope(s *scope, out *Sample, p *page) {
	if out.Count == 0 {
		c.report.warn("no %ss below %s match %s", s.kind, s.base, s.filter)
	}
	proper := families[family(c.report.Family)]
	for _, class := range []string{"computer", "contact", "msds-groupmanagedserviceaccount"} {
		if n := p.classes[class]; n > 0 && s.kind == directory.User {
			c.report.warn("%d of %d users are of the class %s, which are no people: use user_object_filter: %s", n,
				out.Count,
				class, families[activeDirectory].user)
		}
	}
	if n := len(p.builtin); n > 0 && s.kind == directory.Group {
		c.report.warn("%d of %d groups are built into Active Directory, such as %s: leave them out with "+
			"group_object_filter: %s", n, out.Count, p.builtin[0], proper.group)
	}
}
