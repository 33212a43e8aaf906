package scim

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/provider/pace"
	"rollcall/provider/remote"
)

// auth makes the Authorization header. A header of client credentials is kept until its token is about to expire or is
// refused.
type auth struct {
	cfg    *Config
	client *http.Client
	now    func() time.Time
	// fixed is the header of a bearer token or of basic authentication.
	fixed  string
	secret string

	mu      sync.Mutex
	header  string
	expires time.Time
}

func newAuth(cfg *Config, client *http.Client, now func() time.Time) (*auth, error) {
	a := &auth{cfg: cfg, client: client, now: now}
	key, file := "token_file", cfg.TokenFile
	switch {
	case cfg.Username != "":
		key, file = "password_file", cfg.PasswordFile
	case cfg.ClientID != "":
		key, file = "client_secret_file", cfg.ClientSecretFile
	}
	value, _, err := secret.FromFile(string(file), false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	a.secret = strings.TrimSpace(value.Reveal())
	switch {
	case strings.ContainsAny(a.secret, "\r\n"):
		return nil, fmt.Errorf("%s: the file has several lines", key)
	case cfg.Username != "":
		a.fixed = "Basic " + base64.StdEncoding.EncodeToString([]byte(cfg.Username+":"+a.secret))
	case cfg.ClientID == "":
		a.fixed = "Bearer " + a.secret
	}
	return a, nil
}

// secrets returns the texts that no message may show.
func (a *auth) secrets() []string {
	out := []string{a.secret}
	for _, header := range []string{a.fixed, a.current()} {
		if _, text, ok := strings.Cut(header, " "); ok {
			out = append(out, text)
		}
	}
	return out
}

func (a *auth) current() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.header
}

// get returns a header other than the refused one, where there can be another.
func (a *auth) get(ctx context.Context, refused string) (string, error) {
	if a.fixed != "" {
		return a.fixed, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.header != "" && a.header != refused && a.now().Before(a.expires) {
		return a.header, nil
	}
	token, lifetime, err := a.issue(ctx)
	if err != nil {
		return "", err
	}
	a.header, a.expires = "Bearer "+token, a.now().Add(lifetime-min(time.Minute, lifetime/10))
	return a.header, nil
}

// issue gets an access token for the client credentials (RFC 6749, section 4.4).
func (a *auth) issue(ctx context.Context) (token string, lifetime time.Duration, err error) {
	if err := pace.Fenced(ctx); err != nil {
		return "", 0, err
	}
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(a.cfg.Scopes) > 0 {
		form.Set("scope", strings.Join(a.cfg.Scopes, " "))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.cfg.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, fault.New(fault.Invalid, remote.TokenOp, err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(url.QueryEscape(a.cfg.ClientID), url.QueryEscape(a.secret))
	res, err := a.client.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return "", 0, err
	}
	var body struct {
		Token   string `json:"access_token"`
		Expires any    `json:"expires_in"` // Some servers send a text.
		Error   string `json:"error"`
	}
	decodeErr := json.Unmarshal(text, &body)
	switch {
	case res.StatusCode < 200 || res.StatusCode >= 300:
		said := fmt.Sprintf("token_url answered %d %s", res.StatusCode, remote.Clean(body.Error, a.secret))
		return "", 0, remote.TokenRefused(res.StatusCode, res.Header, strings.TrimSpace(said),
			"check client_id, client_secret_file and scopes", a.now())
	case decodeErr != nil || body.Token == "":
		return "", 0, fault.Errorf(fault.Unavailable, "token_url answered without an access token")
	}
	seconds, _ := strconv.ParseFloat(asText(body.Expires), 64)
	if lifetime = time.Duration(seconds * float64(time.Second)); lifetime <= 0 {
		lifetime = time.Hour
	}
	return body.Token, lifetime, nil
}
