package console

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strings"
	"sync"
)

// smallest is the number of bytes from which an answer is compressed.
const smallest = 1024

var compressors = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// send answers with a body of one media type, which is compressed for a browser that takes it.
func send(w http.ResponseWriter, r *http.Request, code int, mediaType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Add("Vary", "Accept-Encoding, Sec-Fetch-Site")
	if len(body) >= smallest && compressible(r) {
		h.Set("Content-Encoding", "gzip")
		body = compressed(body)
	}
	w.WriteHeader(code)
	_, _ = w.Write(body) // an error means that the client is gone
}

// compressible reports whether the browser takes gzip and the answer gives nothing away by its length. A page shows
// names and repeats what was searched for. Another site must not be able to have pages loaded with many searches and
// find out from their lengths which names are on them (BREACH). So a page that another site asked for, with a link or
// otherwise, stays uncompressed. A browser that does not say who asked uses no TLS, or is too old to be led so.
// No page has a token for its forms; see crossOrigin.
func compressible(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return takesGzip(r.Header.Values("Accept-Encoding"))
	}
	return false
}

// takesGzip reports whether a list of encodings (RFC 9110, section 12.5.3) has gzip with a weight above zero.
func takesGzip(encodings []string) bool {
	for part := range strings.SplitSeq(strings.Join(encodings, ","), ",") {
		name, weight, _ := strings.Cut(strings.ToLower(part), ";")
		if strings.TrimSpace(name) == "gzip" {
			_, q, _ := strings.Cut(weight, "=")
			return strings.Trim(q, " 0.") != "" || strings.TrimSpace(weight) == ""
		}
	}
	return false
}

func compressed(body []byte) []byte {
	var b bytes.Buffer
	z := compressors.Get().(*gzip.Writer) //nolint:forcetypeassert // nothing else is in the pool
	defer compressors.Put(z)
	z.Reset(&b)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}
