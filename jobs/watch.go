package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/reconcile"
	"rollcall/source"
	"rollcall/status"
)

// Watch says how a source is asked for its changes.
type Watch struct {
	Source source.Delta
	// Every is the time between two polls.
	Every time.Duration
	// Cursor returns how far the last run read the source.
	Cursor func(context.Context) (source.Cursor, error)
	// Left reports whether the local directory has the departure of an entry.
	Left func(context.Context, directory.Ref) (bool, error)
}

const (
	// slowestPoll is the longest time between two polls after failures.
	slowestPoll = 5 * time.Minute
	// deltaEvery is the shortest time between two delta runs of a source.
	deltaEvery = 30 * time.Second
	// keepWatch is the longest time between two renewals of the right to poll, and watchTTL is how long that right
	// lasts. Another worker polls at most both later than the death of this one. A turn that takes longer loses the
	// right, and two workers may then poll for a while. That is harmless, because jobs and runs are locked.
	keepWatch = 5 * time.Second
	watchTTL  = callsFor + keepWatch
)

// watcher polls one source.
type watcher struct {
	*Worker
	c     *Container
	since source.Cursor
	// mine says that this worker had the right to poll when it last asked.
	mine bool
	// dirty says that a change was seen that no run covers yet.
	dirty bool
	// run is the delta run that was started last, and at is when.
	run string
	at  time.Time
	// wait is the time between two polls, and left is what remains of it.
	wait, left time.Duration
}

