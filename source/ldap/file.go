package ldap

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"github.com/go-ldap/ldap/v3"
	"github.com/go-ldap/ldif"

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

// parse reads record by record, so that errors name the line where a record begins.
func (f *file) parse(ctx context.Context, r io.Reader) error {
	in := newLDIFRecords(r)
	text := bufio.NewReader(nil)
	for {
		if err := ctx.Err(); err != nil {
			return classify(ctx, "read "+f.String(), err)
		}
		rec, err := in.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = f.add(rec, text)
		}
		if err != nil {
			return fault.New(fault.Invalid, "", fmt.Errorf("%s, record at line %d: %w", f.path, rec.line, err))
		}
	}
}

// add takes one record: an entry, or what ldapsearch writes about its search.
func (f *file) add(rec ldifRecord, text *bufio.Reader) error {
	if handled, err := f.remark(rec); handled || err != nil {
		return err
	}
	text.Reset(bytes.NewReader(rec.text()))
	var l ldif.LDIF
	if err := ldif.Unmarshal(text, &l); err != nil {
		if parse, ok := errors.AsType[*ldif.ParseError](err); ok {
			return errors.New(parse.Message)
		}
		return err
	}
	for _, e := range l.Entries {
		if e.Entry == nil {
			return errors.New("it is a change, not an entry: an export of entries is needed (ldapsearch -LLL, slapcat); where every record is an added entry, as ldifde writes them, remove the changetype lines")
		}
		norm, err := NormalizeDN(e.Entry.DN)
		if err != nil {
			return err
		}
		if first, taken := f.byDN[norm]; taken {
			return fmt.Errorf("the DN %q is that of the record at line %d too", e.Entry.DN, f.entries[first].line)
		}
		f.byDN[norm] = len(f.entries)
		f.entries = append(f.entries, fileEntry{e.Entry, norm, rec.line})
	}
	return nil
}

// remark handles the records with which ldapsearch reports references and the result code of the search.
func (f *file) remark(rec ldifRecord) (handled bool, err error) {
	if len(rec.lines) == 0 {
		return true, nil
	}
	name, _ := splitLine(rec.lines[0])
	switch name {
	case "ref":
		for _, line := range rec.lines {
			if name, value := splitLine(line); name == "ref" {
				f.refs = append(f.refs, value)
			}
		}
		return true, nil
	case "search", "result":
		for _, line := range rec.lines {
			if name, value := splitLine(line); name == "result" && value != "0" && value != "0 Success" {
				return false, fmt.Errorf("the export is incomplete: ldapsearch ended with result %s", value)
			}
		}
		return true, nil
	}
	return false, nil
}

// search implements searcher.
func (f *file) search(ctx context.Context, r request, each func(*ldap.Entry) error) error {
	op := fmt.Sprintf("search %s in %s", r.base, f)
	base, err := NormalizeDN(r.base)
	if err != nil {
		return fault.New(fault.Invalid, op, &resultError{err.Error(), &ldap.Error{ResultCode: ldap.LDAPResultInvalidDNSyntax, Err: err}})
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

// contexts implements searcher.
func (f *file) contexts() []string { return []string{""} }

// referrals implements searcher.
func (f *file) referrals() []string { return slices.Clone(f.refs) }

// String implements searcher.
func (f *file) String() string { return "file://" + f.path }

func (f *file) close() {}
