package status

import (
	"context"
	"errors"
	"time"

	"rollcall/fault"
)

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
