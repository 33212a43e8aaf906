package entra

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

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

// Permissions are the application permissions that the app needs, with an administrator's consent.
var Permissions = []string{"User.ReadWrite.All", "Group.ReadWrite.All", "Directory.Read.All", "Domain.Read.All"}

// Options are the dependencies of a Provider besides its configuration. The zero value works. Observe is called once
// with "batch" for a batch that failed as a whole.
type Options struct {
	remote.Options
	// Cache keeps the state between runs. Nil reads everything each time.
	Cache provider.Cache
	// Strained is called when Graph reports that the quota is nearly used up (x-ms-throttle-limit-percentage), before
	// any refusal. A share of 1 is the whole quota. It is called at most once in ten seconds. Nil discards the
	// report.
	Strained func(ctx context.Context, share float64)
	// Secret is the client secret. If it is empty, New reads Config.ClientSecretFile.
	Secret string
	// Getenv looks up AZURE_FEDERATED_TOKEN_FILE. Nil means os.Getenv.
	Getenv func(string) string
}

// Provider reads and writes one Microsoft Entra tenant.
type Provider struct {
	cfg    Config
	opts   Options
	base   *url.URL
	tokens *tokens
	client *http.Client
	now    func() time.Time

	userFields, groupFields []string // set by the mapping, sorted

	facts   facts
	recent  provider.Recent
	marks   marks
	names   remote.Names
	deleted deletedUsers
	// returning are accounts that are half restored.
	returning  returning
	seen       seen
	strainedAt atomic.Int64
}

// New returns a Provider. It makes no request and reads the files in the configuration. The error is of kind Invalid.
func New(cfg Config, opts Options) (*Provider, error) {
	cfg.SetDefaults()
	base, err := url.Parse(cfg.Endpoint)
	if err == nil {
		err = remote.CheckURL(cfg.Endpoint)
	}
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "endpoint: %w", err)
	}
	client, err := opts.Client(string(cfg.CAFile), concurrency)
	if err != nil {
		return nil, err
	}
	tokens, err := newTokens(cfg, opts, client)
	if err != nil {
		return nil, fault.New(fault.Invalid, "", err)
	}
	p := &Provider{
		cfg: cfg, opts: opts, base: base, tokens: tokens, client: client, now: opts.Now,
		userFields: mapping.Mapped(userSpec, cfg.UserPropertyMappings), groupFields: mapping.Mapped(groupSpec,
			cfg.GroupPropertyMappings),
	}
	p.recent.Now = p.now
	return p, nil
}

// call makes one request or one batch through the Caller. Every request of the package goes through here.
func (p *Provider) call(ctx context.Context, op string, cost pace.Cost, fn func(context.Context) error) error {
	once := func(ctx context.Context) error {
		timed, cancel := context.WithTimeout(ctx, p.cfg.RequestTimeout)
		defer cancel()
		return fn(timed)
	}
	if p.opts.Caller == nil {
		return once(ctx)
	}
	if err := p.opts.Caller.Call(ctx, op, cost, once); err != nil {
		return remote.Trouble(ctx, op, err)
	}
	return nil
}

// roundTrip sends one request and reads its answer to the end, whatever its status. A refused token is replaced once,
// because a token may be revoked before its expiry. refused is a token that was refused before, or empty.
func (p *Provider) roundTrip(ctx context.Context, op, method, target string, body any, prefer,
	refused string) (answer, error) {
	var payload []byte
	if body != nil {
		var err error
		if payload, err = json.Marshal(body); err != nil {
			return answer{}, fault.New(fault.Internal, op, err)
		}
	}
	for {
		token, err := p.tokens.get(ctx, refused)
		if err != nil {
			return answer{}, remote.Trouble(ctx, op, err)
		}
		if err := pace.Fenced(ctx); err != nil {
			return answer{}, err
		}
		a, err := p.once(ctx, method, target, payload, prefer, token)
		if err != nil {
			return answer{}, remote.Trouble(ctx, op, err)
		}
		if a.status != http.StatusUnauthorized || refused != "" {
			p.strain(ctx, a.header)
			return a, nil
		}
		refused = token.text
	}
}

func (p *Provider) once(ctx context.Context, method, target string, payload []byte, prefer string,
	token access) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(payload))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+token.text)
	req.Header.Set("Accept", "application/json")
	if len(payload) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if prefer != "" {
		req.Header.Set("Prefer", prefer)
	}
	res, err := p.client.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{res.StatusCode, res.Header, text, token}, nil
}

