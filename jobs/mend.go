package jobs

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/status"
)

const (
	// mendAfter is how old an open job is before its task is looked for. It is written before its task.
	mendAfter = 10 * time.Second
	// mendAtOnce is how many records are read at once.
	mendAtOnce = 500
	// leaseSlack is how long ago a task's lease in asynq must have expired. Workers write it by their own clocks.
	leaseSlack = 15 * time.Second
	// mostLost is how many workers may die in one job before it fails.
	mostLost = 10
)

// mendingKey is held by the worker that mends.
const mendingKey = "rollcall:{workers}:mending"

// putBackScript moves an active task to the head of its queue, as asynq does when it stops. asynq itself never
// recovers a task without a lease. The id of a task that is gone, as after a second delivery, is removed.
//
// KEYS: active, lease, pending and the task. ARGV: its id.
var putBackScript = redis.NewScript(`
if redis.call('LREM', KEYS[1], 0, ARGV[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HEXISTS', KEYS[4], 'msg') == 0 then
  redis.call('DEL', KEYS[4])
  return 0
end
redis.call('RPUSH', KEYS[3], ARGV[1])
redis.call('HSET', KEYS[4], 'state', 'pending')
return 1`)

// queueKey is the key that asynq uses for a part of a queue.
func queueKey(queue, part string) string { return "asynq:{" + queue + "}:" + part }

// contents are the ids of the tasks of a queue, by their state.
type contents struct {
	waiting  map[string]bool // pending, scheduled or to be retried
	active   map[string]bool
	archived map[string]bool
	// leases are the expiries of the active tasks, by the clock of their worker.
	leases map[string]time.Time
}

func (w *Worker) contents(ctx context.Context, queue string) (contents, error) {
	parts := map[string]*redis.StringSliceCmd{}
	var leases *redis.ZSliceCmd
	_, err := w.cfg.Redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for _, list := range []string{"pending", "active"} {
			parts[list] = p.LRange(ctx, queueKey(queue, list), 0, -1)
		}
		for _, set := range []string{"scheduled", "retry", "archived"} {
			parts[set] = p.ZRange(ctx, queueKey(queue, set), 0, -1)
		}
		leases = p.ZRangeWithScores(ctx, queueKey(queue, "lease"), 0, -1)
		return nil
	})
	if err != nil {
		return contents{}, redisfault.Of("queues", err)
	}
	c := contents{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]time.Time{}}
	for part, cmd := range parts {
		into := c.waiting
		switch part {
		case "active":
			into = c.active
		case "archived":
			into = c.archived
		}
		for _, id := range cmd.Val() {
			into[id] = true
		}
	}
	for _, z := range leases.Val() {
		id, _ := z.Member.(string)
		c.leases[id] = time.Unix(int64(z.Score), 0)
	}
	return c, nil
}

