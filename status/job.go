package status

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
)

// JobState is where an object job stands.
type JobState string

// The states of an object job.
const (
	JobQueued  JobState = "queued"  // waits for a worker, or for the job that already works on its entry
	JobRunning JobState = "running" // a worker executes it
	JobDone    JobState = "done"    // over; Outcome says how
)

// Outcome is what an object job came to.
type Outcome string

// The outcomes of an object job.
const (
	OutcomeCreated    Outcome = "created"
	OutcomeUpdated    Outcome = "updated"
	OutcomeSuspended  Outcome = "suspended"
	OutcomeRestored   Outcome = "restored"
	OutcomeDeleted    Outcome = "deleted"
	OutcomeUnchanged  Outcome = "unchanged"    // nothing to change
	OutcomeOutOfScope Outcome = "out_of_scope" // the entry is not to be provisioned
	OutcomeAbsent     Outcome = "absent"       // the entry is not at its source; nothing was destroyed
	OutcomeHeld       Outcome = "held"         // a guard or an ambiguity holds it
	OutcomeFailed     Outcome = "failed"
)

// MaxJobMessages is how many messages an object job keeps.
const MaxJobMessages = 100

// Job is the record of one single-object sync. It is not a run: it has an index of its own and never shows in
// is_running, tasks or sessions.
type Job struct {
	ID        string       `json:"id"` // a UUID
	Container container.ID `json:"container"`
	Kind      ObjectType   `json:"kind"`      // User or Group
	ObjectID  string       `json:"object_id"` // the directory id
	Trigger   Trigger      `json:"trigger"`
	State     JobState     `json:"state"`

	CreatedAt  time.Time `json:"created_at"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	Worker     string    `json:"worker,omitempty"`
	Attempts   int64     `json:"attempts"`
	// Failures counts the attempts that failed and are repeated. Lost counts the workers that died in one.
	Failures int64 `json:"failures,omitempty"`
	Lost     int64 `json:"lost,omitempty"`
	// Source is the slug of the source that has the entry. Records of older versions have none.
	Source string `json:"source,omitempty"`
	// Waits is the job that works on the same entry and will answer for this one.
	Waits string `json:"waits,omitempty"`

	Outcome    Outcome   `json:"outcome,omitempty"` // empty until done
	FailKind   string    `json:"fail_kind,omitempty"`
	FailReason string    `json:"fail_reason,omitempty"`
	Messages   []Message `json:"messages"`

	// Cursor is the job's place in its container's index, for ListJobs.
	Cursor Cursor `json:"-"`
}

// JobRequest asks for a single-object sync.
type JobRequest struct {
	Container container.ID
	Kind      ObjectType
	ObjectID  string
	Trigger   Trigger
	// Source is the slug of the source that has the entry.
	Source string
	// ID is the UUID of the new job; empty makes one.
	ID string
}

// Result is what a worker reports when an object job is over.
type Result struct {
	Outcome    Outcome
	FailKind   string // a fault.Kind, with OutcomeFailed
	FailReason string
	Messages   []Message
}

func decodeJob(c container.ID, f map[string]string) Job {
	j := Job{
		ID: f["id"], Container: c, Kind: ObjectType(f["kind"]), ObjectID: f["object_id"],
		Trigger: Trigger{Kind: TriggerKind(f["trigger"]), By: f["by"]}, State: JobState(f["state"]),
		CreatedAt: fromMS(f["created_at"]), StartedAt: fromMS(f["started_at"]), FinishedAt: fromMS(f["finished_at"]),
		Worker: f["worker"], Attempts: parseInt(f["attempts"]),
		Failures: parseInt(f["failures"]), Lost: parseInt(f["lost"]), Source: f["source"], Waits: f["waits"],
		Outcome: Outcome(f["outcome"]), FailKind: f["fail_kind"], FailReason: f["fail_reason"], Messages: []Message{},
		Cursor: Cursor(parseInt(f["seq"])),
	}
	if text := f["messages"]; text != "" {
		_ = json.Unmarshal([]byte(text), &j.Messages) // written by encodeMessages
	}
	return j
}

// encodeMessages bounds messages and makes one field of them.
func encodeMessages(in []Message, now time.Time) (string, error) {
	if len(in) > MaxJobMessages {
		in = in[len(in)-MaxJobMessages:]
	}
	type stored struct {
		Message
		Attributes json.RawMessage `json:"attributes"`
	}
	out := make([]stored, len(in))
	for i, m := range in {
		m = m.bounded(now)
		out[i] = stored{Message: m, Attributes: json.RawMessage(m.attributes())}
	}
	text, err := json.Marshal(out)
	return string(text), err
}

// CreateJob records a queued object job, which the caller then enqueues.
func (s *Store) CreateJob(ctx context.Context, req JobRequest) (Job, error) {
	if req.ID == "" {
		req.ID = uuid.NewString()
	}
	now := s.cfg.Now()
	reply, err := s.together(ctx, jobAddScript, []string{prefix(req.Container)},
		req.ID, ms(now), s.cfg.KeepJobs.Milliseconds(), s.cfg.MaxJobs, ms(now.Add(-s.cfg.KeepJobs)), s.cfg.MaxOpenJobs,
		"kind", string(req.Kind), "object_id", req.ObjectID,
		"trigger", string(req.Trigger.Kind), "by", cut(req.Trigger.By, maxName), "source", req.Source)
	if err != nil {
		return Job{}, redisFault("create job", err)
	}
	out := texts(reply)
	if out[0] == "full" {
		return Job{}, &fault.Error{Kind: fault.Unavailable, Op: "status: create job", RetryAfter: time.Second,
			Err: fmt.Errorf(
				"%s has %d open object jobs: wait until some have ended", req.Container, s.cfg.MaxOpenJobs)}
	}
	return decodeJob(req.Container, pairs(out[1:])), nil
}

// StartJob records that a worker executes a job. The error is fault.NotFound for a job without a record. A job that is
// over is returned as it is.
func (s *Store) StartJob(ctx context.Context, c container.ID, id, worker string) (Job, error) {
	return s.setJob(ctx, c, id, "attempts", "state", string(JobRunning), "started_at", ms(s.cfg.Now()),
		"worker", cut(worker, maxName))
}

// FinishJob records the result of a job, once, and wakes who waits for it.
func (s *Store) FinishJob(ctx context.Context, c container.ID, id string, r Result) (Job, error) {
	now := s.cfg.Now()
	messages, err := encodeMessages(r.Messages, now)
	if err != nil {
		return Job{}, fault.New(fault.Internal, "status: finish job", err)
	}
	job, err := s.setJob(ctx, c, id, "", "state", string(JobDone), "finished_at", ms(now), "outcome", string(r.Outcome),
		"fail_kind", r.FailKind, "fail_reason", cut(r.FailReason, MaxFailReason), "messages", messages)
	if err != nil {
		return job, err
	}
	_ = s.rdb.Publish(context.WithoutCancel(ctx), jobChannel(c, id), "done").Err() // who waits looks again anyway
	return job, nil
}

// setJob writes fields of an open job. counter is the name of a field that grows by one, or empty.
func (s *Store) setJob(ctx context.Context, c container.ID, id, counter string, fields ...any) (Job, error) {
	word, flat, err := s.eval(ctx, "set job", jobSetScript, c,
		append([]any{id, s.cfg.KeepJobs.Milliseconds(), ms(s.cfg.Now()), counter}, fields...)...)
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

// outlived shows a job that did not finish in its time for what it is: its worker died at the last attempt, or the
// queue never got it.
func (s *Store) outlived(j Job) Job {
	last := j.CreatedAt
	if j.StartedAt.After(last) {
		last = j.StartedAt
	}
	if j.State == JobDone || s.cfg.Now().Sub(last) < jobLife {
		return j
	}
	j.State, j.Outcome, j.FinishedAt = JobDone, OutcomeFailed, last.Add(jobLife)
	j.FailKind, j.FailReason = fault.Unavailable.String(), "it was not finished, because its worker died: ask again"
	return j
}

// EndOutlived records the outcome of the jobs of a container that no worker will finish any more, so that each accepted
// job has one. It returns these jobs, at most 100.
func (s *Store) EndOutlived(ctx context.Context, c container.ID) ([]Job, error) {
	old, err := s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: prefix(c) + "jobs:open", Start: "-inf", Stop: ms(s.cfg.Now().Add(-jobLife)), ByScore: true, Count: 100,
	}).Result()
	if err != nil {
		return nil, redisFault("outlived jobs", err)
	}
	var ended []Job
	for _, id := range old {
		job, err := s.Job(ctx, c, id)
		if err != nil {
			return ended, err
		}
		if job.State != JobDone {
			continue
		}
		r := Result{Outcome: job.Outcome, FailKind: job.FailKind, FailReason: job.FailReason}
		if job, err = s.FinishJob(ctx, c, id, r); err != nil {
			return ended, err
		}
		ended = append(ended, job)
	}
	return ended, nil
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

// Turn is the answer of Enter: whether a job may work on its entry now, and for which run or job it does so.
type Turn struct {
	// Go is true when the job is to be executed. Otherwise another job works on the entry and will go again, and
	// answer for this one: the caller is done.
	Go bool
	// Holder is, when Go is false, the job that works on the entry.
	Holder string
	// For are the other jobs that wait for the result, sorted: the caller finishes them with the same Result.
	For []string
}

// Enter asks for the turn of a job at one entry, so that two jobs for one entry coalesce. A job that enters again (its
// first worker died, or it is retried) gets its turn back, and with it those that wait.
func (s *Store) Enter(ctx context.Context, c container.ID, kind ObjectType, entryID, jobID string) (Turn, error) {
	word, rest, err := s.eval(ctx, "enter", enterScript, c,
		slot(kind, entryID), jobID, s.cfg.JobTTL.Milliseconds(), s.cfg.KeepJobs.Milliseconds())
	if err != nil {
		return Turn{}, err
	}
	if word == "wait" {
		return Turn{Holder: rest[0]}, nil
	}
	slices.Sort(rest)
	return Turn{Go: true, For: rest}, nil
}

// Leave ends a turn after the results were recorded. When others came meanwhile, the turn goes on (Go is true): the
// caller works on the entry again, and this time for the jobs in For. The error wraps ErrStale when the turn had
// passed to another job.
func (s *Store) Leave(ctx context.Context, c container.ID, kind ObjectType, entryID, jobID string) (Turn, error) {
	return s.leave(ctx, c, kind, entryID, jobID, "1")
}

// Abandon ends a turn without a result, because the job is to be tried again: who waits is carried over to the next
// that enters.
func (s *Store) Abandon(ctx context.Context, c container.ID, kind ObjectType, entryID, jobID string) error {
	_, err := s.leave(ctx, c, kind, entryID, jobID, "0")
	return err
}

func (s *Store) leave(ctx context.Context, c container.ID, kind ObjectType, entryID, jobID, answered string) (Turn,
	error) {
	word, rest, err := s.eval(context.WithoutCancel(ctx), "leave", leaveScript, c,
		slot(kind, entryID), jobID, s.cfg.JobTTL.Milliseconds(), s.cfg.KeepJobs.Milliseconds(), answered)
	switch {
	case err != nil:
		return Turn{}, err
	case word == "stale":
		return Turn{}, stale("leave", jobID)
	}
	slices.Sort(rest)
	return Turn{Go: word == "again", For: rest}, nil
}

func slot(kind ObjectType, entryID string) string { return string(kind) + ":" + entryID }

// NoteJob records the messages of an attempt that will be repeated. A caller whose wait for the result ends receives
// them. failed counts the attempt as a failure of the job.
func (s *Store) NoteJob(ctx context.Context, c container.ID, id string, said []Message, failed bool) (Job, error) {
	messages, err := encodeMessages(said, s.cfg.Now())
	if err != nil {
		return Job{}, fault.New(fault.Internal, "note job", err)
	}
	counter := ""
	if failed {
		counter = "failures"
	}
	return s.setJob(ctx, c, id, counter, "messages", messages)
}

// LoseJob counts a worker that died in a job. It returns the job.
func (s *Store) LoseJob(ctx context.Context, c container.ID, id string) (Job, error) {
	return s.setJob(ctx, c, id, "lost", "id", id)
}

// OpenJobs returns the ids of the jobs of a container that have no outcome and were created before a time, the oldest
// first.
func (s *Store) OpenJobs(ctx context.Context, c container.ID, before time.Time) ([]string, error) {
	ids, err := s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: prefix(c) + "jobs:open", Start: "-inf", Stop: ms(before), ByScore: true,
	}).Result()
	return ids, redisFault("open jobs", err)
}

// Jobs returns the records of jobs by their ids. Ids without a record are left out.
func (s *Store) Jobs(ctx context.Context, c container.ID, ids []string) ([]Job, error) {
	found, _, err := s.records(ctx, "jobs", prefix(c)+"job:", ids)
	if err != nil {
		return nil, err
	}
	jobs := make([]Job, len(found))
	for i, f := range found {
		jobs[i] = decodeJob(c, f)
	}
	return jobs, nil
}
