package entra

import (
	"encoding/base64"
	"strings"
	"testing"

	"rollcall/directory"
)

func TestAnchor(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		id   directory.ID
		want string
	}{
		// The bytes are in the order of the text.
		{"00112233-4455-6677-8899-aabbccddeeff", "ABEiM0RVZneImaq7zN3u/w=="},
		{"employee-4711", base64.StdEncoding.EncodeToString([]byte("employee-4711"))},
		{"00112233-4455-6677-8899-AABBCCDDEEFF",
			base64.StdEncoding.EncodeToString([]byte("00112233-4455-6677-8899-AABBCCDDEEFF"))},
		{"sixteen-bytes-id", base64.StdEncoding.EncodeToString([]byte("\x00sixteen-bytes-id"))},
		{"12345678-12345678-12345678-12345678",
			base64.StdEncoding.EncodeToString([]byte("12345678-12345678-12345678-12345678"))},
		{"Jürgen", base64.StdEncoding.EncodeToString([]byte("Jürgen"))},
	} {
		if got := encodeAnchor(tc.id); got != tc.want {
			t.Errorf("encodeAnchor(%q) = %q, want %q", tc.id, got, tc.want)
		}
		if got, ok := decodeAnchor(tc.want); !ok || got != tc.id {
			t.Errorf("decodeAnchor(%q) = %q, %v, want %q", tc.want, got, ok, tc.id)
		}
	}
}

// TestForeignAnchors checks that a text that encodeAnchor never returns is not an anchor of ours.
func TestForeignAnchors(t *testing.T) {
	t.Parallel()
	for _, anchor := range []string{
		"", "=", "S-1-5-21-1", "ABEiM0RVZneImaq7zN3u/w", "ABEiM0RVZneImaq7zN3u/x==", " ABEiM0RVZneImaq7zN3u/w==",
		base64.StdEncoding.EncodeToString([]byte{0xff, 0xfe,
			1}), base64.StdEncoding.EncodeToString([]byte("two\nlines")),
		base64.StdEncoding.EncodeToString([]byte("\x00not sixteen")),
		base64.StdEncoding.EncodeToString([]byte("00112233-4455-6677-8899-aabbccddeeff")),
		base64.URLEncoding.EncodeToString([]byte{0, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
			0xcc, 0xdd, 0xee, 0xff}),
	} {
		if id, ok := decodeAnchor(anchor); ok {
			t.Errorf("decodeAnchor(%q) = %q", anchor, id)
		}
	}
}

// FuzzAnchor checks that IDs and anchors correspond one to one.
func FuzzAnchor(f *testing.F) {
	f.Add("00112233-4455-6677-8899-aabbccddeeff")
	f.Add("sixteen-bytes-id")
	f.Add("\x00sixteen-bytes-id")
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := decodeAnchor(encodeAnchor(directory.ID(s))); printable(s) && s != "" && (!ok || string(id) != s) {
			t.Errorf("%q comes back as %q, %v", s, id, ok)
		}
		if id, ok := decodeAnchor(s); ok && encodeAnchor(id) != s {
			t.Errorf("%q is the anchor of %q, whose anchor is %q", s, id, encodeAnchor(id))
		}
	})
}

func TestGroupNames(t *testing.T) {
	t.Parallel()
	if id := groupID(uniqueName("a'b/c")); id != "a'b/c" {
		t.Errorf("the group comes back as %q", id)
	}
	for _, name := range []string{"", "staff", "Rollcall-1"} {
		if id := groupID(name); id != "" {
			t.Errorf("groupID(%q) = %q", name, id)
		}
	}
}

func TestNickname(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"Liz.Smith": "Liz.Smith", "All (of) Sales; EMEA": "AllofSalesEMEA", "Müller & " +
			"Söhne": "Mller&Shne", "日本": "otherwise",
		"Example Inc.": "ExampleInc", ".a . b...c.": "a.b.c", "...": "otherwise", strings.Repeat("ab.",
			40): strings.Repeat("ab.", 21) + "a",
		strings.Repeat("x", 63) + ".y": strings.Repeat("x", 63),
	} {
		if got := nickname(text, "otherwise"); got != want {
			t.Errorf("nickname(%q) = %q, want %q", text, got, want)
		}
	}
}
