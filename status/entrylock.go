package status

import (
	"context"
	"time"

	"github.com/google/uuid"

	"rollcall/container"
)

// Fence identifies the holder of a run on Redis. A script on the same container that finds another value than Token at
// Key, or none, must change nothing. The zero Fence fences nothing; object jobs, which hold no lease, use it.
type Fence struct {
	Key   string
	Token string

	run string // for messages
}

// Unlock gives an entry back. The error wraps ErrStale when the lock had expired before.
type Unlock func(ctx context.Context) error

// Lock takes the short lock of one entry, under which every remote write for it is made, and checks the fence in the
// same step. It does not wait: ok is false while the lock is held elsewhere. The error wraps ErrStale when the fence
// does not hold. entry names kind and id. The lock expires after Config.LockTTL, and the lock of a run whose lease is
// gone is taken over by the run's next worker.
func (s *Store) Lock(ctx context.Context, c container.ID, f Fence, entry string) (unlock Unlock, ok bool, err error) {
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

// hold is Lock in the form of the engine's lease.
func (s *Store) hold(ctx context.Context, c container.ID, f Fence, entry string) (func(), bool, error) {
	unlock, ok, err := s.Lock(ctx, c, f, entry)
	if err != nil || !ok {
		return nil, ok, err
	}
	// A failed unlock leaves the lock to expire. The write under it has been made either way.
	return func() { _ = unlock(ctx) }, true, nil
}

// Unleased is the right of an object job to write: it has the locks of entries, and no lease.
type Unleased struct {
	store     *Store
	container container.ID
	draining  <-chan struct{}
}

// Unleased returns the right of an object job to write. draining is closed when its worker shuts down.
func (s *Store) Unleased(c container.ID, draining <-chan struct{}) *Unleased {
	return &Unleased{s, c, draining}
}

// Check fails when ctx has ended, or should have: a process that was stopped may be woken before a timer fires.
func (u *Unleased) Check(ctx context.Context) error {
	if until, ok := ctx.Deadline(); ok && !time.Now().Before(until) {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

// Lock takes the short lock of one entry. ok is false while the lock is held elsewhere.
func (u *Unleased) Lock(ctx context.Context, entry string) (unlock func(), ok bool, err error) {
	if err := u.Check(ctx); err != nil {
		return nil, false, err
	}
	return u.store.hold(ctx, u.container, Fence{}, entry)
}

// Draining is closed when the worker shuts down.
func (u *Unleased) Draining() <-chan struct{} { return u.draining }
