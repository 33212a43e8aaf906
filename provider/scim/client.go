package scim

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/buildinfo"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/provider/remote"
)

var _ provider.Provider = (*Provider)(nil)

// Options are the dependencies of a Provider besides its configuration.
type Options = remote.Options

// Provider reads and writes one SCIM server.
type Provider struct {
	cfg    Config
	opts   Options
	auth   *auth
	client *http.Client
	now    func() time.Time

	userFields, groupFields []string // set by the mapping, sorted

	recent provider.Recent
	marks  marks
	names  remote.Names
	sample sample
	// examples tell which filters work.
	examples examples
	// matched is set where the server takes no change without If-Match, and nulls where a PUT keeps what it leaves out.
	matched, nulls atomic.Bool
	server         serverCache
	// uncertain has the entries with a creation, and the members with an addition, that got no answer.
	uncertain sync.Map
	// given has plan.Link.Given of the entries with values of lists, as of the last read.
	given sync.Map
	// anchorless is set where the server did not keep the externalId of a new group.
	anchorless atomic.Bool
	groups     listed
}

// New returns a Provider. It makes no request and reads the files in the configuration. The error is of kind Invalid.
func New(cfg Config, opts Options) (*Provider, error) {
	cfg.SetDefaults()
	if err := remote.CheckURL(cfg.Endpoint); err != nil {
		return nil, fault.Errorf(fault.Invalid, "endpoint: %w", err)
	}
	client, err := opts.Client(string(cfg.CAFile), concurrency)
	if err != nil {
		return nil, err
	}
	client.Timeout = cfg.RequestTimeout
	auth, err := newAuth(&cfg, client, opts.Now)
	if err != nil {
		return nil, fault.New(fault.Invalid, "", err)
	}
	spec := cfg.spec()
	p := &Provider{cfg: cfg, opts: opts, auth: auth, client: client, now: opts.Now,
		userFields:  mapping.Mapped(spec.User, cfg.UserPropertyMappings),
		groupFields: mapping.Mapped(spec.Group, cfg.GroupPropertyMappings)}
	p.recent.Now = p.now
	return p, nil
}

// request is one request of the service.
type request struct {
	op, method, path string
	query            url.Values
	body             any
	// version is what was read of the resource. ifMatch is sent.
	version, ifMatch string
}

// response is an answer that was read to its end.
type response struct {
	status int
	header http.Header
	body   []byte
	// witnessed says of a 404 that the server repeated it after it had answered a list of the same kind.
	witnessed bool
}

// opOf names a request, such as users.list.
func opOf(kind directory.Kind, what string) string { return kind.String() + "s." + what }

// cost is what a request takes from the quota.
func (r *request) cost() pace.Cost {
	cost := pace.One(pace.Calls)
	if r.method == http.MethodGet {
		return cost
	}
	cost[pace.Writes] = 1
	if strings.HasPrefix(r.op, "users.") {
		cost[userWrites] = 1
	}
	if r.op == "users.create" {
		cost[userCreates] = 1
	}
	return cost
}

// call makes a request through the Caller. read gets the body of a success, and its error makes the answer invalid.
func (p *Provider) call(ctx context.Context, r *request, read func(*response) error) error {
	return p.caller(ctx, r, func(ctx context.Context) error { return p.once(ctx, r, read) })
}

// caller makes a request through the Caller, with If-Match where the server asks for it.
func (p *Provider) caller(ctx context.Context, r *request, once func(context.Context) error) error {
	changes := r.method == http.MethodPut || r.method == http.MethodPatch || r.method == http.MethodDelete
	if changes && r.ifMatch == "" && p.matched.Load() {
		r.ifMatch = r.version
		return p.matching(ctx, r, once)
	}
	err := p.paced(ctx, r, once)
	if status(err) != http.StatusPreconditionRequired || !changes || r.ifMatch != "" {
		return err
	}
	p.matched.Store(true)
	r.ifMatch = r.version
	return p.matching(ctx, r, once)
}

// matching makes a request with the version that was read, else with the version that the resource has now (RFC 6585,
// section 3). A PUT has to be made of the version that it names.
func (p *Provider) matching(ctx context.Context, r *request, once func(context.Context) error) (err error) {
	if r.ifMatch != "" {
		return p.paced(ctx, r, once)
	}
	for range attempts {
		kind, _, _ := strings.Cut(r.op, ".")
		now := &request{op: kind + ".get", method: http.MethodGet, path: r.path}
		if err := p.call(ctx, now, func(res *response) error {
			read, err := decode(res.body)
			r.ifMatch = cmp.Or(res.header.Get("ETag"), read.version())
			return err
		}); err != nil {
			return err
		}
		if err = p.paced(ctx, r, once); status(err) != http.StatusPreconditionFailed {
			return err
		}
	}
	return err
}

func (p *Provider) paced(ctx context.Context, r *request, once func(context.Context) error) error {
	if p.opts.Caller == nil {
		return once(ctx)
	}
	if err := p.opts.Caller.Call(ctx, r.op, r.cost(), once); err != nil {
		return p.trouble(ctx, r.op, err)
	}
	return nil
}

