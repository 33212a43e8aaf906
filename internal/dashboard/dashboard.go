// Package dashboard serves asynqmon, the web interface of the job queues, below Root and behind the API's tokens.
//
// asynqmon has no users, trusts every page that sends it a form, and loads fonts from other hosts. The package
// therefore puts its own checks in front of it:
//
//	cross-origin check ─▶ identity (bearer token or session) ─▶ scope (read to look, sync to act) ─▶ asynqmon
//
// A user signs in with an API token and gets a session, which package session describes. The page for browsers is
// rewritten once at start, so that it works under a strict policy and makes no request to other hosts.
//
// Refusals are plain text, like asynqmon's own, because its interface displays the text.
package dashboard

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"net/http"
	"path"
	"regexp"
	"strings"
	"time"

	"github.com/hibiken/asynqmon"
	"github.com/redis/go-redis/v9"

	"rollcall/audit"
	"rollcall/internal/session"
	"rollcall/internal/tokens"
)

// The paths. asynqmon serves every other path below Root.
const (
	Root        = "/asynqmon/"
	signInPath  = Root + "login"
	signOutPath = Root + "logout"
	apiRoot     = Root + "api/"
)

// Config configures a Dashboard. Redis is required.
type Config struct {
	Redis redis.UniversalClient
	// Tokens are the tokens that may sign in. Nil grants every right to every request, as in package api.
	Tokens session.Tokens
	// People, PeopleAt and Signatures are those of session.Config.
	People     *session.People
	PeopleAt   string
	Signatures func(data string) ([]string, error)
	Log        *slog.Logger // default: discard
	// Audit records sign-ins and actions. Nil records nothing.
	Audit audit.Sink
	// Refused and Client are those of session.Config.
	Refused func(*http.Request)
	Client  func(*http.Request) string
	// Pause delays the response to a wrong token. The default is 1 s.
	Pause time.Duration
}

// Dashboard is the handler of every path at and below Root.
type Dashboard struct {
	// look is asynqmon for identities that may only read. act is asynqmon for those that may also start and cancel.
	look, act view
	desk      *session.Desk
}

// view is asynqmon with one set of permissions, and its page.
type view struct {
	app  http.Handler
	page page
}

// New returns a Dashboard.
func New(cfg Config) (*Dashboard, error) {
	if cfg.Redis == nil {
		return nil, errors.New("dashboard: Redis is needed")
	}
	cfg.Log = cmp.Or(cfg.Log, slog.New(slog.DiscardHandler))
	d := &Dashboard{desk: session.New(session.Config{
		Redis: cfg.Redis, Tokens: cfg.Tokens, Home: Root, SignIn: signInPath, SignOut: signOutPath, Log: cfg.Log,
		People: cfg.People, PeopleAt: cfg.PeopleAt, Signatures: cfg.Signatures,
		Audit: cfg.Audit, Pause: cfg.Pause, Refused: cfg.Refused, Client: cfg.Client,
	})}
	var err, err2 error
	d.look, err = newView(cfg.Redis, true)
	d.act, err2 = newView(cfg.Redis, false)
	return d, errors.Join(err, err2)
}

// connection is the process's own Redis client in the form that asynqmon accepts. asynqmon's Close is never called,
// because it would close that client and asynqmon has nothing else to release.
type connection struct{ redis.UniversalClient }

// MakeRedisClient implements asynq.RedisConnOpt.
func (c connection) MakeRedisClient() any { return c.UniversalClient }

func newView(rdb redis.UniversalClient, readOnly bool) (view, error) {
	app := asynqmon.New(asynqmon.Options{RootPath: strings.TrimSuffix(Root, "/"), RedisConnOpt: connection{rdb},
		ReadOnly: readOnly})
	page, err := newPage(app)
	return view{app, page}, err
}

// crossOrigin refuses requests that a browser sends on behalf of another site.
var crossOrigin = http.NewCrossOriginProtection()

// ServeHTTP implements http.Handler.
func (d *Dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	p := r.URL.Path
	switch {
	case crossOrigin.Check(r) != nil:
		http.Error(w, "Cross-origin requests are not allowed.", http.StatusForbidden)
	case p+"/" == Root && looks(r):
		http.Redirect(w, r, Root, http.StatusSeeOther)
	case !strings.HasPrefix(p, Root) || path.Clean(p) != strings.TrimSuffix(p, "/"):
		http.Error(w, "Not found.", http.StatusNotFound)
	case p == signInPath:
		d.desk.SignIn(w, r)
	case p == signOutPath:
		d.desk.EndSession(w, r)
	default:
		d.enter(w, r)
	}
}

