package jobs_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/metrics"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/jobs"
	"rollcall/plan"
	"rollcall/status"
)

// counted returns the nonzero values of some metrics.
func (s *site) counted(names ...string) map[string]float64 {
	s.t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(s.work)
	families, err := reg.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if !slices.Contains(names, f.GetName()) {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			if v := m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount()); v != 0 {
				out[strings.TrimPrefix(f.GetName(), "rollcall_")+" "+strings.Join(labels, " ")] = v
			}
		}
	}
	return out
}

// wantCounted waits until exactly these values were counted.
func (s *site) wantCounted(want map[string]float64, names ...string) {
	s.t.Helper()
	diff := ""
	defer func() {
		if diff != "" {
			s.t.Logf("counted (-want +got)\n%s", diff)
		}
	}()
	testclock.Eventually(s.t, waiting, "the counts are right",
		func() bool { diff = cmp.Diff(want, s.counted(names...)); return diff == "" })
}

func (s *site) hire(n int) {
	s.source.mu.Lock()
	defer s.source.mu.Unlock()
	s.source.n += n
}

// loseLease deletes the lease of the worker that has a run until the run is resumed. The worker may renew it in
// between.
func (s *site) loseLease(run status.Run) {
	s.t.Helper()
	key := "rollcall:{" + string(run.Container) + "}:lease"
	holder := s.rdb.Get(s.t.Context(), key).Val()
	unless := redis.NewScript(`if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1`)
	testclock.Eventually(s.t, waiting, "the run is resumed", func() bool {
		now, err := s.status.Get(s.t.Context(), run.Container, run.ID)
		if err == nil && now.Resumes > 0 {
			return true
		}
		return unless.Run(s.t.Context(), s.rdb, []string{key}, holder).Err() != nil
	})
}

// TestRunsAreCountedOnce checks that two workers together count each run once, whichever of them ended it.
func TestRunsAreCountedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.work = metrics.NewWork(nil)
	var hook atomic.Pointer[func(context.Context, plan.Change) error]
	s.remote.before = func(ctx context.Context, c plan.Change) error {
		if f := hook.Load(); f != nil {
			return (*f)(ctx, c)
		}
		return nil
	}
	set := func(f func(context.Context, plan.Change) error) { hook.Store(&f) }
	s.worker("w1")
	s.worker("w2")
	s.until(corp, s.start(corp).ID, status.Completed)

	set(func(_ context.Context, c plan.Change) error {
		if c.ID == "u003" {
			return fault.Errorf(fault.Conflict, "409: the name is taken")
		}
		return nil
	})
	s.until(google, s.start(google).ID, status.Completed)
	s.wantCounted(map[string]float64{
		"runs_total ldap:corp full successful": 1, "runs_total google_workspace:1 full warning": 1,
		"run_duration_seconds ldap:corp full": 1, "run_duration_seconds google_workspace:1 full": 1,
		"changes_total create ldap:corp user ok": 20, "changes_total create google_workspace:1 user ok": 19,
		"changes_total create google_workspace:1 user conflict": 1,
	}, "rollcall_runs_total", "rollcall_run_duration_seconds", "rollcall_changes_total")
	st, err := s.status.Standing(t.Context(), google)
	if err != nil || st.Last == nil || st.Last.Faults["conflict"] != 1 || st.ReadAt.IsZero() ||
		st.CompletedReadAt.IsZero() {
		t.Errorf("Standing() = %+v, %v", st, err)
	}

	// A run that waits for the quota has no worker and counts no failure. The operator ends it.
	s.hire(1)
	set(func(context.Context, plan.Change) error { return fault.Errorf(fault.Throttled, "429") })
	run := s.until(google, s.start(google).ID, status.Deferred)
	if run.FailedChanges != 0 {
		t.Errorf("%d changes of a run that waits have failed", run.FailedChanges)
	}
	if _, err := s.client.Cancel(t.Context(), google, "boss"); err != nil {
		t.Fatal(err)
	}

	// A worker loses its run, and another one ends it.
	lost := make(chan struct{})
	var once atomic.Bool
	set(func(ctx context.Context, _ plan.Change) error {
		if once.CompareAndSwap(false, true) {
			close(lost)
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	run = s.start(google)
	<-lost
	set(func(context.Context, plan.Change) error { return nil })
	s.loseLease(run)
	s.until(google, run.ID, status.Completed)
	dry, err := s.client.StartRun(t.Context(), corp, status.Full, true, "tester")
	if err != nil {
		t.Fatal(err)
	}
	s.until(corp, dry.ID, status.Completed)
	s.wantCounted(map[string]float64{
		"runs_total ldap:corp full successful": 1, "runs_total ldap:corp dry_run successful": 1,
		"runs_total google_workspace:1 full warning":   1,
		"runs_total google_workspace:1 full cancelled": 1, "runs_total google_workspace:1 full successful": 1,
		"run_resumes_total google_workspace:1": 1, "lease_losses_total google_workspace:1": 1,
	}, "rollcall_runs_total", "rollcall_run_resumes_total", "rollcall_lease_losses_total")
}

func TestObjectJobsAreCounted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.work = metrics.NewWork(nil)
	s.worker("w1")
	s.until(corp, s.start(corp).ID, status.Completed)
	s.until(google, s.start(google).ID, status.Completed)
	s.source.mu.Lock()
	s.source.n, s.source.absent = 22, map[directory.ID]bool{"u003": true}
	s.source.mu.Unlock()
	for _, id := range []directory.ID{"u003", "u004", "u021"} {
		object(s, directory.Ref{Kind: directory.User, ID: id})
	}
	s.wantCounted(map[string]float64{
		"object_jobs_total google_workspace:1 ok": 2, "object_jobs_total google_workspace:1 absent": 1,
		"changes_total create ldap:corp user ok": 21, "changes_total create google_workspace:1 user ok": 21,
	}, "rollcall_object_jobs_total", "rollcall_changes_total")
}

// TestQueuesAreRead runs on a real Redis and on miniredis.
func TestQueuesAreRead(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		read := jobs.Queues(rdb)
		want := func(when string, pending int) {
			t.Helper()
			queues, err := read(t.Context())
			if err != nil || len(queues) != 2 || queues[0].Name != jobs.FullQueue || queues[0].Tasks["pending"] != pending ||
				queues[1].Tasks["pending"] != 0 {
				t.Errorf("%s: Queues() = %+v, %v, want %d pending", when, queues, err, pending)
			}
		}
		want("at first", 0)
		if _, err := jobs.NewClient(rdb, status.New(rdb, status.Config{})).StartRun(t.Context(), corp, status.Full, false,
			"tester"); err != nil {
			t.Fatal(err)
		}
		want("with a run", 1)
	})
}
