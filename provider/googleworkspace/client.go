package googleworkspace

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"
	"golang.org/x/oauth2/jwt"
	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/option"

	"rollcall/fault"
	"rollcall/mapping"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/provider/remote"
)

var (
	_ provider.Provider = (*Provider)(nil)
	_ provider.Restorer = (*Provider)(nil)
)

// Scopes are the scopes to allow for the service account in the admin console (Security, API controls, Domain-wide
// delegation).
var Scopes = []string{
	admin.AdminDirectoryUserScope, admin.AdminDirectoryGroupScope, admin.AdminDirectoryGroupMemberScope,
	admin.AdminDirectoryDomainReadonlyScope,
}

// UnitScope lets Rollcall name an organizational unit that does not exist before it is used. It is optional, and asked
// for in a token of its own.
const UnitScope = admin.AdminDirectoryOrgunitReadonlyScope

// Caller decorates each call of the API. It may wait for quota before the call, and may repeat a call with an error
// that is Throttled or Unavailable. The op is the method, such as "users.insert".
type Caller interface {
	Call(ctx context.Context, op string, fn func(context.Context) error) error
}

// Options are the dependencies of a Provider besides its configuration. The zero value works.
type Options struct {
	// Credentials is the content of the key file. If it is empty, Config.CredentialsFile is read for each access token.
	Credentials []byte
	// Caller decorates each call. Nil makes calls directly.
	Caller Caller
	// Observe is called after every request with the HTTP status of the answer (zero without one) and the error. Nil
	// discards requests.
	Observe func(op string, status int, err error)
	// Transport carries the requests. Nil means http.DefaultTransport.
	Transport http.RoundTripper
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Provider reads and writes one Google Workspace account.
type Provider struct {
	cfg     Config
	api     *admin.Service
	caller  Caller
	observe func(op string, status int, err error)
	now     func() time.Time

	// tokens are those of all services.
	tokens []*tokens
	// granted asks for a token with one scope.
	granted    func(scope string) error
	userFields []string // set by the mapping
	recent     provider.Recent
	domains    domainCache
	units      unitCache
	sessions   sessions
	schemas    schemaCache
}

// New returns a Provider. It makes no request.
func New(cfg Config, opts Options) (*Provider, error) {
	cfg.SetDefaults()
	if err := remote.CheckURL(cfg.Endpoint); err != nil {
		return nil, fault.Errorf(fault.Invalid, "endpoint: %w", err)
	}
	key := func() ([]byte, error) {
		if len(opts.Credentials) > 0 {
			return opts.Credentials, nil
		}
		return os.ReadFile(string(cfg.CredentialsFile))
	}
	base := opts.Transport
	if base == nil {
		base = http.DefaultTransport
	}
	services, all := [4]*admin.Service{}, [4]*tokens{}
	for i, scopes := range [][]string{Scopes, {UnitScope}, {SchemaScope}, {SessionsScope}} {
		var err error
		if services[i], all[i], err = newService(cfg, key, base, scopes...); err != nil {
			return nil, err
		}
	}
	p := &Provider{cfg: cfg, api: services[0], tokens: all[:], caller: opts.Caller, observe: opts.Observe,
		now: opts.Now, userFields: mapping.Mapped(userSpec, cfg.UserPropertyMappings)}
	if p.now == nil {
		p.now = time.Now
	}
	p.granted = func(scope string) error {
		one, err := newTokens(cfg, key, base, []string{scope})
		if err == nil {
			_, err = one.get(nil)
		}
		return err
	}
	p.recent.Now, p.domains.now, p.units.api, p.schemas.api = p.now, p.now, services[1], services[2]
	p.sessions.api, p.sessions.tokens = services[3], all[3]
	return p, nil
}

// newService returns a client of the API, and the tokens for these scopes that it uses.
func newService(
	cfg Config, key func() ([]byte, error), base http.RoundTripper, scopes ...string,
) (*admin.Service, *tokens, error) {
	tokens, err := newTokens(cfg, key, base, scopes)
	if err != nil {
		return nil, nil, err
	}
	client := remote.Client(&transport{base: base, tokens: tokens})
	api, err := admin.NewService(context.Background(), option.WithHTTPClient(client), option.WithEndpoint(cfg.Endpoint))
	if err != nil {
		return nil, nil, fault.New(fault.Internal, "new service", err)
	}
	return api, tokens, nil
}

// call makes one call of the API and classifies its error.
func (p *Provider) call(ctx context.Context, op string, fn func(context.Context) error) error {
	return p.through(ctx, op, func(ctx context.Context) error { return p.once(ctx, op, p.cfg.RequestTimeout, fn) })
}

// through passes an attempt to the Caller, which may repeat it. Every call of the package goes through here.
func (p *Provider) through(ctx context.Context, op string, attempt func(context.Context) error) error {
	if p.caller == nil {
		return attempt(ctx)
	}
	return p.caller.Call(ctx, op, attempt)
}

// once makes one attempt of a call within a time and classifies its error.
func (p *Provider) once(ctx context.Context, op string, within time.Duration, fn func(context.Context) error) error {
	timed, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	err := classify(ctx, op, fn(timed), p.secrets()...)
	p.report(op, err)
	return err
}

// report passes the outcome of a request to Options.Observe.
func (p *Provider) report(op string, err error) {
	if p.observe == nil {
		return
	}
	status, _ := code(err)
	if err == nil {
		status = http.StatusOK
	}
	p.observe(op, status, err)
}

// tokens fetches access tokens with the service account's key, which is read for each, so that a replaced key needs no
// restart. It keeps the newest token until it expires or is refused.
type tokens struct {
	mu     sync.Mutex
	source oauth2.TokenSource
	token  atomic.Pointer[oauth2.Token]
}

// secrets returns the access tokens, which no message may show. A shorter text would be part of many words.
func (p *Provider) secrets() (out []string) {
	const shortest = 8
	for _, t := range p.tokens {
		if token := t.token.Load(); token != nil && len(token.AccessToken) >= shortest {
			out = append(out, token.AccessToken)
		}
	}
	return out
}

func newTokens(cfg Config, key func() ([]byte, error), base http.RoundTripper, scopes []string) (*tokens, error) {
	account := func() (*jwt.Config, error) {
		text, err := key()
		if err == nil {
			var account *jwt.Config
			if account, err = parseKey(text, scopes); err == nil {
				account.Subject = cfg.DelegatedSubject
				return account, nil
			}
		}
		return nil, fault.Errorf(fault.Invalid, "credentials_file: %w", err)
	}
	if _, err := account(); err != nil {
		return nil, err
	}
	// The token request does not use the caller's context, because the token also serves later callers.
	client := remote.Client(base)
	client.Timeout = cfg.RequestTimeout
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, client)
	return &tokens{source: sourceFunc(func() (*oauth2.Token, error) {
		account, err := account()
		if err != nil { // As a key that is refused: it is no fault of the object that needs the token.
			return nil, fault.New(fault.Denied, remote.TokenOp, err)
		}
		token, err := account.TokenSource(ctx).Token()
		if err != nil {
			return nil, classifyToken(err, account.Email, cfg.DelegatedSubject)
		}
		return token, nil
	})}, nil
}

