// Package wiretest shows the HTTP traffic of a simulated tenant, or of its client, to a check against the vendor's
// documents. It changes nothing of the traffic.
package wiretest

import (
	"bytes"
	"io"
	"net/http"
)

// Check is a check of the traffic with one vendor.
type Check struct {
	// Covers reports whether a path is checked.
	Covers func(path string) bool
	// Begin returns the exchange of a request with this body.
	Begin func(r *http.Request, body []byte) Exchange
}

// Exchange is one request and its answer.
type Exchange interface {
	CheckRequest()
	CheckAnswer(status int, header http.Header, body []byte)
}

// Handler checks every answer of next and, with requests, every request to it.
func (c Check) Handler(next http.Handler, requests bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !c.Covers(r.URL.Path) {
			next.ServeHTTP(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			next.ServeHTTP(w, r) // the client went away in the middle of its request
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		e := c.Begin(r, body)
		if requests {
			e.CheckRequest()
		}
		// A handler that aborts the connection panics through here, and there is no whole answer to check.
		copied := &tee{ResponseWriter: w, status: http.StatusOK}
		next.ServeHTTP(copied, r)
		e.CheckAnswer(copied.status, w.Header(), copied.body.Bytes())
	})
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

// Transport checks every request through next and every answer to it. A nil next is http.DefaultTransport.
func (c Check) Transport(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &transport{c, next}
}

type transport struct {
	check Check
	next  http.RoundTripper
}

func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if !t.check.Covers(r.URL.Path) {
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
	e := t.check.Begin(r, body)
	e.CheckRequest()
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
	e.CheckAnswer(resp.StatusCode, resp.Header, data)
	return resp, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
