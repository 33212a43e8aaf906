package status

import (
	"context"
	"errors"
	"time"

	"rollcall/fault"
)

// releaseTimeout bounds the recording of an end, which goes on after the run's own context has ended.
const releaseTimeout = 5 * time.Second

// Finish writes what the Recorder holds, closes the run as Completed or Failed and frees both keys, if the run is
// still ours; otherwise the error wraps ErrStale and nothing is recorded. It works after ctx is done.
func (l *Lease) Finish(ctx context.Context, e End) (Run, error) {
	if e.State != Completed && e.State != Failed {
		return Run{}, fault.Errorf(fault.Internal, "finish run %s as %q", l.run.ID, e.State)
	}
	fields := []any{"changed", flag(e.Changed)}
	if e.State == Failed {
		fields = []any{"fail_kind", e.FailKind, "fail_reason", cut(e.FailReason, MaxFailReason)}
	}
	return l.end(ctx, e.State, fields...)
}

// Defer gives the worker free and has the run wait until then, for a reason without personal data. The reaper wakes it.
func (l *Lease) Defer(ctx context.Context, until time.Time, why string) (Run, error) {
	return l.end(ctx, Deferred, "deferred_until", ms(until), "defer_reason", cut(why, MaxFailReason))
}

// HandBack gives the worker free because it shuts down. The run waits for another worker under a new epoch: the caller
// may enqueue it as Run.ID and Run.Epoch at once; if not, the reaper of another worker does.
func (l *Lease) HandBack(ctx context.Context) (Run, error) {
	return l.end(ctx, Queued)
}

// Close writes what the Recorder holds and stops renewing. On Redis a lease that is still ours then expires, and the
// run is resumed by another worker. After Finish, Defer and HandBack it does nothing: defer it.
func (l *Lease) Close() {
	l.stopOnce.Do(func() { close(l.release) })
	<-l.stopped
	l.watchdog.Stop()
	l.recorder.close()
	l.cancel(stale("close", l.run.ID))
}

// end stops the background work, writes what is left and releases the lease. A failure of Redis leaves the lease to
// expire: the run is then resumed.
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
