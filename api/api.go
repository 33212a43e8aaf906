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
	// explaining has as many places as explanations may be asked for at once: each reads whole directories.
	explaining chan struct{}
}

var _ http.Handler = (*API)(nil)

// New returns an API. The error names what is wrong with cfg.
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
		cfg:      cfg, mux: http.NewServeMux(), families: kinds, resources: resources, now: cfg.Status.Config().Now, events: newEvents(cfg),
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

// DashboardRoot is where Config.Dashboard is.
const DashboardRoot = "/asynqmon/"

// ServeHTTP implements http.Handler.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.front(w, r, a.dispatch)
}

// dispatch leaves to the mux only what it cannot redirect: clean paths that end with a slash and are registered.
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

// route is one path and what its methods do.
type route struct {
	path    string
	family  *family // nil for what belongs to no resource
	methods methods
	rpc     bool // errors are google.rpc.Status
}

// methods maps GET and POST to what they do.
type methods map[string]operation

// operation is what one method of one path does.
type operation struct {
	// scope is what the token must allow; none lets everybody in.
	scope  string
	handle handler
	// wait is how long the handler may take beyond Config.RequestTime.
	wait time.Duration
}

// handler answers a request with a value or an error.
type handler func(*request) (answer, error)

// request is a request whose token, method and resource are known to be good.
type request struct {
	*http.Request
	// by is the name of the token.
	by string
	// resource is the one that the path names; nil for lists.
	resource *resource
	family   *family
}

// container returns the container that the path names.
func (r *request) container() container.ID { return r.resource.Container }

// answer is what goes onto the wire. A nil body sends none.
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
