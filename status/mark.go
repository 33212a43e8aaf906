package status

import (
	"context"

	"rollcall/container"
)

// Mark is a note in the record of a container about what has to follow. Its value names the source run that caused it.
type Mark string

// The marks.
const (
	// Follow is set at a source before a run writes there, and cleared when the providers were started: the run may die
	// after its last write, and the next run finds nothing changed.
	Follow Mark = "follow"
	// Again is set at a provider whose run was live when its source changed. The provider runs once more afterwards.
	Again Mark = "again"
	// Fired is the last firing of a container's schedule.
	Fired Mark = "fired"
)

// Marked returns the value of a mark, empty where it is not set.
func (s *Store) Marked(ctx context.Context, c container.ID, m Mark) (string, error) {
	return s.mark(ctx, c, "get", m, "")
}

// SetMark sets a mark.
func (s *Store) SetMark(ctx context.Context, c container.ID, m Mark, value string) error {
	_, err := s.mark(ctx, c, "set", m, value)
	return err
}

// ClearMark clears a mark that still has this value. A later value is left for its own run.
func (s *Store) ClearMark(ctx context.Context, c container.ID, m Mark, value string) error {
	_, err := s.mark(ctx, c, "clear", m, value)
	return err
}

// TakeMark clears a mark and returns the value that it had, empty where it was not set.
func (s *Store) TakeMark(ctx context.Context, c container.ID, m Mark) (string, error) {
	return s.mark(ctx, c, "take", m, "")
}

func (s *Store) mark(ctx context.Context, c container.ID, op string, m Mark, value string) (string, error) {
	word, _, err := s.eval(ctx, op+" mark", markScript, c, op, string(m), value)
	if err != nil {
		return "", err
	}
	return word, nil
}
