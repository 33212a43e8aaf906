package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/source"
	"rollcall/status"
)

// busyFor is how long a job waits for a run that writes the local directory. The run of a worker that died is resumed
// much earlier.
const busyFor = time.Hour

// callsFor is how long one attempt of an object job may spend on remote calls: the waiting client should hear
// what failed, and not only that nothing is known yet.
const callsFor = 15 * time.Second

// object is the handler of a single-object sync. Two jobs for one entry coalesce: the one that works answers for those
// that came meanwhile, after looking again.
func (w *Worker) object(ctx context.Context, task *asynq.Task) error {
	var args ObjectArgs
	if err := json.Unmarshal(task.Payload(), &args); err != nil {
		return fmt.Errorf("payload: %w: %w", err, asynq.SkipRetry)
	}
	for _, name := range []container.ID{args.Container, container.Source(args.Source)} {
		if why := w.missing(name); why != "" {
			return w.handOverObject(ctx, args, why, name)
		}
	}
	c := w.containers[args.Container]
	job, err := w.cfg.Status.StartJob(ctx, args.Container, args.JobID, w.cfg.Name)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		w.cfg.Metrics.ObjectJobLost(args.Container)
		w.cfg.Log.ErrorContext(ctx, "object job lost: it has no record", "container", string(args.Container), "job_id",
			args.JobID)
		return fmt.Errorf("start job: %w: %w", err, asynq.SkipRetry)
	}
	if err != nil {
		return fmt.Errorf("start job: %w", err)
	}
	if job.State == status.JobDone { // Its worker died before it left the entry.
		_ = w.cfg.Status.Abandon(ctx, args.Container, job.Kind, job.ObjectID, job.ID)
		return nil
	}
	turn, err := w.cfg.Status.Enter(ctx, args.Container, job.Kind, job.ObjectID, job.ID)
	if err != nil {
		return fmt.Errorf("enter: %w", err)
	}
	for turn.Go {
		ahead := job.Trigger.Kind == status.ByWatch && len(turn.For) == 0
		result, err := w.syncObject(ctx, c, args.Source, job, ahead)
		if repeat, failed := w.retries(job, err); repeat {
			_, noted := w.cfg.Status.NoteJob(context.WithoutCancel(ctx), args.Container, job.ID, result.Messages, failed)
			return fmt.Errorf("sync object: %w", cmp.Or(err, noted))
		}
		for _, id := range append([]string{job.ID}, turn.For...) {
			if _, err := w.cfg.Status.FinishJob(ctx, args.Container, id, result); err != nil {
				return fmt.Errorf("finish job: %w", err)
			}
			w.cfg.Metrics.ObjectJob(args.Container, result.Outcome)
			w.cfg.Log.InfoContext(ctx, "object job ended", "container", string(c.Name), "job_id", id, "outcome",
				string(result.Outcome), "reason", result.FailKind)
		}
		if turn, err = w.cfg.Status.Leave(ctx, args.Container, job.Kind, job.ObjectID, job.ID); err != nil {
			return fmt.Errorf("leave: %w: %w", err, asynq.RevokeTask)
		}
	}
	return nil
}

// unknown ends a job of a container that no worker has had in its configuration for long. The client is told why.
func (w *Worker) unknown(ctx context.Context, args ObjectArgs, why string) error {
	cause := fault.New(fault.Invalid, "", errors.New(why))
	_, err := w.cfg.Status.FinishJob(ctx, args.Container, args.JobID, status.Result{
		Outcome: status.OutcomeFailed, FailKind: fault.Invalid.String(), FailReason: cause.Error(),
		Messages: []status.Message{{Level: status.Error, Logger: string(args.Container), Event: "Failed: " + cause.Error(),
			Attributes: map[string]any{"reason": fault.Invalid.String()}}},
	})
	return fmt.Errorf("%w: %w", errors.Join(cause, err), asynq.SkipRetry)
}

// The bounds of a job that fails for reasons that pass. It is given up after both.
const (
	jobTries    = 5
	jobPatience = 15 * time.Minute
)

// retries reports whether a job is tried again later, because of an error that passes, and whether the attempt counts
// as a failure. A worker that stops and a run that writes the local directory are no failures of the job.
func (w *Worker) retries(job status.Job, err error) (repeat, failed bool) {
	age := w.cfg.Now().Sub(job.CreatedAt)
	switch kind := fault.KindOf(err); {
	case err == nil:
	case kind == fault.Canceled:
		return true, false
	case busy(err):
		return age < busyFor, false
	case kind.Retryable():
		return age < jobPatience || job.Failures+1 < jobTries, true
	}
	return false, false
}

// busy reports whether a run is writing the local directory. The job comes back when that run ends, and the attempt
// does not count.
func busy(err error) bool { return errors.Is(err, source.ErrBusy) }

