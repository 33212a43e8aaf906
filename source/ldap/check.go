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
	// Warnings are things that a person should look at.
	Warnings []string
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
	// Example is the DN of the first.
	Example string
}

// Check connects to each server in turn, binds and looks at the first page of both searches. It returns a report for
// every server that it reached, and the errors of the others, joined.
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
	}
	defer dir.close()
	for _, kind := range []struct {
		scope  *scope
		sample *Sample
	}{{&s.user, &report.Users}, {&s.group, &report.Groups}} {
		if !kind.scope.enabled {
			continue
		}
		if err := s.sample(ctx, dir, kind.scope, kind.sample, report); err != nil {
			return nil, err
		}
	}
	return report, nil
}

func (r *Report) describe(se *session) {
	r.Family, r.Vendor, r.Version, r.Contexts = string(se.root.family), se.root.vendor, se.root.version, se.root.contexts
	r.Paging = se.root.supports(ldap.ControlTypePaging)
	if conn, ok := se.raw.Conn.(*tls.Conn); ok {
		r.TLS = tls.VersionName(conn.ConnectionState().Version)
	}
	if !r.Paging {
		r.Warnings = append(r.Warnings, "the server does not announce paged results: everything comes in one answer, or not at all")
	}
}

// identifiers are the unique ids that directories have, by family.
var identifiers = []string{"entryUUID", "objectGUID", "ipaUniqueID", "nsUniqueId"}

// sample looks at a first page. It asks for the other families' identifiers too, to say which one the entries have.
func (s *Source) sample(ctx context.Context, dir searcher, sc *scope, out *Sample, report *Report) error {
	out.Searched = true
	wide := *sc
	wide.attrs = slices.Concat(sc.attrs, identifiers, []string{"objectClass"})
	d := newDecoder(&wide, dir.about().types)
	have, computers := map[string]int{}, 0
	req := request{base: sc.base, scope: ldap.ScopeWholeSubtree, filter: sc.filter, attrs: wide.attrs, paged: true, sample: &out.More}
	err := dir.search(ctx, req, func(e *ldap.Entry) error {
		if out.Count++; out.Count == 1 {
			out.Example = e.DN
		}
		for _, attr := range identifiers {
			have[attr] += min(1, len(e.GetEqualFoldRawAttributeValues(attr)))
		}
		if slices.ContainsFunc(e.GetEqualFoldAttributeValues("objectClass"), func(c string) bool { return strings.EqualFold(c, "computer") }) {
			computers++
		}
		switch rec := d.record(e, s.now()); {
		case rec.problem != "":
			out.Unusable++
		case !rec.Active:
			out.Disabled++
		}
		return nil
	})
	if err == nil {
		report.judge(sc, out, have, computers)
	}
	return err
}

// judge turns what a page shows into warnings.
func (r *Report) judge(sc *scope, out *Sample, have map[string]int, computers int) {
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	if out.Count == 0 {
		warn("no %ss below %s match %s", sc.kind, sc.base, sc.filter)
	}
	if out.Unusable > 0 {
		better := "no other identifier that is known is on all of them"
		// What the family is known for goes before what merely happens to be there.
		for _, attr := range slices.Concat([]string{family(r.Family).uniqueness()}, identifiers) {
			if have[attr] == out.Count {
				better = attr + " is on all of them"
				break
			}
		}
		warn("%d of %d %ss have no usable %s: %s", out.Unusable, out.Count, sc.kind, sc.unique.attr, better)
	}
	if computers > 0 && sc.kind == directory.User {
		warn("%d of %d users are computers: use a filter such as (&(objectCategory=person)(objectClass=user))", computers, out.Count)
	}
}
