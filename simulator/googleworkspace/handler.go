package googleworkspace

import (
	"bytes"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/simulator/fault"
)

// call is one request of the Directory API in progress.
type call struct {
	route *route
	vars  map[string]string
	query url.Values
	raw   []byte
	body  map[string]any
	now   time.Time
}

func (c *call) param(name string) string { return c.query.Get(name) }

// key returns a path parameter in lower case, because keys are compared that way.
func (c *call) key(name string) string { return strings.ToLower(c.vars[name]) }

// commonParams are the query parameters of every method.
var commonParams = []string{
	"$.xgafv", "access_token", "alt", "callback", "fields", "key", "oauth_token", "prettyPrint", "quotaUser",
	"uploadType", "upload_protocol",
}

// Handler serves the tenant over HTTP, with the token endpoint and the Directory API.
func (t *Tenant) Handler() http.Handler {
	// A ServeMux would clean and redirect the escaped slashes that keys may contain.
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			t.serveToken(w, r)
			return
		}
		t.serveAPI(w, r)
	})
}

func (t *Tenant) serveAPI(w http.ResponseWriter, r *http.Request) {
	route, vars, apiErr := t.find(r)
	if apiErr != nil {
		respond(w, nil, apiErr)
		return
	}
	if t.cfg.OnRequest != nil {
		t.cfg.OnRequest(route.id)
	}
	c := &call{route: route, vars: vars, query: r.URL.Query(), now: t.cfg.Now()}
	entry := Call{Time: c.now, Method: route.id, Path: r.URL.Path}

	spoilt, refusal := t.admit(r, c)
	if refusal == nil && spoilt != nil {
		refusal = t.before(r.Context(), spoilt, &entry)
	}
	if refusal != nil {
		entry.Status, entry.Refused = refusal.code, true
		t.calls.add(entry)
		respond(w, nil, refusal)
		return
	}

	value, apiErr := t.execute(c)
	if apiErr == nil && spoilt != nil && route.items != "" {
		value = shorten(spoilt, route.items, value)
	}
	entry.Status = status(value, apiErr)
	t.calls.add(entry)
	if spoilt != nil && spoilt.Effect == LoseAnswer {
		panic(http.ErrAbortHandler)
	}
	if spoilt != nil && spoilt.Effect == TruncateAnswer {
		data := encode(value, apiErr)
		header(w, value, apiErr, len(data))
		fault.Truncate(w, status(value, apiErr), data)
	}
	if etag := etagOf(value); etag != "" && r.Method == http.MethodGet && r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	respond(w, value, apiErr)
}

// admit checks the token and the quota, and returns the fault that strikes the call.
func (t *Tenant) admit(r *http.Request, c *call) (*Fault, *apiError) {
	if err := t.authorize(r, c.route); err != nil {
		return nil, err
	}
	if err := t.quota.take(c.now, c.route.id); err != nil {
		return nil, err
	}
	if c.route.body {
		var err error
		if c.raw, err = io.ReadAll(io.LimitReader(r.Body, maxBody)); err != nil {
			return nil, parseError()
		}
	}
	return t.faults.Next(fault.Call{Method: c.route.id, Path: r.URL.Path, Body: c.raw}), nil
}

// execute decodes the request, carries it out and reduces the result to the requested fields.
func (t *Tenant) execute(c *call) (any, *apiError) {
	for _, name := range slices.Sorted(maps.Keys(c.query)) {
		if !slices.Contains(commonParams, name) && !slices.Contains(c.route.params, name) {
			return nil, invalid("Invalid JSON payload received. Unknown name %q: Cannot bind query parameter.", name)
		}
	}
	mask, err := parseFields(c.param("fields"))
	if err != nil {
		return nil, err
	}
	if c.route.body {
		if c.body, err = readBody(c.raw); err != nil {
			return nil, err
		}
	}
	value, err := c.route.serve(t, c)
	if err != nil || mask == nil || value == nil {
		return value, err
	}
	return mask.apply(value), nil
}

func status(value any, err *apiError) int {
	switch {
	case err != nil:
		return err.code
	case value == nil:
		return http.StatusNoContent
	default:
		return http.StatusOK
	}
}

// encode returns the body of the response. It is empty for 204.
func encode(value any, err *apiError) []byte {
	if err != nil {
		value = err.body()
	}
	if value == nil {
		return nil
	}
	var b bytes.Buffer
	writeJSON(&b, value)
	b.WriteByte('\n')
	return b.Bytes()
}

func respond(w http.ResponseWriter, value any, err *apiError) {
	data := encode(value, err)
	header(w, value, err, len(data))
	w.WriteHeader(status(value, err))
	_, _ = w.Write(data) // the client may be gone, which is its affair
}

func header(w http.ResponseWriter, value any, err *apiError, size int) {
	h := w.Header()
	if err != nil && err.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((err.retryAfter+time.Second-1)/time.Second)))
	}
	if err != nil && err.allow != "" {
		h.Set("Allow", err.allow)
	}
	if err != nil && err.code == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="https://accounts.google.com/"`)
	}
	if size == 0 {
		return
	}
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("Content-Length", strconv.Itoa(size))
	if etag := etagOf(value); etag != "" && err == nil {
		h.Set("ETag", etag)
	}
}