// syncObject runs the engine over one entry, through both hops. The result says what became of it; the error is what
// kept the job from being done.
func (w *Worker) syncObject(
	ctx context.Context, c *Container, source string, job status.Job, ahead bool,
) (status.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, callsFor)
	defer cancel()
	said := &notes{logger: string(c.Name), quiet: true}
	o := objectSync{Worker: w, job: job, said: said, ahead: ahead, ref: directory.Ref{ID: directory.ID(job.ObjectID),
		Kind: directory.User}}
	if job.Kind == status.Group {
		o.ref.Kind = directory.Group
	}
	outcome, err := o.both(ctx, c, source)
	if p := pausedBy(err); p != nil {
		outcome, err = status.OutcomeHeld, besides(err)
		o.say(status.Warning, "Nothing is sent: "+p.Text())
	}
	result := status.Result{Outcome: outcome, Messages: said.messages}
	if err == nil {
		return result, nil
	}
	kind := fault.KindOf(err)
	text := err.Error()
	w.cfg.Log.DebugContext(ctx, "why the object job failed", "container", string(c.Name), "job_id", job.ID, "err", err)
	if kind == fault.Internal {
		w.cfg.Log.ErrorContext(ctx, "object job failed", "container", string(c.Name), "job_id", job.ID, "reason",
			kind.String())
	}
	said.add(status.Message{Level: status.Error, Logger: string(c.Name), Event: "Failed: " + text,
		Attributes: map[string]any{"reason": kind.String()}})
	return status.Result{Outcome: status.OutcomeFailed, FailKind: kind.String(), FailReason: text,
		Messages: said.messages}, err
}

// objectSync is one attempt.
type objectSync struct {
	*Worker
	job  status.Job
	said *notes
	ref  directory.Ref
	// ahead says that the fast lane started the job, which then suspends the account and does nothing else.
	ahead bool
	// left says that the entry left its source, so that the provider concludes its departure.
	left bool
	// made is the outcome of the changes that were made.
	made status.Outcome
}

// reads is how often a job reads again because another writer was faster.
const reads = 5

// both carries out both hops. A newer version of the entry is a reason to read again, at once and a few times.
// Whichever writer is faster has then stored what it read, so that each reading starts from there.
func (o *objectSync) both(ctx context.Context, c *Container, source string) (status.Outcome, error) {
	from, ok := o.containers[container.Source(source)]
	if !ok {
		return "", fault.Errorf(fault.Invalid, "source %q is not configured here", source)
	}
	o.made = status.OutcomeUnchanged
	if ordered, err := o.ordered(ctx, c.Name); err != nil {
		return "", err
	} else if ordered {
		return o.suspended(ctx, c)
	}
	said := len(o.said.messages)
	for n := 1; ; n++ {
		first, err := o.hop(ctx, from)
		if err != nil {
			return "", err
		}
		if first.Superseded > 0 {
			if n < reads {
				o.said.messages = o.said.messages[:said]
				continue
			}
			return "", errSuperseded
		}
		if slices.Contains(first.Snapshot.Absent, o.ref) {
			if o.left, err = o.hasLeft(ctx, from); err != nil {
				return "", err
			}
		}
		if outcome := o.stops(first); outcome != "" {
			return outcome, nil
		}
		second, err := o.second(ctx, c)
		if err != nil {
			return "", err
		}
		if second.Superseded == 0 || n == reads {
			return o.outcome(second)
		}
		o.said.messages = o.said.messages[:said]
		_ = o.count(second) // The next reading plans a failed change again, and its outcome counts.
		said = len(o.said.messages)
	}
}

// errSuperseded ends an attempt with readings that were all overtaken.
var errSuperseded = fault.Errorf(fault.Unavailable, "the entry was changed meanwhile")

// stops returns the outcome of a first hop after which there is no second; empty where there is one.
func (o *objectSync) stops(first reconcile.Report) status.Outcome {
	switch {
	case o.left:
		o.say(status.Info, "The entry left its source.")
	case slices.Contains(first.Snapshot.Absent, o.ref):
		o.say(status.Error, "The entry is absent at its source; not suspended: nothing proves that it left. The next "+
			"full run of the source decides.", "outcome", string(status.OutcomeAbsent))
		return status.OutcomeAbsent
	case slices.ContainsFunc(first.Snapshot.Findings, func(f directory.Finding) bool { return f.Ref == o.ref }):
		return status.OutcomeHeld // The engine has named it.
	case len(first.Held.Changes) > 0:
		o.say(status.Warning, "The local directory keeps the entry as it was until the guard's reason is gone.")
		return status.OutcomeHeld
	case first.Failed > 0:
		return status.OutcomeFailed
	}
	return ""
}

// second carries out the hop to the tenant, and keeps what was tried.
func (o *objectSync) second(ctx context.Context, c *Container) (reconcile.Report, error) {
	o.said.trail, o.said.job = o.cfg.Decisions.Trail(c.Name), o.job.ID
	defer func() { o.said.trail = nil }() // The local directory's changes are not kept.
	report, err := o.hop(ctx, c)
	if lost := o.said.trail.Flush(context.WithoutCancel(ctx)); lost != nil {
		o.cfg.Log.WarnContext(ctx, "attempts are not kept", "container", string(c.Name), "job_id", o.job.ID, "err", lost)
	}
	return report, err
}

