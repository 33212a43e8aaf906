package googleworkspace

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// The grant of RFC 7523, the token endpoint's only one.
const jwtBearer = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// googleTokenURL is accepted as an audience besides the endpoint's own address, because some clients have it built
// in.
const googleTokenURL = "https://oauth2.googleapis.com/token"

// oauthError is an error of the token endpoint, RFC 6749 section 5.2, with Google's texts.
type oauthError struct {
	status            int
	code, description string
}

func grantError(description string) *oauthError {
	return &oauthError{http.StatusBadRequest, "invalid_grant", description}
}

func (t *Tenant) serveToken(w http.ResponseWriter, r *http.Request) {
	refusal := t.beforeToken(r.Context())
	var answer map[string]any
	if refusal == nil {
		answer, refusal = t.grant(r)
	}
	status := http.StatusOK
	var body any = answer
	if refusal != nil {
		status = refusal.status
		body = map[string]string{"error": refusal.code, "error_description": refusal.description}
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(encodeJSON(body))
}

func (t *Tenant) grant(r *http.Request) (map[string]any, *oauthError) {
	if r.Method != http.MethodPost {
		return nil, &oauthError{http.StatusBadRequest, "invalid_request", "Only POST is supported."}
	}
	r.Body = http.MaxBytesReader(nil, r.Body, 1<<20)
	if err := r.ParseForm(); err != nil {
		return nil, &oauthError{http.StatusBadRequest, "invalid_request", "Bad Request"}
	}
	if grant := r.PostForm.Get("grant_type"); grant != jwtBearer {
		return nil, &oauthError{http.StatusBadRequest, "unsupported_grant_type", "Invalid grant_type: " + grant}
	}
	claims, refusal := t.verify(r.PostForm.Get("assertion"), r.Host)
	if refusal != nil {
		return nil, refusal
	}
	if refusal := t.delegated(claims); refusal != nil {
		return nil, refusal
	}
	token := t.auth.issue(grantedTo{
		subject: strings.ToLower(claims.Subject), scopes: claims.scopes(), until: t.cfg.AuthNow().Add(t.cfg.TokenLifetime),
	})
	return map[string]any{"access_token": token, "expires_in": int(t.cfg.TokenLifetime / time.Second),
		"token_type": "Bearer"}, nil
}

// claims are the claims of a service account's assertion.
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub"`
	Person   string `json:"prn"` // the older name of sub
	Audience string `json:"aud"`
	Scope    string `json:"scope"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

func (c claims) scopes() []string { return strings.Fields(c.Scope) }

// verify reads an assertion and checks its signature, issuer, audience and validity.
func (t *Tenant) verify(assertion, host string) (claims, *oauthError) {
	var (
		c      claims
		header struct {
			Algorithm string `json:"alg"`
			KeyID     string `json:"kid"`
		}
	)
	parts := strings.Split(assertion, ".")
	if len(parts) != 3 || !decodePart(parts[0], &header) || !decodePart(parts[1], &c) {
		return c, grantError("Invalid JWT: Failed to parse the assertion.")
	}
	if c.Subject == "" {
		c.Subject = c.Person
	}
	if c.Issuer != t.account.email {
		return c, grantError("Invalid grant: account not found")
	}
	if header.Algorithm != "RS256" || header.KeyID != "" && header.KeyID != t.account.keyID || !t.signed(parts) {
		return c, grantError("Invalid JWT Signature.")
	}
	if u, err := url.Parse(c.Audience); c.Audience != googleTokenURL &&
		(err != nil || u.Host != host || u.Path != "/token") {
		return c, grantError("Invalid JWT: The audience is not this token endpoint.")
	}
	// One hour is Google's limit. Ten minutes allow for clock differences.
	const slack = 10 * time.Minute
	issued, expires, now := time.Unix(c.Issued, 0), time.Unix(c.Expires, 0), t.cfg.AuthNow()
	if issued.After(now.Add(slack)) || expires.Before(now) || expires.Sub(issued) > time.Hour+slack {
		return c, grantError("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. " +
			"Check your iat and exp values in the JWT claim.")
	}
	return c, nil
}

func decodePart(part string, into any) bool {
	data, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	return err == nil && json.Unmarshal(data, into) == nil
}

func (t *Tenant) signed(parts []string) bool {
	key, err := t.privateKey()
	signature, sigErr := base64.RawURLEncoding.DecodeString(strings.TrimRight(parts[2], "="))
	if err != nil || sigErr != nil {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	return rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, sum[:], signature) == nil
}

// delegated checks the scopes and the user that the service account wants to impersonate.
func (t *Tenant) delegated(c claims) *oauthError {
	asked := c.scopes()
	if len(asked) == 0 {
		return &oauthError{http.StatusBadRequest, "invalid_scope", "Empty or missing scope not allowed."}
	}
	for _, s := range asked {
		if !strings.HasPrefix(s, "https://") {
			return &oauthError{http.StatusBadRequest, "invalid_scope", s + " is not a valid audience string."}
		}
	}
	if c.Subject == "" {
		return nil // the service account as itself: the Directory API will refuse it
	}
	for _, s := range asked {
		if !slices.Contains(t.cfg.Scopes, s) {
			return &oauthError{http.StatusUnauthorized, "unauthorized_client",
				"Client is unauthorized to retrieve access tokens " +
					"using this method, or client not authorized for any of the scopes requested."}
		}
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	u := t.addresses[strings.ToLower(c.Subject)].user
	if u == nil || u.suspended() {
		return grantError("Invalid email or User ID")
	}
	return nil
}
