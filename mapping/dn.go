package mapping

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// rdn is one relative distinguished name. It has one attribute with its value, or several joined by "+" (RFC 4514,
// section 2.2).
type rdn []ava

// ava is an attribute type and value, unescaped.
type ava struct{ name, value string }

// parseDN parses a distinguished name, leaf first (RFC 4514). Like most servers it also takes blanks around
// separators, ";" in place of "," and values in quotes (RFC 2253, section 4).
func parseDN(dn string) ([]rdn, error) {
	if strings.TrimSpace(dn) == "" {
		return nil, nil
	}
	var out []rdn
	var cur rdn
	for rest := dn; ; {
		name, tail, ok := strings.Cut(rest, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" || strings.ContainsAny(name, ",+;\\\"") {
			return nil, fmt.Errorf("%q is no DN", dn)
		}
		value, n, err := parseValue(tail)
		if err != nil {
			return nil, fmt.Errorf("%q is no DN: %w", dn, err)
		}
		cur = append(cur, ava{name, value})
		if n == len(tail) {
			return append(out, cur), nil
		}
		if tail[n] != '+' {
			out, cur = append(out, cur), nil
		}
		rest = tail[n+1:]
	}
}

// parseValue reads one value up to its separator and returns it unescaped, with the number of bytes read.
func parseValue(s string) (value string, n int, err error) {
	var b strings.Builder
	quoted, keep := false, 0 // keep is how much of b survives the trimming of blanks at the end
	for n = len(s) - len(strings.TrimLeft(s, " ")); n < len(s); n++ {
		switch c := s[n]; {
		case c == '\\':
			used, err := unescape(&b, s[n+1:])
			if err != nil {
				return "", 0, err
			}
			n += used
			keep = b.Len()
		case c == '"':
			quoted = !quoted
			keep = b.Len()
		case !quoted && (c == ',' || c == '+' || c == ';'):
			return finishValue(b.String()[:keep]), n, nil
		default:
			b.WriteByte(c)
			if c != ' ' || quoted {
				keep = b.Len()
			}
		}
	}
	if quoted {
		return "", 0, errors.New("a quote is not closed")
	}
	return finishValue(b.String()[:keep]), n, nil
}

// unescape writes what follows a backslash, two hexadecimal digits or one character, and returns how much that was.
func unescape(b *strings.Builder, s string) (used int, err error) {
	if len(s) >= 2 {
		if octet, err := hex.DecodeString(s[:2]); err == nil {
			b.Write(octet)
			return 2, nil
		}
	}
	if s == "" {
		return 0, errors.New("it ends in a backslash")
	}
	b.WriteByte(s[0])
	return 1, nil
}

// finishValue makes the value valid UTF-8: "\\ff" may have brought in anything.
func finishValue(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// sameDN reports whether two DNs name the same entry; case and runs of blanks do not count.
func sameDN(a, b []rdn) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !sameRDN(a[i], b[i]) {
			return false
		}
	}
	return true
}

// sameRDN takes each attribute of b for one of a, as their order does not count.
func sameRDN(a, b rdn) bool {
	left := slices.Clone(b)
	for _, x := range a {
		i := slices.IndexFunc(left, func(y ava) bool {
			return strings.EqualFold(x.name, y.name) && strings.EqualFold(squeeze(x.value), squeeze(y.value))
		})
		if i < 0 {
			return false
		}
		left = slices.Delete(left, i, i+1)
	}
	return len(left) == 0
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }
