// Package api is Rollcall's HTTP interface. It serves status, syncs of single objects, the start and the end of runs,
// and the resources that they belong to.
//
// The paths, bodies and error texts of the status and object endpoints follow a contract that clients are generated
// from (testdata/contract-a.json). The service's own endpoints use the same style. Every path is served below /api/v3
// and without it. Every path ends with a slash and is never redirected, because clients change a redirected POST into
// a GET.
//
// The synchronization sessions, below /organization-manager/, follow a second contract. It has no base path, no final
// slash, 401 for missing credentials, and errors as google.rpc.Status. The handlers are the same; rpc.go contains the
// differences.
//
// A request passes through
//
//	front (request id, panics, headers, log) ─▶ path check ─▶ http.ServeMux
//	  ─▶ endpoint (token, method, resource) ─▶ handler
//
// The dashboard of the job queues is separate. Requests at and below DashboardRoot go from front to Config.Dashboard.
// So are the web pages: what Page.Serves goes from front to Config.Page. They use the exported methods of API, and so
// do the handlers.
//
// Handlers return a value or an error and never write. One function converts errors to responses by their fault.Kind.
// The package executes no work. The interface Jobs connects it to package jobs.
package api

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"strings"
	"time"

	"rollcall/audit"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/internal/tokens"
	"rollcall/provider"
	"rollcall/status"
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
	guesses    *guesses
	limits     *limits
	closed     closedCache
	page       Page
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
		guesses:    &guesses{sent: tokens.NewCounter(guessWindow), waiting: make(chan struct{}, maxWaiting)},
		limits: &limits{requests: tokens.NewCounter(time.Second), mostRequests: cfg.MaxRequests,
			streams: newShares(cfg.MaxEventStreams), explanations: newShares(cfg.MaxExplanations)},
	}
	for _, rt := range a.routes() {
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.serveRoute(w, r, rt) })
		a.mux.Handle(prefix+rt.path+"{$}", h)
		a.mux.Handle(rt.path+"{$}", h)
	}
	if cfg.Page != nil {
		a.page, err = cfg.Page(a)
	}
	return a, err
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
	if name := a.Sharers(r, "")[0]; !a.allows(name) {
		a.write(w, r, tooMany("requests"))
		return
	}
	if a.foreignHost(r) {
		a.write(w, r, answer{status: errForeignHost.status, body: errForeignHost.body})
		return
	}
	if a.cfg.Dashboard != nil && strings.HasPrefix(r.URL.Path+"/", DashboardRoot) {
		a.cfg.Dashboard.ServeHTTP(w, r)
		return
	}
	if a.page != nil && a.page.Serves(r) {
		a.page.ServeHTTP(w, r)
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
	caller Caller
	// details are further facts for the audit log; nil if the request only reads.
	details map[string]string
	// resource is the resource in the path; nil for lists.
	resource *resource
	family   *family
}

// by returns the name of the token.
func (r *request) by() string { return r.caller.Name }

