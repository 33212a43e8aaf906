package config

import (
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"

	"rollcall/internal/problem"
)

// checkOIDC checks the settings of the sign-in of people.
func (p *Process) checkOIDC() error {
	if p.OIDCIssuer == "" && p.OIDCClientID == "" && p.OIDCRedirectURL == "" && p.OIDCSecretFile == "" {
		return nil
	}
	var errs []error
	fail := func(name, text string) { errs = append(errs, problem.Field(variable(name), "%s", text)) }
	for _, v := range [][2]string{{"OIDC_ISSUER", p.OIDCIssuer}, {"OIDC_REDIRECT_URL", p.OIDCRedirectURL}} {
		name, value := v[0], v[1]
		u, err := url.Parse(value)
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
			u.Scheme != "https" && (u.Scheme != "http" || !IsLoopback(net.JoinHostPort(u.Hostname(), "0"))) {
			fail(name, "want an https:// address without user, query and fragment; http:// is for this machine only")
		}
	}
	if p.OIDCClientID == "" {
		fail("OIDC_CLIENT_ID", "is not set")
	}
	if !strings.HasSuffix(p.OIDCRedirectURL, "/login/callback") {
		fail("OIDC_REDIRECT_URL", "has to end with /login/callback")
	}
	if !slices.Contains(strings.Fields(p.OIDCScopes), "openid") {
		fail("OIDC_SCOPES", "has to contain openid")
	}
	if p.OIDCClaim == "" {
		fail("OIDC_CLAIM", "is empty")
	}
	if p.TokensFile == "" {
		fail("TOKENS_FILE", "is needed, because its lines give rights to groups of people")
	}
	return errors.Join(errs...)
}
