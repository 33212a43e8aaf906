// Package jobs puts work into asynq queues and carries it out. It is the only importer of asynq.
//
// asynq carries ids, and package status has the state of runs. A full run is one task that asynq never retries. This
// package decides and records the outcome of the run (completed, failed, deferred, handed back, taken over by another
// worker). The reaper, which every worker runs, puts a run back into the queue after its worker died. The package
// does not use three features of asynq. According to our measurements its recovery of a killed worker takes one to
// two minutes, its cancel turns into a retry, and its unique lock lasts longer or shorter than the work.
//
// There are two queues as two asynq servers, so that single objects never wait behind a full sync.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/metrics"
	"rollcall/internal/redisfault"
	"rollcall/status"
)

// The queues.
const (
	FullQueue   = "full"
	ObjectQueue = "objects"
)

// The task types. The number is the version of the payload.
const (
	TypeRun    = "run:v1"
	TypeObject = "object:v1"
)

// RunArgs is the payload of a full sync. It has ids only, because every user of asynqmon can see it.
type RunArgs struct {
	Container container.ID `json:"container"`
	RunID     string       `json:"run_id"`
	Epoch     int64        `json:"epoch"`
}

// taskID makes enqueuing idempotent, because a run has at most one task under each epoch.
func (a RunArgs) taskID() string { return fmt.Sprintf("%s:%d", a.RunID, a.Epoch) }

// ObjectArgs is the payload of a single-object sync.
type ObjectArgs struct {
	Container container.ID `json:"container"`
	JobID     string       `json:"job_id"`
	// Source is the slug of the source that has the entry.
	Source string `json:"source"`
}

const (
	// runTimeout is asynq's limit for a full sync. A first provisioning of 500,000 people at Google's quota takes
	// more than a day.
	runTimeout = 14 * 24 * time.Hour
	// objectTimeout bounds one attempt of a single-object sync.
	objectTimeout = 60 * time.Second
	// objectRetries is asynq's limit. It is out of reach, because asynq also counts the workers that died. The record
	// of a job decides how often it is tried.
	objectRetries = 100_000
)

// Client starts and cancels work.
type Client struct {
	rdb    redis.UniversalClient
	status *status.Store
	asynq  *asynq.Client
}

// NewClient returns a Client.
func NewClient(rdb redis.UniversalClient, st *status.Store) *Client {
	return &Client{rdb: rdb, status: st, asynq: asynq.NewClientFromRedisClient(rdb)}
}

// Start starts a full sync. While one is live the error is a *status.LiveError with it.
func (c *Client) Start(ctx context.Context, container container.ID, dryRun bool, by status.Trigger) (status.Run,
	error) {
	return c.start(ctx, status.StartRequest{Container: container, DryRun: dryRun, Trigger: by})
}

// StartRun starts a full or delta run for the holder of a token. A delta run that is not possible becomes a full run
// and says why. A full run beside a live delta run waits for its end.
func (c *Client) StartRun(ctx context.Context, container container.ID, mode status.Mode, dryRun bool, by string) (
	status.Run, error) {
	return c.start(ctx, status.StartRequest{Container: container, Mode: mode, DryRun: dryRun,
		Trigger: status.Trigger{Kind: status.ByAPI, By: by}})
}

func (c *Client) start(ctx context.Context, req status.StartRequest) (status.Run, error) {
	run, err := c.status.Start(ctx, req)
	if err != nil {
		return run, err
	}
	// The run is recorded. If the queue is out of reach now, the reaper enqueues the run later.
	if err := c.enqueue(ctx, run); err != nil && fault.KindOf(err) != fault.Unavailable {
		return run, err
	}
	return run, nil
}

func (c *Client) enqueue(ctx context.Context, run status.Run) error { return c.enqueueIn(ctx, run, 0) }

// enqueueIn puts the task of a run into its queue. No worker takes it before the given time has passed.
func (c *Client) enqueueIn(ctx context.Context, run status.Run, later time.Duration) error {
	args := RunArgs{Container: run.Container, RunID: run.ID, Epoch: run.Epoch}
	payload, err := json.Marshal(args)
	if err != nil {
		return fault.New(fault.Internal, "enqueue", err)
	}
	_, err = c.asynq.EnqueueContext(ctx, asynq.NewTask(TypeRun, payload),
		asynq.Queue(FullQueue), asynq.TaskID(args.taskID()), asynq.MaxRetry(0), asynq.Timeout(runTimeout),
		asynq.ProcessIn(later))
	if later == 0 {
		c.wake(ctx, FullQueue)
	}
	return queueFault(err)
}

// StartObject starts the sync of one entry and returns the job's id.
func (c *Client) StartObject(
	ctx context.Context, container container.ID, source string, ref directory.Ref, by string,
) (string, error) {
	return c.startObject(ctx, container, source, ref, status.Trigger{Kind: status.ByAPI, By: by})
}

func (c *Client) startObject(
	ctx context.Context, container container.ID, source string, ref directory.Ref, by status.Trigger,
) (string, error) {
	job, err := c.status.CreateJob(ctx, status.JobRequest{
		Container: container, Kind: status.ObjectType(ref.Kind.String()), ObjectID: string(ref.ID), Trigger: by,
		Source: source,
	})
	if err != nil {
		return "", err
	}
	return job.ID, c.enqueueObject(ctx, ObjectArgs{Container: container, JobID: job.ID, Source: source})
}

// enqueueObject puts the task of a job into its queue. A task that is there already is as good.
func (c *Client) enqueueObject(ctx context.Context, args ObjectArgs) error {
	payload, err := json.Marshal(args)
	if err != nil {
		return fault.New(fault.Internal, "enqueue", err)
	}
	_, err = c.asynq.EnqueueContext(ctx, asynq.NewTask(TypeObject, payload),
		asynq.Queue(ObjectQueue), asynq.TaskID(args.JobID), asynq.MaxRetry(objectRetries), asynq.Timeout(objectTimeout))
	c.wake(ctx, ObjectQueue)
	return queueFault(err)
}

// Cancel closes the live run of a container.
func (c *Client) Cancel(ctx context.Context, container container.ID, by string) (status.Run, error) {
	return c.status.Cancel(ctx, container, by)
}

func queueFault(err error) error {
	switch {
	case err == nil, errors.Is(err, asynq.ErrTaskIDConflict): // It is there already, under this very epoch.
		return nil
	case errors.Is(err, context.Canceled):
		return err
	}
	return redisfault.Of("enqueue", err)
}

// Queues returns a function that reads the sizes of the queues. A queue that never had a task is empty.
func Queues(rdb redis.UniversalClient) func(context.Context) ([]metrics.Queue, error) {
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	return func(context.Context) ([]metrics.Queue, error) {
		known, err := inspector.Queues()
		if err != nil {
			return nil, redisfault.Of("queues", err)
		}
		var out []metrics.Queue
		for _, name := range []string{FullQueue, ObjectQueue} {
			info := &asynq.QueueInfo{}
			if slices.Contains(known, name) {
				if info, err = inspector.GetQueueInfo(name); err != nil {
					return nil, redisfault.Of("queue "+name, err)
				}
			}
			out = append(out, metrics.Queue{Name: name, Latency: info.Latency, Tasks: map[string]int{
				"pending": info.Pending, "active": info.Active, "scheduled": info.Scheduled, "retry": info.Retry,
				"archived": info.Archived,
			}})
		}
		return out, nil
	}
}
