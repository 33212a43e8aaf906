package jobs

import (
	"context"
	"errors"
	"slices"
	"time"

	"rollcall/status"
)

// follow starts the runs that a finished run makes due. A provider runs after each run of its sources that changed
// something. Marks store the pending runs, so that none is lost when a worker dies; see status.Mark.
func (w *Worker) follow(ctx context.Context, c *Container, run status.Run, changed bool) {
	ctx = context.WithoutCancel(ctx)
	switch {
	case !c.Name.IsSource():
		w.again(ctx, c)
	case !run.DryRun && run.State == status.Completed:
		w.after(ctx, c, run, changed)
	}
}

// after starts the providers that follow a source.
func (w *Worker) after(ctx context.Context, source *Container, run status.Run, changed bool) {
	mark, err := w.cfg.Status.Marked(ctx, source.Name, status.Follow)
	if err != nil {
		w.cfg.Log.ErrorContext(ctx, "read the follow mark", "container", string(source.Name), "run_id", run.ID, "err", err)
	}
	changed = changed || mark != "" || err != nil // An unreadable mark may be set.
	all := true
	for i := range w.cfg.Containers {
		c := &w.cfg.Containers[i]
		if c.Schedule != AfterSource || !slices.Contains(c.Sources, source.Name.Name()) {
			continue
		}
		if !changed && !w.wants(ctx, c) {
			continue
		}
		if err := w.startAfter(ctx, c, run); err != nil {
			all = false
			w.cfg.Log.ErrorContext(ctx, "start the provider after its source", "container", string(c.Name), "run_id", run.ID,
				"err", err)
		}
	}
	if !all || mark == "" {
		return
	}
	if err := w.cfg.Status.ClearMark(ctx, source.Name, status.Follow, mark); err != nil {
		w.cfg.Log.WarnContext(ctx, "clear a mark; one unnecessary run may follow", "container", string(source.Name), "err", err)
	}
}

// startAfter starts a provider after its source. A provider with a live run may have read the state before the
// change, so it is started again when that run ends. The mark is set first, because the run may end at this moment.
func (w *Worker) startAfter(ctx context.Context, c *Container, source status.Run) error {
	if err := w.cfg.Status.SetMark(ctx, c.Name, status.Again, source.ID); err != nil {
		return err
	}
	return w.startMarked(ctx, c, source.ID)
}

// startMarked starts a provider that has the mark Again with this value. The start clears the mark. Beside a live run
// the mark stays for the end of that run, which may have read the state before the change.
func (w *Worker) startMarked(ctx context.Context, c *Container, by string) error {
	_, err := w.client.Start(ctx, c.Name, false, status.Trigger{Kind: status.AfterSource, By: by})
	if _, live := errors.AsType[*status.LiveError](err); live {
		return nil
	}
	return err
}

// repeatSoon has a provider run once more after this run, which left something to the next one. Without it, the next
// run could be a day away. A repetition is not repeated at once, but follows the next run of a source.
func (w *Worker) repeatSoon(ctx context.Context, c *Container, run status.Run) {
	if c.Schedule != AfterSource || w.repeats(ctx, run) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if err := w.cfg.Status.SetMark(ctx, c.Name, status.Again, run.ID); err != nil {
		w.cfg.Log.WarnContext(ctx, "set a mark", "container", string(c.Name), "run_id", run.ID, "err", err)
	}
}

// repeats reports whether a run repeats an earlier run of its own container.
func (w *Worker) repeats(ctx context.Context, run status.Run) bool {
	if run.Trigger.Kind != status.AfterSource {
		return false
	}
	_, err := w.cfg.Status.Get(ctx, run.Container, run.Trigger.By)
	return err == nil
}

// wants reports whether a provider should follow its source although nothing changed there. It should if a repetition
// is pending, if its last run was a repetition or did not carry out its whole plan, or if that run was a day ago. The
// daily run makes deletions and verifications of members that have fallen due.
func (w *Worker) wants(ctx context.Context, c *Container) bool {
	if mark, err := w.cfg.Status.Marked(ctx, c.Name, status.Again); err == nil && mark != "" {
		return true
	}
	runs, _, err := w.cfg.Status.List(ctx, c.Name, 0, 1)
	if err != nil || len(runs) == 0 {
		return err == nil
	}
	last := runs[0]
	if last.State.Open() && !last.DryRun { // It reads the present state.
		return false
	}
	return last.Partial() || w.repeats(ctx, last) || last.State != status.Completed || last.FailedChanges > 0 ||
		w.cfg.Now().Sub(last.FinishedAt) > 24*time.Hour
}

// again starts a provider once more if its source changed during its run.
func (w *Worker) again(ctx context.Context, c *Container) {
	by, err := w.cfg.Status.Marked(ctx, c.Name, status.Again)
	if err == nil && by != "" {
		err = w.startMarked(ctx, c, by)
	}
	if err != nil {
		w.cfg.Log.ErrorContext(ctx, "start the provider again", "container", string(c.Name), "err", err)
	}
}
