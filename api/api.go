package api

import (
	"net/http"
	"path"
	"strings"
	"time"

	"rollcall/container"
)

// API answers HTTP requests. It is safe for concurrent use.
type API struct {
	cfg       Config
	mux       *http.ServeMux
	families  []*family
	document  []byte
	resources registry
	now       func() time.Time
	events    *events
	// explaining limits concurrent explanations, because each one reads whole directories.
	explaining chan struct{}
}

var _ http.Handler = (*API)(nil)

// New returns an API. The error names the invalid field of cfg.
func New(cfg Config) (*API, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	kinds := families(cfg.Types)
	resources, err := newRegistry(cfg.Resources, kinds)
	if err != nil {
		return nil, err
	}
	document, err := Document(cfg.Types)
	if err != nil {
		return nil, err
	}
	a := &API{
		document: document,
		cfg:      cfg, mux: http.NewServeMux(), families: kinds, resources: resources, now: cfg.Status.Config().Now,
		events:     newEvents(cfg),
		explaining: make(chan struct{}, cfg.MaxExplanations),
	}
	for _, rt := range a.routes() {
		h := a.endpoint(rt)
		a.mux.Handle(prefix+rt.path+"{$}", h)
		a.mux.Handle(rt.path+"{$}", h)
	}
	return a, nil
}

// prefix is the base path of the contract.
const prefix = "/api/v3"

// DashboardRoot is the path of Config.Dashboard.
const DashboardRoot = "/asynqmon/"

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.front(w, r, a.dispatch)
}

// dispatch sends registered paths with a final slash to the mux. The mux never redirects such a path.
func (a *API) dispatch(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/livez":
		a.serve(w, r, public(a.livez))
		return
	case "/readyz":
		a.serve(w, r, public(a.readyz))
		return
	}
	if a.cfg.Dashboard != nil && strings.HasPrefix(r.URL.Path+"/", DashboardRoot) {
		a.cfg.Dashboard.ServeHTTP(w, r)
		return
	}
	if strings.HasPrefix(r.URL.Path, rpcRoot) {
		a.dispatchRPC(w, r)
		return
	}
	p := r.URL.EscapedPath()
	if !strings.HasPrefix(p, "/") || path.Clean(p)+"/" != p || r.Method == http.MethodConnect {
		a.write(w, r, notFound())
		return
	}
	if _, pattern := a.mux.Handler(r); pattern == "" {
		a.write(w, r, notFound())
		return
	}
	a.mux.ServeHTTP(w, r)
}

// route is one path with its methods.
type route struct {
	path    string
	family  *family // nil for what belongs to no resource
	methods methods
	rpc     bool // errors are google.rpc.Status
}

// methods maps GET and POST to operations.
type methods map[string]operation

// operation is one method of one path.
type operation struct {
	// scope is the required scope of the token. An operation without a scope is public.
	scope  string
	handle handler
	// wait is the handler's time limit beyond Config.RequestTime.
	wait time.Duration
}

// handler answers a request with a value or an error.
type handler func(*request) (answer, error)

// request is a request with a valid token, method and resource.
type request struct {
	*http.Request
	// by is the name of the token.
	by string
	// resource is the resource in the path; nil for lists.
	resource *resource
	family   *family
}

// container returns the container in the path.
func (r *request) container() container.ID { return r.resource.Container }

// answer is an HTTP response. A nil body sends none.
type answer struct {
	status int
	body   any
	header map[string]string
}

func ok(body any) answer { return answer{status: http.StatusOK, body: body} }

func public(h handler) methods { return get("", h) }

func get(scope string, h handler) methods {
	return methods{http.MethodGet: {scope: scope, handle: h}}
}

func post(h handler, wait time.Duration) methods {
	return methods{http.MethodPost: {scope: ScopeSync, handle: h, wait: wait}}
}
