package status

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"rollcall/container"
	"rollcall/fault"
)

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
// reaper enqueues it. Start is refused with a *LiveError while a run of the container is live. An open run that is
// not live is closed as expired in the same step.
func (s *Store) Start(ctx context.Context, req StartRequest) (Run, error) {
	if req.ID == "" {
		req.ID = uuid.NewString()
	}
	if _, err := uuid.Parse(req.ID); err != nil {
		return Run{}, fault.Errorf(fault.Invalid, "run id: %w", err)
	}
	if req.Mode == "" {
		req.Mode = Full
	}
	now, c := s.cfg.Now(), s.cfg
	word, flat, err := s.eval(ctx, "start", startScript, req.Container,
		req.ID, ms(now), c.RunTTL.Milliseconds(), c.KeepRuns.Milliseconds(), c.KeepMessages.Milliseconds(),
		c.MaxRuns, ms(now.Add(-c.KeepRuns)), req.mark(),
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
	return fault.New(fault.Canceled, "status: "+op, fmt.Errorf("run %s: %w", id, errors.Join(append(causes, ErrStale)...)))
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
