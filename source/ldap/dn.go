package ldap

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// NormalizeDN returns a text that is equal for DNs that distinguishedNameMatch takes for equal (RFC 4517, section
// 4.2.15). It takes every naming attribute to be compared by caseIgnoreMatch, as all the common ones are. The text has
// attribute types by their short names in lower case, and values prepared by the rules of RFC 4518. RDNs of several
// values are sorted, and RFC 4514's escapes have one form only. NormalizeDN also accepts the older forms of RFC 2253
// and RFC 1779 (quotes, semicolons, blanks around separators), which old servers send.
//
// Member lists have hundreds of thousands of DNs, nearly all of them plain ASCII. Such a DN takes one pass and at most
// one allocation.
func NormalizeDN(dn string) (string, error) { return normalizeDN(dn, prepare) }

// closeDN is NormalizeDN for servers that keep apart what RFC 4518 makes equal. OpenLDAP has two entries for cn=Strasse
// and cn=Straße, and 389 Directory Server for composed and decomposed letters.
func closeDN(dn string) (string, error) { return normalizeDN(dn, prepareClosely) }

// looseDN returns NormalizeDN's form of a DN in that of closeDN.
func looseDN(dn string) string {
	if isASCII(dn) {
		return dn
	}
	loose, _ := NormalizeDN(dn) // It was parsed before.
	return loose
}

// dnIndex finds values by DN. A DN in the form of closeDN goes before one that is equal by RFC 4518 alone.
type dnIndex[T comparable] struct {
	close, loose map[string]T
	// several are the keys of both maps with more than one value.
	several map[string]bool
}

func newDNIndex[T comparable](size int) dnIndex[T] {
	return dnIndex[T]{make(map[string]T, size), map[string]T{}, map[string]bool{}}
}

// add adds a value with the two forms of its DN.
func (x *dnIndex[T]) add(key, norm string, v T) {
	if known, taken := x.close[key]; taken && known != v {
		x.several[key] = true
	}
	x.close[key] = v
	if key == norm {
		return
	}
	if known, taken := x.loose[norm]; taken && known != v {
		x.several[norm] = true
	}
	x.loose[norm] = v
}

// find returns the value of a DN in the form of closeDN. several is set where it could be one of several values.
func (x *dnIndex[T]) find(key string) (v T, found, several bool) {
	if v, found = x.close[key]; found {
		return v, !x.several[key], x.several[key]
	}
	norm := looseDN(key)
	v, found = x.close[norm]
	other, folded := x.loose[norm]
	several = x.several[norm] || found && folded && v != other
	if folded {
		v = other
	}
	return v, (found || folded) && !several, several
}

func normalizeDN(dn string, form func(string) string) (string, error) {
	if out, ok := normalizePlain(dn); ok {
		return out, nil
	}
	p := dnParser{rest: strings.Trim(dn, " \t\r\n"), prepare: form}
	var out strings.Builder
	out.Grow(len(dn))
	for first := true; p.rest != "" || p.more; first = false {
		if !first {
			out.WriteByte(',')
		}
		if err := p.rdn(&out); err != nil {
			return "", fmt.Errorf("DN %q: %w", dn, err)
		}
		// Mostly one RDN needs the parser ("King\, Ada") and what is above it does not.
		if rest, ok := normalizePlain(p.rest); ok && p.rest != "" {
			out.WriteByte(',')
			out.WriteString(rest)
			break
		}
	}
	return out.String(), nil
}

// normalizePlain handles DNs of printable ASCII without escapes, quotes, multi-valued RDNs or blanks that do not count.
func normalizePlain(dn string) (out string, ok bool) {
	for rest, more := dn, dn != ""; more; {
		var name, value string
		if name, rest, ok = strings.Cut(rest, "="); !ok || !canonicalType(name) {
			return "", false
		}
		if value, rest, more = strings.Cut(rest, ","); !plainValue(value) {
			return "", false
		}
	}
	return asciiLower(dn), true
}

// plainValue reports whether lower case is all that a value may need.
func plainValue(v string) bool {
	if v == "" || v[0] == ' ' || v[len(v)-1] == ' ' {
		return false
	}
	for i := range len(v) {
		switch c := v[i]; {
		case c < ' ' || c > '~' || c == '\\' || c == '"' || c == '+' || c == ';' || c == '#' || c == '<' || c == '>':
			return false
		case c == ' ' && v[i-1] == ' ':
			return false
		}
	}
	return true
}

// dnParser reads one RDN after the other (RFC 4514, section 3; RFC 2253, section 4).
type dnParser struct {
	rest string
	more bool // a separator was read, so that another RDN must follow
	// prepare brings a value into the form that is compared.
	prepare func(string) string
}

func (p *dnParser) rdn(out *strings.Builder) error {
	var room [4]string
	parts := room[:0]
	for {
		part, err := p.pair()
		if err != nil {
			return err
		}
		parts = append(parts, part)
		p.skipBlanks()
		if p.rest == "" {
			p.more = false
			break
		}
		sep := p.rest[0]
		p.rest = p.rest[1:]
		if p.more = true; sep != '+' {
			break
		}
	}
	slices.Sort(parts)
	for i, part := range parts {
		if i > 0 {
			out.WriteByte('+')
		}
		out.WriteString(part)
	}
	return nil
}

