package googleworkspace

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/option"

	"rollcall/fault"
	"rollcall/provider"
)

var _ provider.Provider = (*Provider)(nil)

// Scopes are what the service account must be allowed in the admin console (Security, API controls, Domain-wide
// delegation).
var Scopes = []string{
	admin.AdminDirectoryUserScope, admin.AdminDirectoryGroupScope, admin.AdminDirectoryGroupMemberScope, admin.AdminDirectoryDomainReadonlyScope,
}

// Caller decorates each call of the API: it may wait for quota before, and try again after, an error that is Throttled
// or Unavailable. The op is the method, "users.insert".
type Caller interface {
	Call(ctx context.Context, op string, fn func(context.Context) error) error
}

// Options are what a Provider needs besides its configuration. The zero value works.
type Options struct {
	// Credentials is the content of the key file; New reads Config.CredentialsFile when it is empty.
	Credentials []byte
	// Caller decorates each call; nil calls directly.
	Caller Caller
	// Transport carries the requests; http.DefaultTransport when nil.
	Transport http.RoundTripper
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Provider reads and writes one Google Workspace account.
type Provider struct {
	cfg    Config
	api    *admin.Service
	caller Caller
	now    func() time.Time

	userFields []string // that the mapping sets
	recent     recent
	domains    domainCache
}

// New returns a Provider. It makes no request.
func New(cfg Config, opts Options) (*Provider, error) {
	cfg.SetDefaults()
	if err := checkURL(cfg.Endpoint); err != nil {
		return nil, fault.Errorf(fault.Invalid, "endpoint: %w", err)
	}
	key := opts.Credentials
	if len(key) == 0 {
		var err error
		if key, err = os.ReadFile(cfg.CredentialsFile); err != nil {
			return nil, fault.Errorf(fault.Invalid, "credentials_file: %w", err)
		}
	}
	base := opts.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	tokens, err := newTokens(cfg, key, base)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "credentials_file: %w", err)
	}
	client := &http.Client{
		Transport: &transport{base: base, tokens: tokens},
		// A redirect would carry the access token to wherever it points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	api, err := admin.NewService(context.Background(), option.WithHTTPClient(client), option.WithEndpoint(cfg.Endpoint))
	if err != nil {
		return nil, fault.New(fault.Internal, "new service", err)
	}
	p := &Provider{cfg: cfg, api: api, caller: opts.Caller, now: opts.Now, userFields: cfg.mapped()}
	if p.now == nil {
		p.now = time.Now
	}
	p.recent.now, p.domains.now = p.now, p.now
	return p, nil
}

// call makes one call of the API and classifies its error. Every call of the package goes through here.
func (p *Provider) call(ctx context.Context, op string, fn func(context.Context) error) error {
	once := func(ctx context.Context) error {
		timed, cancel := context.WithTimeout(ctx, p.cfg.RequestTimeout)
		defer cancel()
		return classify(ctx, op, fn(timed))
	}
	if p.caller == nil {
		return once(ctx)
	}
	return p.caller.Call(ctx, op, once)
}

// tokens fetches access tokens with the service account's key and keeps the newest until it expires or is refused.
type tokens struct {
	mu     sync.Mutex
	source oauth2.TokenSource
	token  *oauth2.Token
}

func newTokens(cfg Config, key []byte, base http.RoundTripper) (*tokens, error) {
	var kind struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(key, &kind); err != nil {
		return nil, fmt.Errorf("is not the JSON key of a service account") // The parser's text may quote the key.
	}
	if kind.Type != "service_account" {
		return nil, fmt.Errorf("holds credentials of type %q: want the JSON key of a service account", kind.Type)
	}
	jwt, err := google.JWTConfigFromJSON(key, Scopes...)
	if err != nil {
		return nil, fmt.Errorf("is not the JSON key of a service account")
	}
	if !readable(jwt.PrivateKey) {
		return nil, fmt.Errorf("its private_key cannot be read")
	}
	if err := checkURL(jwt.TokenURL); err != nil {
		return nil, fmt.Errorf("token_uri: %w", err)
	}
	jwt.Subject = cfg.DelegatedSubject
	// The token request has no caller's context: it serves whoever comes next, too.
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: base, Timeout: cfg.RequestTimeout})
	return &tokens{source: sourceFunc(func() (*oauth2.Token, error) {
		token, err := jwt.TokenSource(ctx).Token()
		if err != nil {
			return nil, classifyToken(err, jwt.Email, cfg.DelegatedSubject)
		}
		return token, nil
	})}, nil
}

// readable reports whether the private key can be used: else every call would fail, and look like a network error.
func readable(key []byte) bool {
	block, _ := pem.Decode(key)
	if block == nil {
		return false
	}
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return true
	}
	_, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	return err == nil
}

type sourceFunc func() (*oauth2.Token, error)

func (f sourceFunc) Token() (*oauth2.Token, error) { return f() }

// get returns a valid token other than the refused one.
func (t *tokens) get(refused *oauth2.Token) (*oauth2.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token.Valid() && t.token != refused {
		return t.token, nil
	}
	token, err := t.source.Token()
	if err != nil {
		return nil, err
	}
	t.token = token
	return token, nil
}

// transport signs requests. A token that is refused with 401 is replaced once: it may have been withdrawn before its
// time.
type transport struct {
	base   http.RoundTripper
	tokens *tokens
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.tokens.get(nil)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	res, err := t.base.RoundTrip(signed(req, token))
	if err != nil || res.StatusCode != http.StatusUnauthorized || req.Body != nil && req.GetBody == nil {
		return res, err
	}
	fresh, err := t.tokens.get(token)
	if err != nil {
		_ = res.Body.Close()
		return nil, err
	}
	again := signed(req, fresh)
	if req.GetBody != nil {
		if again.Body, err = req.GetBody(); err != nil {
			return res, nil
		}
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<16))
	_ = res.Body.Close()
	return t.base.RoundTrip(again)
}

func signed(req *http.Request, token *oauth2.Token) *http.Request {
	req = req.Clone(req.Context())
	token.SetAuthHeader(req)
	return req
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
