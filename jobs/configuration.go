package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/status"
)

const (
	// handOverPause is how long a worker keeps a task that it may not execute, so that another worker is faster.
	handOverPause = 100 * time.Millisecond
	// handOverLater is the pause where no live worker may execute the task.
	handOverLater = 3 * time.Second
	// homelessFor is how long a task is handed over before it fails.
	homelessFor = 10 * time.Minute
)

// homes are the containers of a worker that has one of several configurations.
type homes struct {
	mu sync.Mutex
	// superseded says why the worker does not execute a container.
	superseded map[container.ID]string
	// halts are closed when the worker must stop what it executes on a container.
	halts  map[container.ID]chan struct{}
	closed bool
}

// why returns why the worker does not execute a container; empty if it does.
func (h *homes) why(c container.ID) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.superseded[c]
}

// halt returns a channel that is closed when the worker must stop what it executes on a container.
func (h *homes) halt(c container.ID) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.halts[c] == nil {
		h.halts[c] = make(chan struct{})
		if h.closed || h.superseded[c] != "" {
			close(h.halts[c])
		}
	}
	return h.halts[c]
}

// set records why the worker does not execute a container, and reports whether this is new.
func (h *homes) set(c container.ID, why string) (changed bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.superseded[c]
	h.superseded[c] = why
	switch halt := h.halts[c]; {
	case halt == nil || h.closed:
	case was == "" && why != "":
		close(halt)
	case was != "" && why == "":
		delete(h.halts, c)
	}
	return (was == "") != (why == "")
}

// close stops everything.
func (h *homes) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for c, halt := range h.halts {
		if h.superseded[c] == "" {
			close(halt)
		}
	}
}

// settle records the configurations of this worker on Redis, and finds out which of them count.
func (w *Worker) settle(ctx context.Context) error {
	var errs []error
	for i := range w.cfg.Containers {
		c := &w.cfg.Containers[i]
		if c.Digest == "" {
			continue
		}
		found, err := w.cfg.Status.Configure(ctx, c.Name, w.cfg.Name, c.Digest)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		w.judge(ctx, c, found)
	}
	return errors.Join(errs...)
}

func (w *Worker) judge(ctx context.Context, c *Container, found status.Configuration) {
	why := ""
	if !found.Counts(c.Digest) {
		why = fmt.Sprintf("the worker %s has a newer configuration of %s: give all processes the same one and restart "+
			"them", strings.Join(found.Workers, ", "), c.Name)
	}
	if !w.homes.set(c.Name, why) {
		return
	}
	w.cfg.Metrics.Superseded(c.Name, why != "")
	if why == "" {
		w.cfg.Log.InfoContext(ctx, "the worker executes a container again", "container", string(c.Name))
		return
	}
	w.cfg.Log.WarnContext(ctx, "the worker does not execute a container", "container", string(c.Name), "reason", why)
}

// unsettle takes the configurations of this worker back.
func (w *Worker) unsettle(ctx context.Context) error {
	var errs []error
	for i := range w.cfg.Containers {
		if c := &w.cfg.Containers[i]; c.Digest != "" {
			errs = append(errs, w.cfg.Status.Unconfigure(ctx, c.Name, w.cfg.Name, c.Digest))
		}
	}
	return errors.Join(errs...)
}

// Superseded returns why the worker does not execute some of its containers, and whether it executes any.
func (w *Worker) Superseded() (why map[container.ID]string, any bool) {
	why = map[container.ID]string{}
	for _, c := range w.cfg.Containers {
		if text := w.homes.why(c.Name); text != "" {
			why[c.Name] = text
		}
	}
	return why, len(why) < len(w.cfg.Containers)
}

// missing returns why the worker may not execute a container; empty if it may.
func (w *Worker) missing(c container.ID) string {
	if w.containers[c] == nil {
		return fmt.Sprintf("the worker %s has no %s in its configuration: give all processes the same one and restart "+
			"them", w.cfg.Name, c)
	}
	return w.homes.why(c)
}

// able reports whether a live worker may execute a container.
func (w *Worker) able(ctx context.Context, c container.ID) bool {
	found, err := w.cfg.Status.Configured(ctx, c)
	return err == nil && len(found.Workers) > 0
}

