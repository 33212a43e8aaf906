package status_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/status"
)

func TestKilledWorkersRunIsResumedUnderANewEpoch(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{RenewEvery: time.Hour, LeaseTTL: 3 * time.Hour})
		run := f.start()
		old := f.acquire(run, "w1")
		if got := f.reap(); got.Action != "" {
			t.Errorf("Reap() of a healthy run = %+v, want nothing", got)
		}
		var got status.Reaped
		for range 3 { // the worker stands still for longer than its lease; it may just have renewed it
			if f.drop("lease"); got.Action == "" {
				got = f.reap()
			}
		}
		if got.Action != status.Resume || !got.NeedsEnqueue() || got.Run.ID != run.ID || got.Run.Epoch <= run.Epoch ||
			got.Run.State != status.Queued || got.Run.Resumes != 1 {
			t.Fatalf("Reap() = %+v, want the run resumed under a higher epoch than %d", got, run.Epoch)
		}
		if !f.running() {
			t.Error("IsRunning() while a run is resumed = false, want true")
		}
		check := func(when string) {
			t.Helper()
			_, err := f.Acquire(t.Context(), corp, run.ID, run.Epoch, "w1")
			wantStale(t, when+": Acquire() of the old epoch", err)
			_, _, err = f.Lock(t.Context(), corp, old.Fence(), "user:1")
			wantStale(t, when+": Lock()", err)
			wantStale(t, when+": Planned()", old.Recorder().Planned(t.Context(), status.Planned{}))
		}
		check("queued")
		fresh := f.acquire(got.Run, "w2")
		check("running")
		old.Recorder().Succeeded(status.User, status.Create, 1)
		wantStale(t, "Flush()", old.Recorder().Flush(t.Context()))
		_, err := old.Finish(t.Context(), status.End{State: status.Failed})
		wantStale(t, "Finish()", err)
		_, err = old.Defer(t.Context(), f.Now(), "", status.Outage{})
		wantStale(t, "Defer()", err)
		_, err = old.HandBack(t.Context())
		wantStale(t, "HandBack()", err)
		if r := f.get(run.ID); r.State != status.Running || r.Worker != "w2" || len(r.Progress) != 0 {
			t.Errorf("the run is %s of %s with %v, want running of w2, untouched by w1", r.State, r.Worker, r.Progress)
		}
		if _, err := fresh.Finish(t.Context(), status.End{State: status.Completed}); err != nil {
			t.Errorf("Finish() of the new worker = %v, want nil", err)
		}
	})
}

func TestOneTaskDeliveredTwice(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		run := f.start()
		l := f.acquire(run, "w1")
		_, err := f.Acquire(t.Context(), corp, run.ID, run.Epoch, "w1")
		wantStale(t, "a second Acquire()", err)
		if !errors.Is(err, status.ErrHeld) {
			t.Errorf("a second Acquire() = %v, want ErrHeld", err)
		}
		f.kill(l)
		f.acquire(run, "w2") // before the reaper saw it: the epoch is still good
	})
}

func TestLeaseIsRenewedAndExpires(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{RunTTL: time.Hour, LeaseTTL: time.Hour, RenewEvery: 100 * time.Millisecond})
		l := f.acquire(f.start(), "w1")
		renewals := hear(rdb, "evalsha")
		for range 3 { // Both keys have almost expired, and a renewal gives them their whole time.
			f.age(time.Minute, "run", "lease")
			for f.left("run") <= time.Minute || f.left("lease") <= time.Minute {
				renewals.next(t)
			}
			if err := l.Check(t.Context()); err != nil {
				t.Fatalf("Check() while renewing = %v, want nil", err)
			}
		}
		if !f.running() {
			t.Error("IsRunning() while renewing = false, want true")
		}
		l.Close() // killed
		wantStale(t, "Check() after Close()", l.Check(t.Context()))
		f.expire(time.Hour, "run", "lease")
		if f.running() {
			t.Fatal("the run of a dead worker stays live")
		}
		if got := f.reap(); got.Action != status.Resume || !f.running() {
			t.Errorf("Reap() = %+v, want the run resumed and live again", got)
		}
	})
}

// unreachableSoon gives up a second after the last renewal, and long before the lease ends. A busy machine may stand
// still in between.
var unreachableSoon = status.Config{LeaseTTL: 31 * time.Second, LeaseMargin: 30 * time.Second,
	RenewEvery: 200 * time.Millisecond}

func TestWorkerThatCannotReachRedisStopsInTime(t *testing.T) {
	t.Parallel()
	addr, kill := redistest.TCP(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DialTimeout: 100 * time.Millisecond})
	defer rdb.Close()
	cfg := unreachableSoon
	f := open(t, rdb, cfg)
	l := f.acquire(f.start(), "w1")
	kill()
	began := time.Now()
	cause := wantEnd(t, l)
	wantStale(t, "the cause", cause)
	if took := time.Since(began); !errors.Is(cause, status.ErrUnreachable) || took > cfg.LeaseTTL {
		t.Errorf("the worker stopped after %v (%v), want before %v as unreachable", took, cause, cfg.LeaseTTL)
	}
	if _, err := l.Finish(t.Context(), status.End{State: status.Completed}); err == nil {
		t.Error("Finish() without Redis = nil, want an error")
	}
}

// hang is a way to Redis on which nothing comes back for a while, whatever the context says.
type hang struct{ until atomic.Pointer[chan struct{}] }

func (h *hang) DialHook(next redis.DialHook) redis.DialHook { return next }
func (h *hang) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (h *hang) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if c := h.until.Load(); c != nil {
			<-*c
		}
		return next(ctx, cmd)
	}
}

