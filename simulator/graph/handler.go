package graph

import (
	"compress/gzip"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"rollcall/simulator/fault"
)

// Handler serves the tenant over HTTP, with the sign-in service and Graph v1.0 at one address. MSAL requires TLS; see
// NewAuthority.
func (t *Tenant) Handler() http.Handler {
	// A ServeMux would clean and redirect the escaped slashes that keys may contain.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if path, ok := strings.CutPrefix(r.URL.EscapedPath(), "/v1.0/"); ok {
			t.serveGraph(w, r, path)
			return
		}
		t.serveLogin(w, r)
	})
}

func baseURL(r *http.Request) string {
	if r.TLS == nil {
		return "http://" + r.Host
	}
	return "https://" + r.Host
}

func (t *Tenant) serveGraph(w http.ResponseWriter, r *http.Request, path string) {
	c := &call{
		ctx: r.Context(), method: r.Method, path: path, header: r.Header, base: baseURL(r) + "/v1.0",
		ids: t.newRequestIDs(r.Header), now: t.cfg.Now(),
	}
	t.calls.request()
	a, end := t.answerHTTP(c, r)
	send(w, r, c, a, end)
}

// answerHTTP carries out a request and returns the effect that corrupts its response.
func (t *Tenant) answerHTTP(c *call, r *http.Request) (*answer, Effect) {
	var err error
	if c.query, err = url.ParseQuery(r.URL.RawQuery); err != nil {
		return refuse(c, malformed("Malformed query.")), Refuse
	}
	var apiErr *apiError
	if c.token, apiErr = t.authenticate(r); apiErr != nil {
		t.calls.add(Call{Time: c.now, Method: "unauthenticated", Path: c.path, Status: apiErr.status, Refused: true})
		return refuse(c, apiErr), Refuse
	}
	if c.raw, apiErr = readRaw(r); apiErr != nil {
		return refuse(c, apiErr), Refuse
	}
	return t.answer(c)
}

// send writes a response, or part of it.
func send(w http.ResponseWriter, r *http.Request, c *call, a *answer, end Effect) {
	if end == LoseAnswer || end == Drop {
		panic(http.ErrAbortHandler)
	}
	h := w.Header()
	maps.Copy(h, a.header)
	h.Set("Request-Id", c.ids.request)
	h.Set("Client-Request-Id", c.ids.client)
	h.Set("Cache-Control", "no-cache")
	if end == TruncateAnswer {
		fault.Truncate(w, a.status, a.body)
	}
	if len(a.body) > 1024 && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		h.Add("Vary", "Accept-Encoding")
		w.WriteHeader(a.status)
		compress(w, a.body)
		return
	}
	if len(a.body) > 0 {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client may be gone, which is its affair
}

var compressors = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // fails for unknown levels alone
	return z
}}

func compress(w http.ResponseWriter, body []byte) {
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(w)
	_, _ = z.Write(body)
	_ = z.Close()
}
