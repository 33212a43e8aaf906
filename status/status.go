// Package status stores runs and object jobs on Redis. The status endpoints read its records, and its leases decide
// which worker executes a run. Package decisions stores what outlives a run.
//
// A run is one full or delta sync of one container. It has these states:
//
//	 Start        Acquire           Finish
//	──────▶ queued ─────▶ running ─────────▶ completed | failed
//	          ▲ ▲           │ │
//	          │ └───────────┘ │ HandBack: the worker shuts down
//	          │               │ Reap: the worker is gone (a resume)
//	          │               │
//	          └── deferred ◀──┘ Defer: wait, holding no worker
//	      Reap: it is time
//
//	queued | running | deferred ──Cancel──▶ cancelled
//	running ──Reap: no progress for 15 minutes──▶ failed
//	any open ──Reap: too many resumes without progress, or no renewal for an hour──▶ expired
//	any open ──Start: it is not live, and a new one begins──▶ expired
//
// Two expiring keys per container grant the right to execute a run. Lua scripts change them together:
//
//	run    the id of the open run; 24 s. It exists while a run is live, and a start is then refused.
//	lease  the token of the worker that executes the run; 15 s. A queued or deferred run has none.
//
// The worker renews both (see [Lease]). The reaper of any worker renews the run key of a run that waits. A third key,
// open, does not expire. It names the run with an unclosed record, so that a run with lapsed keys is resumed or
// closed.
//
// A new epoch begins whenever a run passes to another worker. A worker with an older epoch cannot renew, finish,
// count or lock an entry; it receives [ErrStale]. A worker that cannot reach Redis stops by its own clock before its
// lease can expire there. Scripts of other packages compare the lease key (see [Fence]).
//
// The plan of a run is stored beside its record (see [Recorder.SavePlan]). Its rows are compressed in chunks. The
// holder of the lease writes them under a temporary name and renames them in one step, so that a reader never sees a
// partial plan.
//
// Every key of a container has the container's hash tag, and no script uses two tags. The package therefore works on
// Redis Cluster. It needs Redis 6.2 or later. Data carries the time of [Config].Now, and Redis applies expiries by
// its own clock. An operation whose reply was lost may be repeated, because it finds its own result.
package status

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
)

// Config sets the durations and limits of a Store. The zero Config has the defaults. Tests use shorter durations.
type Config struct {
	// Now is the clock of all stored times. Default time.Now.
	Now func() time.Time

	// RunTTL is how long a run stays live without a renewal. Default 24 s.
	RunTTL time.Duration
	// LeaseTTL is how long a worker holds a run without a renewal. Default 15 s.
	LeaseTTL time.Duration
	// LeaseMargin is how long before the possible end of its lease a worker stops if it cannot renew. Default
	// LeaseTTL/3.
	LeaseMargin time.Duration
	// RenewEvery is the interval of renewals. Default LeaseTTL/3.
	RenewEvery time.Duration
	// WorkerTTL is how long a worker counts as alive after its last Beat. Default 15 s.
	WorkerTTL time.Duration

	// RequeueAfter is how long a queued run waits before the reaper enqueues it again. Default 5 s.
	RequeueAfter time.Duration
	// StallAfter is how long a running run may make no progress. Default 15 minutes.
	StallAfter time.Duration
	// GiveUpAfter is how long an open run without renewals can still be resumed. Default 1 hour.
	GiveUpAfter time.Duration
	// MaxStalledResumes is the largest number of consecutive resumes without a change. Default 5.
	MaxStalledResumes int

	// FlushEvery is the interval at which a Recorder writes. Default 250 ms.
	FlushEvery time.Duration
	// MaxMessages is the approximate number of stored messages of a run. Default 1000.
	MaxMessages int

	// KeepRuns and MaxRuns limit the index of a container. Default 90 days and 1000.
	KeepRuns time.Duration
	MaxRuns  int
	// MaxDeltas limits the number of delta runs and, separately, of their plans. Default 200. They do not count in
	// MaxRuns and MaxPlans.
	MaxDeltas int
	// KeepMessages is how long the messages of a closed run are stored. Default 30 days.
	KeepMessages time.Duration
	// KeepPlans is how long a plan is stored. Default 30 days. MaxPlans limits the number of plans with changes and,
	// separately, of plans without. Default 20. MaxPlansBytes limits the size of all of them. Default 64 MiB.
	KeepPlans     time.Duration
	MaxPlans      int
	MaxPlansBytes int
	// MaxPlanRows and MaxPlanBytes limit one section of a plan, such as its changes. Default 100,000 and 16 MiB
	// compressed.
	MaxPlanRows  int
	MaxPlanBytes int
	// KeepJobs and MaxJobs limit the object jobs of a container that have an outcome. Default 7 days and 20,000.
	KeepJobs time.Duration
	MaxJobs  int
	// MaxOpenJobs bounds the object jobs of a container that have no outcome yet. Default 10,000.
	MaxOpenJobs int
	// JobTTL is how long an interrupted object job delays other jobs for its entry. It must exceed the timeout of
	// jobs. Default 2 minutes.
	JobTTL time.Duration

	// LockTTL is how long an entry stays locked after its worker died. It must exceed the longest remote write,
	// including its waits and retries. Default 60 s.
	LockTTL time.Duration
}

