package boot

import (
	"encoding/hex"
	"fmt"
	"strings"

	"rollcall/internal/secret"
	"rollcall/internal/session"
)

// people returns the sign-in of people, or nil if it is not configured. From then on known accepts ID tokens, too.
func (a *App) people(known session.Tokens) *session.People {
	file, is := known.(*knownTokens)
	if a.Process.OIDCIssuer == "" || !is {
		return nil
	}
	cfg := session.PeopleConfig{
		Issuer: a.Process.OIDCIssuer, ClientID: a.Process.OIDCClientID, RedirectURL: a.Process.OIDCRedirectURL,
		Claim: a.Process.OIDCClaim, Scopes: strings.Fields(a.Process.OIDCScopes), Rights: file.file.Person,
	}
	if path := string(a.Process.OIDCSecretFile); path != "" {
		cfg.Secret = func() (string, error) {
			v, _, err := secret.FromFile(path, a.Process.StrictFiles)
			if err != nil {
				err = fmt.Errorf("ROLLCALL_OIDC_CLIENT_SECRET_FILE: %w", err)
			}
			return v.Reveal(), err
		}
	}
	file.people = session.NewPeople(cfg)
	return file.people
}

// signatures returns what signs the sessions of the pages, or nil without a key.
func (a *App) signatures() func(data string) ([]string, error) {
	if a.sign.keys == nil {
		return nil
	}
	return func(data string) ([]string, error) {
		keys, err := a.sign.keys()
		out := make([]string, len(keys))
		for i, k := range keys {
			out[i] = hex.EncodeToString(k.Sign("session", []byte(data)))
		}
		return out, err
	}
}
