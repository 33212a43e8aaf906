package googleworkspace

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// grantedTo has the scopes, the subject and the expiry of an access token.
type grantedTo struct {
	subject string
	scopes  []string
	until   time.Time
}

// tokenStore holds the access tokens in use.
type tokenStore struct {
	mu     sync.Mutex
	tokens map[string]grantedTo
}

func (s *tokenStore) issue(g grantedTo) string {
	var secret [24]byte
	_, _ = rand.Read(secret[:]) // never fails, crypto/rand says
	token := "ya29." + base64.RawURLEncoding.EncodeToString(secret[:])
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == nil {
		s.tokens = map[string]grantedTo{}
	}
	s.tokens[token] = g
	return token
}

func (s *tokenStore) lookup(token string, now time.Time) (grantedTo, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, ok := s.tokens[token]
	if ok && !now.Before(g.until) {
		delete(s.tokens, token)
		return g, false
	}
	return g, ok
}

// IssueToken returns an access token for the tenant's administrator, for clients without a service account. It does
// not involve the token endpoint. Without arguments the token has all of the tenant's scopes.
func (t *Tenant) IssueToken(scopes ...string) string {
	if len(scopes) == 0 {
		scopes = t.cfg.Scopes
	}
	return t.auth.issue(grantedTo{
		subject: strings.ToLower(t.cfg.AdminEmail), scopes: slices.Clone(scopes),
		until: t.cfg.AuthNow().Add(t.cfg.TokenLifetime),
	})
}

// RevokeTokens makes every access token invalid, as when an administrator withdraws the delegation's grants.
func (t *Tenant) RevokeTokens() {
	t.auth.mu.Lock()
	defer t.auth.mu.Unlock()
	clear(t.auth.tokens)
}

// authorize checks the access token of a request. It must be valid and have one of the method's scopes, and its
// subject must be an administrator.
func (t *Tenant) authorize(r *http.Request, route *route) *apiError {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		token = r.URL.Query().Get("access_token")
	}
	if token == "" {
		return loginRequired()
	}
	g, ok := t.auth.lookup(token, t.cfg.AuthNow())
	if !ok {
		return invalidCredentials()
	}
	if !slices.ContainsFunc(route.scopes, func(s string) bool { return slices.Contains(g.scopes, s) }) {
		return insufficientPermissions()
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	if u := t.addresses[g.subject].user; u == nil || !u.admin || u.suspended() {
		return forbidden()
	}
	return nil
}