// pair reads one type=value up to, and without, the separator that follows, and returns it in the form that is
// compared.
func (p *dnParser) pair() (string, error) {
	part, err := p.naming()
	if err != nil {
		return "", err
	}
	if part.final {
		return shortType(part.attr) + "=" + part.value, nil
	}
	return shortType(part.attr) + "=" + escapeValue(p.prepare(part.value)), nil
}

// naming is one type=value of an RDN as it is written, without escapes. A final value has no text: it is in #hex form.
type naming struct {
	attr, value string
	final       bool
}

// ownRDN returns the parts of a DN's first RDN; nil where it cannot be read.
func ownRDN(dn string) (parts []naming) {
	p := dnParser{rest: dn}
	for {
		part, err := p.naming()
		if err != nil {
			return nil
		}
		parts = append(parts, part)
		if p.skipBlanks(); !strings.HasPrefix(p.rest, "+") {
			return parts
		}
		p.rest = p.rest[1:]
	}
}

func (p *dnParser) naming() (out naming, err error) {
	p.skipBlanks()
	eq := strings.IndexAny(p.rest, "=,;+\\\"")
	if eq < 0 || p.rest[eq] != '=' {
		return out, errors.New("it has a part without a type and an equals sign")
	}
	out.attr = strings.TrimRight(p.rest[:eq], " \t\r\n")
	if !attributeType(trimOID(out.attr)) {
		return out, fmt.Errorf("%q is not the name of an attribute", out.attr)
	}
	p.rest = p.rest[eq+1:]
	p.skipBlanks()
	switch {
	case strings.HasPrefix(p.rest, "#"):
		out.value, out.final, err = p.hexValue()
	case strings.HasPrefix(p.rest, `"`):
		out.value, err = p.quoted()
	default:
		out.value, err = p.unescape(",;+", true)
	}
	return out, err
}

func (p *dnParser) skipBlanks() { p.rest = strings.TrimLeft(p.rest, " \t\r\n") }

// quoted reads a value in the quotes of RFC 1779.
func (p *dnParser) quoted() (string, error) {
	p.rest = p.rest[1:]
	raw, err := p.unescape(`"`, false)
	if err != nil {
		return "", err
	}
	if p.rest == "" {
		return "", errors.New("a quote is not closed")
	}
	p.rest = p.rest[1:]
	p.skipBlanks()
	if p.rest != "" && !strings.ContainsRune(",;+", rune(p.rest[0])) {
		return "", errors.New("something follows a closing quote")
	}
	return raw, nil
}

// unescape reads up to one of the stop bytes and resolves \c and \hh (RFC 4514, section 3, "pair").
func (p *dnParser) unescape(stop string, strict bool) (string, error) {
	end := strings.IndexAny(p.rest, stop+"\\\"\x00")
	if end < 0 || p.rest[end] != '\\' && strings.IndexByte(stop, p.rest[end]) >= 0 {
		if end < 0 {
			end = len(p.rest)
		}
		plain := p.rest[:end]
		p.rest = p.rest[end:]
		return plain, nil
	}
	var raw strings.Builder
	i := 0
	for i < len(p.rest) && strings.IndexByte(stop, p.rest[i]) < 0 {
		c := p.rest[i]
		switch {
		case c == 0:
			return "", errors.New("it has a null character that is not escaped")
		case c == '"' && strict:
			return "", errors.New("it has a quote that is not escaped")
		case c != '\\':
			raw.WriteByte(c)
			i++
			continue
		}
		if i+2 < len(p.rest) && isHex(p.rest[i+1]) && isHex(p.rest[i+2]) {
			pair, _ := hex.DecodeString(p.rest[i+1 : i+3])
			raw.Write(pair)
			i += 3
			continue
		}
		if i+1 >= len(p.rest) || isHex(p.rest[i+1]) {
			return "", errors.New("it has an incomplete escape")
		}
		raw.WriteByte(p.rest[i+1])
		i += 2
	}
	p.rest = p.rest[i:]
	return raw.String(), nil
}

// escapeValue writes a prepared value in the one form that is compared.
func escapeValue(v string) string {
	if v == "" || v[0] != '#' && strings.IndexFunc(v, func(r rune) bool {
		return r < ' ' || r == 0x7f || r == 0xfffd || strings.ContainsRune(`"+,;<>\`, r)
	}) < 0 {
		return v
	}
	const hexDigits = "0123456789abcdef"
	var b strings.Builder
	valid := validUTF8(v)
	for i := range len(v) {
		switch c := v[i]; {
		case c < ' ' || c == 0x7f || c >= 0x80 && !valid:
			b.Write([]byte{'\\', hexDigits[c>>4], hexDigits[c&15]})
		case c == '#' && i == 0, strings.IndexByte(`"+,;<>\`, c) >= 0:
			b.Write([]byte{'\\', c})
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// under reports whether a normalised DN is base itself or below it; base is normalised too. Everything is below "".
func under(dn, base string) bool {
	return base == "" || dn == base || strings.HasSuffix(dn, base) && separates(dn, len(dn)-len(base)-1)
}

// separates reports whether the byte at i of a normalised DN is a comma between two RDNs, and no part of a value.
func separates(dn string, i int) bool {
	before := strings.TrimRight(dn[:i], `\`)
	return dn[i] == ',' && (i-len(before))%2 == 0
}
