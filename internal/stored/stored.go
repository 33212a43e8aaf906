// Package stored has the forms in which values are kept on Redis.
package stored

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
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
