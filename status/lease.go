package status

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
)

// ErrHeld means that another worker executes the run under the same epoch, for example after a task was delivered
// twice. The error wraps ErrStale, too.
var ErrHeld = errors.New("another worker holds the lease")

// Acquire takes the lease of a queued run for a worker, or of a running one with a free lease. The task carries the
// epoch. An older epoch or a finished run is refused with an error that wraps ErrStale (kind fault.Canceled).
//
// The lease is renewed in the background until Finish, Defer, HandBack or Close, also after ctx is done. A worker
// that is shutting down can therefore still record its progress.
func (s *Store) Acquire(ctx context.Context, c container.ID, runID string, epoch int64, worker string) (*Lease, error) {
	token := leaseToken(epoch, worker)
	sent := time.Now()
	word, flat, err := s.eval(ctx, "acquire", acquireScript, c, runID, epoch, token, ms(s.cfg.Now()),
		s.cfg.RunTTL.Milliseconds(), s.cfg.LeaseTTL.Milliseconds(), cut(worker, maxName))
	switch {
	case err != nil:
		return nil, err
	case word == "held":
		return nil, stale("acquire", runID, ErrHeld)
	case word == "superseded":
		return nil, fmt.Errorf("acquire run %s: %w", runID, ErrSuperseded)
	case word != "ok":
		return nil, stale("acquire", runID)
	}
	return newLease(ctx, s, decodeRun(c, pairs(flat)), token, sent), nil
}

// leaseToken returns the value of the lease key: the epoch, a random part, and the worker.
func leaseToken(epoch int64, worker string) string {
	return strings.Join([]string{strconv.FormatInt(epoch, 10), uuid.NewString(), cut(worker, maxName)}, ":")
}

// ErrUnreachable means that the lease could not be renewed in time. The error wraps ErrStale, too.
var ErrUnreachable = errors.New("the lease could not be renewed")

// renew extends the lease, if the run still belongs to it.
func (l *Lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.store.cfg.RenewEvery)
	defer cancel()
	sent := time.Now()
	word, rest, err := l.store.eval(ctx, "renew", renewScript, l.run.Container, l.run.ID, l.run.Epoch, l.token,
		ms(l.store.cfg.Now()), l.store.cfg.RunTTL.Milliseconds(), l.store.cfg.LeaseTTL.Milliseconds())
	switch {
	case err != nil:
		return err
	case word == "ok":
		l.renewed(sent)
		return nil
	case State(rest[0]) == Cancelled:
		return stale("renew", l.run.ID, fmt.Errorf("%w by %s", ErrCancelled, rest[1]))
	case rest[0] == "":
		return stale("renew", l.run.ID, errors.New("its record is gone"))
	}
	return stale("renew", l.run.ID, fmt.Errorf("it is %s", rest[0]))
}

// keep renews the lease until it is released or lost. A cancel message triggers an early renewal.
func (l *Lease) keep() {
	defer close(l.stopped)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sub := l.store.rdb.Subscribe(ctx, cancelChannel)
	defer sub.Close()
	news := sub.ChannelWithSubscriptions()
	timer := time.NewTimer(l.store.cfg.RenewEvery)
	defer timer.Stop()
	for {
		select {
		case <-l.release:
			return
		case m, ok := <-news:
			if !ok {
				news = nil
			}
			if !l.concerns(m) {
				continue
			}
		case <-timer.C:
		}
		err := l.renew(ctx)
		switch {
		case err == nil:
			timer.Reset(l.store.cfg.RenewEvery)
		case errors.Is(err, ErrStale):
			l.cancel(err)
			return
		default: // unreachable: the watchdog decides for how long
			timer.Reset(l.store.cfg.RenewEvery / 5)
		}
	}
}

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