// watch polls a source until the worker stops. One worker at a time does.
func (w *Worker) watch(ctx context.Context, c *Container) {
	p := &watcher{Worker: w, c: c, wait: c.Watch.Every, left: c.Watch.Every}
	for {
		step := min(max(p.left, 0), keepWatch)
		timer := time.NewTimer(step)
		select {
		case <-ctx.Done():
		case <-w.drain:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil || w.draining() {
			return
		}
		if w.Aside() != "" || w.homes.why(c.Name) != "" {
			p.left = keepWatch
			continue
		}
		if err := p.after(ctx, step); err != nil && ctx.Err() == nil {
			w.cfg.Log.WarnContext(ctx, "poll for changes", "container", string(c.Name), "err", err)
		}
	}
}

// after renews the right to poll after a part of the wait has passed, and polls at its end. The right is renewed more
// often than a source that fails is polled, so that its other workers do not poll it meanwhile.
func (p *watcher) after(ctx context.Context, step time.Duration) error {
	mine, err := p.cfg.Status.Watch(ctx, p.c.Name, p.cfg.Name, watchTTL)
	if p.left -= step; err == nil && mine != p.mine {
		if p.mine = mine; mine {
			p.takeOver()
		}
	}
	if p.left > 0 {
		return err
	}
	switch {
	case err != nil:
	case mine:
		err = p.turn(ctx)
	default: // A single sync of this worker may have noticed leavers that it could not send.
		p.wait = p.c.Watch.Every
		p.sendAgain(ctx, p.c)
	}
	p.left = p.wait
	return err
}

// takeOver begins to poll at once. What this worker saw before is old, and the worker that polled meanwhile may have
// died before it sent its leavers ahead.
func (p *watcher) takeOver() {
	p.since, p.wait, p.left = source.Cursor{}, p.c.Watch.Every, 0
	for _, c := range p.followers(p.c) {
		p.outboxes[c.Name].unsent.Store(true)
	}
}

// turn is one poll. Its error is that of Redis.
func (p *watcher) turn(ctx context.Context) error {
	reason, err := p.poll(ctx)
	if err != nil {
		reason = err.Error()
	}
	switch {
	case reason == "":
		p.wait = p.c.Watch.Every
	case fault.KindOf(err) == fault.Denied: // More attempts with this password could lock the account.
		p.wait = slowestPoll
	default:
		p.wait = min(2*p.wait, slowestPoll)
	}
	return errors.Join(p.cfg.Status.Polled(ctx, p.c.Name, reason), p.start(ctx))
}

// poll asks for the changes since the last poll, and sends leavers ahead. The reason says why changes cannot be told.
func (p *watcher) poll(ctx context.Context) (reason string, err error) {
	if p.since.IsZero() {
		if p.since, err = p.c.Watch.Cursor(ctx); err != nil {
			return "", err
		}
		if p.since.IsZero() {
			return p.noCursor(ctx)
		}
	}
	bounded, cancel := context.WithTimeout(ctx, callsFor)
	defer cancel()
	p.sendAgain(ctx, p.c)
	changes, err := p.c.Watch.Source.Changes(bounded, p.since)
	if err != nil {
		return "", err
	}
	if changes.Whole != "" {
		p.readWhole(ctx, p.c, changes.Whole)
		p.since = source.Cursor{}
		return changes.Whole, nil
	}
	if !changes.Empty() {
		p.dirty = true
		if err := p.sendAhead(ctx, p.c); err != nil {
			return "", err
		}
	}
	p.since = changes.Next
	return "", nil
}

// noCursor says why there is no position to ask from.
func (p *watcher) noCursor(ctx context.Context) (reason string, err error) {
	p.wait = p.c.Watch.Every / 2 // Only Redis is asked.
	before, err := p.cfg.Status.Summary(ctx, p.c.Name)
	if err == nil && before.CompletedID == "" {
		return "no full run has completed yet", nil
	}
	return "the last full run left no position from which changes can be told; its messages say why", err
}

// start starts a delta run for what was seen, at most one in deltaEvery. A run that failed is started again.
func (p *watcher) start(ctx context.Context) error {
	if p.run != "" && !p.dirty {
		run, err := p.cfg.Status.Get(ctx, p.c.Name, p.run)
		if err == nil && run.State.Open() {
			return nil
		}
		p.dirty = err != nil || run.State != status.Completed
		p.run = ""
	}
	if !p.dirty || p.cfg.Now().Sub(p.at) < deltaEvery {
		return nil
	}
	run, err := p.client.start(ctx, status.StartRequest{ID: uuid.NewString(), Container: p.c.Name, Mode: status.Delta,
		Trigger: status.Trigger{Kind: status.ByWatch}})
	if _, live := errors.AsType[*status.LiveError](err); live {
		return nil // The next turn tries again.
	}
	if err == nil {
		p.dirty, p.run, p.at = false, run.ID, p.cfg.Now()
	}
	return err
}

// sendAhead is the fast lane: users who left or were disabled are written to the local directory and suspended by
// single jobs, ahead of every run. Each provider is asked by itself, so that one without an answer delays no other. A
// delta run of the source follows, and after it runs of the providers, which suspend the users that were not sent.
func (w *Worker) sendAhead(ctx context.Context, source *Container) error {
	leavers, err := w.leave(ctx, source)
	if pausedBy(err) != nil {
		return besides(err) // The run after the pause finds them again.
	}
	if err != nil || len(leavers) == 0 {
		return err
	}
	for _, c := range w.followers(source) {
		w.loops.Go(func() { _ = w.send(context.WithoutCancel(ctx), c, leavers) })
	}
	return nil
}

// outbox is what a worker knows about the leavers that wait to be sent ahead to a provider.
type outbox struct {
	// unsent says that there may be some, and sending that a goroutine sends them.
	unsent, sending atomic.Bool
	// failures is how often in turn they were not sent. Only the goroutine that sends has access.
	failures int
}

// sendAgain sends the leavers that were noticed and not sent, because a worker died or a tenant gave no answer. It
// waits for no provider. After a failure the next attempt waits longer.
func (w *Worker) sendAgain(ctx context.Context, source *Container) {
	ctx = context.WithoutCancel(ctx)
	for _, c := range w.followers(source) {
		box := w.outboxes[c.Name]
		if !box.unsent.Load() || !box.sending.CompareAndSwap(false, true) {
			continue
		}
		w.loops.Go(func() {
			defer box.sending.Store(false)
			box.unsent.Store(false)
			bounded, cancel := w.untilDrained(ctx, callsFor)
			leavers, err := c.Engine().Unsent(bounded)
			cancel()
			if err != nil {
				box.unsent.Store(true)
				w.cfg.Log.DebugContext(ctx, "leavers to be sent again", "container", string(c.Name), "err", err)
			} else if len(leavers) > 0 {
				err = w.send(ctx, c, leavers)
			}
			if err == nil {
				box.failures = 0
				return
			}
			select {
			case <-w.drain:
			case <-time.After(retryDelay(box.failures, err, nil)):
			}
			box.failures++
		})
	}
}

// followers returns the providers of a source.
func (w *Worker) followers(source *Container) (out []*Container) {
	for i := range w.cfg.Containers {
		if c := &w.cfg.Containers[i]; slices.Contains(c.Sources, source.Name.Name()) {
			out = append(out, c)
		}
	}
	return out
}

// send suspends leavers at a provider. After an error that passes, a later poll sends them again.
func (w *Worker) send(ctx context.Context, c *Container, leavers []directory.Ref) error {
	bounded, cancel := w.untilDrained(ctx, callsFor)
	defer cancel()
	err := besides(w.suspend(bounded, c, leavers))
	if err == nil {
		return nil
	}
	again := fault.KindOf(err).Retryable()
	if again {
		w.outboxes[c.Name].unsent.Store(true)
	}
	w.cfg.Log.WarnContext(ctx, "leavers were not sent ahead", "container", string(c.Name), "err", err, "again", again)
	return err
}

// untilDrained returns a context that ends after a time, or when the worker is told to stop.
func (w *Worker) untilDrained(ctx context.Context, within time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, within)
	go func() {
		select {
		case <-w.drain:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// leave carries out the part of a source's changes that takes users away. The guard judges all of them as one plan.
func (w *Worker) leave(ctx context.Context, c *Container) ([]directory.Ref, error) {
	report, err := c.Engine().Execute(ctx, reconcile.Run{
		ID: uuid.NewString(), Scope: reconcile.Leaving(), Lease: w.cfg.Status.Unleased(c.Name, w.homes.halt(c.Name)),
		Memory: NewMemory(w.cfg.Decisions, c.Name), Journal: &notes{logger: string(c.Name), quiet: true}, Insist: true,
	})
	if err != nil {
		return nil, fmt.Errorf("leavers of %s: %w", c.Name, err)
	}
	return report.Leavers, nil
}

// suspend plans what a provider would do about leavers, all of them as one plan, and starts a job for each suspension
// that no guard holds.
func (w *Worker) suspend(ctx context.Context, c *Container, leavers []directory.Ref) error {
	if err := w.cfg.Decisions.Paused(ctx, c.Name); err != nil {
		return err
	}
	report, err := c.Engine().Execute(ctx, reconcile.Run{
		ID: uuid.NewString(), Scope: reconcile.Suspending(leavers...).DryRun(),
		Memory: NewMemory(w.cfg.Decisions, c.Name), Journal: &notes{logger: string(c.Name), quiet: true},
	})
	if err != nil {
		return fmt.Errorf("leavers at %s: %w", c.Name, err)
	}
	for _, ch := range report.Apply.Changes {
		_, err := w.client.startObject(ctx, c.Name, ch.Source, ch.Ref, status.Trigger{Kind: status.ByWatch})
		if err != nil {
			return err
		}
		w.cfg.Log.InfoContext(ctx, "leaver sent ahead", "container", string(c.Name), "id", string(ch.ID))
	}
	return nil
}
