package api

import (
	"net/http"
	"slices"
	"strings"

	"rollcall/internal/tokens"
)

// The scopes of a token. No scope includes another.
const (
	ScopeRead    = string(tokens.Read)    // whatever only looks
	ScopeSync    = string(tokens.Sync)    // starting and cancelling work
	ScopeApprove = string(tokens.Approve) // letting held changes go
)

// Caller is the holder of a token.
type Caller struct {
	// Name is the name of the token. Runs and messages record it.
	Name   string
	Scopes []string
}

func (c Caller) may(scope string) bool { return scope == "" || slices.Contains(c.Scopes, scope) }

// Authenticator returns the holder of a token, as tokens.File does.
type Authenticator func(token string) (Caller, bool)

// anonymous is the caller if no tokens are configured.
var anonymous = Caller{Name: "anonymous", Scopes: []string{ScopeRead, ScopeSync, ScopeApprove}}

// The refusals. They have status 403, never 401, and these texts, because existing clients expect them.
var (
	errNoCredentials = forbidden("Authentication credentials were not provided.")
	errUnsupported   = forbidden("Unsupported authentication type")
	errInvalidToken  = forbidden("Token invalid/expired")
	errForbidden     = forbidden("You do not have permission to perform this action.")
	errCrossOrigin   = forbidden("Cross-origin requests are not allowed.")
)

func forbidden(text string) *problem { return &problem{http.StatusForbidden, detail{Detail: text}} }

// crossOrigin refuses requests that a browser sends for another site. Tokens already prevent these. Without tokens,
// any page in an operator's browser could start a sync on a local API.
var crossOrigin = http.NewCrossOriginProtection()

// authenticate reads the Authorization header (RFC 6750; the name of the scheme is case-insensitive).
func (a *API) authenticate(r *http.Request) (Caller, error) {
	if a.cfg.Authenticate == nil {
		return anonymous, nil
	}
	scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
	switch token = strings.TrimSpace(token); {
	case !found:
		return Caller{}, errNoCredentials
	case !strings.EqualFold(scheme, "bearer"):
		return Caller{}, errUnsupported
	case token == "":
		return Caller{}, errNoCredentials
	}
	caller, known := a.cfg.Authenticate(token)
	if !known {
		return Caller{}, errInvalidToken
	}
	return caller, nil
}
