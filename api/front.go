package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/google/uuid"

	"rollcall/internal/scrub"
)

const requestIDHeader = "X-Request-Id"

var requestIDPattern = regexp.MustCompile(`^[-._A-Za-z0-9]{1,64}$`)

// requestID returns the id that front assigned to the request.
func requestID(r *http.Request) string { return r.Header.Get(requestIDHeader) }

// recorder records the response for the log.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int
	by     string
}

// note records the caller of the request for the log.
func note(w http.ResponseWriter, by string) {
	if rec, ok := w.(*recorder); ok {
		rec.by = by
	}
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += n
	return n, err
}

// Unwrap returns the wrapped writer for http.ResponseController.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// front wraps every request. It assigns an id, recovers from panics, sets common headers and writes the access log.
// The log contains the path without the query, and no headers, because both may contain secrets.
func (a *API) front(w http.ResponseWriter, r *http.Request, next http.HandlerFunc) {
	began := time.Now()
	if !requestIDPattern.MatchString(requestID(r)) {
		r.Header.Set(requestIDHeader, uuid.NewString())
	}
	h := w.Header()
	h.Set(requestIDHeader, requestID(r))
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	rec := &recorder{ResponseWriter: w}
	defer func() {
		a.cfg.Log.DebugContext(r.Context(), "request", "method", r.Method, "path", r.URL.Path, "status", rec.status,
			"bytes", rec.bytes, "duration", time.Since(began), "request_id", requestID(r), "by", rec.by)
	}()
	defer a.recover(rec, r)
	next(rec, r)
}

// recover converts a panic to a 500 if nothing was sent yet.
func (a *API) recover(w *recorder, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler { //nolint:errorlint // compared as net/http does
		panic(v)
	}
	a.cfg.Log.ErrorContext(r.Context(), "panic", "request_id", requestID(r), "panic", scrub.Text(fmt.Sprint(v)), "stack",
		string(debug.Stack()))
	if w.status == 0 {
		a.write(w, r, internalError)
	}
}

// plainText is the body of a response for people.
type plainText []byte

// write sends a response. The body is complete before the first byte is sent.
func (a *API) write(w http.ResponseWriter, r *http.Request, out answer) {
	for name, value := range out.header {
		w.Header().Set(name, value)
	}
	if s, is := out.body.(*eventStream); is {
		a.stream(w, r, s)
		return
	}
	if out.body == nil {
		w.WriteHeader(out.status)
		return
	}
	media, body := "application/json", []byte(nil)
	switch raw := out.body.(type) {
	case json.RawMessage:
		body = raw
	case plainText:
		media, body = "text/plain; charset=utf-8", raw
	default:
		var err error
		if body, err = json.Marshal(out.body); err != nil {
			a.cfg.Log.ErrorContext(r.Context(), "answer is not representable", "request_id", requestID(r), "err", err)
			out.status, body = internalError.status, []byte(`{"detail":"Internal server error."}`)
		}
		body = append(body, '\n')
	}
	w.Header().Set("Content-Type", media)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(out.status)
	_, _ = w.Write(body) // an error means that the client is gone
}
