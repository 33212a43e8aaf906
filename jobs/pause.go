package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"rollcall/decisions"
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

// paused ends a run of a container that a person paused. Its plan is published, and nothing failed. If the pause has
// ended meanwhile, a full run follows.
func (w *Worker) paused(ctx context.Context, c *Container, lease *status.Lease, report reconcile.Report,
	p *decisions.Pause, log *slog.Logger) error {
	text := "Nothing was written: "
	if report.Applied > 0 {
		text = fmt.Sprintf("%d changes were made, and the others were not: ", report.Applied)
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
