package ldap

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"golang.org/x/text/encoding/unicode"

	"rollcall/fault"
)

// file is an LDIF export (RFC 2849) that is searched as a server would search itself.
type file struct {
	path    string
	entries []fileEntry
	byDN    dnIndex[int]
	refs    []string
}

type fileEntry struct {
	*ldap.Entry
	// norm is the normalised DN; "" for one that cannot be read. Such an entry may be anywhere.
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
	out := &file{path: path, byDN: newDNIndex[int](0)}
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
// passed over, and so is a deleted entry. An entry that is given twice and is the same both times is one entry.
func (f *file) add(rec ldifRecord) error {
	if handled, err := f.remark(&rec); handled || err != nil {
		return err
	}
	e, err := rec.entry()
	if err != nil || e.DN == "" || tombstone(e) {
		return err
	}
	key, err := closeDN(e.DN)
	if err != nil { // The entry is held: see decoder.record.
		f.entries = append(f.entries, fileEntry{e, "", rec.line})
		return nil
	}
	if at, taken := f.byDN.close[key]; taken {
		first := f.entries[at]
		if reflect.DeepEqual(first.Attributes, e.Attributes) {
			return nil
		}
		return fmt.Errorf("the DN %q is that of the record at line %d too, with other values", e.DN, first.line)
	}
	norm := looseDN(key)
	f.byDN.add(key, norm, len(f.entries))
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
		key, _ := closeDN(r.base)
		at, ok, _ := f.byDN.find(key)
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
		lost := f.entries[i].norm == ""
		if !lost && !under(f.entries[i].norm, base) {
			continue
		}
		seen = seen || !lost
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

// about implements searcher. A file has no root DSE.
func (f *file) about() *rootDSE {
	return &rootDSE{family: unknownFamily, contexts: []string{""}, types: standardSchema}
}

// referrals implements searcher.
func (f *file) referrals() []string { return slices.Clone(f.refs) }

// String implements searcher.
func (f *file) String() string { return "file://" + f.path }

func (f *file) close() {}

// ldifReader reads the records of an export (RFC 2849), so that errors name the line where a record begins. It takes
// time in proportion to the size of the file. It refuses values by URL, which no export has and which could read
// any file. It also refuses a last line without its end, which a copy in progress has.
type ldifReader struct {
	in   *bufio.Reader
	line int
	done bool
	// decoded says that the file was not UTF-8 and is decoded on the way.
	decoded bool
}

// ldifRecord is one record as lines that are unfolded and have no comments, and the number of its first line.
type ldifRecord struct {
	line  int
	lines []string
}

func newLDIFReader(ctx context.Context, r io.Reader) (*ldifReader, error) {
	l := &ldifReader{in: bufio.NewReaderSize(cancelable{ctx, r}, 64<<10)}
	mark, _ := l.in.Peek(3) // A shorter file has no mark.
	switch text := string(mark); {
	case text == "\xef\xbb\xbf":
		_, _ = l.in.Discard(3)
	case strings.HasPrefix(text, "\xff\xfe"), strings.HasPrefix(text, "\xfe\xff"):
		decoder := unicode.UTF16(unicode.LittleEndian, unicode.ExpectBOM).NewDecoder()
		l.in, l.decoded = bufio.NewReaderSize(decoder.Reader(l.in), 64<<10), true
	case strings.ContainsRune(text, 0):
		return nil, errors.New("the file is UTF-16 or UTF-32 without a byte order mark: save it as UTF-8")
	}
	return l, nil
}

// cancelable is a reader that ends with its context.
type cancelable struct {
	ctx context.Context // a reader has no other way to learn of it
	io.Reader
}

// Read implements io.Reader.
func (c cancelable) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.Reader.Read(p)
}

// next returns the next record, or io.EOF.
func (l *ldifReader) next() (rec ldifRecord, err error) {
	var folded strings.Builder // the line that is not finished
	finish := func() {
		if folded.Len() > 0 {
			rec.lines = append(rec.lines, folded.String())
			folded.Reset()
		}
	}
	comment := false
	for !l.done {
		text, err := l.readLine()
		if err != nil {
			return ldifRecord{line: l.line}, err
		}
		switch {
		case text == "", strings.Trim(text, " \t") == "" && l.separates():
			if finish(); len(rec.lines) > 0 {
				return rec, nil
			}
		case text[0] == '#':
			comment = true
			continue
		case text[0] == ' ' && comment:
			continue
		case text[0] == ' ' && folded.Len() == 0:
			return ldifRecord{line: l.line}, errors.New("the line begins with a blank and continues nothing")
		case text[0] == ' ':
			folded.WriteString(text[1:])
			continue
		default:
			if finish(); len(rec.lines) == 0 {
				rec.line = l.line
			}
			folded.WriteString(text)
		}
		comment = false
	}
	return rec, io.EOF
}

// readLine returns one line of the file without its end, "" at the end of the file.
func (l *ldifReader) readLine() (string, error) {
	raw, err := l.in.ReadString('\n')
	l.line++
	if errors.Is(err, io.EOF) {
		l.done = true
		if raw != "" {
			return "", errors.New("the file ends in the middle of a line: is it still being written?")
		}
		return "", nil
	}
	if err == nil && l.decoded && strings.Contains(raw, "\ufffd") {
		err = errors.New("the line has characters that are not UTF-16: export again, as UTF-8")
	}
	return strings.TrimRight(raw, "\r\n"), err
}

// separates reports whether a line of blanks is meant as an empty one: a record, an empty line or nothing follows
// it. Else the blanks after the first continue a value.
func (l *ldifReader) separates() bool {
	ahead, _ := l.in.Peek(3) // Fewer are left at the end.
	text := string(ahead)
	return text == "" || text[0] == '\n' || text[0] == '\r' || strings.EqualFold(text, "dn:")
}

// entry builds the entry of a record. The DN is the first line of a record, and the lines that follow it up to the
// attributes tell entries from changes: only added entries are entries.
func (r ldifRecord) entry() (*ldap.Entry, error) {
	lines := r.lines
	name, dn, err := splitLine(lines[0])
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(name, "dn") {
		return nil, fmt.Errorf("missing 'dn:': the record begins with %q", name)
	}
	e := &ldap.Entry{DN: string(dn)}
	places := make(map[string]int, len(lines))
	for _, line := range lines[1:] {
		name, value, err := splitLine(line)
		if err != nil {
			return nil, err
		}
		switch key := strings.ToLower(name); {
		case key == "control":
		case key == "changetype":
			if kind := strings.TrimSpace(string(value)); !strings.EqualFold(kind, "add") {
				return nil, fmt.Errorf("it is a change (changetype: %s), not an entry: "+
					"an export of entries is needed (ldapsearch -LLL, slapcat, ldifde)", kind)
			}
		case len(value) == 0: // An attribute without a value is none.
		default:
			at, ok := places[key]
			if !ok {
				at = len(e.Attributes)
				places[key] = at
				e.Attributes = append(e.Attributes, &ldap.EntryAttribute{Name: name})
			}
			a := e.Attributes[at]
			a.Values, a.ByteValues = append(a.Values, string(value)), append(a.ByteValues, value)
		}
	}
	return e, nil
}

// splitLine splits "name: value" and decodes the value.
func splitLine(line string) (name string, value []byte, err error) {
	name, rest, ok := strings.Cut(line, ":")
	if base, _, _ := strings.Cut(name, ";"); !ok || !attributeType(trimOID(base)) {
		return "", nil, fmt.Errorf("the line %.40q does not begin with an attribute and a colon", line)
	}
	switch {
	case strings.HasPrefix(rest, "<"):
		return "", nil, fmt.Errorf("the value of %s is a URL: exports with values in other files are not read", name)
	case strings.HasPrefix(rest, ":"):
		value, err = base64.StdEncoding.DecodeString(strings.ReplaceAll(strings.Trim(rest[1:], " \t"), " ", ""))
		if err != nil {
			return "", nil, fmt.Errorf("the value of %s: %w", name, err)
		}
		return name, value, nil
	}
	return name, []byte(strings.TrimLeft(rest, " ")), nil
}
