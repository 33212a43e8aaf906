package graph

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"
)

// accessToken is the content of an access token. It has the claims of a real one and a signature that only this
// tenant can check.
type accessToken struct {
	Audience string   `json:"aud"`
	Issuer   string   `json:"iss"`
	IssuedAt int64    `json:"iat"`
	Expires  int64    `json:"exp"`
	AppID    string   `json:"appid"`
	Roles    []string `json:"roles"`
	Tenant   string   `json:"tid"`
	Version  string   `json:"ver"`
}

func (a *accessToken) hasAny(permissions []string) bool {
	return slices.ContainsFunc(permissions, func(p string) bool { return slices.Contains(a.Roles, p) })
}

// IssueToken returns an access token of the app, as the token endpoint would.
func (t *Tenant) IssueToken() string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	now := t.cfg.AuthNow()
	claims := accessToken{
		Audience: "https://graph.microsoft.com", Issuer: "https://sts.windows.net/" + t.cfg.TenantID + "/",
		IssuedAt: now.Unix(), Expires: now.Add(t.cfg.TokenLifetime).Unix(),
		AppID: t.cfg.App.ClientID, Roles: t.cfg.App.Permissions, Tenant: t.cfg.TenantID, Version: "1.0",
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"typ":"JWT","alg":"HS256"}`)) + "." + encode(marshal(claims))
	return signed + "." + encode(t.mac([]byte(signed)))
}

// SetPermissions changes the app's application permissions. Tokens that were issued before keep theirs, as in Entra.
func (t *Tenant) SetPermissions(permissions ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cfg.App.Permissions = slices.Clone(permissions)
}

// authenticate reads the access token of a request.
func (t *Tenant) authenticate(r *http.Request) (*accessToken, *apiError) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token == "" || !strings.EqualFold(scheme, "Bearer") {
		return nil, unauthenticated("Access token is empty.")
	}
	i := strings.LastIndex(token, ".")
	if i < 0 {
		return nil, unauthenticated("IDX14100: JWT is not well formed, there are no dots (.).")
	}
	signature, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil || !hmac.Equal(signature, t.mac([]byte(token[:i]))) {
		return nil, unauthenticated("Signing key is invalid.")
	}
	_, payload, _ := strings.Cut(token[:i], ".")
	data, err := base64.RawURLEncoding.DecodeString(payload)
	var a accessToken
	if err != nil || json.Unmarshal(data, &a) != nil {
		return nil, unauthenticated("Invalid token.")
	}
	if !t.cfg.AuthNow().Before(time.Unix(a.Expires, 0)) {
		return nil, unauthenticated("Lifetime validation failed, the token is expired.")
	}
	return &a, nil
}
