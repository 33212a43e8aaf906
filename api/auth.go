package api

import (
	"net/http"
	"strings"

	"rollcall/internal/tokens"
)

// Tokens recognises a presented token: a tokens.List, or a tokens.File that follows its file.
type Tokens interface {
	Lookup(token string) (tokens.Identity, bool)
}

// nobody is who calls where no tokens are asked for.
var nobody = tokens.Identity{Name: "anonymous", Scopes: tokens.Scopes()}

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
func (a *API) authenticate(r *http.Request) (tokens.Identity, error) {
	if a.cfg.Tokens == nil {
		return nobody, nil
	}
	scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
	switch token = strings.TrimSpace(token); {
	case !found:
		return tokens.Identity{}, errNoCredentials
	case !strings.EqualFold(scheme, "bearer"):
		return tokens.Identity{}, errUnsupported
	case token == "":
		return tokens.Identity{}, errNoCredentials
	}
	caller, known := a.cfg.Tokens.Lookup(token)
	if !known {
		return tokens.Identity{}, errInvalidToken
	}
	return caller, nil
}
