package entra

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider/pace"
	"rollcall/provider/remote"
)

// item is one request with its outcome.
type item struct {
	// op is the name of the method, such as "users.create".
	op     string
	method string
	url    string // relative to the endpoint
	body   any
	prefer string
	// secret is a part of the body that must not appear in an error.
	secret string
	// nickname is the mail nickname for a second attempt, if Graph refuses the derived one in the body. It is empty
	// where the nickname in the body is not derived.
	nickname string
	// reclassify replaces the error of a refusal that has a special meaning here. Nil as the result makes it a
	// success.
	reclassify func(error) error

	answer   answer
	err      error
	attempts int
}

func get(op, url string) *item { return &item{op: op, method: http.MethodGet, url: url} }

// decode reads the body of a success.
func (it *item) decode(to any) error {
	if it.err != nil {
		return it.err
	}
	if err := json.Unmarshal(it.answer.body, to); err != nil {
		it.err = fault.Errorf(fault.Unavailable, "%s: the answer is not valid: %s", it.op, remote.Clean(err.Error()))
	}
	return it.err
}

// named returns the error of the request with the field that Graph refused. The text contains the value of a field
// that is not mapped.
func (it *item) named() error {
	r := refused(it.err)
	body, _ := it.body.(map[string]any)
	if r == nil || r.Status != http.StatusBadRequest || fault.KindOf(it.err).Retryable() {
		return it.err
	}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if name == "passwordProfile" || body[name] == nil || !r.concerns(name) {
			continue
		}
		e := fault.Errorf(fault.KindOf(it.err), "%w", it.err)
		switch {
		case name == "userPrincipalName":
			e.Field = plan.AddressField
		case name == "mailNickname" && it.nickname != "":
			e.Err = fmt.Errorf("%w (%s: %q)", it.err, name, body[name])
		default:
			e.Field = name
		}
		return e
	}
	return it.err
}

// settle stores an answer.
func (it *item) settle(a answer) {
	it.answer = a
	it.err = judge(it.op, &a, it.secret)
	if it.err != nil && it.reclassify != nil {
		it.err = it.reclassify(it.err)
	}
}

// cost returns the published cost of the request in Microsoft's quotas.
func (it *item) cost() (units, writes float64) {
	if it.method != http.MethodGet {
		return 1, 1
	}
	units = 1
	path, query, _ := strings.Cut(it.url, "?")
	switch {
	case strings.HasPrefix(path, "/groups/") && strings.HasSuffix(path, "/members"):
		units = 3
	case strings.HasPrefix(path, "/users"):
		units = 2
	}
	if strings.Contains(query, "$select=") {
		units--
	}
	if strings.Contains(query, "$expand=") {
		units++
	}
	return max(1, units), 0
}

// send sends the requests in batches. The outcome of each is in its err and answer. Requests of one send do not
// depend on each other.
func (p *Provider) send(ctx context.Context, items ...*item) {
	for some := range slices.Chunk(items, mostItems) {
		p.sendSome(ctx, some)
	}
}

// sendSome sends the requests of one batch. When the Caller repeats the call, only requests with a temporary failure
// are sent again.
func (p *Provider) sendSome(ctx context.Context, items []*item) {
	op, cost := items[0].op, pace.Cost{}
	if len(items) > 1 {
		op = "batch"
	}
	for _, it := range items {
		units, writes := it.cost()
		cost[pace.ResourceUnits] += units
		if writes > 0 {
			cost[pace.Writes] += writes
		}
	}
	pending := items
	err := p.call(ctx, op, cost, func(ctx context.Context) error {
		p.exchange(ctx, pending)
		pending = slices.DeleteFunc(slices.Clone(pending), func(it *item) bool {
			return it.err == nil || !fault.KindOf(it.err).Retryable()
		})
		return worst(pending)
	})
	for _, it := range pending {
		if it.err == nil || err != nil && !fault.KindOf(err).Retryable() {
			it.err = err // The request was not sent, or was canceled.
		}
	}
}

// worst returns one error for the requests with temporary failures. A throttled one has priority, and the result has
// the longest time to wait.
func worst(pending []*item) error {
	var out *fault.Error
	var after time.Duration
	for _, it := range pending {
		e, ok := errors.AsType[*fault.Error](it.err)
		if !ok {
			continue
		}
		after = max(after, e.RetryAfter)
		if out == nil || e.Kind == fault.Throttled {
			out = e
		}
	}
	if out == nil {
		return nil
	}
	return &fault.Error{Kind: out.Kind, Op: out.Op, RetryAfter: after, Err: out.Err}
}

// exchange sends the requests once.
func (p *Provider) exchange(ctx context.Context, items []*item) {
	for _, it := range items {
		it.attempts++
		it.err = nil
	}
	if len(items) == 1 {
		p.exchangeOne(ctx, items[0])
	} else {
		p.exchangeBatch(ctx, items, "")
		if again := unauthorized(items); len(again) > 0 { // The batch itself was accepted.
			p.exchangeBatch(ctx, again, again[0].answer.token.text)
		}
	}
	p.judgeUnauthorized(ctx, items)
}

