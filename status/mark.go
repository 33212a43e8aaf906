package status

import (
	"context"

	"rollcall/container"
)

// Mark is a note in the record of a container about work that must follow. Its value is the id of the run that
// caused it.
type Mark string

// The marks.
const (
	// Follow is set at a source before a run writes there, and cleared after the providers were started. Without the
	// mark, a run that died after its last write would leave the providers behind, because the next run finds no
	// change.
	Follow Mark = "follow"
	// Again is set at a provider that had a live run when its source changed. The provider runs once more afterwards. A
	// run that left something to the next one sets it, too, with its own id.
	Again Mark = "again"
	// Fired is the last firing of a container's schedule.
	Fired Mark = "fired"
)

// Marked returns the value of a mark; empty if it is not set.
func (s *Store) Marked(ctx context.Context, c container.ID, m Mark) (string, error) {
	return s.mark(ctx, c, "get", m, "")
}

// SetMark sets a mark.
func (s *Store) SetMark(ctx context.Context, c container.ID, m Mark, value string) error {
	_, err := s.mark(ctx, c, "set", m, value)
	return err
}

// ClearMark clears a mark if it still has this value. A later value belongs to another run.
func (s *Store) ClearMark(ctx context.Context, c container.ID, m Mark, value string) error {
	_, err := s.mark(ctx, c, "clear", m, value)
	return err
}

func (s *Store) mark(ctx context.Context, c container.ID, op string, m Mark, value string) (string, error) {
	word, _, err := s.eval(ctx, op+" mark", markScript, c, op, string(m), value)
	if err != nil {
		return "", err
	}
	return word, nil
}
