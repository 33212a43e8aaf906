package scim

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rollcall/simulator/fault"
)

// call is one request in progress.
type call struct {
	route  *route
	id     string
	query  url.Values
	header http.Header
	raw    []byte
	body   map[string]any
	base   string
	now    time.Time
}

// answer is the response of a call.
type answer struct {
	status         int
	body           map[string]any
	etag, location string
	// list is set for a page of a collection.
	list bool
}

// route is a method of the service.
type route struct {
	id, method string
	kind       *kind
	write      bool
	serve      func(*Tenant, *call) (*answer, *apiError)
}

// find returns the route of a request, or nil.
func (t *Tenant) find(method, path string) (r *route, id string) {
	first, id, _ := strings.Cut(path, "/")
	switch {
	case method == http.MethodGet && path == "ServiceProviderConfig":
		return &route{id: "config.get", serve: (*Tenant).config}, ""
	case method == http.MethodGet && path == "ResourceTypes":
		return &route{id: "types.list", serve: (*Tenant).types}, ""
	case method == http.MethodGet && path == "Schemas":
		return &route{id: "schemas.list", serve: (*Tenant).schemas}, ""
	}
	k, prefix := t.users, "users."
	switch first {
	case t.groups.path:
		k, prefix = t.groups, "groups."
	case t.users.path:
	default:
		return nil, ""
	}
	r = &route{kind: k, method: method, write: method != http.MethodGet}
	switch {
	case method == http.MethodGet && id == "":
		r.id, r.serve = prefix+"list", (*Tenant).list
	case method == http.MethodPost && id == "":
		r.id, r.serve = prefix+"create", (*Tenant).create
	case id == "":
		return nil, ""
	case method == http.MethodGet:
		r.id, r.serve = prefix+"get", (*Tenant).get
	case method == http.MethodPut:
		r.id, r.serve = prefix+"put", (*Tenant).replace
	case method == http.MethodPatch:
		r.id, r.serve = prefix+"patch", (*Tenant).patch
	case method == http.MethodDelete:
		r.id, r.serve = prefix+"delete", (*Tenant).delete
	default:
		return nil, ""
	}
	return r, id
}

// Handler serves the tenant over HTTP.
func (t *Tenant) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/oauth/token" {
			t.serveToken(w, r)
			return
		}
		path, ok := strings.CutPrefix(r.URL.Path, t.cfg.Base+"/")
		route, id := t.find(r.Method, path)
		if !ok || route == nil {
			respond(w, nil, refusal(http.StatusNotFound, "", "There is no such endpoint."))
			return
		}
		t.serve(w, r, route, id)
	})
}

func (t *Tenant) serve(w http.ResponseWriter, r *http.Request, route *route, id string) {
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	c := &call{route: route, id: id, query: r.URL.Query(), header: r.Header, base: scheme + r.Host + t.cfg.Base,
		now: t.cfg.Now()}
	entry := Call{Time: c.now, Method: route.id, Path: r.URL.Path, Query: r.URL.RawQuery, Write: route.write}
	spoilt, err := t.admit(r, c)
	if err == nil && spoilt != nil {
		err = t.before(r, spoilt, &entry)
	}
	if err != nil {
		entry.Status, entry.Refused = err.status, true
		t.calls.add(entry)
		respond(w, nil, err)
		return
	}
	a, err := t.execute(c)
	entry.Status, entry.Body = statusOf(a, err), len(c.raw)
	t.calls.add(entry)
	if spoilt == nil {
		t.dress(a)
		respond(w, a, err)
		return
	}
	if a != nil && a.list {
		shorten(spoilt, a)
	}
	t.dress(a)
	switch spoilt.Effect {
	case LoseAnswer:
		panic(http.ErrAbortHandler)
	case TruncateAnswer:
		if data := encode(a, err); len(data) > 0 {
			fault.Truncate(w, statusOf(a, err), data)
		}
		panic(http.ErrAbortHandler)
	case Refuse, Drop, Delay, ShortPage, EmptyList:
	}
	respond(w, a, err)
}

// admit checks the credentials, the headers and the quota, and returns the fault that applies to the call.
func (t *Tenant) admit(r *http.Request, c *call) (*Fault, *apiError) {
	t.mu.RLock()
	b, groups := t.cfg.Behaviours, c.route.kind == t.groups
	t.mu.RUnlock()
	if err := t.authorize(r); err != nil {
		return nil, err
	}
	switch {
	case b.NeedUserAgent && r.Header.Get("User-Agent") == "":
		return nil, refusal(http.StatusForbidden, "", "The request has no User-Agent.")
	case b.NeedAccept && !strings.Contains(r.Header.Get("Accept"), "application/scim+json"):
		return nil, refusal(http.StatusNotAcceptable, "", "Accept must be application/scim+json.")
	case groups && b.NoGroups:
		return nil, unsupported()
	}
	if wait := t.quota.take(c.now, c.route); wait > 0 {
		t.mu.RLock()
		defer t.mu.RUnlock()
		return nil, t.quotaError(wait)
	}
	var err error
	if c.raw, err = io.ReadAll(io.LimitReader(r.Body, 64<<20)); err != nil {
		return nil, invalid("invalidSyntax", "The body cannot be read.")
	}
	if b.MaxBody > 0 && len(c.raw) > b.MaxBody {
		return nil, refusal(http.StatusRequestEntityTooLarge, "", "The body is too large.")
	}
	return t.faults.Next(fault.Call{Method: c.route.id, Path: r.URL.RequestURI(), Body: c.raw}), nil
}

// execute decodes the request and carries it out.
func (t *Tenant) execute(c *call) (*answer, *apiError) {
	if c.route.write && c.route.method != http.MethodDelete {
		if kind := c.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/scim+json") &&
			!strings.HasPrefix(kind, "application/json") {
			return nil, refusal(http.StatusUnsupportedMediaType, "", "Content-Type must be application/scim+json.")
		}
		if err := json.Unmarshal(c.raw, &c.body); err != nil || c.body == nil {
			return nil, invalid("invalidSyntax", "The body is not a JSON object.")
		}
	}
	if !c.route.write {
		t.mu.RLock()
		defer t.mu.RUnlock()
		return c.route.serve(t, c)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.route.serve(t, c)
}

func statusOf(a *answer, err *apiError) int {
	if err != nil {
		return err.status
	}
	return a.status
}

func encode(a *answer, err *apiError) []byte {
	body := map[string]any(nil)
	switch {
	case err != nil:
		body = err.body()
	case a.body == nil:
		return nil
	default:
		body = a.body
	}
	data, _ := json.Marshal(body) // The values came from JSON.
	return data
}

func respond(w http.ResponseWriter, a *answer, err *apiError) {
	h := w.Header()
	if err != nil {
		maps.Copy(h, err.header)
		if err.retryAfter > 0 {
			h.Set("Retry-After", strconv.Itoa(int((err.retryAfter+time.Second-1)/time.Second)))
		}
		if err.status == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", "Bearer")
		}
	} else {
		if a.etag != "" {
			h.Set("ETag", a.etag)
		}
		if a.location != "" {
			h.Set("Location", a.location)
		}
	}
	data := encode(a, err)
	if len(data) > 0 {
		h.Set("Content-Type", "application/scim+json")
		h.Set("Content-Length", strconv.Itoa(len(data)))
	}
	w.WriteHeader(statusOf(a, err))
	_, _ = w.Write(data) // The client may be gone.
}
