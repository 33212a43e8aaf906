package status

import (
	"context"

	"github.com/google/uuid"
)

// Fence says on Redis who holds a run: a script on the same container that finds another value than Token at Key, or
// none, must change nothing. The zero Fence fences nothing; object jobs, which hold no lease, use it.
type Fence struct {
	Key   string
	Token string

	run string // for messages
}

// Unlock gives an entry back. The error wraps ErrStale when the lock had expired before.
type Unlock func(ctx context.Context) error

// Lock takes the short lock of one entry, under which every remote write for it is made, and checks the fence in the
// same step. It does not wait: ok is false while somebody else has the entry. The error wraps ErrStale when the
// fence does not hold. entry names kind and id; the lock expires after Config.LockTTL, and a lock of a run whose lease is
// gone is taken over by the run's next worker.
func (s *Store) Lock(ctx context.Context, c Container, f Fence, entry string) (unlock Unlock, ok bool, err error) {
	token := uuid.NewString()
	word, _, err := s.eval(ctx, "lock", lockScript, c, entry, token, s.cfg.LockTTL.Milliseconds(), f.Token)
	switch {
	case err != nil:
		return nil, false, err
	case word == "stale":
		return nil, false, stale("lock", f.run)
	case word == "busy":
		return nil, false, nil
	}
	return func(ctx context.Context) error {
		word, _, err := s.eval(context.WithoutCancel(ctx), "unlock", unlockScript, c, entry, token, f.Token)
		if err == nil && word == "stale" {
			return stale("unlock", f.run)
		}
		return err
	}, true, nil
}
