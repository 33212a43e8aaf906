// Package console serves the web pages of Rollcall. They show what is in step, what waits for a person, who left, and
// why one person has an account or has none.
//
// Pages are HTML that the server renders from the types of the API. They work without script. The script replaces
// parts of an open page by what the server sends when they change (see live.go). A view is one Go file and one template
// of the same name:
//
//	overview  one card for each source and provider, and what a person has to do
//	run       one run with its plan as a diff, its messages and its undo
//	changes   what the runs of all tenants did
//	held      what waits for a decision
//	person    one person or group, with the explanation
//	leavers   who left, and what becomes of their accounts
//	order     the confirmation of an order that one person leaves now
//	previews  the form for a changed configuration
//	preview   what a changed configuration would do
//
// A request passes through
//
//	cross-origin check ─▶ identity (session or bearer token) ─▶ scope ─▶ view or action
//
// Package api decides and carries out every action. The package only words it.
package console

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/api"
	"rollcall/audit"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/internal/redisfault"
	"rollcall/internal/session"
	"rollcall/internal/tokens"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/provider/pace"
	"rollcall/status"
)

// The paths of the sign-in. Home is the overview.
const (
	Home    = "/"
	SignIn  = "/login"
	SignOut = "/logout"
)

// Config configures a Console. Everything but Quotas and Log is required.
type Config struct {
	// API carries out every action and explains entries.
	API *api.API
	// Desk identifies requests. Its paths are Home, SignIn and SignOut.
	Desk      *session.Desk
	Status    *status.Store
	Decisions *decisions.Store
	// Ledger returns what is stored of the accounts of a container.
	Ledger func(container.ID) *ledger.Redis
	// Policy returns the leaver policy of a provider; false for any other container.
	Policy func(container.ID) (plan.Policy, bool)
	// Entries returns what the local directory says of entries. An entry that it does not have is missing.
	Entries func(context.Context, []directory.Ref) (map[directory.Ref]Known, error)
	// Search returns at most limit entries with a name, an address or an id that begins with a text. It is not whole if
	// not all ids were searched.
	Search func(ctx context.Context, text string, limit int) (found []Found, whole bool, err error)
	// Quotas returns the use of the limits of a provider.
	Quotas func(context.Context, container.ID) ([]pace.State, error)
	Log    *slog.Logger // default: discard
}

// Console is the handler of the pages. It is safe for concurrent use.
type Console struct {
	cfg   Config
	mux   *http.ServeMux
	views views
	live  *live
	now   func() time.Time
	// ledgers has one ledger of each container, so that its readers share what it prepares.
	ledgers sync.Map
}

// roots are the first segments of the paths of the pages. The paths of the API have others.
var roots = []string{"runs", "changes", "held", "people", "leavers", "previews", "servers", "live", "assets", "login",
	"logout"}

// New returns a Console.
func New(cfg Config) (*Console, error) {
	if cfg.API == nil || cfg.Desk == nil || cfg.Status == nil || cfg.Decisions == nil {
		return nil, errors.New("console: API, Desk, Status and Decisions are needed")
	}
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	c := &Console{cfg: cfg, mux: http.NewServeMux(), live: &live{shows: map[string]*show{}},
		now: cfg.Status.Config().Now}
	if c.now == nil {
		c.now = time.Now
	}
	var err error
	if c.views, err = parseViews(c); err != nil {
		return nil, err
	}
	c.routes()
	return c, nil
}

