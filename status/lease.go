package status

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Lease is the right of one worker to execute one run. It renews itself, and ends its Context the moment that it is
// lost. Its methods may be called concurrently; after Finish, Defer, HandBack or Close it is over.
type Lease struct {
	store    *Store
	run      Run
	token    string
	recorder *Recorder

	// ctx is what the run is executed under: the lease is a scope of work, so it owns the context of that scope.
	ctx    context.Context
	cancel context.CancelCauseFunc

	safe     atomic.Pointer[time.Time] // until when nobody else can hold the lease, less the margin
	watchdog *time.Timer               // ends the context then, whatever a renewal is waiting for
	stopOnce sync.Once
	release  chan struct{} // closed to stop renewing
	stopped  chan struct{} // closed when renewing has stopped
}

func newLease(ctx context.Context, s *Store, run Run, token string, sent time.Time) *Lease {
	l := &Lease{
		store: s, run: run, token: token,
		release: make(chan struct{}), stopped: make(chan struct{}),
	}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.watchdog = time.AfterFunc(s.cfg.LeaseTTL, l.bark)
	l.renewed(sent)
	l.recorder = newRecorder(l)
	go l.keep()
	return l
}

// Run returns the run as it was when the lease was taken.
func (l *Lease) Run() Run { return l.run }

// Context returns the context to execute the run under. It ends when the context given to Acquire does, when the
// lease is lost or the run is over; context.Cause then wraps ErrStale, with ErrCancelled when a person cancelled it.
func (l *Lease) Context() context.Context { return l.ctx }

// Recorder returns what counts and logs for this run.
func (l *Lease) Recorder() *Recorder { return l.recorder }

// Check is the cheap fencing check right before a remote write: it asks nobody. It fails when the context of the lease
// has ended, or when the last renewal is so long ago that somebody else may hold the lease.
func (l *Lease) Check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if l.ctx.Err() != nil {
		return context.Cause(l.ctx)
	}
	if !time.Now().Before(l.deadline()) {
		return stale("check", l.run.ID, ErrUnreachable)
	}
	return nil
}

// Fence returns what other scripts on the same container check, and what Lock wants.
func (l *Lease) Fence() Fence {
	return Fence{Key: prefix(l.run.Container) + "lease", Token: l.token, run: l.run.ID}
}

// Pause records that no progress is to be expected until then, as when a tenant asked us to wait.
func (l *Lease) Pause(ctx context.Context, until time.Time) error {
	return l.eval(ctx, "pause", pauseScript, ms(until))
}

// Leaver records since when the one is gone who waits longest to be suspended, as it is after what the run did; zero when
// nobody waits.
func (l *Lease) Leaver(ctx context.Context, since time.Time) error {
	return l.eval(ctx, "leaver", leaverScript, ms(since))
}

// eval runs a script that acts for the holder of the lease.
func (l *Lease) eval(ctx context.Context, op string, sc *redis.Script, args ...any) error {
	word, _, err := l.store.eval(ctx, op, sc, l.run.Container, append([]any{l.run.ID, l.run.Epoch, l.token}, args...)...)
	if err == nil && word == "stale" {
		err = stale(op, l.run.ID)
	}
	return err
}

// renewed notes a renewal that was sent at a time of this machine's monotonic clock. Redis counted from later, so that
// the lease outlives the deadline by at least the margin.
func (l *Lease) renewed(sent time.Time) {
	until := sent.Add(l.store.cfg.LeaseTTL - l.store.cfg.LeaseMargin)
	l.safe.Store(&until)
	l.watchdog.Reset(time.Until(until))
}

// bark ends the context when no renewal has moved the deadline. Renewing goes on: should Redis come back while the
// run is still ours, its end can be recorded.
func (l *Lease) bark() {
	if !time.Now().Before(l.deadline()) {
		l.cancel(stale("renew", l.run.ID, ErrUnreachable))
	}
}

func (l *Lease) deadline() time.Time { return *l.safe.Load() }

// concerns reports whether a message of the cancel channel makes a look at the lease worth while: it names the run, or
// says that listening (again) has begun, before which a message may have been missed.
func (l *Lease) concerns(m any) bool {
	switch m := m.(type) {
	case *redis.Message:
		return m.Payload == l.run.ID
	case *redis.Subscription:
		return true
	}
	return false
}
