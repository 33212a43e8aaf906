package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/reconcile"
	"rollcall/source"
	"rollcall/status"
)

const (
	// patience is how long an outage may last before the run fails.
	patience = 6 * time.Hour
	// attentive is the first part of an outage, in which the run looks again at least once a minute.
	attentive = 15 * time.Minute
)

// outagePause is how long a run waits for a remote side that has not answered so many times in a row, the first time so
// long ago. The pause doubles up to a minute, and later grows with the outage.
func outagePause(times int64, lasted, asked time.Duration) time.Duration {
	pause := shortestDeferral << min(times-1, 2)
	if lasted >= attentive {
		pause = max(pause, lasted/4)
	}
	return min(max(pause, asked), longestDeferral)
}

// passes reports whether waiting for the unavailable side makes sense. It does for a tenant, its token server and
// Redis. The next run of a source reads its directory again. A local directory that is not ready waits for that run,
// too.
func passes(c *Container, err error) bool {
	return !errors.Is(err, source.ErrNotReady) && !(c.Name.IsSource() && errors.Is(err, reconcile.ErrReadSource))
}

// unansweredAgain returns the outage after one more execution without an answer. An execution that applied changes for
// some time ends an earlier outage. A short one does not, because new changes beside a broken object would prolong the
// outage for ever.
func unansweredAgain(o status.Outage, now time.Time, applied bool, took time.Duration) status.Outage {
	if o.Times == 0 || applied && took >= attentive {
		o = status.Outage{Since: now}
	}
	o.Times++
	return o
}

// silent defers a run if its remote side does not respond. ok is false if the outage has lasted so long that the run
// fails.
func (w *Worker) silent(
	ctx context.Context, c *Container, lease *status.Lease, applied bool, cause error, log *slog.Logger,
) (ok bool, err error) {
	now, run := w.cfg.Now(), lease.Run()
	outage := unansweredAgain(run.Outage, now, applied, now.Sub(run.LastProgressAt)) // The lease was taken then.
	lasted := now.Sub(outage.Since)
	if lasted > patience {
		return false, nil
	}
	wait := outagePause(outage.Times, lasted, fault.RetryAfter(cause))
	text := fmt.Sprintf("%s does not answer", c.Name)
	if redisfault.Is(cause) {
		text = "Redis does not answer"
	}
	lease.Recorder().Log(status.Message{
		Level: status.Warning, Logger: string(c.Name), Event: fmt.Sprintf("%s. Trying again in %s: %v", text, wait, cause),
		Attributes: map[string]any{"reason": fault.Unavailable.String()},
	})
	if _, err := lease.Defer(ctx, now.Add(wait), text, outage); err != nil {
		return true, w.left(ctx, c, err, log)
	}
	log.WarnContext(ctx, "run deferred: the remote side does not answer", "for", wait.String(), "times", outage.Times)
	return true, nil
}

// insists reports whether changes without an answer fail. In the first part of an outage they defer the run.
func (w *Worker) insists(run status.Run) bool {
	return run.Outage.Times > 0 && w.cfg.Now().Sub(run.Outage.Since) >= attentive
}
