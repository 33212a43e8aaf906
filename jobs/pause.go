package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/reconcile"
	"rollcall/status"
)

// pausedBy returns the pause that ended a run or a job, or nil.
func pausedBy(err error) *decisions.Pause {
	if p, is := errors.AsType[*decisions.PausedError](err); is {
		return &p.Pause
	}
	return nil
}

// besides returns the errors that came together with a pause, or nil.
func besides(err error) error {
	if err == nil || pausedBy(err) == nil {
		return err
	}
	many, joined := err.(interface{ Unwrap() []error })
	if !joined {
		return besides(errors.Unwrap(err))
	}
	var others []error
	for _, e := range many.Unwrap() {
		others = append(others, besides(e))
	}
	return errors.Join(others...)
}

// paused ends a run of a container that a person paused. Its plan is published, and nothing failed but what came with
// the pause. A source's run that had begun its copy has finished it, because providers read only a complete copy. They
// follow after the pause. If the pause has ended meanwhile, a full run follows.
func (w *Worker) paused(ctx context.Context, c *Container, lease *status.Lease, report reconcile.Report,
	p *decisions.Pause, err error, log *slog.Logger) error {
	text := "Nothing was written: "
	switch {
	case err == nil:
		text = "The copy that the run had begun was finished, and no provider follows until the pause ends: "
	case report.Applied > 0:
		text = fmt.Sprintf("%d changes were made, and the others were not: ", report.Applied)
	}
	if other := besides(err); other != nil {
		lease.Recorder().Log(status.Message{Level: status.Error, Logger: string(c.Name),
			Event:      "Besides the pause: " + other.Error(),
			Attributes: map[string]any{"reason": fault.KindOf(other).String()}})
		log.ErrorContext(ctx, "a run of a paused container failed as well", "reason", fault.KindOf(other).String())
	}
	lease.Recorder().Log(status.Message{Level: status.Warning, Logger: string(c.Name), Event: text + p.Text(),
		Attributes: map[string]any{"by": p.By}})
	run, err := lease.Finish(ctx, status.End{State: status.Completed, Changed: report.Changed, Paused: p.Text()})
	if err != nil {
		return w.left(ctx, c, err, log)
	}
	log.InfoContext(ctx, "run ended: its container is paused", "applied", report.Applied)
	w.follow(ctx, c, run, false)
	return revoke(w.resumed(context.WithoutCancel(ctx), c, run))
}

// resumed starts a full run if the pause that ended a run is over. Who resumed found that run live.
func (w *Worker) resumed(ctx context.Context, c *Container, run status.Run) error {
	switch err := w.cfg.Decisions.Paused(ctx, c.Name); {
	case pausedBy(err) != nil:
		return nil
	case err != nil:
		return err
	}
	return w.begin(ctx, c.Name, status.Trigger{Kind: status.ByRerun, By: run.ID})
}
