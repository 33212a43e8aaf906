package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"rollcall/container"
	"rollcall/internal/redisfault"
	"rollcall/internal/secret"
	"rollcall/provider"
)

// family is one kind of resource in the vocabulary of the contract.
type family struct {
	kind string
	base string // the path of the list
	key  string // the name of the path parameter
	// task and description are the names of a full sync in the sync status.
	task, description string
	verbose, plural   string
	// secret is a field that clients expect in a resource. Its value is never shown.
	secret string
}

// families returns one family for sources and one for each type of provider.
func families(types []provider.Type) []*family {
	out := []*family{{
		kind: container.LDAP, base: "/sources/ldap/", key: "slug",
		task: "ldap_sync", description: "Synchronization of an LDAP Source",
		verbose: "LDAP Source", plural: "LDAP Sources",
	}}
	for i := range types {
		t := &types[i]
		out = append(out, &family{
			kind: t.Name, base: "/providers/" + t.Name + "/", key: "id",
			task: t.Name + "_sync", description: "Run full sync for " + t.Title + " provider",
			verbose: t.Title + " Provider", plural: t.Title + " Providers", secret: t.Secret,
		})
	}
	return out
}

// routes returns every path below the base path.
func (a *API) routes() []route {
	decide := func(h handler) methods { return methods{http.MethodPost: {scope: ScopeApprove, handle: h}} }
	out := []route{
		{path: "/schema/", methods: public(a.schema)},
		{path: "/explain/", methods: methods{http.MethodGet: {scope: ScopeRead, handle: a.explain, wait: explainTime}}},
		{path: "/leave/", methods: methods{http.MethodPost: {scope: ScopeApprove,
			handle: ordering(a.Leave).handle, wait: explainTime}}},
		{path: "/leave/orders/", methods: get(ScopeRead, a.leaves)},
		{path: "/leave/lift/", methods: methods{http.MethodPost: {scope: ScopeApprove,
			handle: ordering(a.LiftLeave).handle, wait: explainTime}}},
		{path: "/preview/", methods: post(a.startPreview, 0)},
		{path: "/preview/{preview}/", methods: get(ScopeRead, a.previewed)},
	}
	for _, f := range a.families {
		one := f.base + "{" + f.key + "}/"
		add := func(path string, m methods) { out = append(out, route{path: path, family: f, methods: m}) }
		add(f.base, get(ScopeRead, a.list))
		add(one, get(ScopeRead, a.retrieve))
		add(one+"sync/", post(a.start, 0))
		add(one+"sync/cancel/", post(a.cancel, 0))
		add(one+"sync/status/", get(ScopeRead, a.syncStatus))
		add(one+"sync/events/", get(ScopeRead, a.syncEvents))
		add(one+"sync/plan/", get(ScopeRead, a.syncPlan))
		add(one+"sync/runs/", get(ScopeRead, a.runs))
		add(one+"sync/runs/{run}/", get(ScopeRead, a.run))
		add(one+"sync/runs/{run}/messages/", get(ScopeRead, a.runMessages))
		add(one+"sync/held/", get(ScopeRead, a.held))
		add(one+"sync/held/{digest}/", get(ScopeRead, a.heldBy))
		add(one+"sync/held/{digest}/approve/", decide(a.approve))
		add(one+"sync/held/{digest}/reject/", decide(a.reject))
		add(one+"sync/decisions/", get(ScopeRead, a.kept))
		add(one+"sync/decisions/{digest}/adopt/", decide(a.adopt))
		add(one+"sync/pause/", methods{http.MethodGet: {scope: ScopeRead, handle: a.paused},
			http.MethodPost: {scope: ScopeApprove, handle: a.pause}})
		add(one+"sync/resume/", decide(a.resume))
		if f.kind == container.LDAP {
			add(one+"sync/server/", get(ScopeRead, a.server))
			add(one+"sync/server/accept/", decide(a.acceptServer))
			continue // a single object goes to a provider
		}
		add(one+"sync/runs/{run}/revert/", decide(a.revert))
		add(one+"sync/pins/", get(ScopeRead, a.pins))
		add(one+"sync/pins/lift/", decide(a.lift))
		add(one+"sync/object/", post(a.syncObject, a.cfg.ObjectWait))
		add(one+"sync/objects/", get(ScopeRead, a.objects))
		add(one+"sync/objects/{job}/", get(ScopeRead, a.object))
	}
	return out
}

