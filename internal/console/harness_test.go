package console_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/api"
	"rollcall/audit"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/internal/console"
	"rollcall/internal/redistest"
	"rollcall/internal/session"
	"rollcall/internal/tokens"
	"rollcall/jobs"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/provider/all"
	"rollcall/status"
)

const (
	corp   = container.ID("ldap:corp")
	google = container.ID("google_workspace:1")
)

// hall is a service with its pages, a directory and a tenant, and no worker.
type hall struct {
	testing.TB
	mu        sync.Mutex // guards audit
	handler   http.Handler
	rdb       *redis.Client
	status    *status.Store
	decisions *decisions.Store
	// The tokens by what they allow besides read.
	reader, syncer, decider, blind string
	// narrow reaches the tenant only, and so do the others that are named so.
	narrow, narrowReader, narrowSyncer, narrowDecider string
	known                                             map[directory.Ref]console.Known
	// search and entries take the place of known where they are set.
	search  func(context.Context, string, int) ([]console.Found, bool, error)
	entries func(context.Context, []directory.Ref) (map[directory.Ref]console.Known, error)
	// partial is set where a search does not look at all ids.
	partial bool
	// explained is what every explanation says of the providers.
	explained []explain.Provider
	audit     *[]audit.Record
	// sent is the configuration that was sent last, and compared its comparison.
	sent     string
	compared api.Preview
	// refused counts the wrong tokens.
	refused int
}

func newHall(t testing.TB) *hall { return openHall(t, true) }

// openHall returns a hall. Without tokens, every request has every right.
func openHall(t testing.TB, withTokens bool) *hall {
	t.Helper()
	return hallOn(t, redistest.Mini(t), withTokens, []api.Resource{{Container: corp, Name: "Corporate directory"},
		{Container: google, Name: "Tenant"}})
}

// hallOn returns a hall with these sources and providers on a Redis.
func hallOn(t testing.TB, rdb *redis.Client, withTokens bool, resources []api.Resource, change ...func(*api.Config),
) *hall {
	t.Helper()
	h := &hall{TB: t, rdb: rdb, status: status.New(rdb, status.Config{}),
		decisions: decisions.New(rdb, decisions.Config{}),
		audit:     &[]audit.Record{}}
	var known session.Tokens
	if withTokens {
		known = h.tokens()
	}
	books := func(c container.ID) *ledger.Redis { return ledger.NewRedis(rdb, string(c)) }
	facts := func(c container.ID) api.Facts { return books(c) }
	record := func(_ context.Context, r audit.Record, _ bool) (int64, error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		r.Details = maps.Clone(r.Details)
		*h.audit = append(*h.audit, r)
		return int64(len(*h.audit)), nil
	}
	cfg := api.Config{
		Status: h.status, Decisions: h.decisions, Jobs: jobs.NewClient(rdb, h.status), Directory: registry{h},
		Explainer: registry{h}, Previewer: registry{h},
		Types: all.Types(), Facts: facts, Audit: record,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32")}, Refused: func() { h.refused++ },
		Resources: resources,
		Page: func(a *api.API) (api.Page, error) {
			desk := session.New(session.Config{Redis: rdb, Tokens: known, Home: console.Home, SignIn: console.SignIn,
				SignOut: console.SignOut, Pause: time.Millisecond, Audit: record, Refused: a.RefuseToken, Client: a.Client})
			return console.New(console.Config{API: a, Desk: desk, Status: h.status, Decisions: h.decisions, Ledger: books,
				Policy: func(c container.ID) (plan.Policy, bool) {
					return plan.Policy{UserDeleteAction: plan.ActionDelete, DeleteAfter: 30 * 24 * time.Hour}, !c.IsSource()
				},
				Search: func(ctx context.Context, text string, limit int) (out []console.Found, _ bool, _ error) {
					if h.search != nil {
						return h.search(ctx, text, limit)
					}
					for ref, k := range h.known {
						if strings.HasPrefix(k.Label, text) {
							out = append(out, console.Found{Ref: ref, Label: k.Label, Source: "corp"})
						}
					}
					return out, !h.partial, nil
				},
				Entries: func(ctx context.Context, refs []directory.Ref) (map[directory.Ref]console.Known, error) {
					if h.entries != nil {
						return h.entries(ctx, refs)
					}
					return h.known, nil
				}})
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	a, err := api.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.handler = a
	return h
}

func (h *hall) tokens() session.Tokens {
	h.Helper()
	var lines []string
	token := func(name string, extra string, scopes ...tokens.Scope) string {
		text, line, err := tokens.New(name, scopes...)
		if err != nil {
			h.Fatal(err)
		}
		lines = append(lines, line+extra)
		return text
	}
	h.reader = token("reader", "", tokens.Read)
	h.syncer = token("syncer", "", tokens.Read, tokens.Sync)
	h.decider = token("decider", "", tokens.Read, tokens.Approve)
	h.blind = token("blind", "", tokens.Sync, tokens.Approve)
	const only = " only=" + string(google)
	h.narrow = token("narrow", only, tokens.Scopes()...)
	h.narrowReader = token("narrow-reader", only, tokens.Read)
	h.narrowSyncer = token("narrow-syncer", only, tokens.Read, tokens.Sync)
	h.narrowDecider = token("narrow-decider", only, tokens.Read, tokens.Approve)
	file := filepath.Join(h.TB.(interface{ TempDir() string }).TempDir(), "tokens")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		h.Fatal(err)
	}
	known, err := tokens.Open(tokens.FileConfig{Path: file})
	if err != nil {
		h.Fatal(err)
	}
	return known
}

// registry is a directory with the known entries, which it finds by their ids.
type registry struct{ *hall }

func (r registry) Find(_ context.Context, _ container.ID, kind directory.Kind, text string) ([]api.Match, error) {
	ref := directory.Ref{Kind: kind, ID: directory.ID(text)}
	known, has := r.known[ref]
	if !has {
		return nil, nil
	}
	return []api.Match{{Ref: ref, Source: "corp", Label: known.Label}}, nil
}

func (r registry) Explain(_ context.Context, q explain.Query) (explain.Document, error) {
	ref := directory.Ref{Kind: directory.User, ID: directory.ID(q.Value)}
	known, has := r.known[ref]
	if !has {
		return explain.Document{Query: q, Found: explain.NotFound, Verdict: "No directory has it."}, nil
	}
	return explain.Document{Query: q, Entry: &explain.Entry{Ref: ref, Label: known.Label, DN: known.Unit, Active: true},
		Providers: r.explained}, nil
}

// reply is an answer with its body.
type reply struct {
	*http.Response
	body string
}

// as sends a request with a token; an empty token sends none.
func (h *hall) as(token, method, path string, form url.Values, change ...func(*http.Request)) reply {
	h.Helper()
	r := httptest.NewRequestWithContext(h.Context(), method, path, strings.NewReader(form.Encode()))
	r.Host = "localhost" // Without tokens, the API answers no other.
	r.Header.Set("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for _, c := range change {
		c(r)
	}
	w := httptest.NewRecorder()
	h.handler.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		h.Fatal(err)
	}
	return reply{w.Result(), string(body)}
}