// protect sets the default headers.
func protect(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// looks reports whether a request changes nothing.
func looks(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// enter checks the identity and scope of a request and serves it.
func (d *Dashboard) enter(w http.ResponseWriter, r *http.Request) {
	who, known, err := d.desk.Who(r)
	scope := tokens.Read
	if !looks(r) {
		scope = tokens.Sync
	}
	switch {
	case err != nil:
		d.desk.Unavailable(w, r, err)
	case !known && isNavigation(r):
		d.desk.Ask(w, r)
	case !known:
		http.Error(w, "Not signed in, or the session has ended. Reload the page to sign in. "+
			"Programs send an API token as Authorization: Bearer.", http.StatusForbidden)
	case who.Restricted():
		http.Error(w, "The token "+who.Name+" is for some sources and providers only, and the queues have the tasks "+
			"of all.",
			http.StatusForbidden)
	case !who.May(scope):
		http.Error(w, "The token "+who.Name+" lacks the scope "+string(scope)+".", http.StatusForbidden)
	case who.May(tokens.Sync):
		d.serve(w, r, d.act, who)
	default:
		d.serve(w, r, d.look, who)
	}
}

// serve answers a request from an identity that has the needed scope.
func (d *Dashboard) serve(w http.ResponseWriter, r *http.Request, v view, who tokens.Identity) {
	switch p := r.URL.Path; {
	case strings.HasPrefix(p, apiRoot):
		if !looks(r) {
			if !d.desk.Record(w, r, "dashboard action", who.Name, audit.Begun) {
				return
			}
		}
		const maxBody = 1 << 20
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		w.Header().Set("Content-Type", "application/json") // asynqmon leaves it to be guessed; its errors set their own
		v.app.ServeHTTP(w, r)
	case !looks(r):
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "Only GET and HEAD are allowed here.", http.StatusMethodNotAllowed)
	case strings.Contains(path.Base(p), "."):
		v.app.ServeHTTP(&asset{ResponseWriter: w}, r)
	case d.desk.Open():
		v.page.write(w, "")
	default:
		v.page.write(w, who.Name)
	}
}

// isNavigation reports whether the browser displays the response as a page.
func isNavigation(r *http.Request) bool {
	return looks(r) && !strings.HasPrefix(r.URL.Path, apiRoot) && strings.Contains(r.Header.Get("Accept"), "text/html")
}

// page is the one HTML page of asynqmon's interface, with marks for the values of each response.
type page string

const (
	nonceMark = "NONCE-OF-THE-ANSWER"
	whoMark   = "NAME-OF-THE-TOKEN"

	head = `<head><meta property="csp-nonce" content="` + nonceMark + `">`
	// corner shows the session in the free space of asynqmon's bar, because asynqmon does not have sessions.
	corner = `<style nonce="` + nonceMark +
		`">.rollcall-session { position: fixed; top: 22px; right: 24px; z-index: 1300; ` +
		`color: #4379ff; font: 14px/1.5 Roboto, Helvetica, Arial, sans-serif; }</style>` +
		`<a class="rollcall-session" href="` + signInPath + `">` + whoMark + `: sign out</a>`
	root = `<div id="root">`
)

var (
	// foreignLink is a link element that refers to another host (asynqmon has two, for fonts that it does not need).
	foreignLink = regexp.MustCompile(`<link [^>]*href="(?:https?:)?//[^>]*>`)
	// manifest is removed, because browsers request it without a cookie and the dashboard is not an installable app.
	manifest = regexp.MustCompile(`<link rel="manifest"[^>]*>`)
	// outside matches references to other hosts, which the page must not have.
	outside = regexp.MustCompile(`(?:href|src)="(?:https?:)?//`)
)

// newPage takes the page from asynqmon and prepares it for a strict policy. The policy permits only the page's own
// scripts, two of which are inline, and the style elements that they make. The style elements carry the nonce of this
// meta element, a convention of JSS, the style library of asynqmon's interface.
func newPage(app http.Handler) (page, error) {
	r, err := http.NewRequest(http.MethodGet, Root, nil) //nolint:noctx // it goes nowhere
	if err != nil {
		return "", err
	}
	got := buffer{header: http.Header{}}
	app.ServeHTTP(&got, r)
	text := foreignLink.ReplaceAllString(got.String(), "")
	text = manifest.ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "<script", `<script nonce="`+nonceMark+`"`)
	text = strings.Replace(text, "<head>", head, 1)
	text = strings.Replace(text, root, corner+root, 1)
	switch {
	case !strings.Contains(text, head) || !strings.Contains(text, corner) || !strings.Contains(text, "<script"):
		return "", errors.New("dashboard: asynqmon's page has an unexpected form")
	case outside.MatchString(text):
		return "", fmt.Errorf("dashboard: asynqmon's page refers to another host: %s", outside.FindString(text))
	}
	return page(text), nil
}

// write responds with the page. The name is that of the session's token. It is empty if there is no session to end.
func (p page) write(w http.ResponseWriter, who string) {
	n, text := rand.Text(), string(p) // The policy permits the elements with this nonce.
	if who == "" {
		text = strings.Replace(text, corner, "", 1)
	}
	text = strings.NewReplacer(nonceMark, n, whoMark, html.EscapeString(who)).Replace(text)
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+n+"'; style-src 'nonce-"+n+
		"'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(text)) // the client is gone
}

// buffer is an http.ResponseWriter that stores the body.
type buffer struct {
	bytes.Buffer
	header http.Header
}

// Header implements http.ResponseWriter.
func (b *buffer) Header() http.Header { return b.header }

// WriteHeader implements http.ResponseWriter.
func (b *buffer) WriteHeader(int) {}

// asset passes the files of asynqmon on. For a missing file asynqmon sends its page unmodified, which is recognised
// by its missing content type.
type asset struct {
	http.ResponseWriter
	missing bool
}

// Write implements http.ResponseWriter.
func (a *asset) Write(b []byte) (int, error) {
	switch {
	case a.missing:
		return len(b), nil
	case a.Header().Get("Content-Type") == "":
		a.missing = true
		http.Error(a.ResponseWriter, "Not found.", http.StatusNotFound)
		return len(b), nil
	}
	a.Header().Set("Cache-Control", "private, max-age=86400")
	return a.ResponseWriter.Write(b)
}
