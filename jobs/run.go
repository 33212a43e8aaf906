package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/reconcile"
	"rollcall/source"
	"rollcall/status"
)

// The bounds of how long a throttled run waits before it goes on.
const (
	shortestDeferral = 15 * time.Second
	longestDeferral  = time.Hour
)

// run is the handler of a full sync.
func (w *Worker) run(ctx context.Context, task *asynq.Task) error {
	var args RunArgs
	if err := json.Unmarshal(task.Payload(), &args); err != nil {
		return fmt.Errorf("payload: %w: %w", err, asynq.SkipRetry)
	}
	log := w.cfg.Log.With("container", string(args.Container), "run_id", args.RunID, "epoch", args.Epoch)
	if why := w.missing(args.Container); why != "" {
		return w.handOver(ctx, args, why, log)
	}
	c := w.containers[args.Container]
	lease, err := w.cfg.Status.Acquire(ctx, args.Container, args.RunID, args.Epoch, w.cfg.Name)
	if errors.Is(err, status.ErrSuperseded) {
		return w.handOver(ctx, args, err.Error(), log)
	}
	if errors.Is(err, status.ErrStale) || fault.KindOf(err) == fault.NotFound {
		return w.stale(ctx, args, log)
	}
	if err != nil { // Redis is out of reach. The run is queued still: the reaper brings it back.
		return fmt.Errorf("acquire: %w: %w", err, asynq.RevokeTask)
	}
	defer lease.Close()
	log.InfoContext(ctx, "run started", "worker", w.cfg.Name, "resumes", lease.Run().Resumes)
	report, err := w.execute(c, lease, log)
	return w.conclude(ctx, c, lease, report, err, log)
}

// execute carries out the run under its lease.
func (w *Worker) execute(c *Container, lease *status.Lease, log *slog.Logger) (reconcile.Report, error) {
	stop := w.countCalls(c, lease.Recorder())
	defer stop()
	scope, err := w.scope(lease.Context(), lease.Run())
	if err != nil {
		return reconcile.Report{}, err
	}
	tally, began := w.tally(c.Name), time.Time{}
	kind := lease.Run().Trigger.Kind
	if full := lease.Run().Mode == status.Full; full && (c.Name.IsSource() || kind != status.ByApproval &&
		kind != status.ByRevert) {
		began = w.cfg.Now()
	}
	defer keepLeavers(lease, tally)
	if lease.Run().Trigger.Kind == status.ByLoss {
		lease.Recorder().Log(status.Message{Level: status.Warning, Logger: string(c.Name), Event: lossText,
			Attributes: map[string]any{"reason": fault.Unavailable.String()}})
	}
	lease.DrainOn(w.homes.halt(c.Name))
	trail := w.cfg.Decisions.Trail(c.Name)
	lease.Recorder().Beside(trail.Flush)
	report, err := c.Engine().Execute(lease.Context(), reconcile.Run{
		ID: lease.Run().ID, Scope: scope, Lease: lease, Memory: NewMemory(w.cfg.Decisions, c.Name),
		Insist: w.insists(lease.Run()), Widened: lease.Widen,
		Journal: &journal{
			rec: lease.Recorder(), trail: trail, run: lease.Run().ID, name: c.Name, log: log, logger: string(c.Name),
			tally: tally, began: began,
		},
	})
	return report, w.keepPlan(lease.Context(), lease.Run(), report, err)
}

// keepPlan records what a run holds for a decision, and returns the run's error. What failed is planned again soon;
// until then the last plan's word stands.
func (w *Worker) keepPlan(ctx context.Context, run status.Run, report reconcile.Report, err error) error {
	switch {
	case report.SuspendsOnly:
		return errors.Join(err, w.addHeld(ctx, run, report.Held))
	case err == nil || pausedBy(err) != nil:
		return errors.Join(err, w.keepHeld(ctx, run, report.Apply, report.Held))
	}
	return err
}

