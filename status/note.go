package status

import (
	"context"

	"rollcall/container"
	"rollcall/fault"
)

// NoteJob records the messages of an attempt that will be repeated. A caller whose wait for the result ends receives
// them.
func (s *Store) NoteJob(ctx context.Context, c container.ID, id string, said []Message) (Job, error) {
	messages, err := encodeMessages(said, s.cfg.Now())
	if err != nil {
		return Job{}, fault.New(fault.Internal, "note job", err)
	}
	return s.setJob(ctx, c, id, "messages", messages)
}
