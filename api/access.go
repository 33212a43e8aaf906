package api

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/audit"
	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/internal/tokens"
)

// The scopes of a token. No scope includes another.
const (
	ScopeRead    = string(tokens.Read)    // whatever only reads
	ScopeSync    = string(tokens.Sync)    // starting and cancelling work
	ScopeApprove = string(tokens.Approve) // approving held changes
)

// Caller is the holder of a token.
type Caller struct {
	// Name is the name of the token. Runs, messages and the audit log record it.
	Name   string
	Scopes []string
	// Only are the containers that the token reaches; empty for all.
	Only []container.ID
}

func (c Caller) may(scope string) bool { return scope == "" || slices.Contains(c.Scopes, scope) }

// reaches reports whether the token is valid for a container.
func (c Caller) reaches(id container.ID) bool { return len(c.Only) == 0 || slices.Contains(c.Only, id) }

// Authenticator returns the holder of a token, as tokens.File does.
type Authenticator func(token string) (Caller, bool)

// anonymous is the caller if no tokens are configured.
var anonymous = Caller{Name: "anonymous", Scopes: []string{ScopeRead, ScopeSync, ScopeApprove}}

// The refusals. They have status 403, never 401, and these texts, because existing clients expect them.
var (
	errNoCredentials = forbidden("Authentication credentials were not provided.")
	errUnsupported   = forbidden("Unsupported authentication type")
	errInvalidToken  = forbidden("Token invalid/expired")
	errForbidden     = forbidden("You do not have permission to perform this action.")
	errCrossOrigin   = forbidden("Cross-origin requests are not allowed.")
	errForeignHost   = forbidden("Without tokens only requests to localhost are served.")
)

func forbidden(text string) *problem { return &problem{http.StatusForbidden, detail{Detail: text}} }

// crossOrigin refuses requests that a browser sends for another site. Tokens already prevent these. Without tokens,
// any page in an operator's browser could start a sync on a local API.
var crossOrigin = http.NewCrossOriginProtection()

// authenticate reads the Authorization header (RFC 6750; the name of the scheme is case-insensitive).
func (a *API) authenticate(r *http.Request) (Caller, error) {
	if a.cfg.Authenticate == nil {
		return anonymous, nil
	}
	scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
	switch token = strings.TrimSpace(token); {
	case !found:
		return Caller{}, errNoCredentials
	case !strings.EqualFold(scheme, "bearer"):
		return Caller{}, errUnsupported
	case token == "":
		return Caller{}, errNoCredentials
	}
	caller, known := a.cfg.Authenticate(token)
	if !known {
		return Caller{}, errInvalidToken
	}
	return caller, nil
}

// foreignHost reports whether a request names another host although no tokens protect the API. A page of another site
// can have its name resolve to this machine.
func (a *API) foreignHost(r *http.Request) bool {
	if a.cfg.Authenticate != nil {
		return false
	}
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return !secret.StaysHere(strings.Trim(host, "[]"))
}

// admit authenticates a request. A wrong token is recorded, and its response waits.
func (a *API) admit(r *http.Request) (Caller, error) {
	caller, err := a.authenticate(r)
	if err != errInvalidToken { //nolint:errorlint // the value itself
		return caller, err
	}
	if !a.refuse(r) {
		return Caller{}, &problem{http.StatusTooManyRequests, detail{Detail: "Too many wrong tokens. Try again later."}}
	}
	return Caller{}, err
}

// refuse counts and records a wrong token, and waits if its address has sent many. It returns false at once if too
// many responses wait.
func (a *API) refuse(r *http.Request) bool {
	from := a.client(r)
	n := a.guesses.sent.Count(from, a.now())
	if worthRecording(n) {
		_, failed := a.cfg.Audit.Write(r.Context(),
			audit.Record{Event: "token refused", From: from, Outcome: audit.Refused,
				Details: map[string]string{"count": strconv.Itoa(n), "path": r.URL.Path}}, false)
		if failed != nil {
			a.cfg.Log.ErrorContext(r.Context(), "a refused token is not in the audit log", "err", failed)
		}
	}
	if a.cfg.Refused != nil {
		a.cfg.Refused()
	}
	return n <= freeGuesses || a.guesses.wait(r.Context())
}

// client returns the address of the client, or the whole RemoteAddr if it has none. A trusted proxy names its client at
// the end of X-Forwarded-For. The entries before those of trusted proxies are what the client sent, and prove nothing.
func (a *API) client(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	from := peer.Addr().Unmap().WithZone("")
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",") // A proxy may add a line.
	for _, text := range slices.Backward(forwarded) {
		next, err := netip.ParseAddr(strings.TrimSpace(text))
		trusted := func(p netip.Prefix) bool { return p.Contains(from) }
		if err != nil || !slices.ContainsFunc(a.cfg.TrustedProxies, trusted) {
			break
		}
		from = next.Unmap().WithZone("")
	}
	return from.String()
}