func TestWorkerStopsInTimeWhileARenewalHangs(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		h := &hang{}
		rdb.AddHook(h)
		cfg := unreachableSoon
		f := open(t, rdb, cfg)
		l := f.acquire(f.start(), "w1")
		c := make(chan struct{})
		h.until.Store(&c)
		began := time.Now()
		cause := wantEnd(t, l)
		if took := time.Since(began); !errors.Is(cause, status.ErrUnreachable) || took > cfg.LeaseTTL {
			t.Errorf("the worker stopped after %v (%v), want before %v as unreachable", took, cause, cfg.LeaseTTL)
		}
		wantStale(t, "Check()", l.Check(t.Context()))
		h.until.Store(nil)
		close(c)
		if _, err := l.HandBack(t.Context()); err != nil {
			t.Errorf("HandBack() when Redis is back = %v, want nil: nobody else has the run", err)
		}
	})
}

func TestCancelReachesTheWorkerAtOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{LeaseTTL: 3 * time.Hour}) // only the message can be so fast
		l := f.acquire(f.start(), "w1")
		run, err := f.Cancel(t.Context(), corp, "ops")
		if err != nil || run.State != status.Cancelled || run.CancelledBy != "ops" || f.running() {
			t.Fatalf("Cancel() = %+v, %v, want the run cancelled by ops and not live", run, err)
		}
		cause := wantEnd(t, l)
		if wantStale(t, "the cause", cause); !errors.Is(cause, status.ErrCancelled) {
			t.Errorf("the cause is %v, want ErrCancelled", cause)
		}
		second := f.start() // at once
		l.Recorder().Succeeded(status.User, status.Delete, 2)
		l.Recorder().Log(status.Message{Event: "stopped"})
		_, err = l.Finish(t.Context(), status.End{State: status.Completed})
		wantStale(t, "Finish() of a cancelled run", err)
		a, b := f.get(run.ID), f.get(second.ID)
		if a.State != status.Cancelled || b.State != status.Queued {
			t.Errorf("the runs are %s and %s, want cancelled and queued", a.State, b.State)
		}
		if done, _ := a.Done(); done != 2 || a.Messages != 2 {
			t.Errorf("the cancelled run shows %d changes and %d messages, want what its worker had done", done, a.Messages)
		}
		if _, err := f.Cancel(t.Context(), corp, "ops"); err != nil {
			t.Errorf("Cancel() of a queued run = %v, want nil", err)
		}
		_, err = f.Cancel(t.Context(), corp, "ops")
		wantKind(t, "Cancel() without a run", err, fault.NotFound)
		_, err = f.Acquire(t.Context(), corp, second.ID, second.Epoch, "w1")
		wantStale(t, "Acquire() of a cancelled run", err)
	})
}

// TestAtMostOneHolder plays random histories of workers that start, take, lose, hand back, defer, cancel and end runs.
// After every step, at most one of all the leases ever given passes the fence.
func TestAtMostOneHolder(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		for seed := range uint64(6) {
			history(t, rdb, rand.New(rand.NewPCG(seed, 1)))
			rdb.FlushDB(t.Context())
		}
	})
}

func history(t *testing.T, rdb redis.UniversalClient, random *rand.Rand) {
	f := open(t, rdb, status.Config{RenewEvery: time.Hour, LeaseTTL: 3 * time.Hour, MaxStalledResumes: 3,
		RequeueAfter: time.Second})
	var tasks []status.Run // everything that was ever enqueued may be delivered at any time
	var leases []*status.Lease
	some := func() *status.Lease { return leases[random.IntN(len(leases))] }
	for step := range 60 {
		f.Advance(time.Duration(random.IntN(1500)) * time.Millisecond)
		switch op := random.IntN(10); {
		case op == 0:
			if run, err := f.Start(t.Context(), status.StartRequest{Container: corp}); err == nil {
				tasks = append(tasks, run)
			}
		case op <= 3 && len(tasks) > 0:
			task := tasks[random.IntN(len(tasks))]
			if l, err := f.Acquire(t.Context(), corp, task.ID, task.Epoch, "w"); err == nil {
				t.Cleanup(l.Close)
				leases = append(leases, l)
			}
		case op <= 5:
			if r := f.reap(); r.NeedsEnqueue() {
				tasks = append(tasks, r.Run)
			}
		case op == 6:
			f.drop("lease")
		case op == 7 && random.IntN(3) == 0:
			f.drop("run", "lease")
		case op == 8 && len(leases) > 0:
			if run, err := some().HandBack(t.Context()); err == nil {
				tasks = append(tasks, run)
			}
		case op == 9 && len(leases) > 0 && random.IntN(2) == 0:
			_, _ = some().Defer(t.Context(), f.Now().Add(time.Second), "quota", status.Outage{})
		case op == 9 && len(leases) > 0:
			_, _ = some().Finish(t.Context(), status.End{State: status.Completed})
		case op == 7:
			_, _ = f.Cancel(t.Context(), corp, "ops")
		}
		holders := 0
		for _, l := range leases {
			if unlock, ok, err := f.Lock(t.Context(), corp, l.Fence(), "entry"); err == nil && ok {
				holders++
				_ = unlock(t.Context())
			}
		}
		if holders > 1 {
			t.Fatalf("step %d: %d leases pass the fence, want at most 1", step, holders)
		}
		if running, _, err := f.Live(t.Context(), corp); err == nil && running.ID != "" && !running.State.Open() {
			t.Fatalf("step %d: the live run is %s", step, running.State)
		}
	}
}
