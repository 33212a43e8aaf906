package stored_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"rollcall/internal/stored"
)

// FuzzUnpack unpacks what another program may have stored. The result has at most the permitted size, and packed
// again it is the same.
func FuzzUnpack(f *testing.F) {
	const most = 1 << 12
	for _, text := range []string{`{"a":[1,2]}`, `"x"`, `[`, `[` + string(bytes.Repeat([]byte(" "), 100*most)) + `]`} {
		data, err := stored.PackText([]byte(text))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(data[:len(data)/2])
	}
	f.Add([]byte("\x03\x00sig1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		var text, again json.RawMessage
		if stored.Unpack(data, &text, most) != nil {
			return
		}
		if len(text) > most {
			t.Fatalf("%d bytes unpack to %d, want at most %d", len(data), len(text), most)
		}
		packed, err := stored.PackText(text)
		if err != nil {
			t.Fatal(err)
		}
		if err := stored.Unpack(packed, &again, most); err != nil || !bytes.Equal(text, again) {
			t.Errorf("%q comes back as %q, %v", text, again, err)
		}
	})
}