// serve serves a path that belongs to no resource.
func (a *API) serve(w http.ResponseWriter, r *http.Request, m methods) {
	a.serveRoute(w, r, route{methods: m})
}

// serveRoute serves one path. It checks the token, the method, the resource and the body in this order, as the
// contract does.
func (a *API) serveRoute(w http.ResponseWriter, r *http.Request, rt route) {
	out, err := a.perform(w, r, rt)
	if err != nil {
		out = a.failure(r, err)
	}
	if rt.rpc {
		out = rpcAnswer(out, err)
	}
	a.write(w, r, out)
}

func (a *API) perform(w http.ResponseWriter, r *http.Request, rt route) (answer, error) {
	op, known := rt.methods[r.Method]
	if r.Method == http.MethodHead {
		op, known = rt.methods[http.MethodGet]
	}
	req := &request{Request: r, family: rt.family}
	if !rt.methods.public() {
		caller, err := a.admit(r)
		if err != nil {
			return answer{}, err
		}
		req.caller = caller
		if rec, ok := w.(*recorder); ok {
			rec.by = caller.Name
		}
		if !a.allows("token " + caller.Name) {
			return tooMany("requests"), nil
		}
		if known && !caller.may(op.scope) {
			return answer{}, errForbidden
		}
	}
	switch {
	case r.Method == http.MethodOptions:
		return answer{status: http.StatusNoContent, header: rt.methods.allow()}, nil
	case !known:
		return answer{status: http.StatusMethodNotAllowed, header: rt.methods.allow(),
			body: detail{Detail: `Method "` + r.Method + `" not allowed.`}}, nil
	}
	if err := crossOrigin.Check(r); err != nil {
		return answer{}, errCrossOrigin
	}
	if rt.family != nil && rt.path != rt.family.base {
		if req.resource = a.resources.find(rt.family.kind, r.PathValue(rt.family.key)); req.resource == nil {
			return notFound(), nil
		}
		if !req.caller.reaches(req.container()) {
			return answer{}, errForbidden
		}
	}
	ctx, end := a.bound(r.Context(), op.wait)
	defer end()
	req.Request = r.WithContext(ctx)
	req.Body = http.MaxBytesReader(w, r.Body, maxBody)
	out, err := a.audited(req, rt, op)
	if cause := context.Cause(ctx); redisfault.Is(cause) {
		return answer{}, cause
	}
	return out, err
}

// bound sets one deadline for all reads of a request. A request that waits for another event has a longer deadline,
// and ends early when Redis stops answering.
func (a *API) bound(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	limited, cancel := context.WithTimeout(ctx, a.cfg.RequestTime+wait)
	if wait == 0 {
		return limited, cancel
	}
	watched, lose := context.WithCancelCause(limited)
	go a.attend(watched, lose)
	return watched, func() { lose(nil); cancel() }
}

// Within sets the time limit of the request of a web page, so that it is answered however long Redis is silent. slow is
// for a page that waits for a worker, or that may be as large as the directory.
func (a *API) Within(ctx context.Context, slow bool) (context.Context, context.CancelFunc) {
	if slow {
		return a.bound(ctx, max(a.cfg.ObjectWait, explainTime))
	}
	return a.bound(ctx, 0)
}

// attend checks Redis until ctx ends, and cancels the request when Redis stops answering.
func (a *API) attend(ctx context.Context, lose context.CancelCauseFunc) {
	patience := a.cfg.RequestTime / 2
	for {
		one, cancel := context.WithTimeout(ctx, patience)
		err := a.cfg.Status.Answers(one)
		cancel()
		if err != nil {
			lose(err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(patience / 2):
		}
	}
}

// public reports whether the path needs no token.
func (m methods) public() bool {
	for _, op := range m {
		if op.scope != "" {
			return false
		}
	}
	return true
}

// allow returns the Allow header (RFC 9110, section 10.2.1).
func (m methods) allow() map[string]string {
	names := []string{http.MethodOptions}
	for name := range m {
		if names = append(names, name); name == http.MethodGet {
			names = append(names, http.MethodHead)
		}
	}
	slices.Sort(names)
	return map[string]string{"Allow": strings.Join(names, ", ")}
}

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

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = cmp.Or(r.status, status)
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(b []byte) (int, error) {
	r.status = cmp.Or(r.status, http.StatusOK)
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
	a.cfg.Log.ErrorContext(r.Context(), "panic", "request_id", requestID(r), "panic", secret.Panic(v), "stack",
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
