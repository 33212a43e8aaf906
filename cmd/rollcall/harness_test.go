package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/api"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/provider/all"
	"rollcall/status"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	corp   = container.ID("ldap:corp")
	google = container.ID("google_workspace:1")
	entra  = container.ID("microsoft_entra:2")
	off    = container.ID("google_workspace:9")

	goodToken = "token-that-does-everything"
	readToken = "token-that-reads"
)

// service is the real API, served, with a store that tests write into as a worker would.
type service struct {
	t         *testing.T
	store     *status.Store
	decisions *decisions.Store
	url       string
	rdb       *redis.Client

	mu  sync.Mutex
	now time.Time
	// before is called before each request.
	before func(*http.Request)
	// old has the API have no events.
	old bool
	// cutAll cuts every connection.
	cutAll func()
	// begun is called with each run that is started.
	begun func(status.Run)
	// result is what the sync of an object comes to; nil leaves it under way.
	result *status.Result
	job    status.Job
	// facts are what runs leave for the next.
	facts func(container.ID) api.Facts
	// knows is what there is to explain, by the query.
	knows map[explain.Query]explain.Input
}

func signingKeys() ([]decisions.Key, error) {
	return decisions.ParseKeys(strings.Repeat("0123456789abcdef", 4))
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, now: time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)}
	rdb := redistest.Start(t)
	s.rdb = rdb
	s.store = status.New(rdb, status.Config{Now: s.clock})
	s.decisions = decisions.New(rdb, decisions.Config{Now: s.clock, Keys: signingKeys})
	s.facts = func(c container.ID) api.Facts { return ledger.NewRedis(rdb, string(c)) }
	a, err := api.New(api.Config{
		Facts: s.facts, Types: all.Types(),
		Status: s.store, Decisions: s.decisions, Jobs: s, Directory: s, Explainer: s, ObjectWait: time.Millisecond,
		EventEvery: time.Millisecond,
		Authenticate: func(token string) (api.Caller, bool) {
			scopes := map[string][]string{goodToken: {api.ScopeRead, api.ScopeSync, api.ScopeApprove},
				readToken: {api.ScopeRead}}[token]
			return api.Caller{Name: "ada", Scopes: scopes}, scopes != nil
		},
		Resources: []api.Resource{
			{Container: corp, Name: "Corporate directory"}, {Container: google, Name: "Workspace"}, {Container: entra},
			{Container: off, Disabled: true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.before != nil {
			s.before(r)
		}
		if s.old && hide(w, r) {
			return
		}
		a.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	s.url, s.cutAll = srv.URL, srv.CloseClientConnections
	return s
}

func (s *service) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *service) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

func (s *service) start(ctx context.Context, r status.StartRequest) (status.Run, error) {
	run, err := s.store.Start(ctx, r)
	if err == nil && s.begun != nil {
		s.begun(run)
	}
	return run, err
}

func (s *service) StartRun(ctx context.Context, c container.ID, mode status.Mode, dryRun bool, by string) (
	status.Run, error) {
	return s.start(ctx, status.StartRequest{Container: c, DryRun: dryRun,
		Trigger: status.Trigger{Kind: status.ByAPI, By: by}})
}

func (s *service) StartApproved(ctx context.Context, c container.ID, by string) (status.Run, error) {
	return s.start(ctx, status.StartRequest{Container: c, Trigger: status.Trigger{Kind: status.ByApproval, By: by}})
}

func (s *service) StartRevert(ctx context.Context, c container.ID, runID string, dryRun bool, by string) (status.Run,
	error) {
	if _, err := s.store.Get(ctx, c, runID); err != nil {
		return status.Run{}, err
	}
	return s.start(ctx, status.StartRequest{Container: c, DryRun: dryRun,
		Trigger: status.Trigger{Kind: status.ByRevert, By: by, Of: runID}})
}

func (s *service) StartObject(ctx context.Context, c container.ID, _ string, ref directory.Ref, by string) (string,
	error) {
	job, err := s.store.CreateJob(ctx, status.JobRequest{
		Container: c, Kind: status.ObjectType(ref.Kind.String()), ObjectID: string(ref.ID),
		Trigger: status.Trigger{Kind: status.ByAPI, By: by},
	})
	if err == nil && s.result != nil {
		_, err = s.store.FinishJob(ctx, c, job.ID, *s.result)
	}
	s.job = job
	return job.ID, err
}

func (s *service) Cancel(ctx context.Context, c container.ID, by string) (status.Run, error) {
	return s.store.Cancel(ctx, c, by)
}

// Find knows one user.
func (s *service) Find(_ context.Context, _ container.ID, kind directory.Kind, text string) ([]api.Match, error) {
	if kind != directory.User || text != "ada@example.com" && text != "u-1" {
		return nil, nil
	}
	return []api.Match{{Ref: directory.Ref{Kind: kind, ID: "u-1"}, Source: "corp", Label: "ada"}}, nil
}

// Explain explains what the test knows.
func (s *service) Explain(_ context.Context, q explain.Query) (explain.Document, error) {
	in := s.knows[q]
	in.Query, in.Now = q, s.clock()
	return explain.Of(in), nil
}

// work is what a worker does with a run before it ends it.
type work struct {
	plan     status.Planned
	done     int // users that were created
	failed   int
	messages []status.Message
	end      status.End
}

// take has a worker take a run; finish has it end it.
func (s *service) take(run status.Run) *status.Lease {
	s.t.Helper()
	lease, err := s.store.Acquire(context.Background(), run.Container, run.ID, run.Epoch, "worker-1")
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(lease.Close)
	return lease
}

func (s *service) finish(lease *status.Lease, w work) {
	s.t.Helper()
	ctx, rec := context.Background(), lease.Recorder()
	if err := errors.Join(s.document(ctx, rec, w.plan.Digest), rec.Planned(ctx, w.plan)); err != nil {
		s.t.Fatal(err)
	}
	rec.Succeeded(status.User, status.Create, w.done)
	rec.Failed(status.User, status.Create, w.failed)
	for _, m := range w.messages {
		m.Time = s.clock()
		rec.Log(m)
	}
	s.pass(90 * time.Second)
	if w.end.State == "" {
		w.end.State = status.Completed
	}
	if _, err := lease.Finish(ctx, w.end); err != nil {
		s.t.Fatal(err)
	}
}

// document stores a plan of one change.
func (s *service) document(ctx context.Context, rec *status.Recorder, digest string) error {
	apply := plan.Plan{Changes: []plan.Change{{Op: plan.Create, Ref: directory.Ref{Kind: directory.User, ID: "u-1"},
		Label: "ada", Address: "ada@example.com"}}}
	summary, err := json.Marshal(plan.Summarize(apply, plan.Plan{}))
	if err != nil {
		return err
	}
	return rec.SavePlan(ctx, status.PlanHead{Digest: digest, Summary: summary}, func(yield func(string, any) bool) {
		for row := range plan.Rows(apply, plan.Plan{}) {
			if !yield(string(row.Kind), row) {
				return
			}
		}
	})
}

// ran has a run of a container from its start to its end.
func (s *service) ran(c container.ID, dry bool, w work) {
	s.t.Helper()
	run, err := s.store.Start(s.t.Context(), status.StartRequest{Container: c, DryRun: dry,
		Trigger: status.Trigger{Kind: status.BySchedule, By: "@hourly"}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.pass(time.Second)
	s.finish(s.take(run), w)
}

func (s *service) hold(c container.ID, digest string, changes ...decisions.HeldChange) {
	s.t.Helper()
	if err := s.decisions.SetHeld(s.t.Context(), c, decisions.HeldSet{Digest: digest, RunID: "r", At: s.clock(),
		Changes: changes}); err != nil {
		s.t.Fatal(err)
	}
}

// result is what a command came to.
type result struct {
	code           int
	stdout, stderr string
}

// person is a user at a terminal, or a script.
type person struct {
	env  map[string]string
	says string // to a question; there is no terminal where it is empty
	// hears is called with each thing that is printed.
	hears func(string)
	// ctx ends when the person presses Ctrl-C.
	ctx context.Context
}

func (s *service) do(args ...string) result { s.t.Helper(); return s.as(person{}, args...) }

func (s *service) as(p person, args ...string) result {
	s.t.Helper()
	var stdout, stderr heard
	vars := map[string]string{varAPI: s.url, varToken: goodToken}
	maps.Copy(vars, p.env)
	if stdout.hears = p.hears; p.ctx == nil {
		p.ctx = s.t.Context()
	}
	e := &env{
		types: all.Types(), getenv: func(k string) string { return vars[k] }, stdin: strings.NewReader(p.says),
		stdout: &stdout, stderr: &stderr,
		asks: p.says != "", now: s.clock, every: time.Millisecond,
	}
	code := run(p.ctx, e, args)
	return result{code, stdout.String(), stderr.String()}
}

// heard is what was printed.
type heard struct {
	bytes.Buffer
	hears func(string)
}

// Write implements io.Writer.
func (h *heard) Write(b []byte) (int, error) {
	n, err := h.Buffer.Write(b)
	if h.hears != nil {
		h.hears(string(b))
	}
	return n, err
}

// want fails the test unless the command ended with this code and said this.
func (r result) want(t *testing.T, code int, parts ...string) result {
	t.Helper()
	if r.code != code {
		t.Errorf("exit code %d, want %d:\n%s%s", r.code, code, r.stdout, r.stderr)
	}
	for _, part := range parts {
		if !strings.Contains(r.stdout+r.stderr, part) {
			t.Errorf("%q is missing in:\n%s%s", part, r.stdout, r.stderr)
		}
	}
	return r
}

var runID = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// golden compares what was printed with a file.
func (r result) golden(t *testing.T, name string) {
	t.Helper()
	path := filepath.Join("testdata", name+".txt")
	got := runID.ReplaceAllString(r.stdout, "<run>")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", path, diff)
	}
}
