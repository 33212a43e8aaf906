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

// auth makes the header that signs a request in. A header of client credentials is kept until its token is about to
// expire or is refused. The secret's file is read again for each of these tokens, and after a refusal.
type auth struct {
	cfg    *Config
	client *http.Client
	now    func() time.Time

	mu sync.Mutex
	// fixed is the header of a token or of basic authentication.
	fixed   string
	secret  string
	header  string
	expires time.Time
}

func newAuth(cfg *Config, client *http.Client, now func() time.Time) (*auth, error) {
	a := &auth{cfg: cfg, client: client, now: now}
	return a, a.load()
}

// load reads the secret. The caller holds the lock.
func (a *auth) load() error {
	key, file := "token_file", a.cfg.TokenFile
	switch {
	case a.cfg.Username != "":
		key, file = "password_file", a.cfg.PasswordFile
	case a.cfg.ClientID != "":
		key, file = "client_secret_file", a.cfg.ClientSecretFile
	}
	value, _, err := secret.FromFile(string(file), false)
	if err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	text := strings.TrimSpace(value.Reveal())
	if strings.ContainsAny(text, "\r\n") {
		return fmt.Errorf("%s: the file has several lines", key)
	}
	a.secret = text
	switch {
	case a.cfg.Username != "":
		a.fixed = "Basic " + base64.StdEncoding.EncodeToString([]byte(a.cfg.Username+":"+text))
	case a.cfg.TokenHeader != "":
		a.fixed = text
	case a.cfg.ClientID == "":
		a.fixed = "Bearer " + text
	}
	return nil
}

// secrets returns the texts that no message may show.
func (a *auth) secrets() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := []string{a.secret}
	for _, header := range []string{a.fixed, a.header} {
		if _, text, ok := strings.Cut(header, " "); ok {
			out = append(out, text)
		}
	}
	return out
}

// get returns a header other than the refused one, where there can be another.
func (a *auth) get(ctx context.Context, refused string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.fixed != "" && a.fixed != refused {
		return a.fixed, nil
	}
	if a.header != "" && a.header != refused && a.now().Before(a.expires) {
		return a.header, nil
	}
	if err := a.load(); err != nil { // As a secret that is refused: it is no fault of the object that needs it.
		return "", fault.New(fault.Denied, remote.TokenOp, err)
	}
	if a.fixed != "" {
		return a.fixed, nil
	}
	token, lifetime, err := a.issue(ctx)
	if err != nil {
		return "", err
	}
	a.header, a.expires = "Bearer "+token, a.now().Add(lifetime-min(time.Minute, lifetime/10))
	return a.header, nil
}

// mostLifetime is how long a token is kept at most.
const mostLifetime = 24 * time.Hour

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
		_, basic, _ := strings.Cut(req.Header.Get("Authorization"), " ")
		said := fmt.Sprintf("token_url answered %d %s", res.StatusCode, remote.Clean(body.Error, a.secret, basic))
		return "", 0, remote.TokenRefused(res.StatusCode, res.Header, strings.TrimSpace(said),
			"check client_id, client_secret_file and scopes", a.now())
	case decodeErr != nil || body.Token == "":
		return "", 0, fault.Errorf(fault.Unavailable, "token_url answered without an access token")
	}
	seconds, _ := strconv.ParseFloat(asText(body.Expires), 64)
	if !(seconds > 0) {
		seconds = time.Hour.Seconds()
	}
	return body.Token, time.Duration(min(seconds, mostLifetime.Seconds()) * float64(time.Second)), nil
}