// detail adds a fact for the audit log.
func (r *request) detail(name, value string) {
	if r.details != nil {
		r.details[name] = value
	}
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

// Jobs starts and cancels work.
type Jobs interface {
	// StartRun starts a full or delta run in the name of a token. The error is a *status.LiveError while another run is
	// live.
	StartRun(ctx context.Context, c container.ID, mode status.Mode, dryRun bool, by string) (status.Run, error)
	// StartApproved starts a run that executes only approved changes, if they are still planned.
	StartApproved(ctx context.Context, c container.ID, by string) (status.Run, error)
	// StartRevert starts a run that undoes the changes of another run. The error is fault.NotFound for an unknown
	// run, and fault.Conflict, with a text for people, if the run cannot be undone.
	StartRevert(ctx context.Context, c container.ID, runID string, dryRun bool, by string) (status.Run, error)
	// StartObject starts the sync of one entry of a source to a provider. It returns the id of the job.
	StartObject(ctx context.Context, c container.ID, source string, ref directory.Ref, by string) (jobID string,
		err error)
	// Cancel closes the open run of a container. The error is fault.NotFound if there is none.
	Cancel(ctx context.Context, c container.ID, by string) (status.Run, error)
}

// Directory finds entries in the sources of a provider.
type Directory interface {
	// Find returns the entry with the unique id text. If there is none, it returns the entries with this anchor,
	// username or mail address.
	Find(ctx context.Context, c container.ID, kind directory.Kind, text string) ([]Match, error)
}

// Explainer explains the state of an entry at every source and provider.
type Explainer interface {
	// Explain asks the live directories and the tenants. The document lists what did not answer. An error means that
	// there is no document.
	Explain(ctx context.Context, q explain.Query) (explain.Document, error)
}

// Match is an entry that Directory found.
type Match struct {
	Ref directory.Ref
	// Source is the slug of the source that has the entry.
	Source string
	// Label is the name of the entry for people.
	Label string
}

// Config configures an API. Status, Decisions, Jobs and Directory are required.
type Config struct {
	Status    *status.Store
	Decisions *decisions.Store
	Jobs      Jobs
	Directory Directory
	// Explainer answers /explain/. Nil makes that path 404.
	Explainer Explainer
	// Previewer compares configurations. Nil makes /preview/ 404.
	Previewer Previewer
	// Types are the known types of provider.
	Types []provider.Type
	// Facts returns the stored facts of a container. Nil removes the paths of servers.
	Facts func(container.ID) Facts
	// Resources are the configured sources and providers.
	Resources []Resource
	// Authenticate returns the holder of a token. Nil permits every request, and the operator must have asked for
	// that.
	Authenticate Authenticator
	// TokensChanged returns a channel that is closed when a token may have lost rights. Event streams then check
	// theirs, besides before each event and heartbeat. Nil never tells.
	TokensChanged func() <-chan struct{}
	// Audit records what is done. Nil records nothing.
	Audit audit.Sink
	// Refused is called for each wrong token; it may be nil.
	Refused func()
	// TrustedProxies are the proxies from which X-Forwarded-For is accepted.
	TrustedProxies []netip.Prefix
	// Dashboard is the web interface of the job queues, at and below DashboardRoot; nil is none. It is not part of
	// the JSON API and has access control of its own.
	Dashboard http.Handler
	// Page returns the web pages, which act through the API; nil is none. They are not part of the JSON API and have
	// access control of their own.
	Page func(*API) (Page, error)
	Log  *slog.Logger // default: discard
	// RequestTime is the time limit of a request, without the wait for an object job or an explanation. Default 4.5
	// s.
	RequestTime time.Duration
	// Notice returns what an operator has to know about a container apart from its runs. Nil has no notices.
	Notice func(container.ID, status.Configuration) string
	// ObjectWait is how long a request waits for a single-object sync. Default 20 s.
	ObjectWait time.Duration
	// TaskMessages is the number of newest messages of a run in the sync status. Default 100.
	TaskMessages int
	// EventEvery is the interval at which an event stream reads its run. Default 1 s.
	EventEvery time.Duration
	// MaxRequests is the largest number of requests of one token, and of one address, within a second. Default 2500.
	MaxRequests int
	// MaxEventStreams is the largest number of open event streams. Default 256. One token, or one address, gets three
	// quarters of them.
	MaxEventStreams int
	// MaxExplanations is the largest number of concurrent requests for explanations. Default 8. One token, or one
	// address, gets three quarters of them.
	MaxExplanations int
	// Addr is the address of NewServer. Default ":8000".
	Addr string
}

// Defaults and limits.
const (
	defaultObjectWait   = 20 * time.Second
	defaultTaskMessages = 100
	defaultEventEvery   = time.Second
	defaultRequests     = 2500
	defaultEventStreams = 256
	defaultExplanations = 8
	defaultAddr         = ":8000"

	// maxBody is the largest request body, in bytes.
	maxBody = 1 << 20
	// defaultRequestTime leaves half a second of the five-second limit of every route.
	defaultRequestTime = 4500 * time.Millisecond
	// explainTime is the time limit of an explanation beyond RequestTime.
	explainTime = 30 * time.Second
	// readTime is the time limit for reading a request.
	readTime = 30 * time.Second
)

func (c Config) withDefaults() (Config, error) {
	if c.Status == nil || c.Decisions == nil || c.Jobs == nil || c.Directory == nil {
		return c, errors.New("api: Status, Decisions, Jobs and Directory are needed")
	}
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	if c.TokensChanged == nil {
		c.TokensChanged = func() <-chan struct{} { return nil }
	}
	c.ObjectWait = cmp.Or(max(c.ObjectWait, 0), defaultObjectWait)
	c.RequestTime = cmp.Or(max(c.RequestTime, 0), defaultRequestTime)
	c.TaskMessages = cmp.Or(max(c.TaskMessages, 0), defaultTaskMessages)
	c.EventEvery = cmp.Or(max(c.EventEvery, 0), defaultEventEvery)
	c.MaxRequests = cmp.Or(max(c.MaxRequests, 0), defaultRequests)
	c.MaxEventStreams = cmp.Or(max(c.MaxEventStreams, 0), defaultEventStreams)
	c.MaxExplanations = cmp.Or(max(c.MaxExplanations, 0), defaultExplanations)
	c.Addr = cmp.Or(c.Addr, defaultAddr)
	return c, nil
}

// NewServer returns a server for the API of cfg with limits for slow clients. Its Shutdown ends the event streams. A
// program that serves other paths, too, wraps Server.Handler.
func NewServer(cfg Config) (*http.Server, error) {
	a, err := New(cfg)
	if err != nil {
		return nil, err
	}
	srv := &http.Server{
		Addr:              a.cfg.Addr,
		Handler:           a,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       readTime,
		// longer than any handler works
		WriteTimeout:   max(a.cfg.ObjectWait, explainTime) + readTime + a.cfg.RequestTime,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 64 << 10,
		ErrorLog:       slog.NewLogLogger(a.cfg.Log.Handler(), slog.LevelWarn),
	}
	srv.RegisterOnShutdown(a.events.stop)
	return srv, nil
}
