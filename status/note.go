package status

import (
	"context"

	"rollcall/container"
	"rollcall/fault"
)

// NoteJob records what an attempt that will be repeated has said so far: who waits in vain for the result is answered
// with these messages.
func (s *Store) NoteJob(ctx context.Context, c container.ID, id string, said []Message) (Job, error) {
	messages, err := encodeMessages(said, s.cfg.Now())
	if err != nil {
		return Job{}, fault.New(fault.Internal, "note job", err)
	}
	return s.setJob(ctx, c, id, "messages", messages)
}
