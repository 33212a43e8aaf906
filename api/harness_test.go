package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/api"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/provider/all"
	"rollcall/status"
)

// The tokens of the tests, by what they allow.
const (
	readToken = "token-that-reads"
	syncToken = "token-that-syncs"
	bothToken = "token-that-does-both"
)

func authenticate(token string) (api.Caller, bool) {
	scopes := map[string][]string{
		readToken: {api.ScopeRead}, syncToken: {api.ScopeSync}, bothToken: {api.ScopeRead, api.ScopeSync, api.ScopeApprove},
	}[token]
	return api.Caller{Name: "ops@example.com", Scopes: scopes}, scopes != nil
}

// fakeJobs starts work on the store and carries object jobs out on the spot, or never.
type fakeJobs struct {
	store *status.Store
	// result is what an object job comes to; nil leaves it queued.
	result *status.Result
	// err fails everything.
	err error
	// onStart is called with each full run that is started; it may be nil.
	onStart func(status.Run)
	// refuses has no job of an object started.
	refuses map[container.ID]bool
	// later finishes object jobs in the background.
	later bool

	mu      sync.Mutex
	started directory.Ref // the last object
	source  string
}

func (f *fakeJobs) StartRun(ctx context.Context, c container.ID, mode status.Mode, dryRun bool, by string) (
	status.Run, error) {
	if f.err != nil {
		return status.Run{}, f.err
	}
	run, err := f.store.Start(ctx, status.StartRequest{Container: c, Mode: mode, DryRun: dryRun,
		Trigger: status.Trigger{Kind: status.ByAPI, By: by}})
	if err == nil && f.onStart != nil {
		f.onStart(run)
	}
	return run, err
}

func (f *fakeJobs) StartApproved(ctx context.Context, c container.ID, by string) (status.Run, error) {
	if f.err != nil {
		return status.Run{}, f.err
	}
	return f.store.Start(ctx, status.StartRequest{Container: c, Trigger: status.Trigger{Kind: status.ByApproval, By: by}})
}

func (f *fakeJobs) StartRevert(ctx context.Context, c container.ID, runID string, dryRun bool, by string) (status.Run,
	error) {
	if f.err != nil {
		return status.Run{}, f.err
	}
	if _, err := f.store.Get(ctx, c, runID); err != nil {
		return status.Run{}, err
	}
	return f.store.Start(ctx, status.StartRequest{Container: c, DryRun: dryRun,
		Trigger: status.Trigger{Kind: status.ByRevert, By: by, Of: runID}})
}

func (f *fakeJobs) StartObject(ctx context.Context, c container.ID, source string, ref directory.Ref,
	by string) (string, error) {
	if f.err != nil {
		return "", f.err
	}
	if f.refuses[c] {
		return "", fault.Errorf(fault.Unavailable, "the queue of %s is at secret.example.com", c)
	}
	f.mu.Lock()
	f.started, f.source = ref, source
	f.mu.Unlock()
	job, err := f.store.CreateJob(ctx, status.JobRequest{
		Container: c, Kind: status.ObjectType(ref.Kind.String()), ObjectID: string(ref.ID),
		Trigger: status.Trigger{Kind: status.ByAPI, By: by},
	})
	switch finish := func() error {
		_, err := f.store.FinishJob(context.WithoutCancel(ctx), c, job.ID, *f.result)
		return err
	}; {
	case err != nil || f.result == nil:
	case f.later:
		go finish() // the job that never ends fails the test
	default:
		err = finish()
	}
	return job.ID, err
}

func (f *fakeJobs) Cancel(ctx context.Context, c container.ID, by string) (status.Run, error) {
	if f.err != nil {
		return status.Run{}, f.err
	}
	return f.store.Cancel(ctx, c, by)
}

// fakeDirectory knows entries by what they are called.
type fakeDirectory struct {
	entries map[string][]api.Match
	err     error
}

func (f *fakeDirectory) Find(_ context.Context, _ container.ID, kind directory.Kind, text string) ([]api.Match, error) {
	var out []api.Match
	for _, m := range f.entries[text] {
		if m.Ref.Kind == kind {
			out = append(out, m)
		}
	}
	return out, f.err
}

const (
	corp   = container.ID("ldap:corp")
	google = container.ID("google_workspace:1")
	entra  = container.ID("microsoft_entra:2")
	off    = container.ID("google_workspace:9")
)

// paths maps containers to their resources' paths.
var paths = map[container.ID]string{
	corp: "/sources/ldap/corp/", google: "/providers/google_workspace/1/", entra: "/providers/microsoft_entra/2/",
	off: "/providers/google_workspace/9/",
}

// harness is an API with everything behind it.
type harness struct {
	t         testing.TB
	rdb       *redis.Client
	clock     *testclock.Clock
	store     *status.Store
	decisions *decisions.Store
	jobs      *fakeJobs
	directory *fakeDirectory
	log       *bytes.Buffer
	cfg       api.Config
	api       *api.API
}

