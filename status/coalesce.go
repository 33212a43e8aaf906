package status

import (
	"context"
	"slices"

	"rollcall/container"
)

// Turn is the answer of Enter: whether a job may work on its entry now, and for whom it does so.
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

func (s *Store) leave(ctx context.Context, c container.ID, kind ObjectType, entryID, jobID, answered string) (Turn, error) {
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