func (o *objectSync) hop(ctx context.Context, c *Container) (reconcile.Report, error) {
	return c.Engine().Execute(ctx, reconcile.Run{
		ID: o.job.ID, Scope: o.scope(c), Lease: o.cfg.Status.Unleased(c.Name, o.homes.halt(c.Name)),
		Memory:  NewMemory(o.cfg.Decisions, c.Name),
		Journal: counted{o.said, o.tally(c.Name)}, Insist: true,
	})
}

// scope is what a hop covers.
func (o *objectSync) scope(c *Container) reconcile.Scope {
	switch {
	case c.Name.IsSource():
	case o.ahead:
		return reconcile.Suspending(o.ref)
	case o.left:
		return reconcile.Departing(o.ref)
	}
	return reconcile.Entries(o.ref)
}

// hasLeft reports whether an absent entry is proved to have left. If the local directory still has it, the source is
// asked what changed.
func (o *objectSync) hasLeft(ctx context.Context, from *Container) (bool, error) {
	if from.Watch == nil {
		return false, nil
	}
	if left, err := from.Watch.Left(ctx, o.ref); err != nil || left {
		return left, err
	}
	if err := o.sendAhead(ctx, from); err != nil {
		return false, err
	}
	return from.Watch.Left(ctx, o.ref)
}

// say adds a message about the entry, with further attributes as pairs.
func (o *objectSync) say(level status.Level, event string, more ...string) {
	about := map[string]any{"kind": string(o.job.Kind), "id": o.job.ObjectID}
	for pair := range slices.Chunk(more, 2) { //nolint:mnd // a name and a value
		about[pair[0]] = pair[1]
	}
	o.said.add(status.Message{Level: level, Logger: string(o.job.Container), Event: event, Attributes: about})
}

// outcome says what the second hop came to, the gravest thing first.
func (o *objectSync) outcome(r reconcile.Report) (status.Outcome, error) {
	if err := o.count(r); err != nil {
		switch kind := fault.KindOf(err); {
		case kind.Retryable():
			return "", err
		case kind == fault.Unsafe: // Others used up the limit since this was planned.
			return status.OutcomeHeld, nil
		}
		return status.OutcomeFailed, nil // The engine has named it.
	}
	outcome := o.made
	if pin := slices.IndexFunc(r.Apply.Pins, func(p plan.Pin) bool { return p.Ref == o.ref }); pin >= 0 {
		o.say(status.Info, "The entry is pinned: it stays as it was before run "+r.Apply.Pins[pin].Run+
			", which was undone, until its source changes or the pin is lifted.")
	}
	out := slices.IndexFunc(r.Desired.Decisions, func(d mapping.Decision) bool { return d.Ref == o.ref })
	switch {
	case len(r.Held.Changes) > 0 || slices.ContainsFunc(r.Apply.Held, func(h plan.Held) bool { return h.Ref == o.ref }):
		return status.OutcomeHeld, nil
	case r.Superseded > 0:
		return "", errSuperseded
	case out >= 0:
		o.say(status.Info, "The entry is out of scope: "+r.Desired.Decisions[out].Rule+".")
		if outcome == status.OutcomeUnchanged {
			return status.OutcomeOutOfScope, nil
		}
	case outcome == status.OutcomeUnchanged:
		o.say(status.Info, "Nothing to change.")
	}
	return outcome, nil
}

// count names the changes that were made, in plan order, and returns the error of the first that was not.
func (o *objectSync) count(r reconcile.Report) error {
	for i := range r.Apply.Changes {
		c := &r.Apply.Changes[i]
		res, done := r.Results[i]
		if !done {
			continue
		}
		if res.Err != nil {
			return res.Err
		}
		o.say(status.Info, past(c))
		if o.made == status.OutcomeUnchanged || c.Op == plan.Create {
			o.made = became(c.Op)
		}
	}
	return nil
}

func became(op plan.Op) status.Outcome {
	switch op {
	case plan.Create:
		return status.OutcomeCreated
	case plan.Suspend:
		return status.OutcomeSuspended
	case plan.Restore, plan.Undelete:
		return status.OutcomeRestored
	case plan.Delete:
		return status.OutcomeDeleted
	case plan.Update, plan.Adopt, plan.Reanchor, plan.AddMember, plan.RemoveMember:
	}
	return status.OutcomeUpdated
}

// past says what was done.
func past(c *plan.Change) string {
	done := c.Op.Past()
	done = strings.ToUpper(done[:1]) + done[1:] + " "
	switch c.Op {
	case plan.AddMember:
		return done + c.MemberLabel + " to " + c.Label + "."
	case plan.RemoveMember:
		return done + c.MemberLabel + " from " + c.Label + "."
	case plan.Suspend, plan.Delete:
		return done + c.Address + ": the entry is " + string(c.Why) + "."
	case plan.Create, plan.Update, plan.Restore, plan.Undelete, plan.Adopt, plan.Reanchor:
	}
	return done + c.Address + "."
}