// newHarness returns a harness on a Redis; change, if any, changes the configuration.
func newHarness(t testing.TB, rdb *redis.Client, change func(*api.Config)) *harness {
	t.Helper()
	if rdb == nil {
		rdb = redistest.Start(t)
	}
	h := &harness{t: t, rdb: rdb, clock: testclock.At(time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)), log: &bytes.Buffer{}}
	h.store = status.New(rdb, status.Config{Now: h.clock.Now})
	h.decisions = decisions.New(rdb, decisions.Config{Now: h.clock.Now, Keys: keys})
	h.jobs = &fakeJobs{store: h.store}
	alice := api.Match{Ref: directory.Ref{Kind: directory.User, ID: "u-1"}, Source: "corp", Label: "alice"}
	twin := api.Match{Ref: directory.Ref{Kind: directory.User, ID: "u-2"}, Source: "corp", Label: "alice"}
	staff := api.Match{Ref: directory.Ref{Kind: directory.Group, ID: "g-1"}, Source: "corp", Label: "staff"}
	h.directory = &fakeDirectory{entries: map[string][]api.Match{
		"u-1": {alice}, "7": {alice}, "alice": {alice, twin}, "g-1": {staff},
	}}
	cfg := api.Config{
		Status: h.store, Decisions: h.decisions, Jobs: h.jobs, Directory: h.directory, Authenticate: authenticate,
		Log:        slog.New(slog.NewJSONHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		ObjectWait: 50 * time.Millisecond, TaskMessages: 5, Types: all.Types(),
		Resources: []api.Resource{
			{Container: corp, Name: "Corporate directory", Fields: map[string]any{"server_uri": "ldaps://ldap.example.com"}},
			{Container: google, Name: "Workspace"}, {Container: entra, Name: "Entra"},
			{Container: off, Name: "Old workspace", Disabled: true},
		},
	}
	if change != nil {
		change(&cfg)
	}
	a, err := api.New(cfg)
	if err != nil {
		t.Fatalf("New() = %v", err)
	}
	h.api, h.cfg = a, cfg
	return h
}

// response is an answer with its body read.
type response struct {
	*httptest.ResponseRecorder
	t testing.TB
}

// do sends a request with a token that may do everything. The answer is checked against the contract and against the
// API's own document.
func (h *harness) do(method, path, body string) response {
	h.t.Helper()
	return h.send(newRequest(h.t, method, path, body, bothToken))
}

// newRequest returns a request with a token.
func newRequest(t testing.TB, method, path, body, token string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Host = "localhost"
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (h *harness) send(r *http.Request) response {
	h.t.Helper()
	w := response{httptest.NewRecorder(), h.t}
	h.api.ServeHTTP(w, r)
	checkAnswer(h.t, r, w.ResponseRecorder)
	return w
}

func (h *harness) get(path string) response { h.t.Helper(); return h.do(http.MethodGet, path, "") }

// want fails the test unless the answer has this status.
func (r response) want(code int) response {
	r.t.Helper()
	if r.Code != code {
		r.t.Fatalf("status %d, want %d: %s", r.Code, code, r.Body)
	}
	return r
}

// is fails the test unless the answer is this one.
func (r response) is(code int, body string) {
	r.t.Helper()
	if got := strings.TrimSpace(r.Body.String()); r.Code != code || got != body {
		r.t.Errorf("answer %d %s, want %d %s", r.Code, got, code, body)
	}
}

// read decodes the body.
func read[T any](r response) T {
	r.t.Helper()
	var v T
	if err := json.Unmarshal(r.Body.Bytes(), &v); err != nil {
		r.t.Fatalf("body %s: %v", r.Body, err)
	}
	return v
}

// start starts a run of a container.
func (h *harness) start(c container.ID) status.Run {
	h.t.Helper()
	run, err := h.store.Start(h.t.Context(), status.StartRequest{Container: c,
		Trigger: status.Trigger{Kind: status.ByAPI, By: "ops"}})
	if err != nil {
		h.t.Fatal(err)
	}
	return run
}

// acquire has a worker take the run.
func (h *harness) acquire(run status.Run) *status.Lease {
	h.t.Helper()
	lease, err := h.store.Acquire(context.WithoutCancel(h.t.Context()), run.Container, run.ID, run.Epoch, "worker-1")
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(lease.Close)
	return lease
}

// finish has a worker execute the run to its end.
func (h *harness) finish(run status.Run, end status.End, work func(*status.Recorder)) {
	h.t.Helper()
	lease := h.acquire(run)
	if work != nil {
		work(lease.Recorder())
	}
	h.clock.Advance(90 * time.Second)
	if _, err := lease.Finish(h.t.Context(), end); err != nil {
		h.t.Fatal(err)
	}
}

// lose takes the keys that keep a container's run live, as when no worker renews them.
func (h *harness) lose(c container.ID) {
	h.t.Helper()
	if err := h.rdb.Del(h.t.Context(), "rollcall:{"+string(c)+"}:run", "rollcall:{"+string(c)+
		"}:lease").Err(); err != nil {
		h.t.Fatal(err)
	}
}

// keys sign the decisions of a harness.
func keys() ([]decisions.Key, error) {
	return decisions.ParseKeys(strings.Repeat("0123456789abcdef", 4))
}
