package status_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/status"
)

// life takes a run from its start to its end.
func life(t *testing.T, rdb redis.UniversalClient) {
	f := open(t, rdb, status.Config{FlushEvery: time.Hour}) // A flush is progress, too.
	begin := f.Now()
	run, err := f.Start(t.Context(), status.StartRequest{
		Container: corp, Mode: status.Delta, Trigger: status.Trigger{Kind: status.BySchedule, By: "0 * * * *"},
	})
	if err != nil {
		t.Fatalf("Start() = %v, want nil", err)
	}
	want := status.Run{
		ID: run.ID, Container: corp, Mode: status.Delta, Trigger: status.Trigger{Kind: status.BySchedule, By: "0 * * * *"},
		State: status.Queued, CreatedAt: begin, ExpiresAt: begin.Add(24 * time.Second), Epoch: 1,
		Progress: []status.Progress{}, Cursor: run.Cursor,
	}
	ours := cmpopts.IgnoreUnexported(status.Run{})
	if diff := cmp.Diff(want, run, ours); diff != "" {
		t.Errorf("started (-want +got):\n%s", diff)
	}

	f.Advance(time.Second)
	l := f.acquire(run, "w1")
	rec := l.Recorder()
	rec.Read(status.User, 70)
	rec.Calls(9)
	if err := rec.Planned(t.Context(), status.Planned{Digest: "d1", Held: 2,
		Expected: []status.Expectation{{status.User, status.Create, 3}, {status.Membership, status.Delete, 1}}}); err != nil {
		t.Fatalf("Planned() = %v, want nil", err)
	}
	f.Advance(time.Second)
	rec.Succeeded(status.User, status.Create, 2)
	rec.Failed(status.User, status.Create, 1)
	rec.Held(1)
	rec.Log(status.Message{Event: "held", Level: status.Warning, Logger: "l", Attributes: map[string]any{"id": "u1"}})
	f.Advance(time.Second)
	end, err := l.Finish(t.Context(), status.End{State: status.Completed})
	if err != nil {
		t.Fatalf("Finish() = %v, want nil", err)
	}
	want.State, want.Worker, want.StartedAt, want.FinishedAt = status.Completed, "w1", begin.Add(time.Second),
		begin.Add(3*time.Second)
	want.ExpiresAt, want.KeptUntil = begin.Add(16*time.Second), want.FinishedAt.Add(90*24*time.Hour)
	want.LastProgressAt, want.PlannedAt = want.FinishedAt, begin.Add(time.Second)
	want.Read, want.Calls, want.PlanDigest = map[status.ObjectType]int64{status.User: 70}, 9, "d1"
	want.Held, want.FailedChanges, want.Messages = 3, 1, 1
	want.Progress = []status.Progress{
		{Object: status.User, Change: status.Create, Succeeded: 2, Failed: 1, Expected: 3},
		{Object: status.Membership, Change: status.Delete, Expected: 1},
	}
	// A lease renews itself as soon as it listens for cancels, which may be after the clock was moved.
	if end.ExpiresAt.Before(want.ExpiresAt) || end.ExpiresAt.After(begin.Add(18*time.Second)) {
		t.Errorf("the lease was good until %v, want 15 s from the acquisition or a renewal", end.ExpiresAt)
	}
	want.ExpiresAt = end.ExpiresAt
	if diff := cmp.Diff(want, end, ours); diff != "" {
		t.Errorf("finished (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, f.get(run.ID), ours); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
	if f.running() {
		t.Error("IsRunning() after the end = true, want false")
	}
	if l.Context().Err() == nil || f.reap().Action != "" {
		t.Error("something goes on after the end")
	}
}

func TestLife(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) { life(t, rdb) })
}

func TestStartIsRefusedWhileARunIsLive(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		first := f.start()
		_, err := f.Start(t.Context(), status.StartRequest{Container: corp})
		live, ok := errors.AsType[*status.LiveError](err)
		if !ok || live.Run.ID != first.ID || live.Run.State != status.Queued || fault.KindOf(err) != fault.Conflict {
			t.Errorf("a second Start() = %v, want a LiveError with the run %s", err, first.ID)
		}
		if again, err := f.Start(t.Context(), status.StartRequest{Container: corp, ID: first.ID}); err != nil ||
			again.Epoch != first.Epoch {
			t.Errorf("the same Start() again = %+v, %v, want the same run", again, err)
		}
		if _, err := f.Start(t.Context(), status.StartRequest{Container: "ldap:other"}); err != nil {
			t.Errorf("Start() of another container = %v, want nil", err)
		}
		if live, ok, err := f.Live(t.Context(), corp); err != nil || !ok || live.ID != first.ID {
			t.Errorf("Live() = %v, %v, %v, want %s", live.ID, ok, err, first.ID)
		}
		f.acquire(first, "w1")
		if _, err := f.Start(t.Context(), status.StartRequest{Container: corp}); fault.KindOf(err) != fault.Conflict {
			t.Errorf("Start() during a run = %v, want a conflict", err)
		}
		_, err = f.Start(t.Context(), status.StartRequest{Container: "ldap:a b"})
		wantKind(t, "Start() of no container", err, fault.Invalid)
		_, err = f.Start(t.Context(), status.StartRequest{Container: corp, ID: "x"})
		wantKind(t, "Start() of no UUID", err, fault.Invalid)
	})
}