const day = 24 * time.Hour

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	c.RunTTL = cmp.Or(c.RunTTL, 24*time.Second)
	c.LeaseTTL = cmp.Or(c.LeaseTTL, 15*time.Second)
	c.LeaseMargin = cmp.Or(c.LeaseMargin, c.LeaseTTL/3)
	c.RenewEvery = cmp.Or(c.RenewEvery, c.LeaseTTL/3)
	c.WorkerTTL = cmp.Or(c.WorkerTTL, 15*time.Second)
	c.RequeueAfter = cmp.Or(c.RequeueAfter, 5*time.Second)
	c.StallAfter = cmp.Or(c.StallAfter, 15*time.Minute)
	c.GiveUpAfter = cmp.Or(c.GiveUpAfter, time.Hour)
	c.MaxStalledResumes = cmp.Or(c.MaxStalledResumes, 5)
	c.FlushEvery = cmp.Or(c.FlushEvery, 250*time.Millisecond)
	c.MaxMessages = cmp.Or(c.MaxMessages, 1000)
	c.KeepRuns = cmp.Or(c.KeepRuns, 90*day)
	c.MaxRuns = cmp.Or(c.MaxRuns, 1000)
	c.MaxDeltas = cmp.Or(c.MaxDeltas, 200)
	c.KeepMessages = cmp.Or(c.KeepMessages, 30*day)
	c.KeepPlans = cmp.Or(c.KeepPlans, 30*day)
	c.MaxPlans = cmp.Or(c.MaxPlans, 20)
	c.MaxPlansBytes = cmp.Or(c.MaxPlansBytes, 64<<20)
	c.MaxPlanRows = cmp.Or(c.MaxPlanRows, 100_000)
	c.MaxPlanBytes = cmp.Or(c.MaxPlanBytes, 16<<20)
	c.KeepJobs = cmp.Or(c.KeepJobs, 7*day)
	c.MaxJobs = cmp.Or(c.MaxJobs, 20_000)
	c.MaxOpenJobs = cmp.Or(c.MaxOpenJobs, 10_000)
	c.JobTTL = cmp.Or(c.JobTTL, 2*time.Minute)
	c.LockTTL = cmp.Or(c.LockTTL, time.Minute)
	return c
}

// StartRequest describes a new run.
type StartRequest struct {
	Container container.ID
	Mode      Mode // default Full
	DryRun    bool
	Trigger   Trigger
	// ID is the UUID of the new run. An empty one is generated. A repeated start with the same ID finds its own run.
	ID string
}

