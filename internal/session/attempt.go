package session

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"rollcall/internal/tokens"
)

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
