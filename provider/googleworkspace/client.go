package googleworkspace

import (
	"context"
	"net/http"
	"os"
	"time"

	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/option"

	"rollcall/fault"
	"rollcall/provider"
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

// Caller decorates each call of the API. It may wait for quota before the call, and may repeat a call with an error
// that is Throttled or Unavailable. The op is the method, such as "users.insert".
type Caller interface {
	Call(ctx context.Context, op string, fn func(context.Context) error) error
}

// Options are the dependencies of a Provider besides its configuration. The zero value works.
type Options struct {
	// Credentials is the content of the key file. If it is empty, New reads Config.CredentialsFile.
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

	userFields []string // set by the mapping
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
		if key, err = os.ReadFile(string(cfg.CredentialsFile)); err != nil {
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
		// A redirect would carry the access token to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	api, err := admin.NewService(context.Background(), option.WithHTTPClient(client), option.WithEndpoint(cfg.Endpoint))
	if err != nil {
		return nil, fault.New(fault.Internal, "new service", err)
	}
	p := &Provider{cfg: cfg, api: api, caller: opts.Caller, observe: opts.Observe, now: opts.Now, userFields: cfg.mapped()}
	if p.now == nil {
		p.now = time.Now
	}
	p.domains.now = p.now
	return p, nil
}

// call makes one call of the API and classifies its error. Every call of the package goes through here.
func (p *Provider) call(ctx context.Context, op string, fn func(context.Context) error) error {
	once := func(ctx context.Context) error {
		timed, cancel := context.WithTimeout(ctx, p.cfg.RequestTimeout)
		defer cancel()
		err := classify(ctx, op, fn(timed))
		p.report(op, err)
		return err
	}
	if p.caller == nil {
		return once(ctx)
	}
	return p.caller.Call(ctx, op, once)
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
