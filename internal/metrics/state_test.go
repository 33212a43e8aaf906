package metrics_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/internal/metrics"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/source"
	"rollcall/status"
)

// about returns the samples of some metrics that are not 0, without the prefix.
func about(all map[string]float64, names ...string) map[string]float64 {
	out := map[string]float64{}
	for key, v := range all {
		for _, name := range names {
			if v != 0 && strings.HasPrefix(key, "rollcall_"+name+"{") {
				out[strings.TrimPrefix(key, "rollcall_")] = v
			}
		}
	}
	return out
}

func TestStateOfRuns(t *testing.T) {
	t.Parallel()
	facts := func(context.Context) (ledger.Facts, error) {
		return ledger.Facts{LastFull: time.Now(), Users: 250, Groups: 40}, nil
	}
	s := newSite(t, metrics.Container{Name: google, Facts: facts})
	names := []string{"last_run_result", "last_run_fault", "last_run_duration_seconds", "failed_changes", "held_entries",
		"held_changes", "run_active",
		"run_changes_expected", "run_changes_done", "run_progress_ratio", "directory_entries"}
	s.run(google, execution{took: 90 * time.Second, end: status.End{State: status.Failed, FailKind: "unavailable"},
		plan: status.Planned{
			Held: 1, HeldEntries: map[string]int64{string(plan.NoAddress): 2},
		}, does: func(r *status.Recorder) { r.Failed(status.User, status.Create, 3); r.FailedBy("conflict", 3) }})
	s.must(s.decisions.SetHeld(t.Context(), google, decisions.HeldSet{Digest: "d",
		Changes: []decisions.HeldChange{{Guard: "limit"}, {Guard: "limit"}}}))
	run, err := s.store.Start(t.Context(), status.StartRequest{Container: google, DryRun: true})
	s.must(err)
	want := map[string]float64{
		"last_run_result{container=google_workspace:1,result=failed}":        1,
		"last_run_fault{container=google_workspace:1,fault=unavailable}":     1,
		"last_run_duration_seconds{container=google_workspace:1}":            90,
		"failed_changes{container=google_workspace:1,fault=conflict}":        3,
		"held_entries{container=google_workspace:1,reason=no_address}":       2,
		"held_changes{container=google_workspace:1,guard=limit}":             2,
		"run_active{container=google_workspace:1,state=queued}":              1,
		"directory_entries{container=google_workspace:1,kind=user}":          250,
		"directory_entries{container=google_workspace:1,kind=group}":         40,
		"last_run_timestamp_seconds{container=google_workspace:1}":           float64(s.Now().Unix()),
		"container_info{container=google_workspace:1,kind=google_workspace}": 1,
		"redis_up{}": 1,
	}
	got := about(scrape(t, s.reg), append(names, "last_run_timestamp_seconds", "container_info", "redis_up")...)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a failed run and a queued one (-want +got)\n%s", diff)
	}

	l, err := s.store.Acquire(t.Context(), google, run.ID, run.Epoch, "w1")
	s.must(err)
	defer l.Close()
	s.must(l.Recorder().Planned(t.Context(), status.Planned{Expected: []status.Expectation{{Object: status.User,
		Change: status.Create, Count: 8}}}))
	l.Recorder().Succeeded(status.User, status.Create, 2)
	s.must(l.Recorder().Flush(t.Context()))
	got = about(scrape(t, s.reg), names[6:10]...)
	if diff := cmp.Diff(map[string]float64{
		"run_active{container=google_workspace:1,state=running}": 1, "run_changes_expected{container=google_workspace:1}": 8,
		"run_changes_done{container=google_workspace:1}": 2, "run_progress_ratio{container=google_workspace:1}": 0.25,
	}, got); diff != "" {
		t.Errorf("a run (-want +got)\n%s", diff)
	}
	_, err = l.Finish(t.Context(), status.End{State: status.Completed})
	s.must(err)
	s.value("after a dry run", "rollcall_run_changes_done{container=google_workspace:1}", -1)
	s.value("after a dry run", "rollcall_last_run_result{container=google_workspace:1,result=failed}", 1)
	for result, prepare := range map[string]func(*status.Recorder){
		"warning": func(r *status.Recorder) { r.Held(1) }, "successful": func(*status.Recorder) {},
	} {
		s.run(google, execution{does: prepare})
		s.value("a completed run", "rollcall_last_run_result{container=google_workspace:1,result="+result+"}", 1)
		s.value("a completed run", "rollcall_last_run_fault{container=google_workspace:1,fault=unavailable}", 0)
	}
}

