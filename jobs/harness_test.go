package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/internal/metrics"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/jobs"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
	"rollcall/status"
)

const (
	corp   = container.ID("ldap:corp")
	google = container.ID("google_workspace:1")
)

// people is a source of n users. One of them may be missing.
type people struct {
	mu     sync.Mutex
	n      int
	idle   int // disabled ones, besides
	absent map[directory.ID]bool
	err    error
	// secret is the value of a field that every entry should have. approval is require_approval.
	secret   string
	approval provider.Approval
}

// configured returns the present configuration of the provider.
func (p *people) configured() (secret string, approval provider.Approval) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.secret, p.approval
}

func (p *people) Read(_ context.Context, q directory.Query) (s directory.Snapshot, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Versions = map[directory.Ref]string{}
	for i := range p.n {
		e := directory.Entry{Kind: directory.User, ID: directory.ID(fmt.Sprintf("u%03d", i)), Source: "corp", Active: true}
		if p.absent[e.ID] {
			if !q.All() {
				s.Absent = append(s.Absent, e.Ref())
			}
			s.Departed = append(s.Departed, directory.Departure{Ref: e.Ref(), Source: "corp", Left: time.Now()})
			continue
		}
		s.Entries = append(s.Entries, e)
		s.Versions[e.Ref()] = e.Digest()
	}
	for i := range p.idle {
		e := directory.Entry{Kind: directory.User, ID: directory.ID(fmt.Sprintf("x%03d", i)), Source: "corp"}
		s.Entries, s.Versions[e.Ref()] = append(s.Entries, e), e.Digest()
	}
	return s, p.err
}

func (p *people) Version(_ context.Context, _ string, ref directory.Ref) (string, time.Time, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.absent[ref.ID] {
		return "", time.Time{}, nil
	}
	return (&directory.Entry{Kind: ref.Kind, ID: ref.ID, Source: "corp", Active: true}).Digest(), time.Time{}, nil
}

// tenant is a provider that stores ids. before is called before each write.
type tenant struct {
	mu     sync.Mutex
	have   map[directory.Ref]bool
	fields map[directory.Ref]directory.Attributes
	// out are the suspended users.
	out    map[directory.Ref]bool
	mirror bool
	before func(context.Context, plan.Change) error
}

func (t *tenant) Capabilities() plan.Capabilities {
	return plan.Capabilities{BatchSize: 1, Concurrency: 2, Mirror: t.mirror}
}

func (t *tenant) Read(context.Context, provider.Query) (s plan.State, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ref := range t.have {
		o := plan.Object{Ref: ref, RemoteID: "r-" + string(ref.ID), Address: string(ref.ID) + "@x", Active: !t.out[ref],
			Fields: t.fields[ref].Clone()}
		if t.out[ref] {
			o.Suspender = plan.Us
		}
		s.Objects = append(s.Objects, o)
	}
	return s, nil
}

func (t *tenant) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	out := make([]provider.Result, len(batch))
	for i, c := range batch {
		if t.before != nil {
			if out[i].Err = t.before(ctx, c); out[i].Err != nil {
				continue
			}
		}
		t.mu.Lock()
		if t.have == nil {
			t.have, t.fields = map[directory.Ref]bool{}, map[directory.Ref]directory.Attributes{}
			t.out = map[directory.Ref]bool{}
		}
		t.have[c.Ref], t.out[c.Ref] = true, c.Op == plan.Suspend
		for _, f := range c.Fields {
			t.fields[c.Ref] = t.fields[c.Ref].Set(f.Name, f.After...)
		}
		t.mu.Unlock()
		out[i].RemoteID = "r-" + string(c.ID)
	}
	return out
}

func (t *tenant) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.have)
}

// site is a complete installation on one Redis.
type site struct {
	t         *testing.T
	rdb       redis.UniversalClient
	status    *status.Store
	decisions *decisions.Store
	client    *jobs.Client
	source    *people
	local     *tenant
	remote    *tenant
	ledger    reconcile.Ledger
	// follow makes the provider follow its source.
	follow bool
	// mirror and first replace local and the ledger of the first hop, if they are not nil.
	mirror provider.Provider
	first  reconcile.Ledger
	// configured are the containers of the workers; nil means the source and the provider of the other fields.
	configured []jobs.Container
	// now is the clock of workers and records, which ahead moves by skew.
	now  func() time.Time
	skew *atomic.Int64
	// work is what the workers count.
	work *metrics.Work
}

