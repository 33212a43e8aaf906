package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/internal/redisclock"
	"rollcall/internal/secret"
	"rollcall/reconcile"
	"rollcall/status"
)

// asynqLog lets asynq log through slog.
type asynqLog struct{ log *slog.Logger }

func (l asynqLog) Debug(args ...any) { l.log.Debug(fmt.Sprint(args...)) }
func (l asynqLog) Info(args ...any)  { l.log.Info(fmt.Sprint(args...)) }
func (l asynqLog) Error(args ...any) { l.log.Error(fmt.Sprint(args...)) }

// Warn logs a warning. That a task is revoked is our doing.
func (l asynqLog) Warn(args ...any) {
	text := fmt.Sprint(args...)
	if strings.HasPrefix(text, "revoke task") {
		l.log.Debug(text)
		return
	}
	l.log.Warn(text)
}

// Fatal must not end the process from inside a library.
func (l asynqLog) Fatal(args ...any) { l.log.Error(fmt.Sprint(args...)) }

// Aside returns why the worker stands aside: it takes no task meanwhile. It is empty while the worker takes part.
func (w *Worker) Aside() string {
	why, _ := w.aside.Load().(string)
	return why
}

// takePart lets the worker take tasks, or has it stand aside while it is unfit or its clock is wrong. With a wrong
// clock, tenants refuse our tokens, and the queues get wrong times. What it has begun goes on: its times are those of
// Redis.
func (w *Worker) takePart(ctx context.Context) error {
	off := w.cfg.Skew()
	w.cfg.Metrics.ClockOffset(off)
	why := wrongClock(off)
	if why != "" && w.cfg.RedisIsWrong(ctx) {
		why = ""
	}
	why = cmp.Or(why, w.cfg.Unfit())
	was := w.Aside()
	w.aside.Store(why)
	switch {
	case why != "":
		if was == "" {
			w.cfg.Log.ErrorContext(ctx, "the worker stands aside", "worker", w.cfg.Name, "reason", why)
		}
		w.leaveQueues()
		return errors.Join(w.unsettle(ctx), w.cfg.Status.Retire(ctx, w.cfg.Name))
	case was != "":
		w.cfg.Log.InfoContext(ctx, "the worker takes tasks again", "worker", w.cfg.Name)
	}
	return w.enterQueues()
}

// wrongClock says in words how far a clock is off; nothing while that does not matter.
func wrongClock(off time.Duration) string {
	if off.Abs() <= redisclock.Near {
		return ""
	}
	way := "ahead of"
	if off < 0 {
		way = "behind"
	}
	return fmt.Sprintf("the clock of this host is %s %s that of Redis: set the clock", off.Abs().Round(time.Second), way)
}

// enterQueues starts to take tasks, unless the worker does so already or was told to stop.
func (w *Worker) enterQueues() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.taking || w.draining() {
		return nil
	}
	full, objects := w.server(FullQueue, w.cfg.FullConcurrency), w.server(ObjectQueue, w.cfg.ObjectConcurrency)
	errFull, errObjects := full.Start(asynq.HandlerFunc(w.handle)), objects.Start(asynq.HandlerFunc(w.handle))
	w.servers, w.taking = append(w.servers, full, objects), true
	if err := errors.Join(errFull, errObjects); err != nil {
		return fmt.Errorf("start the queues: %w", err)
	}
	return nil
}

// handle executes a task of either queue. A panic becomes an error here, because asynq stores its value on Redis.
func (w *Worker) handle(ctx context.Context, task *asynq.Task) (err error) {
	ctx, cancel := w.untilCut(ctx)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			w.cfg.Log.ErrorContext(ctx, "panic", "task", task.Type(), "panic", secret.Panic(v), "stack", string(debug.Stack()))
			err = fault.Errorf(fault.Internal, "a panic (%s); the log of the worker has its place", secret.Panic(v))
		}
	}()
	switch task.Type() {
	case TypeRun:
		return w.run(ctx, task)
	case TypeObject:
		return w.object(ctx, task)
	case TypeAsk:
		return w.answer(ctx, task)
	}
	return w.unknownTask(ctx, task)
}

// quiet ends the waits for tasks. The caller holds the lock.
func (w *Worker) quiet() {
	for _, b := range w.bells {
		b.stop()
	}
}

// leaveQueues takes no further task. A server may need a moment to stop, and nothing waits for the lock meanwhile.
func (w *Worker) leaveQueues() {
	w.mu.Lock()
	if w.draining() { // Shutdown stops them.
		w.mu.Unlock()
		return
	}
	servers := w.servers
	w.taking = false
	w.quiet()
	w.leaving.Add(1)
	w.mu.Unlock()
	defer w.leaving.Done()
	for _, s := range servers {
		s.Stop()
	}
}

// ordered reports whether a person ordered that the user leaves, and the order stands at the provider.
func (o *objectSync) ordered(ctx context.Context, provider container.ID) (bool, error) {
	orders, err := o.cfg.Decisions.Orders(ctx)
	orders = orders.At(provider)
	return orders.Of(o.ref) != nil, err
}

// suspended carries out an order to leave. The source is not read, because its answer changes nothing.
func (o *objectSync) suspended(ctx context.Context, c *Container) (status.Outcome, error) {
	if err := o.awaitWrite(ctx, c); err != nil {
		return "", err
	}
	o.say(status.Info, "The account stays suspended by order, until the directory agrees or the order is lifted.")
	report, err := o.second(ctx, c)
	if err != nil {
		return "", err
	}
	return o.outcome(report)
}

// awaitWrite waits for the end of a write to the account that may have begun before the order was given. Each later one
// finds the order.
func (o *objectSync) awaitWrite(ctx context.Context, c *Container) error {
	for {
		unlock, ok, err := o.cfg.Status.Unleased(c.Name, o.homes.halt(c.Name)).Lock(ctx, o.ref.String())
		if err != nil {
			return err
		}
		if ok {
			unlock()
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.Errorf(fault.Unavailable, "another write to the account did not end")
		case <-time.After(lockedAgain):
		}
	}
}

// lockedAgain is the time between two looks at the lock of an entry.
const lockedAgain = 100 * time.Millisecond

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
