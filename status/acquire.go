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

// ErrHeld means that another worker executes the run under the same epoch, for example after a task was delivered
// twice. The error wraps ErrStale, too.
var ErrHeld = errors.New("another worker holds the lease")

// Acquire takes the lease of a queued run for a worker, or of a running one with a free lease. The task carries the
// epoch. An older epoch or a finished run is refused with an error that wraps ErrStale (kind fault.Canceled).
//
// The lease is renewed in the background until Finish, Defer, HandBack or Close, also after ctx is done. A worker
// that is shutting down can therefore still record its progress.
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

// leaseToken returns the value of the lease key: the epoch, a random part, and the worker.
func leaseToken(epoch int64, worker string) string {
	return strings.Join([]string{strconv.FormatInt(epoch, 10), uuid.NewString(), cut(worker, maxName)}, ":")
}

// ErrUnreachable means that the lease could not be renewed in time. The error wraps ErrStale, too.
var ErrUnreachable = errors.New("the lease could not be renewed")

// renew extends the lease, if the run still belongs to it.
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

// keep renews the lease until it is released or lost. A cancel message triggers an early renewal.
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