// strain reads how much of the quota is in use and reports it to Options.Strained.
func (p *Provider) strain(ctx context.Context, h http.Header) {
	const (
		window = 10 * time.Second
		most   = 0.99 // more than the configured part of the quota
	)
	share, err := strconv.ParseFloat(strings.TrimSpace(h.Get("X-Ms-Throttle-Limit-Percentage")), 64)
	if err != nil || share < most || p.opts.Strained == nil {
		return
	}
	now, last := p.now().UnixNano(), p.strainedAt.Load()
	if (last == 0 || now-last >= int64(window)) && p.strainedAt.CompareAndSwap(last, now) {
		p.opts.Strained(context.WithoutCancel(ctx), share)
	}
}

// local returns a link from Graph as a path below the endpoint. A link to another host is an error, because the
// access token would be sent there.
func (p *Provider) local(op, link string) (string, error) {
	u, err := url.Parse(link)
	if err != nil || u.Scheme != p.base.Scheme || u.Host != p.base.Host ||
		!strings.HasPrefix(link, p.cfg.Endpoint+"/") {
		return "", fault.Errorf(fault.Unavailable, "%s: Graph returned a link that does not begin with the endpoint", op)
	}
	return strings.TrimPrefix(link, p.cfg.Endpoint), nil
}

// listPage is one page of a list.
type listPage struct {
	Value []raw  `json:"value"`
	Next  string `json:"@odata.nextLink"`
}

// list reads several lists to their ends, in parallel. If Graph refuses to list one object, because it does not exist
// or is out of reach, the error stays in the item of its list. Any other error is returned.
func (p *Provider) list(ctx context.Context, items []*item, each func(index int, r raw)) error {
	visited := map[string]bool{}
	pending := slices.Clone(items)
	for left := len(items); left > 0; {
		p.send(ctx, slices.DeleteFunc(slices.Clone(pending), func(it *item) bool { return it == nil })...)
		for i, it := range pending {
			if it == nil {
				continue
			}
			next, err := p.readPage(it, func(r raw) { each(i, r) })
			switch {
			case err != nil && !ofOne(err):
				return err
			case err != nil, next == "":
				items[i].err = err
				pending[i] = nil
				left--
				continue
			case visited[next]:
				return fault.Errorf(fault.Unavailable,
					"%s: Graph repeated a link, so the list cannot be read to its end", it.op)
			}
			visited[next] = true
			pending[i] = get(it.op, next)
		}
	}
	return nil
}

// listWhole reads lists to their ends. If one of them cannot be read, it returns an error.
func (p *Provider) listWhole(ctx context.Context, items []*item, each func(raw)) error {
	err := p.list(ctx, items, func(_ int, r raw) { each(r) })
	for _, it := range items {
		if err == nil {
			err = it.err
		}
	}
	return err
}

// finish reads lists to their ends. Their first pages are in the answers.
func (p *Provider) finish(ctx context.Context, firsts []*item, each func(raw)) error {
	var more []*item
	for _, it := range firsts {
		next, err := p.readPage(it, each)
		if err != nil {
			return err
		}
		if next != "" {
			more = append(more, get(it.op, next))
		}
	}
	return p.listWhole(ctx, more, each)
}

// collect returns the objects of lists by id. Their first pages are in the answers, and any page may be empty.
func collect[R any](ctx context.Context, p *Provider, firsts []*item, of func(raw) *R, id func(*R) string) (
	map[string]*R, error) {
	out := map[string]*R{}
	err := p.finish(ctx, firsts, func(r raw) {
		one := of(r)
		out[id(one)] = one
	})
	delete(out, "")
	return out, err
}

// readPage reads one page and returns the link to the next one.
func (p *Provider) readPage(it *item, each func(raw)) (next string, err error) {
	var page listPage
	if err := it.decode(&page); err != nil {
		return "", err
	}
	if page.Value == nil {
		return "", fault.Errorf(fault.Unavailable, "%s: the answer is not a list", it.op)
	}
	for _, r := range page.Value {
		each(r)
	}
	if page.Next == "" {
		return "", nil
	}
	return p.local(it.op, page.Next)
}

// mostIn is the largest number of values of the operator in.
const mostIn = 15

// byIDs returns requests for the objects with the ids. It uses a few lists instead of many single requests.
func byIDs(op, set, selection string, ids []string) []*item {
	var items []*item
	for some := range slices.Chunk(ids, mostIn) {
		items = append(items, get(op, "/"+set+"?"+filter("id in ('"+strings.Join(some, "','")+"')")+"&"+selection))
	}
	return items
}

// filter returns a $filter. A space is %20, because a plus is not a space everywhere.
func filter(expression string) string {
	return "$filter=" + strings.ReplaceAll(url.QueryEscape(expression), "+", "%20")
}

// quoted returns a text as a literal of a filter or a key.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
