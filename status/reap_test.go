package status_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/internal/redistest"
	"rollcall/status"
)

func TestReapKeepsAQueuedRunAliveAndEnqueuesItAgain(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		run := f.start()
		if got := f.reap(); got.Action != "" {
			t.Errorf("Reap() at once = %+v, want nothing: its task is on its way", got)
		}
		f.Advance(6 * time.Second)
		f.drop("run") // as when no worker was there for half a minute
		if all, err := f.Reap(t.Context(), []container.ID{corp}, false); err != nil || len(all) != 0 || f.running() {
			t.Errorf("Reap() without workers = %v, %v, want nothing and the run not live", all, err)
		}
		if got := f.reap(); got.Action != status.Enqueue || got.Run.Epoch != run.Epoch ||
			!got.Run.ExpiresAt.Equal(f.Now().Add(24*time.Second)) {
			t.Errorf("Reap() = %+v, want the run under its epoch", got)
		}
		if got := f.reap(); got.Action != "" || !f.running() {
			t.Errorf("a second Reap() = %+v, want nothing: the first has it", got)
		}
		bumped, err := f.Bump(t.Context(), corp, run.ID, run.Epoch)
		if err != nil || bumped.Epoch <= run.Epoch {
			t.Errorf("Bump() = %+v, %v, want a higher epoch", bumped, err)
		}
		_, err = f.Bump(t.Context(), corp, run.ID, run.Epoch)
		wantStale(t, "a second Bump()", err)
		f.acquire(bumped, "w1")
	})
}

func TestDeferAndWake(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		run := f.start()
		l := f.acquire(run, "w1")
		until := f.Now().Add(time.Minute)
		got, err := l.Defer(t.Context(), until, "the quota is spent", status.Outage{})
		if err != nil || got.State != status.Deferred || !got.DeferredUntil.Equal(until) || got.DeferReason == "" ||
			!f.running() {
			t.Fatalf("Defer() = %+v, %v, want deferred and live", got, err)
		}
		if again, err := l.Defer(t.Context(), until, "again", status.Outage{}); err != nil || again.State != status.Deferred {
			t.Errorf("Defer() after a lost answer = %+v, %v, want deferred", again, err)
		}
		_, err = f.Acquire(t.Context(), corp, run.ID, run.Epoch, "w1")
		wantStale(t, "Acquire() of a deferred run", err)
		f.drop("run")
		if r := f.reap(); r.Action != "" || !f.running() {
			t.Errorf("Reap() before the time = %+v, want nothing and the run live", r)
		}
		f.Advance(time.Minute)
		woken := f.reap()
		if woken.Action != status.Wake || woken.Run.Epoch <= run.Epoch || woken.Run.Resumes != 0 {
			t.Fatalf("Reap() = %+v, want the run woken under a new epoch", woken)
		}
		if r := f.acquire(woken.Run, "w2").Run(); !r.DeferredUntil.IsZero() || !r.StartedAt.Equal(run.CreatedAt) {
			t.Errorf("the woken run is %+v, want no deferral and its first start", r)
		}
	})
}

func TestHandBack(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		run := f.start()
		l := f.acquire(run, "w1")
		l.Recorder().Succeeded(status.User, status.Update, 4)
		back, err := l.HandBack(t.Context())
		if err != nil || back.State != status.Queued || back.Epoch <= run.Epoch || len(back.Progress) != 1 || !f.running() {
			t.Fatalf("HandBack() = %+v, %v, want queued under a new epoch, with its progress", back, err)
		}
		if got := f.reap(); got.Action != status.Enqueue || got.Run.Epoch != back.Epoch || got.Run.Resumes != 0 {
			t.Errorf("Reap() = %+v, want the run enqueued at once", got)
		}
		f.acquire(back, "w2")
	})
}

func TestResumesWithoutProgressAreBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{MaxStalledResumes: 2})
		run := f.start()
		for i, step := range []struct {
			progress bool
			want     status.Action
		}{{false, status.Resume}, {false, status.Resume}, {true, status.Resume}, {false, status.Resume},
			{false, status.Resume}, {false, status.GivenUp}} {
			l := f.acquire(run, "w1")
			l.Recorder().Read(status.User, 10) // reading again and again is no progress
			if step.progress {
				l.Recorder().Succeeded(status.User, status.Create, 1)
			}
			if err := l.Recorder().Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			f.kill(l)
			got := f.reap()
			if run = got.Run; got.Action != step.want {
				t.Fatalf("resume %d: Reap() = %q, want %q", i+1, got.Action, step.want)
			}
		}
		if run.State != status.Expired || !strings.Contains(run.FailReason, "without progress") || run.Resumes != 5 ||
			f.running() {
			t.Errorf("the run is %s after %d resumes (%q), want expired", run.State, run.Resumes, run.FailReason)
		}
		if run.Read[status.User] != 10 {
			t.Errorf("read = %v, want what the last worker read", run.Read)
		}
	})
}

func TestRunWithoutProgressIsEnded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{LeaseTTL: 3 * time.Hour})
		l := f.acquire(f.start(), "w1")
		f.Advance(10 * time.Minute)
		l.Recorder().Calls(1)
		if err := l.Recorder().Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.Advance(10 * time.Minute)
		if got := f.reap(); got.Action != "" {
			t.Errorf("Reap() 10 minutes after a call = %+v, want nothing", got)
		}
		f.Advance(5*time.Minute + time.Millisecond)
		got := f.reap()
		if got.Action != status.Stalled || got.NeedsEnqueue() || got.Run.State != status.Failed ||
			got.Run.FailReason != "no progress for 900 seconds" {
			t.Errorf("Reap() = %+v, want the run failed", got)
		}
		cause := wantEnd(t, l)
		if wantStale(t, "the cause", cause); errors.Is(cause, status.ErrCancelled) {
			t.Errorf("the cause is %v, want no cancel", cause)
		}
	})
}

func TestRunThatNobodyKeepsIsAbandoned(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		run := f.start()
		f.drop("run")
		f.Advance(2 * time.Hour)
		if got := f.reap(); got.Action != status.Abandoned || got.Run.ID != run.ID || got.Run.State != status.Expired {
			t.Errorf("Reap() = %+v, want the run expired", got)
		}
		second := f.start()
		f.drop("run:"+second.ID, "run") // Redis lost the record
		if got := f.reap(); got.Action != "" {
			t.Errorf("Reap() of a lost record = %+v, want nothing", got)
		}
		f.start()
	})
}

func TestWorkersAreAliveForAWhile(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		for _, w := range []string{"w1", "w2"} {
			if _, err := f.Beat(t.Context(), w); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Retire(t.Context(), "w2"); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Workers(t.Context()); err != nil || len(got) != 1 || got[0] != "w1" {
			t.Errorf("Workers() = %v, %v, want w1", got, err)
		}
		ttl := f.Config().WorkerTTL
		longAgo := -float64(ttl.Milliseconds() + 1)
		if err := rdb.ZIncrBy(t.Context(), "rollcall:{workers}:alive", longAgo, "w1").Err(); err != nil {
			t.Fatal(err)
		}
		if got, err := f.Workers(t.Context()); err != nil || len(got) > 0 {
			t.Errorf("Workers() after %v without a beat = %v, %v, want none", ttl, got, err)
		}
	})
}