func newSite(t *testing.T) *site {
	t.Helper()
	rdb, ahead := redistest.Start(t), new(atomic.Int64)
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	st := status.New(rdb, status.Config{ // No test waits for the end of a TTL, so a busy machine may stand still.
		Now: now, RunTTL: time.Minute, LeaseTTL: time.Minute, RenewEvery: 500 * time.Millisecond, WorkerTTL: time.Minute,
		RequeueAfter: 300 * time.Millisecond, FlushEvery: 20 * time.Millisecond,
	})
	return &site{
		now: now, skew: ahead, t: t, rdb: rdb, status: st, decisions: decisions.New(rdb, decisions.Config{Keys: keys}),
		client: jobs.NewClient(rdb, st), source: &people{n: 20}, local: &tenant{mirror: true}, remote: &tenant{},
		ledger: ledger.NewRedis(rdb, string(google)),
	}
}

// links returns the ledger of a container.
func (s *site) links(c container.ID) *ledger.Redis { return ledger.NewRedis(s.rdb, string(c)) }

func (s *site) containers() []jobs.Container {
	if s.configured != nil {
		return s.configured
	}
	desire := func(sn directory.Snapshot, _ plan.State) (r mapping.Result, _ error) {
		for i := range sn.Entries {
			e := &sn.Entries[i]
			r.Desired = append(r.Desired, plan.Desired{Ref: e.Ref(), Address: string(e.ID) + "@x", Label: string(e.ID),
				Active: e.Active, Source: "corp", Version: sn.Versions[e.Ref()]})
			if !e.Active {
				r.Desired[i].Why = plan.Disabled
			}
		}
		return r, nil
	}
	plain := func(sn directory.Snapshot, st plan.State) (mapping.Result, error) {
		r, err := desire(sn, st)
		for i := range r.Desired {
			r.Desired[i].Address = ""
		}
		return r, err
	}
	schedule := ""
	if s.follow {
		schedule = jobs.AfterSource
	}
	var mirror provider.Provider = s.local
	if s.mirror != nil {
		mirror = s.mirror
	}
	var first reconcile.Ledger = s.links(corp)
	if s.first != nil {
		first = s.first
	}
	return []jobs.Container{
		{Name: corp, Engine: func() *reconcile.Engine {
			return reconcile.New(reconcile.Config{Source: s.source, Provider: mirror, Desire: plain, Ledger: first})
		}},
		{Name: google, Sources: []string{"corp"}, Schedule: schedule, Engine: func() *reconcile.Engine {
			secret, approval := s.source.configured()
			mapped := func(sn directory.Snapshot, st plan.State) (mapping.Result, error) {
				r, err := desire(sn, st)
				for i := range r.Desired {
					r.Desired[i].Fields = r.Desired[i].Fields.Set("wifi_password", secretOf(secret)...)
				}
				return r, err
			}
			return reconcile.New(reconcile.Config{Source: s.source, Provider: s.remote, Desire: mapped, Ledger: s.ledger,
				Approval: approval})
		}},
	}
}

func secretOf(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// worker starts a worker that is stopped at the end of the test.
func (s *site) worker(name string) *jobs.Worker {
	s.t.Helper()
	return s.workerWith(name, s.containers()...)
}

// workerWith starts a worker with a configuration of its own.
func (s *site) workerWith(name string, containers ...jobs.Container) *jobs.Worker {
	s.t.Helper()
	w, err := jobs.NewWorker(jobs.WorkerConfig{
		Redis: s.rdb, Status: s.status, Decisions: s.decisions, Containers: containers, Name: name, Metrics: s.work,
		Now:               s.now,
		TaskCheckInterval: 20 * time.Millisecond, ReapEvery: 100 * time.Millisecond, ShutdownTimeout: 15 * time.Second,
		MendEvery: 200 * time.Millisecond,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := w.Start(context.WithoutCancel(s.t.Context())); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(w.Shutdown)
	return w
}

// waiting is the time limit for what happens soon, on a busy machine too.
const waiting = 3 * time.Minute

// until waits until the run has the state.
func (s *site) until(c container.ID, id string, want status.State) (run status.Run) {
	s.t.Helper()
	var err error
	defer func() {
		if s.t.Failed() {
			s.t.Logf("run %s is %s (%s); err %v", id, run.State, run.FailReason, err)
		}
	}()
	testclock.Eventually(s.t, waiting, fmt.Sprintf("run %s is %s", id, want), func() bool {
		run, err = s.status.Get(s.t.Context(), c, id)
		return err == nil && run.State == want
	})
	return run
}

// ahead moves the clock.
func (s *site) ahead(d time.Duration) { s.skew.Add(int64(d)) }

func (s *site) start(c container.ID) status.Run {
	s.t.Helper()
	run, err := s.client.StartRun(s.t.Context(), c, status.Full, false, "tester")
	if err != nil {
		s.t.Fatal(err)
	}
	return run
}

// keys sign the decisions of a site.
func keys() ([]decisions.Key, error) {
	return decisions.ParseKeys(strings.Repeat("0123456789abcdef", 4))
}
