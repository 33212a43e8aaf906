package ldap

import (
	"encoding/hex"
	"errors"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	ber "github.com/go-asn1-ber/asn1-ber"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// shortType returns the name under which an attribute type is compared: its preferred one in the standard schemas, in
// lower case. In DNs streetAddress is another name of street, as in RFC 2256; elsewhere it is Active Directory's.
func shortType(name string) string {
	name = strings.ToLower(trimOID(name))
	if name == "streetaddress" {
		return "street"
	}
	if k := standardSchema.kinds[name]; k != nil {
		return strings.ToLower(k.names[0])
	}
	return name
}

// trimOID drops the "OID." that RFC 1779 puts before a dotted type.
func trimOID(name string) string {
	if len(name) > 4 && strings.EqualFold(name[:4], "oid.") {
		return name[4:]
	}
	return name
}

// canonicalType reports whether lower case is all that a type may need. The map is asked only for the few names that
// could be in it.
func canonicalType(name string) bool {
	switch name {
	case "uid", "cn", "ou", "dc", "o", "CN", "OU", "DC", "O", "UID":
		return true
	case "":
		return false
	}
	if c := name[0] | 0x20; c < 'a' || c > 'z' {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if lower := c | 0x20; (lower < 'a' || lower > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return strings.EqualFold(shortType(name), name)
}

// attributeType reports whether name is a short name or an OID (RFC 4512, section 1.4).
func attributeType(name string) bool {
	if name == "" {
		return false
	}
	numeric := name[0] >= '0' && name[0] <= '9'
	if c := name[0] | 0x20; !numeric && (c < 'a' || c > 'z') {
		return false
	}
	for i := 1; i < len(name); i++ {
		c := name[i]
		digit := c >= '0' && c <= '9'
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '-' || c == '_'
		if !digit && (numeric && c != '.' || !numeric && !letter) {
			return false
		}
	}
	return true
}

// prepare makes values equal that caseIgnoreMatch takes for equal: RFC 4518's map, normalize and insignificant space
// handling. Bytes that are not UTF-8 are left alone.
func prepare(s string) string {
	if isASCII(s) {
		return squeeze(asciiLower(s))
	}
	if !validUTF8(s) {
		return squeeze(lowerBytes(s))
	}
	// Folding and normalising may each leave work for the other; nearly always once is enough.
	fold := cases.Fold()
	for range 4 {
		s = fold.String(strings.Map(mapRune, s))
		if norm.NFKC.IsNormalString(s) {
			break
		}
		s = norm.NFKC.String(s)
	}
	return squeeze(s)
}

// prepareClosely is prepare without compatibility: it folds letters one by one, and none to a letter of ASCII. Package
// cases does not fold Cherokee.
func prepareClosely(s string) string {
	if isASCII(s) || !validUTF8(s) {
		return prepare(s)
	}
	return squeeze(strings.Map(func(r rune) rune {
		if l := unicode.ToLower(r); (r < utf8.RuneSelf || l >= utf8.RuneSelf) && !unicode.Is(unicode.Cherokee, r) {
			return l
		}
		return r
	}, s))
}

// mapRune is RFC 4518, section 2.2: what separates becomes a space, what cannot be seen goes.
func mapRune(r rune) rune {
	switch {
	case r == '\t' || r == '\n' || r == '\v' || r == '\f' || r == '\r' || r == 0x85 || unicode.Is(unicode.Z, r):
		return ' '
	case r == 0xad || r == 0x34f || r == 0x1806 || r == 0xfffc || r >= 0xfe00 && r <= 0xfe0f || r >= 0x180b && r <= 0x180d:
		return -1
	case r == 0x200b || unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r):
		return -1
	}
	return r
}

// asciiLower lowers ASCII letters and drops or blanks ASCII controls as mapRune does.
func asciiLower(s string) string {
	clean := true
	for i := range len(s) {
		if c := s[i]; c >= 'A' && c <= 'Z' || c < ' ' || c == 0x7f {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'A' && c <= 'Z':
			b = append(b, c+'a'-'A')
		case c >= '\t' && c <= '\r':
			b = append(b, ' ')
		case c < ' ' || c == 0x7f:
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

// lowerBytes lowers ASCII letters and keeps every other byte: taking one away could make text of what is none.
func lowerBytes(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// squeeze drops blanks at both ends and makes runs of them one.
func squeeze(s string) string {
	s = strings.Trim(s, " ")
	if !strings.Contains(s, "  ") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] != ' ' || s[i-1] != ' ' {
			b = append(b, s[i])
		}
	}
	return string(b)
}

func validUTF8(s string) bool { return utf8.ValidString(s) }

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// hexValue reads the #hex form: the BER encoding of the value (RFC 4514, section 2.4). A string type has a text; of any
// other type the form itself is the value, which is final.
func (p *dnParser) hexValue() (text string, final bool, err error) {
	end := 1
	for end < len(p.rest) && isHex(p.rest[end]) {
		end++
	}
	digits := p.rest[1:end]
	p.rest = p.rest[end:]
	p.skipBlanks()
	if p.rest != "" && !strings.ContainsRune(",;+", rune(p.rest[0])) {
		return "", false, errors.New("a #hex value goes on with something that is not hexadecimal")
	}
	der, err := hex.DecodeString(digits)
	if err != nil || len(der) == 0 {
		return "", false, errors.New("a #hex value is not pairs of hexadecimal digits")
	}
	text, ok := berText(der)
	if !ok {
		return "#" + hex.EncodeToString(der), true, nil
	}
	return text, false, nil
}

func berText(der []byte) (text string, ok bool) {
	packet, err := ber.DecodePacketErr(der)
	if err != nil || packet.ClassType != ber.ClassUniversal || packet.TagType != ber.TypePrimitive ||
		len(packet.Bytes()) != len(der) {
		return "", false
	}
	content := packet.Data.Bytes()
	switch packet.Tag {
	case ber.TagOctetString, ber.TagUTF8String, ber.TagPrintableString, ber.TagIA5String, ber.TagVisibleString,
		ber.TagNumericString:
		return string(content), true
	case ber.TagBMPString:
		units := make([]uint16, len(content)/2)
		for i := range units {
			units[i] = uint16(content[2*i])<<8 | uint16(content[2*i+1])
		}
		return string(utf16.Decode(units)), len(content)%2 == 0
	}
	return "", false
}