// audited answers a request and records it in the audit log, before and after, unless it only reads. What cannot be
// recorded is not carried out.
func (a *API) audited(r *request, rt route, op operation) (answer, error) {
	if op.scope != ScopeSync && op.scope != ScopeApprove {
		return op.handle(r)
	}
	rec := audit.Record{Event: event(rt), Actor: r.caller.Name, From: a.client(r.Request)}
	if r.resource != nil {
		rec.Container = string(r.container())
	}
	return a.recorded(r.Request, op.scope, rec, func(details map[string]string) (answer, error) {
		r.details = details
		return op.handle(r)
	})
}

// recorded carries out an action and records it, before and after.
func (a *API) recorded(r *http.Request, scope string, rec audit.Record,
	do func(details map[string]string) (answer, error)) (answer, error) {
	rec.Outcome, rec.Details = audit.Begun, map[string]string{"request_id": requestID(r)}
	for _, name := range []string{"run", "digest"} {
		if value := r.PathValue(name); value != "" {
			rec.Details[name] = shorten(value)
		}
	}
	durable := scope == ScopeApprove
	var err error
	if rec.Of, err = a.cfg.Audit.Write(r.Context(), rec, durable); err != nil {
		return answer{}, fault.Errorf(fault.Unavailable, "the audit log takes no record, so nothing was done: %w", err)
	}
	out, err := do(rec.Details)
	shown := out
	if err != nil {
		shown, _ = a.errorAnswer(err)
	}
	rec.Outcome = outcomeOf(shown.status)
	rec.Details["status"] = strconv.Itoa(shown.status)
	if n := a.cfg.Decisions.Sequence(container.ID(rec.Container)); n > 0 {
		rec.Details[audit.DecisionsSequence] = strconv.FormatInt(n, 10)
	}
	if _, failed := a.cfg.Audit.Write(context.WithoutCancel(r.Context()), rec, durable); failed != nil {
		a.cfg.Log.ErrorContext(r.Context(), "the end of an action is not in the audit log", "seq", rec.Of, "err",
			failed)
	}
	return out, err
}

// event returns the path of a route below its resource, such as "sync/cancel".
func event(rt route) string {
	path := rt.path
	if rt.family != nil {
		path = strings.TrimPrefix(path, rt.family.base+"{"+rt.family.key+"}")
	}
	return strings.Trim(path, "/")
}

func outcomeOf(status int) audit.Outcome {
	switch {
	case status >= http.StatusInternalServerError:
		return audit.Failed
	case status >= http.StatusBadRequest:
		return audit.Refused
	}
	return audit.Done
}

const (
	// freeGuesses is the number of wrong tokens within guessWindow that an address may send before it has to wait.
	freeGuesses = 10
	guessWindow = time.Minute
	// guessWait delays the response to a further wrong token. At most maxWaiting responses wait at once.
	guessWait  = time.Second
	maxWaiting = 64
)

// guesses counts wrong tokens by the address of the client.
type guesses struct {
	sent    *tokens.Counter
	waiting chan struct{}
}

// wait delays a response. It returns false at once if too many responses wait.
func (g *guesses) wait(ctx context.Context) bool {
	select {
	case g.waiting <- struct{}{}:
		defer func() { <-g.waiting }()
	default:
		return false
	}
	timer := time.NewTimer(guessWait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return true
}

// worthRecording reports whether the nth wrong token of an address is recorded. A flood of them fills no disk.
func worthRecording(n int) bool {
	for n >= freeGuesses && n%freeGuesses == 0 {
		n /= freeGuesses
	}
	return n == 1
}

// limits keep one token, or one address, from taking what all of them need.
type limits struct {
	// requests counts those of a token and of an address.
	requests     *tokens.Counter
	mostRequests int
	// streams and explanations are open at once. One token, or one address, gets three quarters of them.
	streams, explanations *shares
}

// tooMany answers a request beyond a limit.
func tooMany(what string) answer {
	return retryLater(answer{status: http.StatusTooManyRequests, body: detail{Detail: "Too many " + what +
		" of one token or address. Try again later."}}, 0)
}

// Sharers are the names under which the limits count a request: its address and, if it is known, its token.
func (a *API) Sharers(r *http.Request, token string) []string {
	names := []string{"address " + a.client(r)}
	if token != "" {
		names = append(names, "token "+token)
	}
	return names
}

// allows counts a request of a token or an address.
func (a *API) allows(name string) bool {
	return a.limits.requests.Count(name, a.now()) <= a.limits.mostRequests
}

// shares divides what may be open at once.
type shares struct {
	most int

	mu   sync.Mutex
	open map[string]int
}

func newShares(all int) *shares { return &shares{most: all - all/4, open: map[string]int{}} }

// take takes one share for each name. It returns what gives them back, or false if one of the names has too many.
func (s *shares) take(names ...string) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if s.open[name] >= s.most {
			return nil, false
		}
	}
	for _, name := range names {
		s.open[name]++
	}
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, name := range names {
			if s.open[name]--; s.open[name] == 0 {
				delete(s.open, name)
			}
		}
	}), true
}
