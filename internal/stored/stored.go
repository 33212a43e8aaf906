// Package stored has the forms in which values are kept on Redis.
package stored

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Prefix returns the beginning of every key of a container. The braces are the hash tag, which keeps all of them in one
// slot of a Redis Cluster.
func Prefix(container string) string { return "rollcall:{" + container + "}:" }

// Millis returns a time as milliseconds since 1970, and zero for the zero time.
func Millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Time reads what Millis returned. A time that has no form in JSON is zero.
func Time(s string) time.Time {
	const last = 253402300799999 // the end of the year 9999
	n := Int(s)
	if n <= 0 || n > last {
		return time.Time{}
	}
	return time.UnixMilli(n).UTC()
}

// Int reads an integer, which a script may have written as a float. Anything else is zero.
func Int(s string) int64 {
	if s == "" {
		return 0
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n
	}
	f, _ := strconv.ParseFloat(s, 64)
	return int64(f)
}

// Pairs makes a map of a flat list of names and values, the form in which scripts return a hash.
func Pairs(flat []string) map[string]string {
	m := make(map[string]string, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		m[flat[i]] = flat[i+1]
	}
	return m
}

// Cut shortens s to at most n characters.
func Cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// Pack returns v as compressed JSON.
func Pack(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return PackText(text)
}

// compressors are kept, because each has a megabyte of tables.
var compressors = sync.Pool{New: func() any {
	w, _ := flate.NewWriter(io.Discard, flate.DefaultCompression) // Only an unknown level is an error.
	return w
}}

// PackText is Pack for what is JSON already.
func PackText(text []byte) ([]byte, error) {
	w, _ := compressors.Get().(*flate.Writer)
	defer compressors.Put(w)
	var b bytes.Buffer
	w.Reset(&b)
	if _, err := w.Write(text); err != nil {
		return nil, err
	}
	err := w.Close()
	return b.Bytes(), err
}

// Unpack reads what Pack returned. It refuses more than most bytes of JSON, which a few bytes can expand to.
func Unpack(data []byte, v any, most int64) error {
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(data)), most+1))
	if err != nil {
		return err
	}
	if int64(len(text)) > most {
		return fmt.Errorf("a stored value has more than %d bytes", most)
	}
	return json.Unmarshal(text, v)
}

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