// get fetches a page as the reader, which must be there.
func (h *hall) get(path string) string {
	h.Helper()
	got := h.as(h.reader, http.MethodGet, path, nil)
	if got.StatusCode != http.StatusOK {
		h.Fatalf("GET %s = %d: %.500s", path, got.StatusCode, got.body)
	}
	return got.body
}

// run records a run of a container that planned these changes, and ends it.
func (h *hall) run(c container.ID, end status.End, apply, held plan.Plan) status.Run {
	h.Helper()
	started, err := h.status.Start(h.Context(), status.StartRequest{Container: c,
		Trigger: status.Trigger{Kind: status.ByAPI, By: "ops"}})
	if err != nil {
		h.Fatal(err)
	}
	lease, err := h.status.Acquire(h.Context(), c, started.ID, started.Epoch, "worker-1")
	if err != nil {
		h.Fatal(err)
	}
	defer lease.Close()
	summary, err := json.Marshal(plan.Summarize(apply, held))
	if err != nil {
		h.Fatal(err)
	}
	rec := lease.Recorder()
	rows := func(yield func(string, any) bool) {
		for r := range plan.Rows(apply, held) {
			if !yield(string(r.Kind), r) {
				return
			}
		}
	}
	if err := rec.SavePlan(h.Context(), status.PlanHead{Digest: apply.Digest(), Summary: summary}, rows); err != nil {
		h.Fatal(err)
	}
	if err := rec.Planned(h.Context(), status.Planned{Held: int64(len(held.Changes)),
		Expected: []status.Expectation{{Object: status.User, Change: status.Update,
			Count: int64(len(apply.Changes))}}}); err != nil {
		h.Fatal(err)
	}
	rec.Succeeded(status.User, status.Update, len(apply.Changes))
	rec.Log(status.Message{Level: status.Warning, Event: "The run said something."})
	ended, err := lease.Finish(h.Context(), end)
	if err != nil {
		h.Fatal(err)
	}
	return ended
}

// hold records held changes of a container and returns their digest.
func (h *hall) hold(c container.ID, run string, changes ...decisions.HeldChange) string {
	h.Helper()
	set := decisions.HeldSet{Digest: "d1", RunID: run, At: time.Now(), Changes: changes}
	if err := h.decisions.SetHeld(h.Context(), c, set); err != nil {
		h.Fatal(err)
	}
	return set.Digest
}

// leaver is the held suspension of a person.
func leaver(name string) decisions.HeldChange {
	return decisions.HeldChange{Fingerprint: "print-" + name, Op: "suspend", Kind: "user", ID: "id-" + name, Label: name,
		Address: name + "@example.com", Why: "absent", Guard: "limit", Reason: "3 users would go: the limit is 2"}
}