func TestOneOfManyStartersWins(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		for round := range 5 {
			errs := make([]error, 12)
			var all sync.WaitGroup
			for i := range errs {
				all.Go(func() {
					id := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Append(nil, round, i)).String()
					_, errs[i] = f.Start(t.Context(), status.StartRequest{Container: corp, ID: id})
				})
			}
			all.Wait()
			won := 0
			for _, err := range errs {
				if err == nil {
					won++
				} else if fault.KindOf(err) != fault.Conflict {
					t.Errorf("Start() = %v, want nil or a conflict", err)
				}
			}
			if won != 1 {
				t.Errorf("%d starters won, want 1", won)
			}
			f.drop("run") // it expires, and all try again
		}
		runs, _, err := f.List(t.Context(), corp, 0, 100)
		if err != nil || len(runs) != 5 || runs[0].State != status.Queued {
			t.Fatalf("List() = %d runs, %v, want 5, the newest queued", len(runs), err)
		}
		for _, r := range runs[1:] {
			if r.State != status.Expired || r.FinishedAt.IsZero() || r.FailReason == "" {
				t.Errorf("run %s is %s (%q), want expired with a reason", r.ID, r.State, r.FailReason)
			}
		}
	})
}

// A worker that comes back after its run lapsed and another was started finds itself fenced.
func TestStartExpiresARunThatLapsed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{LeaseTTL: 3 * time.Second, RenewEvery: 50 * time.Millisecond})
		l := f.acquire(f.start(), "w1")
		// Both keys lapse and a start comes before the next renewal; a renewal in between would rightly keep the run.
		var second status.Run
		for second.ID == "" {
			f.drop("run", "lease")
			second, _ = f.Start(t.Context(), status.StartRequest{Container: corp})
		}
		wantStale(t, "the cause", wantEnd(t, l))
		wantStale(t, "Check()", l.Check(t.Context()))
		_, err := l.Finish(t.Context(), status.End{State: status.Completed})
		wantStale(t, "Finish()", err)
		if got := f.get(l.Run().ID).State; got != status.Expired {
			t.Errorf("the first run is %s, want expired", got)
		}
		if got := f.get(second.ID).State; got != status.Queued || !f.running() {
			t.Errorf("the second run is %s, want queued and live", got)
		}
	})
}

// A full run that is asked for while a delta run is live is accepted, waits, and opens when that one ends. A delta run
// beside a live run is refused, and so is a second full run.
func TestFullRunWaitsForADeltaRun(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		start := func(mode status.Mode) (status.Run, error) {
			return f.Start(t.Context(), status.StartRequest{Container: corp, Mode: mode,
				Trigger: status.Trigger{Kind: status.ByAPI}})
		}
		delta, err := start(status.Delta)
		if err != nil {
			t.Fatal(err)
		}
		l := f.acquire(delta, "w1")
		full, err := start(status.Full)
		if err != nil || full.State != status.Queued {
			t.Fatalf("a full run beside a delta run is %s, %v, want queued", full.State, err)
		}
		if live, _, err := f.Live(t.Context(), corp); err != nil || live.ID != delta.ID {
			t.Errorf("live run = %s, %v, want the delta run", live.ID, err)
		}
		for _, mode := range []status.Mode{status.Full, status.Delta} {
			if _, err := start(mode); fault.KindOf(err) != fault.Conflict {
				t.Errorf("a third run of mode %s: %v, want a conflict", mode, err)
			}
		}
		if _, err := l.Finish(t.Context(), status.End{State: status.Completed}); err != nil {
			t.Fatal(err)
		}
		live, _, err := f.Live(t.Context(), corp)
		if err != nil || live.ID != full.ID || live.State != status.Queued {
			t.Fatalf("live run after the delta run = %s, %s, %v, want the full run, queued", live.ID, live.State, err)
		}
		l = f.acquire(live, "w2")
		if run, err := l.Finish(t.Context(), status.End{State: status.Completed}); err != nil || run.Mode != status.Full {
			t.Errorf("the full run ended as %s, %v", run.Mode, err)
		}
	})
}

// Delta runs have a limit of their own and never displace a full run.
func TestDeltaRunsDisplaceNoFullRun(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{MaxRuns: 3, MaxDeltas: 2})
		for _, mode := range []status.Mode{status.Full, status.Delta, status.Delta, status.Full, status.Delta, status.Delta,
			status.Delta} {
			run, err := f.Start(t.Context(), status.StartRequest{Container: corp, Mode: mode,
				Trigger: status.Trigger{Kind: status.ByAPI}})
			if err != nil {
				t.Fatal(err)
			}
			f.Advance(time.Second)
			if _, err := f.acquire(run, "w").Finish(t.Context(), status.End{State: status.Completed}); err != nil {
				t.Fatal(err)
			}
		}
		runs, _, err := f.List(t.Context(), corp, 0, 100)
		var modes []status.Mode
		for _, run := range runs {
			modes = append(modes, run.Mode)
		}
		if diff := cmp.Diff([]status.Mode{status.Delta, status.Delta, status.Full, status.Full}, modes); err != nil ||
			diff != "" {
			t.Errorf("kept runs (-want +got): %v\n%s", err, diff)
		}
	})
}

// Every trigger has words of its own.
func TestCause(t *testing.T) {
	t.Parallel()
	for kind, want := range map[status.TriggerKind]string{status.ByAPI: "ops", status.BySchedule: "schedule ops",
		status.AfterSource: "a run of the source", status.ByApproval: "approval by ops", status.ByRevert: "undo by ops",
		status.ByLoss: "the loss of Redis", status.ByRerun: "a second run of its task by hand",
		status.ByWatch: "a change at the source"} {
		if got := (status.Trigger{Kind: kind, By: "ops", Of: "run-1"}).Cause(); got != want {
			t.Errorf("the cause of %s = %q, want %q", kind, got, want)
		}
	}
}