func (c *Console) routes() {
	c.mux.HandleFunc(SignIn, c.cfg.Desk.SignIn)
	c.mux.HandleFunc(SignOut, c.cfg.Desk.EndSession)
	c.mux.HandleFunc(SignIn+session.StartPath, c.cfg.Desk.Start)
	c.mux.HandleFunc(SignIn+session.CallbackPath, c.cfg.Desk.Callback)
	c.mux.HandleFunc("GET /assets/{file}", asset)
	c.get("/{$}", c.overview)
	c.mux.HandleFunc("GET /live/", c.stream)
	c.get("/held/{$}", c.held)
	c.get("/held/{kind}/{name}/{$}", c.held)
	c.get("/held/{kind}/{name}/{digest}/review", c.review)
	c.post("/held/{kind}/{name}/{digest}/approve", tokens.Approve, "sync/held/{digest}/approve", c.approve)
	c.post("/held/{kind}/{name}/{digest}/reject", tokens.Approve, "sync/held/{digest}/reject", c.reject)
	c.post("/held/{kind}/{name}/pins/lift", tokens.Approve, "sync/pins/lift", c.liftPins)
	c.post("/servers/{kind}/{name}/accept", tokens.Approve, "sync/server/accept", c.acceptServer)
	c.post("/runs/{kind}/{name}/sync", tokens.Sync, "sync", c.start)
	c.post("/runs/{kind}/{name}/cancel", tokens.Sync, "sync/cancel", c.cancel)
	c.post("/runs/{kind}/{name}/pause", tokens.Approve, "sync/pause", c.pause)
	c.post("/runs/{kind}/{name}/resume", tokens.Approve, "sync/resume", c.resume)
	c.get("/runs/{kind}/{name}/{$}", c.runs)
	c.get("/runs/{kind}/{name}/{run}/{$}", c.run)
	c.post("/runs/{kind}/{name}/{run}/undo", tokens.Approve, "sync/runs/{run}/revert", c.undo)
	c.mux.HandleFunc("GET /runs/{kind}/{name}/{run}/{file}", c.download)
	c.get("/changes/{$}", c.changes)
	c.get("/people/{$}", c.people)
	c.get("/people/entry/{$}", c.person)
	c.post("/people/sync/{kind}/{name}", tokens.Sync, "sync/object", c.syncPerson)
	c.get("/people/leave/{$}", c.order)
	c.post("/people/leave", tokens.Approve, "leave", c.leave)
	c.post("/people/stay", tokens.Approve, "leave/lift", c.liftLeave)
	c.get("/leavers/{$}", c.leavers)
	c.get(previewRoot+"{$}", c.previews)
	c.post(previewRoot+"new", tokens.Sync, "preview", c.startPreview)
	c.get(previewRoot+"{preview}/{$}", c.preview)
}

// Serves reports whether a request is for a page. A program that asks for the root path gets the answer of the API.
func (c *Console) Serves(r *http.Request) bool {
	if r.URL.Path == Home {
		return strings.Contains(r.Header.Get("Accept"), "text/html")
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	return slices.Contains(roots, first)
}

// policy permits what the pages consist of. They have no inline script and no inline style.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// crossOrigin refuses forms that a browser sends for another site.
var crossOrigin = http.NewCrossOriginProtection()

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if err := crossOrigin.Check(r); err != nil {
		http.Error(w, "Cross-origin requests are not allowed.", http.StatusForbidden)
		return
	}
	if clean := path.Clean(r.URL.Path); clean != Home && clean != strings.TrimSuffix(r.URL.Path, "/") {
		http.Error(w, "Not found.", http.StatusNotFound)
		return
	}
	_, pattern := c.mux.Handler(r)
	if !slices.Contains(unlimited, pattern) {
		ctx, end := c.cfg.API.Within(r.Context(), slices.Contains(slow, pattern))
		defer end()
		r = r.WithContext(ctx)
	}
	c.mux.ServeHTTP(w, r)
}

// unlimited are the patterns of what has no time limit: the live parts of a page, and a plan as a file.
var unlimited = []string{"GET /live/", "GET /runs/{kind}/{name}/{run}/{file}"}

// slow are the patterns of what waits for a worker or an OpenID provider, and of what may be as large as the directory.
var slow = []string{"GET /people/entry/{$}", "POST /people/sync/{kind}/{name}", "POST /people/leave",
	"POST /people/stay", "GET /held/{kind}/{name}/{digest}/review", "POST /held/{kind}/{name}/{digest}/approve",
	"POST /held/{kind}/{name}/{digest}/reject", "POST " + previewRoot + "new", "GET " + previewRoot + "{preview}/{$}",
	SignIn + session.StartPath, SignIn + session.CallbackPath}

// request is a request of a signed-in person who has the needed scope.
type request struct {
	*http.Request
	who tokens.Identity
	// details are further facts for the audit log; nil if the request only reads.
	details map[string]string
}

// detail adds a fact for the audit log.
func (r *request) detail(name, value string) {
	if r.details != nil && value != "" {
		r.details[name] = value
	}
}

