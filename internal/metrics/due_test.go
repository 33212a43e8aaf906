package metrics_test

import (
	"testing"
	"time"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/internal/metrics"
	"rollcall/plan"
	"rollcall/status"
)

var changed = execution{took: time.Minute, end: status.End{State: status.Completed, Changed: true}}

func TestDueByItsSchedule(t *testing.T) {
	t.Parallel()
	s := newSite(t, metrics.Container{Name: corp, Gap: time.Hour}, metrics.Container{Name: google})
	started := s.Now()
	s.Advance(10 * time.Minute)
	s.due("never run", corp, started.Add(2*time.Hour))
	s.due("without a schedule", google, time.Time{})
	first := s.Now()
	s.run(corp, execution{took: time.Minute, end: status.End{State: status.Failed, FailKind: "denied"}})
	s.due("never succeeded", corp, first.Add(2*time.Hour))
	ended := s.run(corp, changed).FinishedAt
	s.due("succeeded", corp, ended.Add(2*time.Hour))
	s.Advance(time.Hour)
	s.run(corp, execution{end: status.End{State: status.Failed, FailKind: "denied"}})
	s.run(corp, execution{dry: true})
	s.due("failed since, and a dry run", corp, ended.Add(2*time.Hour))
}

func TestDueAfterItsSource(t *testing.T) {
	t.Parallel()
	s := newSite(t, metrics.Container{Name: corp, Gap: time.Hour}, metrics.Container{Name: acme},
		metrics.Container{Name: google, Sources: []container.ID{corp, acme}, Follows: true})
	s.run(corp, execution{took: time.Minute})
	s.due("nothing has changed", google, time.Time{})
	s.run(google, execution{took: time.Minute})

	first := s.run(corp, changed).FinishedAt
	s.due("the source has changed", google, first.Add(2*time.Hour))
	s.Advance(time.Hour)
	s.run(corp, changed)
	s.run(corp, execution{})
	s.due("and changed again", google, first.Add(2*time.Hour))
	s.run(google, execution{end: status.End{State: status.Failed, FailKind: "unavailable"}})
	s.run(google, execution{dry: true})
	s.due("the provider failed", google, first.Add(2*time.Hour))
	s.Advance(time.Minute)
	s.run(google, execution{took: time.Minute})
	s.due("the provider succeeded", google, time.Time{})

	s.Advance(time.Minute)
	other := s.run(acme, changed).FinishedAt
	s.due("a source without a schedule has changed", google, other.Add(24*time.Hour))
	s.Advance(23*time.Hour + 30*time.Minute)
	s.run(corp, changed)
	s.due("and another, which is later due", google, other.Add(24*time.Hour))
}

// TestDueIsNotMovedByARunThatReadBefore checks that a run that read before the source changed does not count as
// following the change.
func TestDueIsNotMovedByARunThatReadBefore(t *testing.T) {
	t.Parallel()
	s := newSite(t, metrics.Container{Name: corp, Gap: time.Hour},
		metrics.Container{Name: google, Sources: []container.ID{corp}, Follows: true})
	s.run(google, execution{})
	s.Advance(time.Minute)
	run, err := s.store.Start(t.Context(), status.StartRequest{Container: google})
	s.must(err)
	l, err := s.store.Acquire(t.Context(), google, run.ID, run.Epoch, "w1")
	s.must(err)
	defer l.Close()
	s.must(l.Recorder().Planned(t.Context(), status.Planned{ReadAt: s.Now()}))
	ended := s.run(corp, changed).FinishedAt
	s.Advance(time.Minute)
	_, err = l.Finish(t.Context(), status.End{State: status.Completed})
	s.must(err)
	s.due("the run that was under way has ended", google, ended.Add(2*time.Hour))
}

// TestDueOfAProviderThatIsNew checks that changes from before the provider existed are not late.
func TestDueOfAProviderThatIsNew(t *testing.T) {
	t.Parallel()
	c := []metrics.Container{{Name: corp, Gap: time.Hour}, {Name: google, Sources: []container.ID{corp}, Follows: true}}
	s := newSite(t, c...)
	s.run(corp, changed)
	s.Advance(100 * time.Hour)
	known := s.Now()
	s.run(google, execution{end: status.End{State: status.Failed, FailKind: "denied"}})
	s.due("its first run failed", google, known.Add(2*time.Hour))
}

func TestLeaversWhoWait(t *testing.T) {
	t.Parallel()
	const key = "rollcall_leaver_pending_seconds{container=google_workspace:1}"
	s := newSite(t, metrics.Container{Name: corp}, metrics.Container{Name: google, Sources: []container.ID{corp},
		Suspends: true})
	leaves := execution{does: func(r *status.Recorder) { r.Succeeded(status.User, status.Delete, 1) }}
	s.run(corp, leaves)
	s.value("before the first plan", key, 0)
	s.value("of a source", "rollcall_leaver_pending_seconds{container=ldap:corp}", -1)
	s.Advance(time.Minute)
	s.run(google, execution{})
	s.Advance(time.Minute)
	s.run(corp, execution{does: func(r *status.Recorder) { r.Succeeded(status.User, status.Update, 1) }})
	s.value("somebody was renamed", key, 0)
	s.run(corp, execution{does: func(r *status.Recorder) { r.Succeeded(status.User, status.Deactivate, 1) }})
	s.Advance(time.Hour)
	s.value("somebody was disabled, and nobody looked", key, 3600)
	s.run(corp, leaves)
	s.value("and somebody left", key, 3600)
	gone := s.Now().Add(-2 * time.Hour)
	s.run(google, execution{plan: status.Planned{LeaverSince: gone},
		end: status.End{State: status.Failed, FailKind: "denied"}})
	s.value("planned, and not suspended", key, 7200)
	s.Advance(time.Minute)
	s.run(google, execution{})
	s.value("nobody waits", key, 0)
}

func TestPinnedEntries(t *testing.T) {
	t.Parallel()
	s := newSite(t, metrics.Container{Name: corp}, metrics.Container{Name: google, Sources: []container.ID{corp}})
	s.value("of a source", "rollcall_pinned_entries{container=ldap:corp}", -1)
	s.value("before a pause", "rollcall_container_paused{container=google_workspace:1}", 0)
	if _, err := s.decisions.Pause(t.Context(), google, "grace"); err != nil {
		t.Fatal(err)
	}
	s.value("while paused", "rollcall_container_paused{container=google_workspace:1}", 1)
	s.value("before an undo", "rollcall_pinned_entries{container=google_workspace:1}", 0)
	s.must(s.decisions.Pin(t.Context(), google, []plan.Pin{
		{Ref: directory.Ref{Kind: directory.User, ID: "a"}, Account: plan.StandsActive},
		{Ref: directory.Ref{Kind: directory.User, ID: "b"}, Account: plan.StandsNone},
	}, nil))
	s.value("after it", "rollcall_pinned_entries{container=google_workspace:1}", 2)
}

func TestConfigurationsAreCounted(t *testing.T) {
	t.Parallel()
	s := newSite(t, metrics.Container{Name: google, Sources: []container.ID{corp}})
	const name = "rollcall_configurations{container=google_workspace:1}"
	s.value("without a worker", name, 1)
	for n, digest := range []string{"v1", "v1", "v2"} {
		if _, err := s.store.Configure(t.Context(), google, "w"+string(rune('0'+n)), digest); err != nil {
			t.Fatal(err)
		}
	}
	s.value("with workers of two configurations", name, 2)
}
