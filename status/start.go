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

// StartRequest asks for a run.
type StartRequest struct {
	Container container.ID
	Mode      Mode // default Full
	DryRun    bool
	Trigger   Trigger
	// ID is the UUID of the new run; empty makes one. A start repeated with the same ID finds its own run.
	ID string
}

// ErrStale means that the run went on without the caller: its worker's lease is gone, it has a newer epoch, or it is
// over. The caller stops, and records nothing.
var ErrStale = errors.New("the run is no longer ours")

// ErrCancelled means that a person cancelled the run. It comes as the cause of a lease's context, beside ErrStale.
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

// Start records a new queued run, which the caller then enqueues as RunID and Epoch. It is refused with a *LiveError
// while a run of the container is live. An open run that is not live is closed as expired in the same step.
// Should the caller die before it enqueues, the reaper has it done.
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
		c.MaxRuns, ms(now.Add(-c.KeepRuns)),
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

// maxName is the longest name of a token or worker that is stored, in characters.
const maxName = 200

// stale says for which run and operation the caller came too late. Its kind is fault.Canceled.
func stale(op, id string, causes ...error) error {
	return fault.New(fault.Canceled, "status: "+op, fmt.Errorf("run %s: %w", id, errors.Join(append(causes, ErrStale)...)))
}

// Cancel closes the open run of a container as cancelled and tells its worker at once; by is the name of who asked.
// The error is fault.NotFound when no run is open.
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

// interrupt makes the worker of a run look at its lease now. Should the message be lost, it looks at its next renewal.
func (s *Store) interrupt(ctx context.Context, runID string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = s.rdb.Publish(ctx, cancelChannel, runID).Err()
}