// scope says what a run is about, by its trigger.
func (w *Worker) scope(ctx context.Context, run status.Run) (reconcile.Scope, error) {
	scope := reconcile.Full()
	switch run.Trigger.Kind {
	case status.ByApproval:
		scope = reconcile.Approved()
	case status.ByRevert:
		undo, err := w.undone(ctx, run)
		if err != nil {
			return scope, err
		}
		scope = reconcile.Undoing(undo)
	case status.ByAPI, status.BySchedule, status.AfterSource, status.ByLoss, status.ByRerun, status.ByWatch:
		if run.Mode == status.Delta {
			scope = reconcile.Changed()
		}
	}
	if run.DryRun {
		scope = scope.DryRun()
	}
	return scope, nil
}

// countCalls tells the recorder of calls to the remote side once a second: they are progress too.
func (w *Worker) countCalls(c *Container, rec *status.Recorder) (stop func()) {
	if c.Calls == nil {
		return func() {}
	}
	last := c.Calls.Load()
	count := func() {
		now := c.Calls.Load()
		rec.Calls(int(now - last))
		last = now
	}
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				count()
			case <-done:
				count()
				return
			}
		}
	}()
	return func() { close(done); <-stopped }
}

// conclude records the end of a run and tells asynq: the second of the three switches over fault.Kind.
func (w *Worker) conclude(ctx context.Context, c *Container, lease *status.Lease, report reconcile.Report, err error,
	log *slog.Logger) error {
	// What ended the lease is the truth, whatever error it surfaced as.
	cause := context.Cause(lease.Context())
	if lease.Context().Err() == nil && errors.Is(err, status.ErrStale) {
		cause = err // A write learned of it before the next renewal.
	}
	if errors.Is(cause, status.ErrStale) {
		lease.Close()
		return w.left(ctx, c, cause, log)
	}
	p := pausedBy(err)
	if err == nil && c.Name.IsSource() && !lease.Run().DryRun {
		p = pausedBy(w.cfg.Decisions.Paused(ctx, c.Name))
	}
	if p != nil {
		return w.paused(ctx, c, lease, report, p, err, log)
	}
	if err == nil {
		return w.completed(ctx, c, lease, report, log)
	}
	switch kind := fault.KindOf(err); kind {
	case fault.Canceled:
		if w.draining() || w.homes.why(c.Name) != "" || lease.Context().Err() != nil {
			return w.handBack(ctx, lease, log)
		}
		// There was no request to stop, so that a task that is handed back would come back for ever.
		return w.failed(ctx, c, lease, kind, err, log)
	case fault.Throttled:
		wait := min(max(fault.RetryAfter(err), shortestDeferral), longestDeferral)
		lease.Recorder().Log(status.Message{Level: status.Warning, Logger: string(c.Name),
			Event: fmt.Sprintf("Waiting %s for the quota: %v", wait, err)})
		if _, err := lease.Defer(ctx, w.cfg.Now().Add(wait), "quota", status.Outage{}); err != nil {
			return w.left(ctx, c, err, log)
		}
		log.InfoContext(ctx, "run deferred", "for", wait.String())
		return nil
	case fault.Unavailable:
		if passes(c, err) {
			if ok, err := w.silent(ctx, c, lease, report.Applied > 0, err, log); ok {
				return err
			}
		}
		return w.failed(ctx, c, lease, kind, err, log)
	case fault.Invalid, fault.NotFound, fault.Conflict, fault.Denied, fault.Unsafe, fault.Refused, fault.Internal:
		return w.failed(ctx, c, lease, kind, err, log)
	}
	return w.failed(ctx, c, lease, fault.Internal, err, log)
}

// left ends a task whose run is no longer ours, or whose end could not be recorded: the reaper sees to it then.
func (w *Worker) left(ctx context.Context, c *Container, cause error, log *slog.Logger) error {
	if errors.Is(cause, status.ErrStale) && !errors.Is(cause, status.ErrCancelled) {
		w.cfg.Metrics.LeaseLost(c.Name)
	}
	log.WarnContext(ctx, "run left to others", "cause", whyStale(cause))
	return fmt.Errorf("%w: %w", cause, asynq.RevokeTask)
}

