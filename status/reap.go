package status

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
)

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
	Abandoned Action = "abandoned" // closed as expired: nobody kept it alive for Config.GiveUpAfter
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

// Bump puts a queued run under a new epoch, for a caller that cannot enqueue it under its present one because a dead
// task of that name is in the way. The error wraps ErrStale when the run was taken or bumped meanwhile.
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
