package dashboard

import (
	_ "embed"
	"html/template"
	"net/http"
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
	Nonce string
	// Problem is why the last attempt failed.
	Problem string
	// Who is the signed-in identity. It is nil for a request that is not signed in.
	Who *tokens.Identity
	// Elsewhere is set if the user followed a link from another site, because browsers then withhold the session's
	// cookie.
	Elsewhere bool
}

// mostGuesses is the number of wrong tokens that are handled concurrently. A token of 32 random bytes cannot be
// guessed; the bound limits the load of attempts.
const mostGuesses = 8

// signIn shows the form and accepts it. It works without JavaScript.
func (d *Dashboard) signIn(w http.ResponseWriter, r *http.Request) {
	switch {
	case d.cfg.Tokens == nil && looks(r):
		http.Redirect(w, r, Root, http.StatusSeeOther)
	case looks(r):
		who, known, err := d.who(r)
		if err != nil {
			d.unavailable(w, r, err)
			return
		}
		form := signInForm{Elsewhere: r.Header.Get("Sec-Fetch-Site") == "cross-site"}
		if known {
			form.Who = &who
		}
		d.show(w, http.StatusOK, form)
	case r.Method == http.MethodPost && d.cfg.Tokens != nil:
		d.trySignIn(w, r)
	default:
		w.Header().Set("Allow", "GET, HEAD, POST")
		http.Error(w, "Only GET, HEAD and POST are allowed here.", http.StatusMethodNotAllowed)
	}
}

func (d *Dashboard) trySignIn(w http.ResponseWriter, r *http.Request) {
	const maxForm = 4 << 10
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	who, known := d.cfg.Tokens.Lookup(strings.TrimSpace(r.PostFormValue("token")))
	switch {
	case !known:
		d.refuse(w, r)
	case !who.May(tokens.Read):
		d.show(w, http.StatusForbidden, signInForm{Problem: "The token " + who.Name + " lacks the scope read."})
	case who.Restricted():
		d.show(w, http.StatusForbidden, signInForm{Problem: "The token " + who.Name + " is for some sources and providers " +
			"only, and the queues have the tasks of all."})
	default:
		if err := d.record(r, "sign-in", who.Name, audit.Done); err != nil {
			d.unrecorded(w, r, err)
			return
		}
		if err := d.begin(w, r, who); err != nil {
			d.unavailable(w, r, err)
			return
		}
		http.Redirect(w, r, Root, http.StatusSeeOther)
	}
}

// refuse responds to a wrong token after a delay.
func (d *Dashboard) refuse(w http.ResponseWriter, r *http.Request) {
	select {
	case d.guesses <- struct{}{}:
		defer func() { <-d.guesses }()
	default:
		w.Header().Set("Retry-After", "5")
		d.show(w, http.StatusTooManyRequests, signInForm{Problem: "Too many wrong tokens at once. Try again in a moment."})
		return
	}
	if err := d.record(r, "sign-in", "", audit.Refused); err != nil {
		d.cfg.Log.ErrorContext(r.Context(), "a refused sign-in is not in the audit log", "err", err)
	}
	select {
	case <-time.After(d.cfg.Pause):
	case <-r.Context().Done():
	}
	d.show(w, http.StatusForbidden, signInForm{Problem: "This token is not known."})
}

// signOut ends the session.
func (d *Dashboard) signOut(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "Only POST is allowed here.", http.StatusMethodNotAllowed)
		return
	}
	if err := d.end(r); err != nil {
		d.unavailable(w, r, err)
		return
	}
	http.SetCookie(w, cookie(r, "", -1))
	http.Redirect(w, r, signInPath, http.StatusSeeOther)
}

func (d *Dashboard) show(w http.ResponseWriter, status int, form signInForm) {
	form.Nonce = nonce()
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'nonce-"+form.Nonce+
		"'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = signInPage.Execute(w, form) // the client is gone
}
