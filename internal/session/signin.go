package session

import (
	"crypto/rand"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"time"

	"rollcall/audit"
	"rollcall/internal/tokens"
)

//go:embed signin.html
var signInHTML string

var signInPage = template.Must(template.New("signin").Parse(signInHTML))

// signInForm has the values of the page.
type signInForm struct {
	Config
	Nonce string
	// Next is the path of the wanted page.
	Next string
	// Problem is why the last attempt failed.
	Problem string
	// Who is the signed-in identity. It is nil for a request that is not signed in.
	Who *tokens.Identity
	// PersonURL begins the sign-in at the OpenID provider; empty without one.
	PersonURL string
}

const (
	// mostGuesses is the number of wrong tokens that are handled concurrently. A token of 32 random bytes cannot be
	// guessed; the bound limits the load of attempts.
	mostGuesses = 8
	// nextField has the path of the page that a person wanted before signing in.
	nextField = "next"
)

// Ask sends a browser to the form. The wanted page follows after the sign-in.
func (d *Desk) Ask(w http.ResponseWriter, r *http.Request) {
	to := d.cfg.SignIn
	if want := r.URL.RequestURI(); want != d.cfg.Home && d.within(want) {
		to += "?" + url.Values{nextField: {want}}.Encode()
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// within reports whether a path leads to a page behind the desk. A browser takes a second slash for another host.
func (d *Desk) within(path string) bool {
	return strings.HasPrefix(path, d.cfg.Home) && !strings.HasPrefix(path, "//") && !strings.ContainsAny(path, "\\\r\n\t")
}

// SignIn shows the form and accepts it. It works without JavaScript.
func (d *Desk) SignIn(w http.ResponseWriter, r *http.Request) {
	switch {
	case d.Open() && r.Method != http.MethodPost:
		http.Redirect(w, r, d.cfg.Home, http.StatusSeeOther)
	case r.Method == http.MethodGet, r.Method == http.MethodHead:
		who, known, err := d.Who(r)
		if err != nil {
			d.Unavailable(w, r, err)
			return
		}
		form := signInForm{Next: r.URL.Query().Get(nextField)}
		switch {
		case known:
			form.Who = &who
		case sessionID(r) != "":
			form.Problem = "Your session has ended. Sign in again."
		}
		d.show(w, http.StatusOK, form)
	case r.Method == http.MethodPost && !d.Open():
		d.trySignIn(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "Only GET, HEAD and POST are allowed here.", http.StatusMethodNotAllowed)
	}
}

func (d *Desk) trySignIn(w http.ResponseWriter, r *http.Request) {
	const maxForm = 8 << 10
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	token, next := strings.TrimSpace(r.PostFormValue("token")), r.PostFormValue(nextField)
	if IsIDToken(token) {
		d.show(w, http.StatusForbidden, signInForm{Next: next,
			Problem: "This is an ID token, which begins no session: sign in with your account, or use an API token."})
		return
	}
	who, known := d.cfg.Tokens.Lookup(token)
	switch {
	case !known:
		d.refuse(w, r, next)
	case !who.May(tokens.Read):
		d.show(w, http.StatusForbidden, signInForm{Next: next, Problem: "The token " + who.Name + " lacks the scope read."})
	default:
		d.enter(w, r, who.Name, who.Mark(), next)
	}
}

// enter begins a session with this value and goes to the wanted page.
func (d *Desk) enter(w http.ResponseWriter, r *http.Request, name, value, next string) {
	if d.signIns.Count(name, time.Now()) > mostSignIns {
		w.Header().Set("Retry-After", "60")
		d.show(w, http.StatusTooManyRequests,
			signInForm{Next: next, Problem: "Too many sign-ins of " + name + ". Try again in a minute."})
		return
	}
	if !d.Record(w, r, "sign-in", name, audit.Done) {
		return
	}
	if err := d.begin(w, r, value); err != nil {
		d.Unavailable(w, r, err)
		return
	}
	if !d.within(next) {
		next = d.cfg.Home
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// refuse responds to a wrong token after a delay.
func (d *Desk) refuse(w http.ResponseWriter, r *http.Request, next string) {
	d.cfg.Refused(r)
	select {
	case d.guesses <- struct{}{}:
		defer func() { <-d.guesses }()
	default:
		w.Header().Set("Retry-After", "5")
		d.show(w, http.StatusTooManyRequests,
			signInForm{Next: next, Problem: "Too many wrong tokens at once. Try again in a moment."})
		return
	}
	if err := d.record(r, "sign-in", "", audit.Refused); err != nil {
		d.cfg.Log.ErrorContext(r.Context(), "a refused sign-in is not in the audit log", "err", err)
	}
	select {
	case <-time.After(d.cfg.Pause):
	case <-r.Context().Done():
	}
	d.show(w, http.StatusForbidden, signInForm{Next: next, Problem: "This token is not known."})
}

// EndSession ends the session of a request.
func (d *Desk) EndSession(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "Only POST is allowed here.", http.StatusMethodNotAllowed)
		return
	}
	if err := d.end(r); err != nil {
		d.Unavailable(w, r, err)
		return
	}
	http.SetCookie(w, cookie(r, cookieName, "", -1))
	http.Redirect(w, r, d.cfg.SignIn, http.StatusSeeOther)
}

func (d *Desk) show(w http.ResponseWriter, status int, form signInForm) {
	form.Config, form.Nonce = d.cfg, rand.Text()
	if d.cfg.People != nil {
		form.PersonURL = d.cfg.PeopleAt + StartPath
		if form.Next != "" {
			form.PersonURL += "?" + url.Values{nextField: {form.Next}}.Encode()
		}
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+form.Nonce+
		"'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = signInPage.Execute(w, form) // the client is gone
}
