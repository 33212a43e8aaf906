package ldap

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ldifRecords splits LDIF into records of unfolded lines without comments (RFC 2849, section 2), so that each can be
// parsed by itself and named by its line. It refuses what an export does not have and that would be dangerous: values
// by URL, which would read any file, and a last line without its end, which a copy under way looks like.
type ldifRecords struct {
	in   *bufio.Reader
	line int
	done bool
}

// ldifRecord is one record and the number of its first line.
type ldifRecord struct {
	line  int
	lines []string
}

func newLDIFRecords(r io.Reader) *ldifRecords {
	in := bufio.NewReaderSize(r, 64<<10)
	if mark, err := in.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = in.Discard(3)
	}
	return &ldifRecords{in: in}
}

// next returns the next record, or io.EOF.
func (l *ldifRecords) next() (rec ldifRecord, err error) {
	comment := false
	for !l.done {
		raw, err := l.in.ReadString('\n')
		l.line++
		switch {
		case errors.Is(err, io.EOF):
			l.done = true
			if raw != "" {
				return ldifRecord{line: l.line}, errors.New("the file ends in the middle of a line: is it still being written?")
			}
		case err != nil:
			return ldifRecord{line: l.line}, err
		}
		text := strings.TrimRight(raw, "\r\n")
		switch {
		case text == "":
			if len(rec.lines) > 0 {
				return rec, rec.check()
			}
		case text[0] == '#':
			comment = true
			continue
		case text[0] == ' ':
			if comment {
				continue
			}
			if len(rec.lines) == 0 {
				return ldifRecord{line: l.line}, errors.New("the line begins with a blank and continues nothing")
			}
			rec.lines[len(rec.lines)-1] += text[1:]
			continue
		default:
			if len(rec.lines) == 0 {
				rec.line = l.line
			}
			rec.lines = append(rec.lines, text)
		}
		comment = false
	}
	return rec, io.EOF
}

// check refuses values by URL and lines that are none.
func (r ldifRecord) check() error {
	for _, line := range r.lines {
		colon := strings.IndexByte(line, ':')
		if colon < 0 {
			return fmt.Errorf("the line %.40q has no colon", line)
		}
		if strings.HasPrefix(line[colon+1:], "<") {
			return fmt.Errorf("the value of %s is a URL: exports with values in other files are not read", line[:colon])
		}
	}
	return nil
}

// text is the record as one LDIF text. Lines without a value are left out: an attribute without a value is none, and
// the parser would refuse them.
func (r ldifRecord) text() []byte {
	var b bytes.Buffer
	for _, line := range r.lines {
		if name, value := splitLine(line); strings.Trim(value, ": ") == "" && !strings.EqualFold(name, "dn") {
			continue
		}
		b.WriteString(line)
		b.WriteByte('\n')
	}
	b.WriteByte('\n')
	return b.Bytes()
}

// splitLine splits name: value. The value of a base64 line keeps its colon.
func splitLine(line string) (name, value string) {
	name, value, _ = strings.Cut(line, ":")
	return name, strings.TrimLeft(value, " ")
}