// parseKey reads the JSON key of a service account. No error contains a part of it.
func parseKey(text []byte, scopes []string) (*jwt.Config, error) {
	var kind struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(text, &kind); err != nil {
		return nil, errors.New("is not the JSON key of a service account")
	}
	if kind.Type != "service_account" {
		return nil, fmt.Errorf("holds credentials of type %q, want the JSON key of a service account", kind.Type)
	}
	account, err := google.JWTConfigFromJSON(text, scopes...)
	if err != nil {
		return nil, errors.New("is not the JSON key of a service account")
	}
	if !readable(account.PrivateKey) {
		return nil, errors.New("its private_key cannot be read")
	}
	if err := remote.CheckURL(account.TokenURL); err != nil {
		return nil, fmt.Errorf("token_uri: %w", err)
	}
	return account, nil
}

// readable reports whether the private key is valid. With an invalid key every call would fail with what seems a
// network error.
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
	if have := t.token.Load(); have.Valid() && have != refused {
		return have, nil
	}
	token, err := t.source.Token()
	if err != nil {
		return nil, err
	}
	t.token.Store(token)
	return token, nil
}

// transport signs requests. It replaces a token that is refused with 401 once, because a token may be revoked before
// its expiry.
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
	res, err := t.send(signed(req, token))
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
	return t.send(again)
}

// send sends a request unless the lease of the run was lost in the wait for the token.
func (t *transport) send(req *http.Request) (*http.Response, error) {
	if err := pace.Fenced(req.Context()); err != nil {
		closeBody(req)
		return nil, err
	}
	res, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	return object(res)
}

// object returns an answer with an object or nothing in it. Of another JSON value, such as null, Google's library makes
// a result that is nil.
func object(res *http.Response) (*http.Response, error) {
	body := bufio.NewReader(res.Body)
	for {
		c, err := body.ReadByte()
		switch {
		case err == nil && strings.IndexByte(" \t\r\n", c) >= 0:
			continue
		case err == nil && c != '{' && res.StatusCode < http.StatusMultipleChoices:
			_ = res.Body.Close()
			return nil, errors.New("the answer is not a JSON object")
		case err == nil:
			_ = body.UnreadByte() // It was read just now.
		}
		res.Body = struct {
			io.Reader
			io.Closer
		}{body, res.Body}
		return res, nil
	}
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

// unauthorized is the code of the token endpoint where a scope was not delegated.
const unauthorized = "unauthorized_client"

// classifyToken returns the reason for a missing access token, with advice.
func classifyToken(err error, account, subject string) error {
	r, ok := errors.AsType[*oauth2.RetrieveError](err)
	if !ok { // The token endpoint was not reached, or its answer is not valid.
		return fault.New(fault.Unavailable, remote.TokenOp, errors.New(remote.Clean(err.Error())))
	}
	var body struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	_ = json.Unmarshal(r.Body, &body)
	message := remote.Clean(strings.Trim(body.Code+": "+body.Description, ": "), remote.FormSecrets(r.Response)...)
	return remote.TokenRefused(r.Response.StatusCode, r.Response.Header, message, advice(body.Code, account, subject),
		time.Now())
}

func advice(code, account, subject string) string {
	switch code {
	case unauthorized, "invalid_scope", "access_denied":
		return fmt.Sprintf("in the admin console (Security, API controls, Domain-wide delegation) allow the client ID of %s "+
			"these scopes: %s", account, strings.Join(Scopes, ","))
	case "invalid_grant":
		return fmt.Sprintf("check that delegated_subject %s is an active administrator of this account, "+
			"that the key of %s was not deleted, and that the clock of this machine is right", subject, account)
	}
	return fmt.Sprintf("check the key of %s in credentials_file", account)
}
