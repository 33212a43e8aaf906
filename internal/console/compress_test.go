package console_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"testing"
)

// plainly returns the body of an answer as it was before it was compressed.
func plainly(t testing.TB, r *http.Response, body []byte) []byte {
	t.Helper()
	if r.Header.Get("Content-Encoding") == "" {
		return body
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Pages and files are compressed for a browser that takes it, but no page that another site asked for: its length
// would tell what is on it.
func TestCompression(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	for _, c := range []struct {
		path, encodings, site string
		want                  bool
	}{
		{"/", "gzip, deflate, br, zstd", "same-origin", true}, {"/", "gzip, deflate, br, zstd", "none", true},
		{"/", "gzip", "", true}, {"/held/?q=ada", "br;q=1.0, GZIP ; q=0.5", "same-origin", true},
		{"/assets/console.css", "gzip", "same-origin", true}, {"/held/none/none/", "gzip", "none", true},
		{"/", "", "none", false}, {"/", "br", "none", false}, {"/", "gzip;q=0", "none", false},
		{"/", "br, gzip; q=0.000", "none", false}, {"/", "x-gzip-like, identity", "none", false},
		{"/held/?q=ada", "gzip", "cross-site", false}, {"/held/?q=ada", "gzip", "same-site", false},
		{"/assets/icon.svg", "gzip", "same-origin", false}, // too small to gain by it
	} {
		plain := h.as(h.reader, http.MethodGet, c.path, nil)
		got := h.as(h.reader, http.MethodGet, c.path, nil, func(r *http.Request) {
			r.Header.Set("Accept-Encoding", c.encodings)
			if r.Header.Del("Sec-Fetch-Site"); c.site != "" {
				r.Header.Set("Sec-Fetch-Site", c.site)
			}
		})
		if is := got.Header.Get("Content-Encoding") == "gzip"; is != c.want || got.StatusCode != plain.StatusCode ||
			got.Header.Get("Vary") != "Accept-Encoding, Sec-Fetch-Site" ||
			got.Header.Get("Content-Type") != plain.Header.Get("Content-Type") {
			t.Errorf("%+v = %d %v", c, got.StatusCode, got.Header)
		}
		if text := plainly(t, got.Response, []byte(got.body)); len(text) != len(plain.body) {
			t.Errorf("%+v: %d bytes, and %d without compression", c, len(text), len(plain.body))
		}
	}
}
