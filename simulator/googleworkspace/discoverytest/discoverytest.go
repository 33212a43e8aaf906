// Package discoverytest checks HTTP traffic of the Google Directory API against Google's own discovery document, so
// that neither our client nor a simulator drifts from the API.
//
// The document is part of the module google.golang.org/api, and `go list` finds it when a test runs. No copy exists,
// so an update of the module takes effect at once. Rules that the document states in prose only (a limit of
// maxResults, a read-only field) are read from the prose.
//
// A request is checked for an existing path and verb, for known query parameters of the right type and within limits
// and enums, and for a `fields` mask of existing fields. Its body must have known fields of the right type, no
// read-only fields, and the fields that the document's annotations require. A response is checked for known fields,
// types (64-bit integers are strings), formats, enums and kinds. An error is checked for Google's form. Any violation
// fails the test with one line that names the rule and the place. Paths outside the Directory API, such as a token
// endpoint, pass unchecked.
package discoverytest

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Wrap checks every request to next, and every answer of it.
func Wrap(t testing.TB, next http.Handler) http.Handler {
	t.Helper()
	return &handler{checker: newChecker(t), next: next, requests: true}
}

// WrapAnswers checks only the answers, for tests that send wrong requests on purpose.
func WrapAnswers(t testing.TB, next http.Handler) http.Handler {
	t.Helper()
	return &handler{checker: newChecker(t), next: next}
}

// Transport checks every request through next and every answer to it; a nil next is
// http.DefaultTransport.
func Transport(t testing.TB, next http.RoundTripper) http.RoundTripper {
	t.Helper()
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{checker: newChecker(t), next: next}
}

// covered says whether a path belongs to the Directory API.
func covered(path string) bool { return strings.HasPrefix(path, "/admin/directory/") }

type handler struct {
	checker  *checker
	next     http.Handler
	requests bool
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !covered(r.URL.Path) {
		h.next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.next.ServeHTTP(w, r) // the client went away in the middle of its request
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	m, _ := h.checker.doc.match(r)
	if h.requests {
		h.checker.request(r, body)
	}
	// A handler that aborts the connection panics through here, and there is no whole answer to check.
	copied := &tee{ResponseWriter: w, status: http.StatusOK}
	h.next.ServeHTTP(copied, r)
	h.checker.answer(m, copied.status, w.Header(), copied.body.Bytes())
}

// tee passes an answer on and keeps a copy.
type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (w *tee) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

func (w *tee) Write(p []byte) (int, error) {
	_, _ = w.body.Write(p)
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the writer beneath.
func (w *tee) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type transport struct {
	checker *checker
	next    http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !covered(r.URL.Path) {
		return t.next.RoundTrip(r)
	}
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close()
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	t.checker.request(r, body)
	m, _ := t.checker.doc.match(r)
	resp, err := t.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		// The answer broke off; the caller is to meet the same error at the same place.
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(data), failing{err}))
		return resp, nil
	}
	resp.Body = io.NopCloser(bytes.NewReader(data))
	t.checker.answer(m, resp.StatusCode, resp.Header, data)
	return resp, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
