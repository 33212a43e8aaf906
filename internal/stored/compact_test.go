package stored_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"rollcall/internal/stored"
)

// What was added is read, and no shorter value is read without an error.
func TestCompact(t *testing.T) {
	t.Parallel()
	texts := []string{"", "a", "ä\x00\n", "115514674263130473766", "5e45305e6d16b17a10bff5ac", "5E45305E",
		"0ecbd79a-be2c-47fb-af04-af988f741293", "0ECBD79A-BE2C-47FB-AF04-AF988F741293", "0ecbd79abe2c47fbaf04af988f741293",
		"0ecbd79a-be2c-47fb-af04-af988f74129x", "12", "abc", "abcd", "abcde"}
	numbers := []int64{0, 1, -1, math.MaxInt64, math.MinInt64}
	b := []byte{stored.Compact}
	for _, s := range texts {
		b = stored.AppendText(stored.AppendID(b, s), s)
	}
	for _, n := range numbers {
		b = binary.AppendVarint(b, n)
	}
	read := func(text string) (ids, plain []string, ints []int64, err error) {
		r := stored.NewReader(text)
		for range texts {
			ids, plain = append(ids, r.ID()), append(plain, r.Text())
		}
		for range numbers {
			ints = append(ints, r.Int())
		}
		return ids, plain, ints, r.Err()
	}
	for _, more := range []string{"", "more of a later version"} {
		ids, plain, ints, err := read(string(b) + more)
		if err != nil || !slices.Equal(ids, texts) || !slices.Equal(plain, texts) || !slices.Equal(ints, numbers) {
			t.Errorf("read %q, %q and %v, %v; want %q and %v", ids, plain, ints, err, texts, numbers)
		}
	}
	for n := 1; n < len(b); n++ {
		if _, _, _, err := read(string(b[:n])); err == nil {
			t.Errorf("the first %d of %d bytes were read without an error", n, len(b))
		}
	}
	if r := stored.NewReader("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"); r.Count() != 0 || r.Err() == nil {
		t.Error("a number of more than 64 bits was read without an error")
	}
}

// A value in the first form is JSON.
func TestIsCompact(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{"": false, "{}": false, " {}": false, "\x01": true, "\x02": false} {
		if got := stored.IsCompact(text); got != want {
			t.Errorf("IsCompact(%q) = %t", text, got)
		}
	}
}
