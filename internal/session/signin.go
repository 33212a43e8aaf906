package session

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

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

// attempt is one sign-in between the two requests of the browser. Only the browser keeps it, in a cookie, so that
// requests without a login store nothing.
type attempt struct{ State, Nonce, Verifier, Next string }

// maxNext is the length of the wanted page that an attempt keeps, in bytes.
const maxNext = 1 << 10

// text returns the attempt as the value of a cookie.
func (a attempt) text() string {
	return strings.Join([]string{a.State, a.Nonce, a.Verifier, base64.RawURLEncoding.EncodeToString([]byte(a.Next))}, ".")
}

// attemptOf reads the value of a cookie.
func attemptOf(text string) (attempt, bool) {
	parts := strings.Split(text, ".")
	if len(parts) != 4 || slices.Contains(parts[:3], "") {
		return attempt{}, false
	}
	next, err := base64.RawURLEncoding.DecodeString(parts[3])
	return attempt{State: parts[0], Nonce: parts[1], Verifier: parts[2], Next: string(next)}, err == nil
}

const (
	// attemptLife is how long a person may take at the provider.
	attemptLife = 10 * time.Minute
	attemptName = "rollcall_signin"
)

// StartPath and CallbackPath are the paths of the sign-in by OpenID Connect below Config.SignIn.
const (
	StartPath    = "/person"
	CallbackPath = "/callback"
)

func hashOf(text string) string {
	hash := sha256.Sum256([]byte(text))
	return hex.EncodeToString(hash[:])
}

// Start sends a browser to the OpenID provider.
func (d *Desk) Start(w http.ResponseWriter, r *http.Request) {
	if d.cfg.People == nil || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	a := attempt{State: rand.Text(), Nonce: rand.Text(), Verifier: oauth2.GenerateVerifier()}
	if next := r.URL.Query().Get(nextField); len(next) <= maxNext && d.within(next) {
		a.Next = next
	}
	to, err := d.cfg.People.begin(r.Context(), a)
	if err != nil {
		d.failed(w, r, err, "The OpenID provider cannot be reached. Try again later, or use an API token.")
		return
	}
	http.SetCookie(w, cookie(r, attemptName, a.text(), int(attemptLife.Seconds())))
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// Callback ends a sign-in at the OpenID provider, in the browser that began it. The provider redeems its code once.
func (d *Desk) Callback(w http.ResponseWriter, r *http.Request) {
	if d.cfg.People == nil || r.Method != http.MethodGet {
		http.NotFound(w, r)
		return
	}
	q := r.URL.Query()
	var a attempt
	began, err := r.Cookie(attemptName)
	is := err == nil
	if is {
		a, is = attemptOf(began.Value)
	}
	if !is || subtle.ConstantTimeCompare([]byte(q.Get("state")), []byte(a.State)) != 1 {
		d.failed(w, r, errors.New("the callback belongs to no sign-in of this browser"),
			"This sign-in took too long or began in another browser. Try again.")
		return
	}
	http.SetCookie(w, cookie(r, attemptName, "", -1))
	if iss := q.Get("iss"); iss != "" && iss != d.cfg.People.cfg.Issuer { // RFC 9207
		d.failed(w, r, fmt.Errorf("the answer is that of the issuer %.200q", iss), "Another provider answered. Try again.")
		return
	}
	if q.Has("error") {
		d.failed(w, r, fmt.Errorf("the provider answered %.40q", q.Get("error")), "The provider refused the sign-in.")
		return
	}
	who, err := d.cfg.People.redeem(r.Context(), a, q.Get("code"))
	if err != nil {
		d.failed(w, r, err, "The sign-in failed. The log of the API says why.")
		return
	}
	d.admit(w, r, who, a.Next)
}

// admit begins the session of a person who has rights.
func (d *Desk) admit(w http.ResponseWriter, r *http.Request, who person, next string) {
	id, known := d.cfg.People.rights(who)
	if !known || !slices.Contains(id.Scopes, tokens.Read) {
		if err := d.record(r, "sign-in", who.Name, "refused"); err != nil {
			d.cfg.Log.ErrorContext(r.Context(), "a refused sign-in is not in the audit log", "err", err)
		}
		d.show(w, http.StatusForbidden, signInForm{Next: next,
			Problem: who.Name + " has no rights here. A line of the tokens file gives them to a group."})
		return
	}
	text, err := json.Marshal(who)
	if err != nil {
		d.Unavailable(w, r, err)
		return
	}
	d.enter(w, r, id.Name, personPrefix+string(text), next)
}

// failed shows the form with what went wrong. The log has the details.
func (d *Desk) failed(w http.ResponseWriter, r *http.Request, err error, problem string) {
	d.cfg.Log.WarnContext(r.Context(), "sign-in by OpenID Connect", "err", err)
	d.show(w, http.StatusForbidden, signInForm{Problem: problem})
}
