package api

import (
	"net/http"
	"slices"
	"strings"

	"rollcall/internal/tokens"
)

// The scopes of a token. None includes another.
const (
	ScopeRead    = string(tokens.Read)    // whatever only looks
	ScopeSync    = string(tokens.Sync)    // starting and cancelling work
	ScopeApprove = string(tokens.Approve) // letting held changes go
)

// Caller is the holder of a token.
type Caller struct {
	// Name is the token's name, which runs and messages carry.
	Name   string
	Scopes []string
}

func (c Caller) may(scope string) bool { return scope == "" || slices.Contains(c.Scopes, scope) }

// Authenticator says who holds a token, as tokens.File does.
type Authenticator func(token string) (Caller, bool)

// nobody is who calls where no tokens are asked for.
var nobody = Caller{Name: "anonymous", Scopes: []string{ScopeRead, ScopeSync, ScopeApprove}}

// The refusals. They are 403 and never 401, with these texts: clients know them.
var (
	errNoCredentials = forbidden("Authentication credentials were not provided.")
	errUnsupported   = forbidden("Unsupported authentication type")
	errInvalidToken  = forbidden("Token invalid/expired")
	errForbidden     = forbidden("You do not have permission to perform this action.")
	errCrossOrigin   = forbidden("Cross-origin requests are not allowed.")
)

func forbidden(text string) *problem { return &problem{http.StatusForbidden, detail{Detail: text}} }

// crossOrigin refuses what a browser sends on behalf of another site. Tokens already keep such requests out; without
// tokens, any page that an operator looks at could start a sync on his own machine.
var crossOrigin = http.NewCrossOriginProtection()

// authenticate reads the Authorization header (RFC 6750; the name of the scheme is case-insensitive).
func (a *API) authenticate(r *http.Request) (Caller, error) {
	if a.cfg.Authenticate == nil {
		return nobody, nil
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
