package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"
)

// mostSkew is how far the clock of a worker's host may be off. Beyond it tenants refuse our tokens, and the queues,
// which keep times of the workers, are misled.
const mostSkew = 30 * time.Second

// Aside returns why the worker stands aside: it takes no task meanwhile. It is empty while the worker takes part.
func (w *Worker) Aside() string {
	why, _ := w.aside.Load().(string)
	return why
}

// takePart lets the worker take tasks, or has it stand aside while its clock is wrong. What it has begun goes on: its
// times are those of Redis.
func (w *Worker) takePart(ctx context.Context) error {
	why := wrongClock(w.cfg.Skew())
	was := w.Aside()
	w.aside.Store(why)
	switch {
	case why != "":
		if was == "" {
			w.cfg.Log.ErrorContext(ctx, "the worker stands aside", "worker", w.cfg.Name, "reason", why)
		}
		w.leaveQueues()
		return w.cfg.Status.Retire(ctx, w.cfg.Name)
	case was != "":
		w.cfg.Log.InfoContext(ctx, "the worker takes tasks again", "worker", w.cfg.Name)
	}
	return w.enterQueues()
}

// wrongClock says in words how far a clock is off; nothing while that does not matter.
func wrongClock(off time.Duration) string {
	if off.Abs() <= mostSkew {
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
	mux := asynq.NewServeMux()
	mux.HandleFunc(TypeRun, w.run)
	mux.HandleFunc(TypeObject, w.object)
	full, objects := w.server(FullQueue, w.cfg.FullConcurrency), w.server(ObjectQueue, w.cfg.ObjectConcurrency)
	errFull, errObjects := full.Start(mux), objects.Start(mux)
	w.servers, w.taking = append(w.servers, full, objects), true
	if err := errors.Join(errFull, errObjects); err != nil {
		return fmt.Errorf("start the queues: %w", err)
	}
	return nil
}

// leaveQueues takes no further task.
func (w *Worker) leaveQueues() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.servers {
		s.Stop()
	}
	w.taking = false
}
