package status

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
)

// CreateJob records a queued object job, which the caller then enqueues.
func (s *Store) CreateJob(ctx context.Context, req JobRequest) (Job, error) {
	if req.ID == "" {
		req.ID = uuid.NewString()
	}
	now := s.cfg.Now()
	_, flat, err := s.eval(ctx, "create job", jobAddScript, req.Container,
		req.ID, ms(now), s.cfg.KeepJobs.Milliseconds(), s.cfg.MaxJobs, ms(now.Add(-s.cfg.KeepJobs)),
		"kind", string(req.Kind), "object_id", req.ObjectID, "dry_run", flag(req.DryRun),
		"trigger", string(req.Trigger.Kind), "by", cut(req.Trigger.By, maxName))
	return decodeJob(req.Container, pairs(flat)), err
}

// StartJob records that a worker executes a job, for the attempt'th time (1 is the first). The error is
// fault.NotFound for a job that is forgotten; a job that is over is returned as it is.
func (s *Store) StartJob(ctx context.Context, c container.ID, id, worker string, attempt int) (Job, error) {
	return s.setJob(ctx, c, id, "state", string(JobRunning), "started_at", ms(s.cfg.Now()),
		"worker", cut(worker, maxName), "attempts", attempt)
}

// FinishJob records the result of a job, once, and wakes who waits for it.
func (s *Store) FinishJob(ctx context.Context, c container.ID, id string, r Result) (Job, error) {
	now := s.cfg.Now()
	messages, err := encodeMessages(r.Messages, now)
	if err != nil {
		return Job{}, fault.New(fault.Internal, "status: finish job", err)
	}
	job, err := s.setJob(ctx, c, id, "state", string(JobDone), "finished_at", ms(now), "outcome", string(r.Outcome),
		"fail_kind", r.FailKind, "fail_reason", cut(r.FailReason, MaxFailReason), "messages", messages)
	if err != nil {
		return job, err
	}
	_ = s.rdb.Publish(context.WithoutCancel(ctx), jobChannel(c, id), "done").Err() // who waits looks again anyway
	return job, nil
}

func (s *Store) setJob(ctx context.Context, c container.ID, id string, fields ...any) (Job, error) {
	word, flat, err := s.eval(ctx, "set job", jobSetScript, c, append([]any{id, s.cfg.KeepJobs.Milliseconds()}, fields...)...)
	if err != nil {
		return Job{}, err
	}
	if word == "none" {
		return Job{}, fault.Errorf(fault.NotFound, "job %q: not found", id)
	}
	return decodeJob(c, pairs(flat)), nil
}

// Job returns one object job, or fault.NotFound.
func (s *Store) Job(ctx context.Context, c container.ID, id string) (Job, error) {
	f, err := s.rdb.HGetAll(ctx, prefix(c)+"job:"+id).Result()
	if err != nil {
		return Job{}, redisFault("job", err)
	}
	if f["id"] == "" {
		return Job{}, fault.Errorf(fault.NotFound, "job %q: not found", id)
	}
	return s.outlived(decodeJob(c, f)), nil
}

// jobLife is longer than all attempts of a job take, with the pauses between them.
const jobLife = 2 * time.Hour

// outlived shows a job that nobody finished in its time for what it is: its worker died at the last attempt, or the queue
// never got it.
func (s *Store) outlived(j Job) Job {
	last := j.CreatedAt
	if j.StartedAt.After(last) {
		last = j.StartedAt
	}
	if j.State == JobDone || s.cfg.Now().Sub(last) < jobLife {
		return j
	}
	j.State, j.Outcome, j.FinishedAt = JobDone, OutcomeFailed, last.Add(jobLife)
	j.FailKind, j.FailReason = fault.Unavailable.String(), "nobody finished it: its worker died; ask again"
	return j
}

// ListJobs returns object jobs as List returns runs.
func (s *Store) ListJobs(ctx context.Context, c container.ID, before Cursor, limit int) ([]Job, Cursor, error) {
	found, next, err := s.page(ctx, "list jobs", c, "jobs", "job:", before, limit)
	jobs := make([]Job, len(found))
	for i, f := range found {
		jobs[i] = s.outlived(decodeJob(c, f))
	}
	return jobs, next, err
}

// lookAgain is how often WaitJob reads the record in case that its message was lost with a connection.
const lookAgain = 2 * time.Second

// WaitJob returns the job as soon as it is done, or as it is after at most the given time. It waits on a
// subscription of its own, takes no connection of the pool and does not poll.
func (s *Store) WaitJob(ctx context.Context, c container.ID, id string, atMost time.Duration) (Job, error) {
	wait, cancel := context.WithTimeout(ctx, atMost)
	defer cancel()
	sub := s.rdb.Subscribe(wait, jobChannel(c, id))
	defer sub.Close()
	news := sub.ChannelWithSubscriptions(redis.WithChannelHealthCheckInterval(0))
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		job, err := s.Job(ctx, c, id)
		if err != nil || job.State == JobDone {
			return job, err
		}
		select { // the first message confirms the subscription: what ended before it is seen by the next look
		case <-news:
		case <-again.C:
		case <-wait.Done():
			return job, redisFault("wait for job", ctx.Err())
		}
	}
}

func jobChannel(c container.ID, id string) string { return prefix(c) + "job:" + id + ":done" }