func TestStateOfQuotasCopiesAndQueues(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	st := status.New(rdb, status.Config{})
	states := func(context.Context) ([]pace.State, error) {
		return []pace.State{{Bucket: pace.Calls, Limit: 19.6, Used: 0.5, Paused: 3 * time.Second}}, nil
	}
	now := time.Now().Truncate(time.Millisecond)
	// The source corp can tell its changes and was asked half a minute ago, when it had last been read a minute ago.
	polled := status.New(rdb, status.Config{Now: func() time.Time { return now.Add(-30 * time.Second) }})
	if err := polled.Polled(t.Context(), corp, ""); err != nil {
		t.Fatal(err)
	}
	if err := st.Polled(t.Context(), corp, "the server does not answer"); err != nil {
		t.Fatal(err)
	}
	tells := func(context.Context) (ledger.Facts, error) {
		return ledger.Facts{LastFull: now.Add(-time.Minute), Cursor: source.Cursor{Scope: "all"}}, nil
	}
	reg := registry(t, metrics.StateConfig{
		Redis: rdb, Status: st, Decisions: decisions.New(rdb, decisions.Config{}), Now: func() time.Time { return now },
		Containers: []metrics.Container{
			{Name: corp, Facts: tells, Polled: true,
				ReadAt: func(context.Context) (time.Time, error) { return now.Add(-time.Minute), nil }},
			{Name: acme, Polled: true, ReadAt: func(context.Context) (time.Time, error) { return time.Time{}, nil }},
			{Name: google, Quotas: []metrics.Quota{{States: states},
				{States: states, Lane: provider.Quota{Name: "users.insert"}.Lane}}},
		},
		Queues: func(context.Context) ([]metrics.Queue, error) {
			return []metrics.Queue{{Name: "full", Tasks: map[string]int{"archived": 2}, Latency: time.Second}}, nil
		},
	})
	if _, err := st.Beat(t.Context(), "w1"); err != nil {
		t.Fatal(err)
	}
	got := scrape(t, reg)
	if used := got["rollcall_redis_memory_used_bytes{}"]; used < 1e5 {
		t.Errorf("Redis uses %v bytes", used)
	}
	want := map[string]float64{
		"source_age_seconds{container=ldap:corp}": 60, "poll_age_seconds{container=ldap:corp}": 30,
		"queue_tasks{queue=full,state=archived}": 2,
		"queue_latency_seconds{queue=full}":      1, "workers{}": 1,
	}
	for _, lane := range []string{"calls", "users.insert"} {
		want["quota_limit_per_second{container=google_workspace:1,lane="+lane+"}"] = 19.6
		want["quota_used_ratio{container=google_workspace:1,lane="+lane+"}"] = 0.5
		want["quota_paused_seconds{container=google_workspace:1,lane="+lane+"}"] = 3
	}
	if diff := cmp.Diff(want, about(got, "source_age_seconds", "poll_age_seconds", "queue_tasks", "queue_latency_seconds",
		"workers",
		"quota_limit_per_second", "quota_used_ratio", "quota_paused_seconds")); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if _, there := got["rollcall_queue_tasks{queue=full,state=pending}"]; !there {
		t.Error("a state without tasks is absent, want 0")
	}
}

// onlyKnown checks that nothing is said but what is known without Redis.
func onlyKnown(t *testing.T, when string, reg *prometheus.Registry) {
	t.Helper()
	want := map[string]float64{"rollcall_redis_up{}": 0, "rollcall_container_info{container=ldap:corp,kind=ldap}": 1}
	if diff := cmp.Diff(want, scrape(t, reg)); diff != "" {
		t.Errorf("%s (-want +got)\n%s", when, diff)
	}
}

func TestWithoutRedis(t *testing.T) {
	t.Parallel()
	rdb := unreachable(t)
	reg := registry(t, metrics.StateConfig{Redis: rdb, Status: status.New(rdb, status.Config{}),
		Decisions: decisions.New(rdb, decisions.Config{}), Containers: []metrics.Container{{Name: corp}}})
	onlyKnown(t, "without Redis", reg)
}

// TestRedisGoesInTheMiddle checks that a partial reading is not shown as the whole.
func TestRedisGoesInTheMiddle(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	reg := registry(t, metrics.StateConfig{
		Redis: rdb, Status: status.New(rdb, status.Config{}), Decisions: decisions.New(rdb, decisions.Config{}),
		Containers: []metrics.Container{{Name: corp}},
		Queues:     func(context.Context) ([]metrics.Queue, error) { return nil, fault.Errorf(fault.Unavailable, "gone") },
	})
	onlyKnown(t, "when Redis goes", reg)
}

// TestScrapesShareOneReading checks that a hanging Redis holds one reading, however many scrapes there are, and no
// scrape.
func TestScrapesShareOneReading(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	release := make(chan struct{})
	var asked atomic.Int64
	reg := registry(t, metrics.StateConfig{
		Redis: rdb, Status: status.New(rdb, status.Config{}), Decisions: decisions.New(rdb, decisions.Config{}),
		Containers: []metrics.Container{{Name: corp}}, Timeout: 200 * time.Millisecond,
		Queues: func(context.Context) ([]metrics.Queue, error) {
			if asked.Add(1) == 1 {
				<-release // as a client that does not know of the context
			}
			return nil, nil
		},
	})
	var scrapes sync.WaitGroup
	for range 10 {
		scrapes.Go(func() { onlyKnown(t, "while Redis hangs", reg) })
	}
	scrapes.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("ten scrapes made %d readings, want one", n)
	}
	close(release)
	testclock.Eventually(t, time.Minute, "Redis is up again", func() bool {
		return scrape(t, reg)["rollcall_redis_up{}"] == 1
	})
}

// TestWhatCannotBeReadIsLeftOut checks that a damaged part of the state hides no other part.
func TestWhatCannotBeReadIsLeftOut(t *testing.T) {
	t.Parallel()
	damaged := func(context.Context) (ledger.Facts, error) {
		return ledger.Facts{}, fault.Errorf(fault.Internal, "facts: unexpected end")
	}
	s := newSite(t, metrics.Container{Name: corp, Facts: damaged}, metrics.Container{Name: google})
	s.run(corp, execution{})
	s.value("damaged", "rollcall_redis_up{}", 1)
	s.value("damaged", "rollcall_last_run_result{container=ldap:corp,result=successful}", 1)
	s.value("damaged", "rollcall_directory_entries{container=ldap:corp,kind=user}", -1)
}
