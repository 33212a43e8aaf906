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

	"rollcall/fault"
	"rollcall/internal/redisclock"
	"rollcall/internal/scrub"
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

// takePart lets the worker take tasks, or has it stand aside while it is unfit or its clock is wrong: tenants refuse
// our tokens then, and the queues, which keep times of the workers, are misled. What it has begun goes on: its times
// are those of Redis.
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
			w.cfg.Log.ErrorContext(ctx, "panic", "task", task.Type(), "panic", scrub.Panic(v), "stack", string(debug.Stack()))
			err = fault.Errorf(fault.Internal, "a panic (%s); the log of the worker has its place", scrub.Panic(v))
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