// handOver gives the task of a run to another worker, because this one may not execute it. Without such a worker the
// task waits, and after a while the run fails.
func (w *Worker) handOver(ctx context.Context, args RunArgs, why string, log *slog.Logger) error {
	run, err := w.cfg.Status.Get(ctx, args.Container, args.RunID)
	if err != nil {
		return revoke(err)
	}
	able := w.able(ctx, args.Container)
	if !able && w.containers[args.Container] == nil && w.cfg.Now().Sub(run.CreatedAt) > homelessFor {
		return w.homeless(ctx, args, why)
	}
	later := time.Duration(0)
	if able {
		pause(ctx, handOverPause)
	} else {
		later = handOverLater
	}
	run, err = w.cfg.Status.Bump(ctx, args.Container, args.RunID, args.Epoch)
	if err == nil {
		err = w.client.enqueueIn(ctx, run, later)
	}
	log.DebugContext(ctx, "run handed over", "reason", why, "err", err)
	return fmt.Errorf("handed over: %w", errors.Join(asynq.RevokeTask, err))
}

// homeless fails a run that no worker has had in its configuration for long.
func (w *Worker) homeless(ctx context.Context, args RunArgs, why string) error {
	lease, err := w.cfg.Status.Acquire(ctx, args.Container, args.RunID, args.Epoch, w.cfg.Name)
	if err != nil {
		return revoke(err)
	}
	defer lease.Close()
	lease.Recorder().Log(status.Message{Level: status.Error, Logger: string(args.Container), Event: "Failed: " + why,
		Attributes: map[string]any{"reason": fault.Invalid.String()}})
	_, err = lease.Finish(ctx, status.End{State: status.Failed, FailKind: fault.Invalid.String(), FailReason: why})
	return fmt.Errorf("%s: %w", why, errors.Join(asynq.SkipRetry, err))
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// handedOver is the error of the task of an object job that another worker has to execute. It is no failure.
type handedOver struct {
	why  string
	able bool // a live worker may execute it
}

// Error implements error.
func (h *handedOver) Error() string { return "handed over: " + h.why }

// delay is the pause before the task is taken again.
func (h *handedOver) delay() time.Duration {
	if h.able {
		return 0
	}
	return handOverLater
}

// handOverObject gives the task of an object job to another worker. After a while without one the job fails.
func (w *Worker) handOverObject(ctx context.Context, args ObjectArgs, why string, lacks container.ID) error {
	able := w.able(ctx, lacks)
	if !able {
		job, err := w.cfg.Status.Job(ctx, args.Container, args.JobID)
		if err == nil && w.cfg.Now().Sub(job.CreatedAt) > homelessFor {
			return w.unknown(ctx, args, why)
		}
	}
	if able {
		pause(ctx, handOverPause)
	}
	return &handedOver{why, able}
}

// firstSeen is a header of a task of an unknown kind. It has the time at which a worker saw the task first.
const firstSeen = "rollcall-first-seen"

// unknownTask gives a task of a kind that this build does not know to another worker.
func (w *Worker) unknownTask(ctx context.Context, task *asynq.Task) error {
	now := w.cfg.Now()
	headers := map[string]string{firstSeen: now.UTC().Format(time.RFC3339)}
	if seen := task.Headers()[firstSeen]; seen != "" {
		if at, err := time.Parse(time.RFC3339, seen); err == nil && now.Sub(at) > homelessFor {
			return fmt.Errorf("no worker knows tasks of the kind %q: %w", task.Type(), asynq.SkipRetry)
		}
		headers[firstSeen] = seen
	}
	queue, _ := asynq.GetQueueName(ctx)
	most, _ := asynq.GetMaxRetry(ctx)
	timeout := runTimeout
	if queue == ObjectQueue {
		timeout = objectTimeout
	}
	w.cfg.Log.WarnContext(ctx, "task of an unknown kind: another build has to execute it", "kind", task.Type())
	_, err := w.client.asynq.EnqueueContext(ctx, asynq.NewTaskWithHeaders(task.Type(), task.Payload(), headers),
		asynq.Queue(queue), asynq.MaxRetry(most), asynq.Timeout(timeout), asynq.ProcessIn(time.Second))
	if err != nil {
		return queueFault(err) // asynq or mend brings the task back.
	}
	return fmt.Errorf("handed over: %w", asynq.RevokeTask)
}