// whyStale says why a run is no longer ours without the name of who ended it.
func whyStale(cause error) string {
	switch {
	case errors.Is(cause, status.ErrCancelled):
		return "it was cancelled"
	case errors.Is(cause, status.ErrUnreachable):
		return "its lease could not be renewed"
	case !errors.Is(cause, status.ErrStale):
		return "its end could not be recorded"
	}
	return "it went on without us"
}

func (w *Worker) completed(ctx context.Context, c *Container, lease *status.Lease, report reconcile.Report,
	log *slog.Logger) error {
	lease.Recorder().Log(status.Message{
		Logger: string(c.Name), Event: fmt.Sprintf("Finished: %d changes made, %d failed, %d held.", report.Applied,
			report.Failed, len(report.Held.Changes)+len(report.Apply.Held)),
	})
	if report.Repeat {
		w.repeatSoon(ctx, c, lease.Run())
	}
	run, err := lease.Finish(ctx, status.End{State: status.Completed, Changed: report.Changed})
	if err != nil {
		return w.left(ctx, c, err, log)
	}
	log.InfoContext(ctx, "run completed", "applied", report.Applied, "failed", report.Failed, "held",
		len(report.Held.Changes), "conflicts", len(report.Apply.Held))
	w.cfg.Metrics.Drift(c.Name, report.Drift)
	w.follow(ctx, c, run, report.Changed)
	if report.Owing != "" {
		w.readWhole(ctx, c, report.Owing)
	}
	return nil
}

// failed records a run that is over, and has asynq archive the task so that its dashboard shows it.
func (w *Worker) failed(ctx context.Context, c *Container, lease *status.Lease, kind fault.Kind, cause error,
	log *slog.Logger) error {
	reason := cause.Error()
	lease.Recorder().Log(status.Message{Level: status.Error, Logger: string(c.Name), Event: "Failed: " + reason,
		Attributes: map[string]any{"reason": kind.String()}})
	run, err := lease.Finish(ctx, status.End{State: status.Failed, FailKind: kind.String(), FailReason: reason})
	if err != nil {
		return w.left(ctx, c, err, log)
	}
	// The run's messages have the text, which may name people.
	log.ErrorContext(ctx, "run failed", "reason", kind.String())
	log.DebugContext(ctx, "why the run failed", "err", cause)
	w.follow(ctx, c, run, false)
	return fmt.Errorf("%w: %w", cause, asynq.SkipRetry)
}

// handBack gives the run to another worker: this one shuts down.
func (w *Worker) handBack(ctx context.Context, lease *status.Lease, log *slog.Logger) error {
	run, err := lease.HandBack(ctx)
	if err == nil {
		err = w.client.enqueue(context.WithoutCancel(ctx), run)
	}
	if err != nil {
		log.WarnContext(ctx, "run is not handed back: another worker finds it", "reason", fault.KindOf(err).String())
	} else {
		log.InfoContext(ctx, "run handed back")
	}
	return fmt.Errorf("handed back: %w", asynq.RevokeTask)
}

// revoke ends a task with a run that is recorded elsewhere; a failure to record leaves the run to the reaper.
func revoke(err error) error {
	if err != nil {
		return fmt.Errorf("%w: %w", err, asynq.RevokeTask)
	}
	return nil
}

// stale handles a task whose run went on, or is over. One that was archived and is run again by hand, from asynqmon,
// starts a new run of its container; any other simply disappears.
func (w *Worker) stale(ctx context.Context, args RunArgs, log *slog.Logger) error {
	info, err := w.inspector.GetTaskInfo(FullQueue, args.taskID())
	byHand := err == nil && !info.LastFailedAt.IsZero()
	run, err := w.cfg.Status.Get(ctx, args.Container, args.RunID)
	over := fault.KindOf(err) == fault.NotFound && err != nil || err == nil && !run.State.Open()
	if byHand && over {
		log.InfoContext(ctx, "task of a closed run was run again: starting a new run")
		return revoke(w.begin(ctx, args.Container, status.Trigger{Kind: status.ByRerun, By: args.RunID}))
	}
	return fmt.Errorf("run %s is no longer under epoch %d: %w", args.RunID, args.Epoch, asynq.RevokeTask)
}

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