// orphans returns the active tasks without a lease, and those with a lease that expired long ago.
func (c *contents) orphans(now time.Time) []string {
	var out []string
	for id := range c.active {
		if until, has := c.leases[id]; !has || now.Sub(until) > leaseSlack {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// mend puts right what the queues have lost track of. It finds active tasks without a worker, and open object jobs
// without a task. One worker does it at a time.
func (w *Worker) mend(ctx context.Context, names []container.ID, alive []string) error {
	const part = 9 // tenths of the interval, so that the next turn finds the key expired
	free, err := w.cfg.Redis.SetNX(ctx, mendingKey, w.cfg.Name, w.cfg.MendEvery*part/10).Result()
	if err != nil || !free {
		return redisfault.Of("mend", err)
	}
	full, err := w.contents(ctx, FullQueue)
	if err != nil {
		return err
	}
	objects, err := w.contents(ctx, ObjectQueue)
	if err != nil {
		return err
	}
	var errs []error
	for _, id := range full.orphans(w.cfg.Now()) { // The handler finds that the run has gone on.
		errs = append(errs, w.putBack(ctx, FullQueue, id))
	}
	for _, id := range objects.orphans(w.cfg.Now()) {
		errs = append(errs, w.putBack(ctx, ObjectQueue, id))
		delete(objects.active, id)
		objects.waiting[id] = true
	}
	for _, name := range names {
		if !name.IsSource() {
			errs = append(errs, w.mendJobs(ctx, name, &objects, alive))
		}
	}
	return errors.Join(errs...)
}

func (w *Worker) putBack(ctx context.Context, queue, id string) error {
	moved, err := putBackScript.Run(ctx, w.cfg.Redis, []string{queueKey(queue, "active"), queueKey(queue, "lease"),
		queueKey(queue, "pending"), queueKey(queue, "t:"+id)}, id).Int()
	if err == nil && moved == 1 {
		w.cfg.Log.WarnContext(ctx, "task put back: no worker executes it", "queue", queue, "task_id", id)
	}
	return redisfault.Of("put back", err)
}

// mendJobs gives the open jobs of a container that no worker executes a task again.
func (w *Worker) mendJobs(ctx context.Context, c container.ID, tasks *contents, alive []string) error {
	ids, err := w.cfg.Status.OpenJobs(ctx, c, w.cfg.Now().Add(-mendAfter))
	if err != nil {
		return err
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return tasks.waiting[id] })
	var errs []error
	for some := range slices.Chunk(ids, mendAtOnce) {
		jobs, err := w.cfg.Status.Jobs(ctx, c, some)
		errs = append(errs, err)
		for _, job := range jobs {
			errs = append(errs, w.mendJob(ctx, job, tasks, alive))
		}
	}
	return errors.Join(errs...)
}

func (w *Worker) mendJob(ctx context.Context, job status.Job, tasks *contents, alive []string) error {
	switch {
	case job.State == status.JobDone, tasks.waiting[job.Waits], tasks.active[job.Waits]:
		return nil // It is over, or another job of the same entry answers for it.
	case tasks.active[job.ID]:
		if job.State != status.JobRunning || slices.Contains(alive, job.Worker) {
			return nil
		}
		job, err := w.cfg.Status.LoseJob(ctx, job.Container, job.ID)
		if err != nil || job.State == status.JobDone {
			return err
		}
		if job.Lost > mostLost {
			return w.giveUp(ctx, job)
		}
		return w.putBack(ctx, ObjectQueue, job.ID)
	case tasks.archived[job.ID]:
		err := w.inspector.RunTask(ObjectQueue, job.ID)
		if errors.Is(err, asynq.ErrTaskNotFound) {
			err = nil
		}
		return redisfault.Of("run task", err)
	}
	if job.Source == "" {
		if job.Source = w.onlySource(job.Container); job.Source == "" {
			return nil // EndOutlived ends the job of an older version.
		}
	}
	w.cfg.Log.WarnContext(ctx, "task of an object job made again", "container", string(job.Container), "job_id", job.ID)
	return w.client.enqueueObject(ctx, ObjectArgs{Container: job.Container, JobID: job.ID, Source: job.Source})
}

// onlySource returns the source of a provider with one source, else an empty slug.
func (w *Worker) onlySource(c container.ID) string {
	if p := w.containers[c]; p != nil && len(p.Sources) == 1 {
		return p.Sources[0]
	}
	return ""
}

// giveUp ends a job in which too many workers died.
func (w *Worker) giveUp(ctx context.Context, job status.Job) error {
	reason := "its worker died " + strconv.FormatInt(job.Lost, 10) + " times"
	_, err := w.cfg.Status.FinishJob(ctx, job.Container, job.ID, status.Result{
		Outcome: status.OutcomeFailed, FailKind: fault.Internal.String(), FailReason: reason,
		Messages: []status.Message{{Level: status.Error, Logger: string(job.Container), Event: "Failed: " + reason,
			Attributes: map[string]any{"reason": fault.Internal.String()}}},
	})
	w.cfg.Metrics.ObjectJob(job.Container, status.OutcomeFailed)
	return err
}