func (p *Provider) exchangeOne(ctx context.Context, it *item) {
	a, err := p.roundTrip(ctx, it.op, it.method, p.cfg.Endpoint+it.url, it.body, it.prefer, "")
	if it.err = err; err == nil {
		it.settle(a)
	}
	p.opts.Observe(it.op, a.status, it.err)
}

// indigestible reports whether a batch was refused as a whole, and its requests have to be sent alone. One of them may
// be the reason, such as a text that a gateway does not let through.
func indigestible(err error) bool {
	r := refused(err)
	if r == nil || r.Status < 400 || r.Status >= 500 || fault.KindOf(err) == fault.Throttled {
		return false
	}
	return !slices.Contains([]int{http.StatusUnauthorized, http.StatusProxyAuthRequired, http.StatusRequestTimeout,
		http.StatusTooEarly}, r.Status)
}

// unauthorized returns the items that Graph refused with 401.
func unauthorized(items []*item) []*item {
	return slices.DeleteFunc(slices.Clone(items), func(it *item) bool {
		r := refused(it.err)
		return r == nil || r.Status != http.StatusUnauthorized
	})
}

// judgeUnauthorized decides whether a second 401, with a new token, concerns the single object or the target. It
// concerns the object where Graph accepts the token for another request. The test is a request, so that all workers
// decide alike.
func (p *Provider) judgeUnauthorized(ctx context.Context, items []*item) {
	twice := slices.DeleteFunc(unauthorized(items), func(it *item) bool { return !ofOneObject(it.op) })
	if len(twice) == 0 {
		return
	}
	a, err := p.once(ctx, http.MethodGet, p.cfg.Endpoint+"/domains?$select=id", nil, "", twice[0].answer.token)
	if err != nil || a.status == http.StatusUnauthorized {
		return
	}
	for _, it := range twice {
		it.err = fault.New(fault.Refused, it.op,
			fmt.Errorf("the access token is refused by Graph for this request and accepted for others, "+
				"also after the token was renewed: %w", refused(it.err)))
	}
}

// exchangeBatch sends the requests as one batch. refused is a token that was refused before, or empty.
func (p *Provider) exchangeBatch(ctx context.Context, items []*item, refused string) {
	answers, err := p.batch(ctx, items, refused)
	if indigestible(err) {
		for _, it := range items {
			p.exchangeOne(ctx, it)
		}
		return
	}
	for i, it := range items {
		if err != nil {
			it.err = err
			continue
		}
		a, ok := answers[strconv.Itoa(i+1)]
		if ok {
			it.settle(a)
		} else {
			it.err = fault.Errorf(fault.Unavailable, "%s: the answer to the batch does not contain this request", it.op)
		}
		p.opts.Observe(it.op, a.status, it.err)
	}
}

type batchRequest struct {
	ID      string            `json:"id"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    any               `json:"body,omitempty"`
}

// batch sends several requests as one and returns the answers by id.
func (p *Provider) batch(ctx context.Context, items []*item, refused string) (map[string]answer, error) {
	requests := make([]batchRequest, 0, len(items))
	for i, it := range items {
		r := batchRequest{ID: strconv.Itoa(i + 1), Method: it.method, URL: it.url, Body: it.body}
		if it.body != nil {
			r.Headers = map[string]string{"Content-Type": "application/json"}
			if it.prefer != "" {
				r.Headers["Prefer"] = it.prefer
			}
		}
		requests = append(requests, r)
	}
	a, err := p.roundTrip(ctx, "batch", http.MethodPost, p.cfg.Endpoint+"/$batch",
		map[string]any{"requests": requests}, "", refused)
	if err == nil {
		err = judge("batch", &a)
	}
	if err != nil {
		p.opts.Observe("batch", a.status, err)
		return nil, err
	}
	var body struct {
		Responses []struct {
			ID      any
			Status  int
			Headers map[string]any
			Body    json.RawMessage
		}
	}
	if err := json.Unmarshal(a.body, &body); err != nil {
		return nil, fault.Errorf(fault.Unavailable, "batch: the answer is not a batch: %s", remote.Clean(err.Error()))
	}
	answers := make(map[string]answer, len(body.Responses))
	for _, r := range body.Responses {
		id := fmt.Sprint(r.ID) // A number stands for its text, as in the headers.
		if _, twice := answers[id]; twice {
			continue
		}
		one := answer{status: r.Status, header: http.Header{}, body: r.Body, token: a.token}
		for name, value := range r.Headers {
			one.header.Set(name, fmt.Sprint(value)) // A number stands for its text.
		}
		if one.header.Get("Request-Id") == "" { // Only the whole batch must have an id.
			one.header.Set("Request-Id", a.requestID())
		}
		p.strain(ctx, one.header)
		answers[id] = one
	}
	return answers, nil
}
