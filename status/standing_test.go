package status_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/internal/redistest"
	"rollcall/status"
)

func (f *fixture) standing() status.Standing {
	f.t.Helper()
	st, err := f.Standing(f.t.Context(), corp)
	if err != nil {
		f.t.Fatalf("Standing() = %v, want nil", err)
	}
	return st
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func TestStanding(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		if st := f.standing(); st.Last != nil || st.Open != nil || !st.LastAt.IsZero() || len(st.HeldEntries) > 0 {
			t.Errorf("Standing() of nothing = %+v", st)
		}
		if first, err := f.FirstKnown(t.Context(), corp); err != nil || !first.IsZero() {
			t.Errorf("FirstKnown() of nothing = %v, %v", first, err)
		}
		began := f.Now()
		l := f.acquire(f.start(), "w1")
		f.Advance(time.Minute)
		read, gone := f.Now(), f.Now().Add(-time.Hour)
		f.must(l.Recorder().Planned(t.Context(), status.Planned{ReadAt: read, LeaverSince: gone,
			HeldEntries: map[string]int64{"no_address": 2, "ambiguous": 1}}))
		l.Recorder().Failed(status.User, status.Create, 3)
		l.Recorder().FailedBy("conflict", 2)
		l.Recorder().FailedBy("invalid", 1)
		st := f.standing()
		if st.Open == nil || st.Open.State != status.Running || st.Last != nil || !st.ReadAt.Equal(read) ||
			!st.LeaverSince.Equal(gone) {
			t.Errorf("Standing() of a live run = %+v", st)
		}
		if diff := cmp.Diff(map[string]int64{"no_address": 2, "ambiguous": 1}, st.HeldEntries); diff != "" {
			t.Errorf("HeldEntries (-want +got)\n%s", diff)
		}
		f.must(l.Leaver(t.Context(), time.Time{}))
		_, err := l.Finish(t.Context(), status.End{State: status.Completed, Changed: true})
		f.must(err)
		st = f.standing()
		if st.Open != nil || st.Last == nil || !st.Last.Changed || !st.LeaverSince.IsZero() ||
			!st.CompletedReadAt.Equal(read) {
			t.Errorf("Standing() after the run = %+v", st)
		}
		if diff := cmp.Diff(map[string]int64{"conflict": 2, "invalid": 1}, st.Last.Faults); diff != "" {
			t.Errorf("Faults (-want +got)\n%s", diff)
		}
		if first, err := f.FirstKnown(t.Context(), corp); err != nil || !first.Equal(began) {
			t.Errorf("FirstKnown() = %v, %v, want %v", first, err, began)
		}
	})
}

// TestStandingOfADryRun: what it plans is not the container's, nor is what only a part of a plan says of the read.
func TestStandingOfADryRun(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t), status.Config{})
	run, err := f.Start(t.Context(), status.StartRequest{Container: corp, DryRun: true})
	f.must(err)
	l := f.acquire(run, "w1")
	f.must(l.Recorder().Planned(t.Context(), status.Planned{ReadAt: f.Now(), LeaverSince: f.Now(),
		HeldEntries: map[string]int64{"no_address": 2}}))
	f.must(l.Leaver(t.Context(), f.Now()))
	if st := f.standing(); !st.ReadAt.IsZero() || !st.LeaverSince.IsZero() || len(st.HeldEntries) > 0 || st.Open == nil {
		t.Errorf("Standing() of a dry run = %+v", st)
	}
	_, err = l.Finish(t.Context(), status.End{State: status.Completed})
	f.must(err)

	full := f.acquire(f.start(), "w1")
	f.must(full.Recorder().Planned(t.Context(), status.Planned{ReadAt: f.Now()}))
	_, err = full.Finish(t.Context(), status.End{State: status.Completed})
	f.must(err)
	read := f.Now()
	f.Advance(time.Hour)
	part := f.acquire(f.start(), "w1")
	f.must(part.Recorder().Planned(t.Context(), status.Planned{HeldEntries: map[string]int64{"mapping": 1}}))
	_, err = part.Finish(t.Context(), status.End{State: status.Completed})
	f.must(err)
	if st := f.standing(); !st.ReadAt.Equal(read) || !st.CompletedReadAt.Equal(read) || st.HeldEntries["mapping"] != 1 {
		t.Errorf("Standing() after a run of a part = %+v, want what was read at %v", st, read)
	}
}

// TestEndedHandsOutEachRunOnce: however a run ended, one of the askers is told.
func TestEndedHandsOutEachRunOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		want := map[string]status.State{}
		finish := func(state status.State) {
			t.Helper()
			run := f.start()
			_, err := f.acquire(run, "w1").Finish(t.Context(), status.End{State: state, FailKind: "denied"})
			f.must(err)
			want[run.ID] = state
		}
		finish(status.Completed)
		finish(status.Failed)
		cancelled := f.start()
		_, err := f.Cancel(t.Context(), corp, "ops")
		f.must(err)
		want[cancelled.ID] = status.Cancelled
		stalled := f.start()
		f.acquire(stalled, "w1")
		f.Advance(16 * time.Minute)
		if got := f.reap(); got.Action != status.Stalled {
			t.Fatalf("Reap() = %+v, want stalled", got)
		}
		want[stalled.ID] = status.Failed
		lost := f.start()
		f.drop("run")
		next := f.start() // closes the lost one as expired
		want[lost.ID] = status.Expired

		got := map[string]status.State{}
		for range 2 {
			runs, err := f.Ended(t.Context(), []container.ID{"google_workspace:7", corp})
			f.must(err)
			for _, r := range runs {
				if _, twice := got[r.ID]; twice {
					t.Errorf("run %s was handed out twice", r.ID)
				}
				got[r.ID] = r.State
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("Ended() (-want +got)\n%s", diff)
		}
		if _, open := got[next.ID]; open {
			t.Errorf("Ended() has the run that is open")
		}
	})
}