// ErrStale means that the run no longer belongs to the caller: its lease is gone, it has a newer epoch, or it is
// finished. The caller stops and records nothing.
var ErrStale = errors.New("the run is no longer ours")

// ErrCancelled means that a person cancelled the run. It is the cause of the lease's context, together with ErrStale.
var ErrCancelled = errors.New("the run was cancelled")

// LiveError refuses a start because a run of the container is live. Its kind is fault.Conflict.
type LiveError struct {
	// Run is the live run. Its ID is always set.
	Run Run
}

// Error implements error.
func (e *LiveError) Error() string {
	return fmt.Sprintf("%s: run %s is %s", e.Run.Container, e.Run.ID, e.Run.State)
}

// Unwrap returns an error of kind fault.Conflict.
func (e *LiveError) Unwrap() error {
	return fault.New(fault.Conflict, "status: start", errors.New("a run is live"))
}

// Start records a new queued run. The caller then enqueues it as RunID and Epoch. If the caller dies before, the
// reaper enqueues it. Start is refused with a *LiveError while a run of the container is live. Only a full run is
// accepted beside a live delta run, and waits, queued, for its end. An open run that is not live is closed as
// expired in the same step.
func (s *Store) Start(ctx context.Context, req StartRequest) (Run, error) {
	if req.ID == "" {
		req.ID = uuid.NewString()
	}
	if _, err := uuid.Parse(req.ID); err != nil {
		return Run{}, fault.Errorf(fault.Invalid, "run id: %w", err)
	}
	req.Mode = cmp.Or(req.Mode, Full)
	now, c := s.cfg.Now(), s.cfg
	word, flat, err := s.eval(ctx, "start", startScript, req.Container,
		req.ID, ms(now), c.RunTTL.Milliseconds(), c.KeepRuns.Milliseconds(), c.KeepMessages.Milliseconds(),
		c.MaxRuns, ms(now.Add(-c.KeepRuns)), req.mark(), string(req.Mode), c.MaxDeltas,
		"mode", string(req.Mode), "dry_run", flag(req.DryRun),
		"trigger", string(req.Trigger.Kind), "by", cut(req.Trigger.By, maxName), "of", cut(req.Trigger.Of, maxName))
	if err != nil {
		return Run{}, err
	}
	run := decodeRun(req.Container, pairs(flat))
	if word != "ok" {
		return Run{}, &LiveError{Run: run}
	}
	return run, nil
}

// mark returns the value of the mark Again that the run clears.
func (r StartRequest) mark() string {
	if r.DryRun || r.Trigger.Kind != AfterSource {
		return ""
	}
	return r.Trigger.By
}

// maxName is the largest stored length of the name of a token or worker, in characters.
const maxName = 200

// stale returns an error for a late operation on a run. Its kind is fault.Canceled.
func stale(op, id string, causes ...error) error {
	return fault.New(fault.Canceled, "status: "+op,
		fmt.Errorf("run %s: %w", id, errors.Join(append(causes, ErrStale)...)))
}

// Cancel closes the open run of a container as cancelled and notifies its worker. by is the name of the caller. The
// error is fault.NotFound if no run is open.
func (s *Store) Cancel(ctx context.Context, c container.ID, by string) (Run, error) {
	word, flat, err := s.eval(ctx, "cancel", cancelScript, c,
		ms(s.cfg.Now()), s.cfg.KeepRuns.Milliseconds(), s.cfg.KeepMessages.Milliseconds(), cut(by, maxName))
	if err != nil {
		return Run{}, err
	}
	if word == "none" {
		return Run{}, fault.Errorf(fault.NotFound, "%s: no run is open", c)
	}
	run := decodeRun(c, pairs(flat))
	s.interrupt(ctx, run.ID)
	return run, nil
}

// interrupt makes the worker of a run check its lease now. If the message is lost, the worker checks at its next
// renewal.
func (s *Store) interrupt(ctx context.Context, runID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = s.rdb.Publish(ctx, cancelChannel, runID).Err()
}

