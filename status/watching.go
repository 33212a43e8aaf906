package status

import (
	"context"
	"time"

	"rollcall/container"
)

// Poll is the state of polling a source for changes.
type Poll struct {
	// At is the time of the last good poll. It is zero if there was none.
	At time.Time `json:"at,omitzero"`
	// Reason says why changes are not polled, or why the last poll failed. It is empty if the last poll was good.
	Reason string `json:"reason,omitempty"`
}

// Watch takes or renews the right to poll a source for a time. It reports false while another worker has it.
func (s *Store) Watch(ctx context.Context, c container.ID, worker string, ttl time.Duration) (bool, error) {
	word, _, err := s.eval(ctx, "watch", watchScript, c, cut(worker, maxName), ttl.Milliseconds())
	return err == nil && word == cut(worker, maxName), err
}

// Polled records the outcome of a poll. An empty reason is a good poll.
func (s *Store) Polled(ctx context.Context, c container.ID, reason string) error {
	fields := []any{"poll_reason", cut(reason, MaxFailReason)}
	if reason == "" {
		fields = append(fields, "poll_at", ms(s.cfg.Now()))
	}
	return redisFault("polled", s.rdb.HSet(ctx, prefix(c)+"meta", fields...).Err())
}

// Poll returns the state of polling a source.
func (s *Store) Poll(ctx context.Context, c container.ID) (Poll, error) {
	f, err := s.rdb.HMGet(ctx, prefix(c)+"meta", "poll_at", "poll_reason").Result()
	if err != nil {
		return Poll{}, redisFault("poll", err)
	}
	at, _ := f[0].(string)
	reason, _ := f[1].(string)
	return Poll{At: fromMS(at), Reason: reason}, nil
}
