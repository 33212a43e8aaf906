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

	safe     atomic.Pointer[time.Time] // the lease is certainly ours until then; a margin is subtracted
	watchdog *time.Timer               // ends the context then, also while a renewal waits for its answer
	draining <-chan struct{}
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
	l.watchdog = time.AfterFunc(s.cfg.LeaseTTL, l.expire)
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

// Check is the cheap fencing check right before a remote write. It makes no call. It fails when the context of the
// lease has ended, or when the last renewal is so long ago that another worker may hold the lease.
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

// DrainOn sets the channel that Draining returns.
func (l *Lease) DrainOn(draining <-chan struct{}) { l.draining = draining }

// Draining is closed when the worker that has the lease shuts down.
func (l *Lease) Draining() <-chan struct{} { return l.draining }

// Lock takes the short lock of one entry, and makes sure that the run is still ours. ok is false while the lock is held
// elsewhere.
func (l *Lease) Lock(ctx context.Context, entry string) (unlock func(), ok bool, err error) {
	if err := l.Check(ctx); err != nil {
		return nil, false, err
	}
	return l.store.hold(ctx, l.run.Container, l.Fence(), entry)
}

// Fence returns what other scripts on the same container check, and what Store.Lock takes.
func (l *Lease) Fence() Fence {
	return Fence{Key: prefix(l.run.Container) + "lease", Token: l.token, run: l.run.ID}
}

// Leaver records the departure time of the entry that has waited longest for suspension, as of the end of the run; zero
// where none waits.
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

// expire ends the context when no renewal has moved the deadline. Renewing goes on, so that the end of the run can be
// recorded if Redis comes back while the run is still ours.
func (l *Lease) expire() {
	if !time.Now().Before(l.deadline()) {
		l.cancel(stale("renew", l.run.ID, ErrUnreachable))
	}
}

func (l *Lease) deadline() time.Time { return *l.safe.Load() }

// concerns reports whether a message of the cancel channel is a reason to renew now. It names the run, or it says that
// the subscription has just begun and may have missed a message.
func (l *Lease) concerns(m any) bool {
	switch m := m.(type) {
	case *redis.Message:
		return m.Payload == l.run.ID
	case *redis.Subscription:
		return true
	}
	return false
}