// Action is what the reaper did with a run.
type Action string

// The actions of the reaper. After the first three the caller enqueues the run under its present epoch.
const (
	// queued for a while: its task may be lost. Enqueuing must be idempotent by RunID and Epoch.
	Enqueue   Action = "enqueue"
	Wake      Action = "wake"      // its deferral is over
	Resume    Action = "resume"    // its worker is gone
	Stalled   Action = "stalled"   // closed as failed: no progress for Config.StallAfter
	GivenUp   Action = "given_up"  // closed as expired: too many resumes without progress
	Abandoned Action = "abandoned" // closed as expired: its lease was not renewed for Config.GiveUpAfter
)

// Reaped is a run that the reaper did something with.
type Reaped struct {
	Action Action
	Run    Run // as it is now
}

// NeedsEnqueue reports whether the caller has to enqueue the run, as Run.ID and Run.Epoch.
func (r Reaped) NeedsEnqueue() bool {
	return r.Action == Enqueue || r.Action == Wake || r.Action == Resume
}

// Reap looks after the open runs of containers; every worker calls it every two seconds. It keeps queued and deferred
// runs live, resumes runs of dead workers and closes those that are beyond help. With alive false (no worker
// beats) it keeps and resumes nothing. Any number of reapers may run: each run is handed to one of them. An error of
// one container does not keep the others from being looked after.
func (s *Store) Reap(ctx context.Context, containers []container.ID, alive bool) ([]Reaped, error) {
	open, err := s.open(ctx, containers)
	if err != nil {
		return nil, err
	}
	var out []Reaped
	var errs []error
	for _, c := range open {
		r, ok, err := s.reap(ctx, c, alive)
		if errs = append(errs, err); ok {
			out = append(out, r)
		}
	}
	return out, errors.Join(errs...)
}

// open returns the containers that have an open run, in one round trip.
func (s *Store) open(ctx context.Context, containers []container.ID) ([]container.ID, error) {
	if len(containers) == 0 {
		return nil, nil
	}
	cmds := make([]*redis.IntCmd, len(containers))
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range containers {
			cmds[i] = p.Exists(ctx, prefix(c)+"open")
		}
		return nil
	}); err != nil {
		return nil, redisFault("reap", err)
	}
	var out []container.ID
	for i, c := range containers {
		if cmds[i].Val() > 0 {
			out = append(out, c)
		}
	}
	return out, nil
}

func (s *Store) reap(ctx context.Context, c container.ID, alive bool) (Reaped, bool, error) {
	f := s.cfg
	word, flat, err := s.eval(ctx, "reap", reapScript, c,
		ms(f.Now()), flag(alive), f.RunTTL.Milliseconds(), f.RequeueAfter.Milliseconds(), f.StallAfter.Milliseconds(),
		f.GiveUpAfter.Milliseconds(), f.MaxStalledResumes, f.KeepRuns.Milliseconds(), f.KeepMessages.Milliseconds())
	if err != nil || word == "none" {
		return Reaped{}, false, err
	}
	r := Reaped{Action: Action(word), Run: decodeRun(c, pairs(flat))}
	if r.Action == Stalled {
		s.interrupt(ctx, r.Run.ID)
	}
	return r, true, nil
}

// Bump puts a queued run under a new epoch. A caller cannot enqueue it under its present one while a dead task of that
// name is in the way. The error wraps ErrStale when the run was taken or bumped meanwhile.
func (s *Store) Bump(ctx context.Context, c container.ID, id string, epoch int64) (Run, error) {
	word, flat, err := s.eval(ctx, "bump", bumpScript, c, id, epoch, ms(s.cfg.Now()), s.cfg.RunTTL.Milliseconds())
	if err != nil {
		return Run{}, err
	}
	if word != "ok" {
		return Run{}, stale("bump", id)
	}
	return decodeRun(c, pairs(flat)), nil
}