// container returns the container in the path, or none.
func (r *request) container() container.ID {
	if r.PathValue("kind") == "" {
		return ""
	}
	return container.ID(r.PathValue("kind") + ":" + r.PathValue("name"))
}

// view returns the data of a page, or an error.
type view func(*request) (*page, error)

// action carries out what a form asks for and returns the path of the page that follows.
type action func(*request) (next string, err error)

// get registers a page, which needs the scope read.
func (c *Console) get(pattern string, v view) {
	c.mux.HandleFunc("GET "+pattern, func(w http.ResponseWriter, r *http.Request) {
		req, ok := c.enter(w, r, tokens.Read)
		if !ok {
			return
		}
		p, err := v(req)
		if errors.Is(err, decisions.ErrReplaced) {
			p, err = v(req)
		}
		c.answer(w, req, p, err)
	})
}

// post registers an action, which the audit log records under the name of the event. The person needs the scope of the
// action and the scope read.
func (c *Console) post(pattern string, scope tokens.Scope, event string, do action) {
	c.mux.HandleFunc("POST "+pattern, func(w http.ResponseWriter, r *http.Request) {
		req, ok := c.enter(w, r, scope)
		if !ok {
			return
		}
		var next string
		rec := audit.Record{Event: event, Actor: req.who.Name, Container: string(req.container())}
		err := c.cfg.API.Audited(r, string(scope), rec, func(details map[string]string) (err error) {
			req.details = details
			next, err = do(req)
			return err
		})
		if err != nil {
			c.answer(w, req, nil, err)
			return
		}
		http.Redirect(w, r, next, http.StatusSeeOther)
	})
}

// maxForm is the largest form, in bytes. A page has at most a few hundred check boxes.
const maxForm = 1 << 20

// enter returns the request of a person with a scope. Otherwise it answers the request and returns false.
func (c *Console) enter(w http.ResponseWriter, r *http.Request, scope tokens.Scope) (*request, bool) {
	who, known, err := c.cfg.Desk.Who(r)
	req := &request{Request: r, who: who}
	switch {
	case err != nil:
		c.cfg.Desk.Unavailable(w, r, err)
	case !known && r.Method == http.MethodPost:
		http.Redirect(w, r, SignIn, http.StatusSeeOther)
	case !known:
		c.cfg.Desk.Ask(w, r)
	case !who.May(tokens.Read):
		c.answer(w, req, nil, lacks(who, tokens.Read))
	case req.container() != "" && !who.Reaches(req.container()):
		c.answer(w, req, nil, errNoPage)
	case !who.May(scope):
		c.answer(w, req, nil, lacks(who, scope))
	default:
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		return req, true
	}
	return nil, false
}

// refusal is an error with its status and its text for people.
type refusal struct {
	status int
	text   string
}

func lacks(who tokens.Identity, scope tokens.Scope) refusal {
	return refusal{http.StatusForbidden, "The token " + who.Name + " lacks the scope " + string(scope) + "."}
}

// Error implements error.
func (r refusal) Error() string { return r.text }

var errNoPage = refusal{http.StatusNotFound, "There is no such page. What it showed may no longer be kept."}

// answer renders a page, or the page of an error.
func (c *Console) answer(w http.ResponseWriter, r *request, p *page, err error) {
	code := http.StatusOK
	if err != nil {
		if cause := context.Cause(r.Context()); redisfault.Is(cause) {
			err = cause
		}
		var text string
		shown, has := errors.AsType[instead](err)
		if refused, is := errors.AsType[refusal](err); is {
			code, text = refused.status, refused.text
		} else {
			code, text = c.cfg.API.Failure(r.Request, err)
		}
		p = &page{View: "error", Title: http.StatusText(code), Data: text,
			Retry: code == http.StatusServiceUnavailable && r.Method == http.MethodGet}
		if has {
			p = shown.page
		}
	}
	if p.Status != 0 {
		code = p.Status
	}
	c.complete(r, p)
	var b bytes.Buffer
	if err := c.views.page(&b, p); err != nil {
		c.cfg.Log.ErrorContext(r.Context(), "page cannot be rendered", "view", p.View, "err", err)
		http.Error(w, "Internal server error.", http.StatusInternalServerError)
		return
	}
	send(w, r.Request, code, "text/html; charset=utf-8", b.Bytes())
}
