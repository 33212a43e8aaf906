package stored

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"strings"
)

// Compact is the first byte of a value in compact form. A value of an earlier version is JSON, which never begins with
// it. Other builds ignore what follows the fields that they know.
const Compact = 1

// IsCompact reports whether a value is in compact form.
func IsCompact(text string) bool { return text != "" && text[0] == Compact }

// AppendText adds a text to a value in compact form.
func AppendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// The forms of an id. Any other number is the length of a plain text and these two.
const (
	formUUID = iota
	formHex
	forms
)

const (
	digits   = "0123456789abcdef"
	uuidSize = 16
)

// AppendID adds an id, which takes half of its length where it is a UUID or has only digits of hexadecimal numbers.
func AppendID(b []byte, s string) []byte {
	const shortest = 4
	plain := strings.ReplaceAll(s, "-", "")
	switch number := strings.Trim(plain, digits) == ""; {
	case number && len(plain) == 2*uuidSize && s == dashed(plain):
		b = append(b, formUUID)
	case number && plain == s && len(s) >= shortest:
		b = binary.AppendUvarint(append(b, formHex), uint64(len(s)))
	default:
		return append(binary.AppendUvarint(b, uint64(len(s)+forms)), s...)
	}
	b, _ = hex.AppendDecode(b, []byte(plain+strings.Repeat("0", len(plain)%2))) // It has only such digits.
	return b
}

// dashed returns the text of a UUID of its digits.
func dashed(s string) string {
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

// Reader reads a value in compact form. Its texts are parts of the value.
type Reader struct {
	rest  string
	wrong bool
}

// NewReader returns a reader of what follows the first byte.
func NewReader(text string) *Reader { return &Reader{rest: text[1:]} }

// Err returns an error if the value ended too early.
func (r *Reader) Err() error {
	if r.wrong {
		return errors.New("the stored value is damaged")
	}
	return nil
}

// Uint reads a number that binary.AppendUvarint added.
func (r *Reader) Uint() uint64 {
	var n uint64
	for i := 0; i < min(len(r.rest), binary.MaxVarintLen64); i++ {
		c := r.rest[i]
		n |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.rest = r.rest[i+1:]
			return n
		}
	}
	r.wrong, r.rest = true, ""
	return 0
}

// Int reads a number that binary.AppendVarint added.
func (r *Reader) Int() int64 {
	n := r.Uint()
	return int64(n>>1) ^ -int64(n&1) //nolint:gosec // zigzag, as in encoding/binary
}

// Count reads the number of things that follow. Each takes at least a byte.
func (r *Reader) Count() int {
	n := r.Uint()
	if n > uint64(len(r.rest)) {
		r.wrong, r.rest = true, ""
		return 0
	}
	return int(n) //nolint:gosec // at most the length of a text
}

func (r *Reader) take(n uint64) string {
	if n > uint64(len(r.rest)) {
		r.wrong, r.rest = true, ""
		return ""
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

// Text reads what AppendText added.
func (r *Reader) Text() string { return r.take(r.Uint()) }

// ID reads what AppendID added.
func (r *Reader) ID() string {
	switch n := r.Uint(); n {
	case formUUID:
		if raw := r.take(uuidSize); raw != "" {
			return dashed(hex.EncodeToString([]byte(raw)))
		}
		return ""
	case formHex:
		n := r.Uint()
		text := hex.EncodeToString([]byte(r.take(n/2 + n%2)))
		return text[:min(uint64(len(text)), n)]
	default:
		return r.take(n - forms)
	}
}