// Widen makes a full run of a delta run that turned out to read everything.
func (l *Lease) Widen(ctx context.Context) error {
	err := l.eval(ctx, "widen", widenScript)
	if err == nil {
		l.run.Mode = Full
	}
	return err
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

// Fence identifies the holder of a run on Redis. A script on the same container that finds another value than Token at
// Key, or none, must change nothing. The zero Fence fences nothing; object jobs, which hold no lease, use it.
type Fence struct {
	Key   string
	Token string

	run string // for messages
}

// Unlock gives an entry back. The error wraps ErrStale when the lock had expired before.
type Unlock func(ctx context.Context) error

// Lock takes the short lock of one entry, under which every remote write for it is made, and checks the fence in the
// same step. It does not wait: ok is false while the lock is held elsewhere. The error wraps ErrStale when the fence
// does not hold. entry names kind and id. The lock expires after Config.LockTTL, and the lock of a run whose lease is
// gone is taken over by the run's next worker. Without a fence, the deadline of ctx ends all writes (see
// Unleased.Check), and the lock expires soon after it. So a leaver does not wait for the lock of a dead worker.
func (s *Store) Lock(ctx context.Context, c container.ID, f Fence, entry string) (unlock Unlock, ok bool, err error) {
	token := uuid.NewString()
	ttl := s.cfg.LockTTL
	if until, bounded := ctx.Deadline(); bounded && f == (Fence{}) {
		ttl = min(ttl, max(0, time.Until(until))+releaseTimeout)
	}
	word, _, err := s.eval(ctx, "lock", lockScript, c, entry, token, ttl.Milliseconds(), f.Token)
	switch {
	case err != nil:
		return nil, false, err
	case word == "stale":
		return nil, false, stale("lock", f.run)
	case word == "busy":
		return nil, false, nil
	}
	return func(ctx context.Context) error {
		word, _, err := s.eval(context.WithoutCancel(ctx), "unlock", unlockScript, c, entry, token, f.Token)
		if err == nil && word == "stale" {
			return stale("unlock", f.run)
		}
		return err
	}, true, nil
}

// hold is Lock in the form of the engine's lease.
func (s *Store) hold(ctx context.Context, c container.ID, f Fence, entry string) (func(), bool, error) {
	unlock, ok, err := s.Lock(ctx, c, f, entry)
	if err != nil || !ok {
		return nil, ok, err
	}
	// A failed unlock leaves the lock to expire. The write under it has been made either way.
	return func() { _ = unlock(ctx) }, true, nil
}

// Unleased is the right of an object job to write: it has the locks of entries, and no lease.
type Unleased struct {
	store     *Store
	container container.ID
	draining  <-chan struct{}
}

// Unleased returns the right of an object job to write. draining is closed when its worker shuts down.
func (s *Store) Unleased(c container.ID, draining <-chan struct{}) *Unleased {
	return &Unleased{s, c, draining}
}

// Check fails when ctx has ended, or should have: a process that was stopped may be woken before a timer fires.
func (u *Unleased) Check(ctx context.Context) error {
	if until, ok := ctx.Deadline(); ok && !time.Now().Before(until) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// Lock takes the short lock of one entry. ok is false while the lock is held elsewhere.
func (u *Unleased) Lock(ctx context.Context, entry string) (unlock func(), ok bool, err error) {
	if err := u.Check(ctx); err != nil {
		return nil, false, err
	}
	return u.store.hold(ctx, u.container, Fence{}, entry)
}

// Draining is closed when the worker shuts down.
func (u *Unleased) Draining() <-chan struct{} { return u.draining }

// releaseTimeout is the time limit for recording an end. It applies after the run's own context has ended, too.
const releaseTimeout = 5 * time.Second

// Finish writes the collected data of the Recorder, closes the run as Completed or Failed, and deletes both keys. If
// the run belongs to another worker, nothing is recorded and the error wraps ErrStale. Finish works after ctx is
// done.
func (l *Lease) Finish(ctx context.Context, e End) (Run, error) {
	if e.State != Completed && e.State != Failed {
		return Run{}, fault.Errorf(fault.Internal, "finish run %s as %q", l.run.ID, e.State)
	}
	fields := []any{"changed", flag(e.Changed)}
	if e.Paused != "" {
		fields = append(fields, "paused", cut(e.Paused, MaxFailReason))
	}
	if e.State == Failed {
		fields = []any{"fail_kind", e.FailKind, "fail_reason", cut(e.FailReason, MaxFailReason)}
	}
	return l.end(ctx, e.State, fields...)
}

// Defer releases the worker and makes the run wait until the given time. The reason must not contain personal data.
// The outage is what the run waits for; the zero Outage means that the remote side answers. The reaper continues the
// run.
func (l *Lease) Defer(ctx context.Context, until time.Time, why string, o Outage) (Run, error) {
	return l.end(ctx, Deferred, "deferred_until", ms(until), "defer_reason", cut(why, MaxFailReason),
		"outages", o.Times, "outage_since", ms(o.Since))
}

// HandBack releases the worker because it shuts down. The run waits for another worker under a new epoch. The caller
// may enqueue it as Run.ID and Run.Epoch at once. Otherwise the reaper of another worker does.
func (l *Lease) HandBack(ctx context.Context) (Run, error) {
	return l.end(ctx, Queued)
}

// Close writes the collected data of the Recorder and stops renewing. The lease then expires on Redis, and another
// worker resumes the run. After Finish, Defer and HandBack, Close does nothing, so that it can be deferred.
func (l *Lease) Close() {
	l.stopOnce.Do(func() { close(l.release) })
	<-l.stopped
	l.watchdog.Stop()
	l.recorder.close()
	l.cancel(stale("close", l.run.ID))
}

// end stops the background work, writes the remaining data and releases the lease. If Redis fails, the lease expires
// and the run is resumed.
func (l *Lease) end(ctx context.Context, state State, fields ...any) (Run, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()
	defer l.Close()
	if err := l.recorder.Flush(ctx); err != nil && !errors.Is(err, ErrStale) {
		return Run{}, err
	}
	cfg := l.store.cfg
	args := append([]any{l.run.ID, l.run.Epoch, l.token, ms(cfg.Now()), string(state),
		cfg.RunTTL.Milliseconds(), cfg.KeepRuns.Milliseconds(), cfg.KeepMessages.Milliseconds()}, fields...)
	word, flat, err := l.store.eval(ctx, "release", releaseScript, l.run.Container, args...)
	switch {
	case err != nil:
		return Run{}, err
	case word != "ok":
		return Run{}, stale("release", l.run.ID)
	}
	return decodeRun(l.run.Container, pairs(flat)), nil
}