// once makes a request once.
func (p *Provider) once(ctx context.Context, r *request, read func(*response) error) error {
	timed, cancel := context.WithTimeout(ctx, p.cfg.RequestTimeout)
	defer cancel()
	res, err := p.roundTrip(timed, r)
	code := 0
	if err == nil {
		code = res.status
		if err = p.judge(r.op, res); err == nil && read != nil {
			if invalid := read(res); invalid != nil {
				err = p.trouble(ctx, r.op, fmt.Errorf("the answer is not valid: %w", invalid))
			}
		}
	} else {
		err = p.trouble(ctx, r.op, err)
	}
	p.opts.Observe(r.op, code, err)
	return err
}

// roundTrip sends a request. A refused token is replaced once, if there is another one. A second 401 concerns the
// object where the server accepts the token for a list.
func (p *Provider) roundTrip(ctx context.Context, r *request) (*response, error) {
	refusedHeader := ""
	for {
		header, err := p.auth.get(ctx, refusedHeader)
		if err != nil {
			return nil, err
		}
		if err := pace.Fenced(ctx); err != nil {
			return nil, err
		}
		res, err := p.send(ctx, r, header)
		if err == nil && res.absenceInDoubt(r) {
			res, err = p.repeated(ctx, r, header, res)
		}
		if err != nil || res.status != http.StatusUnauthorized {
			return res, err
		}
		if refusedHeader == "" {
			refusedHeader = header
			if fresh, err := p.auth.get(ctx, header); err != nil {
				return nil, err
			} else if fresh != header {
				continue
			}
		}
		if strings.HasSuffix(r.op, ".list") || strings.HasSuffix(r.op, ".get") {
			return res, nil
		}
		if p.shortList(ctx, "/Users", header) != nil {
			res.status = http.StatusForbidden
		}
		return res, nil
	}
}

// collection returns the path of the list that has the requested resource. It is empty for a list.
func (r *request) collection() string { return r.path[:max(0, strings.LastIndexByte(r.path, '/'))] }

// repeated repeats a request whose 404 may be a gateway's, after a list of the same kind. The 404 counts if the server
// answers the list, and then the request as before.
func (p *Provider) repeated(ctx context.Context, r *request, header string, first *response) (*response, error) {
	if other := p.shortList(ctx, r.collection(), header); other == nil || !other.isList() {
		return first, nil
	}
	if err := pace.Fenced(ctx); err != nil {
		return nil, err
	}
	res, err := p.send(ctx, r, header)
	if err == nil {
		res.witnessed = res.status == first.status
	}
	return res, err
}

// shortList returns the answer to the request of a short list; nil without one, or if it is refused.
func (p *Provider) shortList(ctx context.Context, collection, header string) *response {
	res, err := p.send(ctx, &request{op: "list", method: http.MethodGet, path: collection,
		query: url.Values{"count": {"1"}}}, header)
	if err != nil || res.status != http.StatusOK {
		return nil
	}
	return res
}

func (p *Provider) send(ctx context.Context, r *request, authorization string) (*response, error) {
	var payload []byte
	if r.body != nil {
		var err error
		if payload, err = json.Marshal(r.body); err != nil {
			return nil, fault.New(fault.Internal, r.op, err)
		}
	}
	target := p.cfg.Endpoint + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	req.Header.Set(cmp.Or(p.cfg.TokenHeader, "Authorization"), authorization)
	req.Header.Set("Accept", "application/scim+json, application/json;q=0.9")
	req.Header.Set("User-Agent", "Rollcall/"+buildinfo.Read().Version)
	if payload != nil {
		req.Header.Set("Content-Type", "application/scim+json")
	}
	if r.ifMatch != "" {
		req.Header.Set("If-Match", r.ifMatch)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	return &response{status: res.StatusCode, header: res.Header, body: text}, nil
}

// path returns the path of a collection or of one of its resources.
func (p *Provider) path(kind directory.Kind, id string) string {
	path := "/Users"
	if kind == directory.Group {
		path = "/Groups"
	}
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	return path
}

// get reads a resource. found is false where the server has none with the id.
func (p *Provider) get(ctx context.Context, kind directory.Kind, id string, without string) (r resource, found bool,
	err error) {
	req := &request{op: opOf(kind, "get"), method: http.MethodGet, path: p.path(kind, id)}
	if without != "" {
		req.query = url.Values{"excludedAttributes": {without}}
	}
	err = p.call(ctx, req, func(res *response) (err error) {
		if r, err = decode(res.body); err == nil && r.id() != id {
			err = errors.New("it is not the resource that was asked for")
		}
		return err
	})
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return nil, false, nil
	}
	return r, err == nil, err
}

// marks has the accounts that the ledger says we suspended. It is safe for concurrent use.
type marks struct {
	mu sync.Mutex
	of map[string]bool
}

func (m *marks) set(id string, suspended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[string]bool{}
	}
	if suspended {
		m.of[id] = true
	} else {
		delete(m.of, id)
	}
}

func (m *marks) has(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.of[id]
}

// learn takes over what the ledger knows.
func (m *marks) learn(known map[directory.Ref]plan.Link) {
	for ref, link := range known {
		if ref.Kind == directory.User && link.RemoteID != "" {
			m.set(link.RemoteID, link.Suspended)
		}
	}
}
