package scim

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"rollcall/simulator/fault"
)

// tokenStore has the access tokens that were issued for client credentials.
type tokenStore struct {
	mu      sync.Mutex
	issued  int
	expires map[string]time.Time
}

// Revoke invalidates every token that was issued for client credentials.
func (t *Tenant) Revoke() {
	t.auth.mu.Lock()
	defer t.auth.mu.Unlock()
	t.auth.expires = nil
}

// SetToken replaces the bearer token.
func (t *Tenant) SetToken(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cfg.Token = token
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (t *Tenant) authorize(r *http.Request) *apiError {
	t.mu.RLock()
	bearer := t.cfg.Token
	t.mu.RUnlock()
	if user, password, ok := r.BasicAuth(); ok && same(user, t.cfg.User) && same(password, t.cfg.Password) {
		return nil
	}
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if ok && same(token, bearer) {
		return nil
	}
	t.auth.mu.Lock()
	defer t.auth.mu.Unlock()
	if until, known := t.auth.expires[token]; known && t.cfg.Now().Before(until) {
		return nil
	}
	return refusal(http.StatusUnauthorized, "", "The credentials are not valid.")
}

// serveToken issues an access token for client credentials.
func (t *Tenant) serveToken(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, code string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": code})
	}
	if f := t.faults.Next(fault.Call{Method: TokenMethod, Path: r.URL.Path}); f != nil {
		if f.Effect != Refuse {
			panic(http.ErrAbortHandler)
		}
		e := refusalOf(f)
		fail(e.status, e.scimType)
		return
	}
	id, secret, ok := r.BasicAuth()
	if !ok {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	switch {
	case r.Method != http.MethodPost || r.PostFormValue("grant_type") != "client_credentials":
		fail(http.StatusBadRequest, "unsupported_grant_type")
		return
	case !same(id, t.cfg.ClientID) || !same(secret, t.cfg.ClientSecret):
		fail(http.StatusUnauthorized, "invalid_client")
		return
	}
	t.auth.mu.Lock()
	defer t.auth.mu.Unlock()
	t.auth.issued++
	token := fmt.Sprintf("issued-%d-%s", t.auth.issued, t.newID(uint64(t.auth.issued)))
	if t.auth.expires == nil {
		t.auth.expires = map[string]time.Time{}
	}
	t.auth.expires[token] = t.cfg.Now().Add(t.cfg.TokenLifetime)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"access_token": token, "token_type": "Bearer",
		"expires_in": int(t.cfg.TokenLifetime.Seconds())})
}
