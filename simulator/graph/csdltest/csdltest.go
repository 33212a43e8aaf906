// Package csdltest checks HTTP traffic of Microsoft Graph against the published metadata (CSDL) and documentation, so
// that neither our client nor a simulator drifts from the API.
//
// The metadata of the relevant types and the documentation's own examples are in testdata, with their license. The
// metadata does not describe the methods with their parameters and results. They are in a table made from the
// reference pages, in operation.go.
//
// A request is checked for a documented path and verb, and for query options that the method has, with $select of
// existing properties and $top within limits. Its body must have existing properties of the right type, the
// properties required for a creation, and at most 20 references. A DELETE of a member without /$ref is a finding,
// because it deletes the user.
//
// A response is checked for its context, properties and their types, absolute links, the annotations of delta, and
// headers. An error is checked for Graph's form. Batches are checked as a whole and item by item. Any violation fails
// the test with one line that names the rule and the place. Other paths, such as the sign-in, pass unchecked.
package csdltest

import (
	"bytes"
	"compress/gzip"
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

// Transport checks every request through next and every answer to it; a nil next is http.DefaultTransport.
func Transport(t testing.TB, next http.RoundTripper) http.RoundTripper {
	t.Helper()
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{checker: newChecker(t), next: next}
}

// version is the only one that is checked.
const version = "/v1.0/"

type handler struct {
	checker  *checker
	next     http.Handler
	requests bool
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !strings.HasPrefix(r.URL.Path, version) {
		h.next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		h.next.ServeHTTP(w, r) // the client went away in the middle of its request
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	e := h.checker.exchange(r, body)
	if h.requests {
		e.request()
	}
	// A handler that aborts the connection panics through here, and there is no whole answer to check.
	copied := &tee{ResponseWriter: w, status: http.StatusOK}
	h.next.ServeHTTP(copied, r)
	e.answer(copied.status, w.Header(), copied.body.Bytes())
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
	if !strings.HasPrefix(r.URL.Path, version) {
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
	e := t.checker.exchange(r, body)
	e.request()
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
	e.answer(resp.StatusCode, resp.Header, data)
	return resp, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// unpack returns a body without its compression.
func unpack(h http.Header, body []byte) ([]byte, error) {
	if h.Get("Content-Encoding") != "gzip" {
		return body, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
