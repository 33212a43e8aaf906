package ldap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/fault"
)

// file is an LDIF export (RFC 2849) that is searched as a server would search itself.
type file struct {
	path    string
	entries []fileEntry
	byDN    map[string]int
	refs    []string
}

type fileEntry struct {
	*ldap.Entry
	norm string
	line int
}

var _ searcher = (*file)(nil)

// openFile reads a whole export. The file is read for every Read: exports are replaced while we run.
func openFile(ctx context.Context, path string) (searcher, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.New(fileKind(err), "read LDIF", err)
	}
	defer f.Close()
	before, err := f.Stat()
	if err != nil {
		return nil, fault.New(fault.Unavailable, "read LDIF", err)
	}
	out := &file{path: path, byDN: map[string]int{}}
	if err := out.parse(ctx, f); err != nil {
		return nil, err
	}
	after, err := os.Stat(path)
	if err != nil || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return nil, fault.Errorf(fault.Unavailable, "read LDIF: %s was written while it was read", path)
	}
	slices.Sort(out.refs)
	out.refs = slices.Compact(out.refs)
	return out, nil
}

func fileKind(err error) fault.Kind {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return fault.Denied
	case errors.Is(err, fs.ErrNotExist):
		return fault.Invalid
	}
	return fault.Unavailable
}

// parse reads record by record.
func (f *file) parse(ctx context.Context, r io.Reader) error {
	in, err := newLDIFReader(ctx, r)
	if err != nil {
		return fault.New(fault.Invalid, "", fmt.Errorf("%s: %w", f.path, err))
	}
	for {
		rec, err := in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = f.add(rec)
		}
		switch {
		case ctx.Err() != nil:
			return classify(ctx, "read "+f.String(), ctx.Err())
		case err != nil:
			return fault.New(fault.Invalid, "", fmt.Errorf("%s, record at line %d: %w", f.path, rec.line, err))
		}
	}
}

// add takes one record: an entry, or what ldapsearch writes about its search. The root DSE, which has the empty DN, is
// passed over. An entry that is given twice and is the same both times is one entry.
func (f *file) add(rec ldifRecord) error {
	if handled, err := f.remark(&rec); handled || err != nil {
		return err
	}
	e, err := rec.entry()
	if err != nil || e.DN == "" {
		return err
	}
	norm, err := NormalizeDN(e.DN)
	if err != nil {
		return err
	}
	if at, taken := f.byDN[norm]; taken {
		first := f.entries[at]
		if reflect.DeepEqual(first.Attributes, e.Attributes) {
			return nil
		}
		return fmt.Errorf("the DN %q is that of the record at line %d too, with other values", e.DN, first.line)
	}
	f.byDN[norm] = len(f.entries)
	f.entries = append(f.entries, fileEntry{e, norm, rec.line})
	return nil
}

// remark handles the records with which ldapsearch reports references and the result code of the search, and drops the
// version line, which may stand before the first DN.
func (f *file) remark(rec *ldifRecord) (handled bool, err error) {
	if name, _, _ := strings.Cut(rec.lines[0], ":"); strings.EqualFold(name, "version") {
		rec.lines = rec.lines[1:]
	}
	if len(rec.lines) == 0 {
		return true, nil
	}
	first, _, _ := strings.Cut(strings.ToLower(rec.lines[0]), ":")
	if first != "ref" && first != "search" && first != "result" {
		return false, nil
	}
	for _, line := range rec.lines {
		name, value, err := splitLine(line)
		switch result := string(value); {
		case err != nil:
			return false, err
		case strings.EqualFold(name, "ref"):
			f.refs = append(f.refs, result)
		case strings.EqualFold(name, "result") && result != "0" && result != "0 Success":
			return false, fmt.Errorf("the export is incomplete: ldapsearch ended with result %s", result)
		}
	}
	return true, nil
}

// search implements searcher.
func (f *file) search(ctx context.Context, r request, each func(*ldap.Entry) error) error {
	op := fmt.Sprintf("search %s in %s", r.base, f)
	base, err := NormalizeDN(r.base)
	if err != nil {
		return fault.New(fault.Invalid, op, &resultError{err.Error(),
			&ldap.Error{ResultCode: ldap.LDAPResultInvalidDNSyntax, Err: err}})
	}
	match, err := compileFilter(r.filter)
	if err != nil {
		return fault.New(fault.Invalid, op, fmt.Errorf("%s: %w", r.filter, err))
	}
	if r.scope == ldap.ScopeBaseObject {
		at, ok := f.byDN[base]
		if !ok {
			return noSuchObject(op)
		}
		if match(f.entries[at].Entry) != yes {
			return nil
		}
		return each(f.entries[at].Entry)
	}
	seen, given := false, 0
	for i := range f.entries {
		if i%1024 == 0 && ctx.Err() != nil {
			return classify(ctx, op, ctx.Err())
		}
		if !under(f.entries[i].norm, base) {
			continue
		}
		seen = true
		if match(f.entries[i].Entry) != yes {
			continue
		}
		if given++; r.sample != nil && given > DefaultPageSize {
			*r.sample = true
			return nil
		}
		if err := each(f.entries[i].Entry); err != nil {
			return err
		}
		if r.limit > 0 && given == r.limit {
			return nil
		}
	}
	// An export of people alone lacks the container above them: what is below proves it.
	if !seen {
		return noSuchObject(op)
	}
	return nil
}

func noSuchObject(op string) error {
	return fault.New(fault.Invalid, op, &resultError{
		"nothing in the file is there or below: check base_dn and the additional DNs, or export that part too",
		&ldap.Error{ResultCode: ldap.LDAPResultNoSuchObject, Err: errors.New("no such object")},
	})
}

// about implements searcher.
func (f *file) about() *rootDSE { return fileRoot() }

// referrals implements searcher.
func (f *file) referrals() []string { return slices.Clone(f.refs) }

// String implements searcher.
func (f *file) String() string { return "file://" + f.path }

func (f *file) close() {}
