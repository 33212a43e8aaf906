package status

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"rollcall/container"
)

// ErrHeld means that another worker executes the run under the same epoch, as when its task was delivered twice.
// It comes beside ErrStale.
var ErrHeld = errors.New("another worker holds the lease")

// Acquire takes the lease of a queued run, or of a running one whose lease is free, for a worker. The epoch is the one
// that the task carries; an older one, or a run that is over, is refused with an error that wraps ErrStale (kind
// fault.Canceled). The lease is renewed in the background until Finish, Defer, HandBack or Close, also after ctx is
// done, so that a worker that was told to stop can still record how far it came.
func (s *Store) Acquire(ctx context.Context, c container.ID, runID string, epoch int64, worker string) (*Lease, error) {
	token := leaseToken(epoch, worker)
	sent := time.Now()
	word, flat, err := s.eval(ctx, "acquire", acquireScript, c, runID, epoch, token, ms(s.cfg.Now()),
		s.cfg.RunTTL.Milliseconds(), s.cfg.LeaseTTL.Milliseconds(), cut(worker, maxName))
	switch {
	case err != nil:
		return nil, err
	case word == "held":
		return nil, stale("acquire", runID, ErrHeld)
	case word != "ok":
		return nil, stale("acquire", runID)
	}
	return newLease(ctx, s, decodeRun(c, pairs(flat)), token, sent), nil
}

// leaseToken returns the value of the lease key: the epoch, what makes it unique, and who has it.
func leaseToken(epoch int64, worker string) string {
	return strings.Join([]string{strconv.FormatInt(epoch, 10), uuid.NewString(), cut(worker, maxName)}, ":")
}

// ErrUnreachable means that the lease could not be renewed in time. It comes beside ErrStale.
var ErrUnreachable = errors.New("the lease could not be renewed")

// renew asks Redis whether the run is still ours, and for more time.
func (l *Lease) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, l.store.cfg.RenewEvery)
	defer cancel()
	sent := time.Now()
	word, rest, err := l.store.eval(ctx, "renew", renewScript, l.run.Container, l.run.ID, l.run.Epoch, l.token,
		ms(l.store.cfg.Now()), l.store.cfg.RunTTL.Milliseconds(), l.store.cfg.LeaseTTL.Milliseconds())
	switch {
	case err != nil:
		return err
	case word == "ok":
		l.renewed(sent)
		return nil
	case State(rest[0]) == Cancelled:
		return stale("renew", l.run.ID, fmt.Errorf("%w by %s", ErrCancelled, rest[1]))
	case rest[0] == "":
		return stale("renew", l.run.ID, errors.New("its record is gone"))
	}
	return stale("renew", l.run.ID, fmt.Errorf("it is %s", rest[0]))
}

// keep renews the lease until it is released or somebody else's. Listening for cancels only makes it look sooner.
func (l *Lease) keep() {
	defer close(l.stopped)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sub := l.store.rdb.Subscribe(ctx, cancelChannel)
	defer sub.Close()
	news := sub.ChannelWithSubscriptions()
	timer := time.NewTimer(l.store.cfg.RenewEvery)
	defer timer.Stop()
	for {
		select {
		case <-l.release:
			return
		case m, ok := <-news:
			if !ok {
				news = nil
			}
			if !l.concerns(m) {
				continue
			}
		case <-timer.C:
		}
		err := l.renew(ctx)
		switch {
		case err == nil:
			timer.Reset(l.store.cfg.RenewEvery)
		case errors.Is(err, ErrStale):
			l.cancel(err)
			return
		default: // unreachable: the watchdog decides for how long
			timer.Reset(l.store.cfg.RenewEvery / 5)
		}
	}
}
