package reconcile

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// mostUnavailable is how many writes in a row may fail for reasons of the remote side before the target counts as down.
const mostUnavailable = 10

// busyFor is how long a change waits for an entry's lock at the end of the run. The lock of a dead worker expires
// sooner.
const busyFor = 75 * time.Second

// writeWithin bounds a write with its waits and retries. It ends well before the locks of its entries, which live for a
// minute.
const writeWithin = 50 * time.Second

var errDraining = fault.Errorf(fault.Canceled, "the worker is shutting down")

// applier carries out one plan.
type applier struct {
	*Engine
	hop    hop
	run    Run
	view   *view
	report *Report

	mu sync.Mutex
	// remote maps entries to the remote ids that this run found or made.
	remote map[directory.Ref]string
	// links are the links that differ from the ledger's, lost the entries whose links are dropped.
	links map[directory.Ref]plan.Link
	lost  []directory.Ref
	// touched are the groups whose members this run changes.
	touched map[directory.ID]bool
	// late are the changes whose entries were locked.
	late []int
	down int
}

func (e *Engine) applier(run Run, v *view, report *Report) *applier {
	if run.Scope.limited() {
		report.Results = map[int]provider.Result{}
	}
	return &applier{
		Engine: e, hop: e.hop(), run: run, view: v, report: report, remote: map[directory.Ref]string{},
		links: map[directory.Ref]plan.Link{}, touched: map[directory.ID]bool{},
	}
}

// apply applies the plan stage by stage. The changes of one stage do not depend on each other.
func (a *applier) apply(ctx context.Context) error {
	changes := a.report.Apply.Changes
	for from := 0; from < len(changes); {
		to := from + 1
		for to < len(changes) && changes[to].Stage() == changes[from].Stage() {
			to++
		}
		if err := a.stage(ctx, from, to); err != nil {
			return err
		}
		from = to
	}
	return a.latecomers(ctx)
}

func (a *applier) stage(ctx context.Context, from, to int) error {
	caps := a.cfg.Provider.Capabilities()
	g, stop := errgroup.WithContext(ctx)
	g.SetLimit(max(1, caps.Concurrency))
	for from < to && stop.Err() == nil {
		next := from + a.size(a.report.Apply.Changes[from:to])
		batch := indexes(from, next)
		from = next
		g.Go(func() error {
			// A write in progress is finished although a neighbour failed: it gets ctx, not stop.
			if stop.Err() != nil {
				return nil
			}
			return a.batch(ctx, batch)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// size is how many of the changes go into one Apply.
func (a *applier) size(changes []plan.Change) int {
	size := a.cfg.Provider.Capabilities().BatchSize
	if b, ok := a.cfg.Provider.(Batcher); ok {
		size = b.Batch(changes)
	}
	return min(max(1, size), len(changes))
}

func indexes(from, to int) []int {
	out := make([]int, 0, to-from)
	for i := from; i < to; i++ {
		out = append(out, i)
	}
	return out
}

// batch applies a few changes of one stage.
func (a *applier) batch(ctx context.Context, at []int) error {
	select {
	case <-a.run.Lease.Draining():
		return errDraining
	default:
		return a.hop.write(ctx, a, at)
	}
}

// due sets the time since which a change has been due: the last change of its entry, where the last full run cannot
// have seen that. Otherwise the change has another cause, such as drift or a new mapping.
func (a *applier) due(c *plan.Change, changed time.Time) {
	seen := a.view.facts.ReadAt
	if seen.IsZero() {
		seen = a.view.facts.LastFull
	}
	if changed.After(seen) && (c.Since.IsZero() || changed.Before(c.Since)) {
		c.Since = changed
	}
}

func (a *applier) superseded(c *plan.Change) {
	a.mu.Lock()
	a.report.Superseded++
	a.mu.Unlock()
	a.run.Journal.Say(Info, "Left to the next run: "+describe(c)+": the entry was changed during this run.", about(c))
}

// send hands changes to the provider and takes their results.
func (a *applier) send(ctx context.Context, at []int) error {
	batch, index := make([]plan.Change, 0, len(at)), make([]int, 0, len(at))
	settles := make([]func(bool), 0, len(at))
	for _, i := range at {
		c := a.report.Apply.Changes[i]
		err := a.resolve(&c)
		var settle func(bool)
		if err == nil {
			settle, err = a.spend(ctx, &c)
		}
		if err != nil {
			if err := a.settle(ctx, i, &c, provider.Result{Err: err}); err != nil {
				return err
			}
			continue
		}
		batch, index, settles = append(batch, c), append(index, i), append(settles, settle)
	}
	if len(batch) == 0 {
		return nil
	}
	if err := a.hop.prepare(ctx, a, batch); err != nil {
		for _, settle := range settles {
			settle(false)
		}
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	var stop error
	for k, r := range a.cfg.Provider.Apply(bounded, batch) {
		// The outcome of a write without a response is unknown. It stays counted until the change is begun again.
		if r.Err == nil || !unanswered(r.Err) {
			settles[k](r.Err == nil)
		}
		if err := a.settle(ctx, index[k], &batch[k], r); err != nil && stop == nil {
			stop = err
		}
	}
	return stop
}

// unanswered reports whether an error leaves the outcome of a write unknown.
func unanswered(err error) bool {
	kind := fault.KindOf(err)
	return kind == fault.Unavailable || kind == fault.Canceled
}

// spend takes a destructive change from the budget before it is made. A death after that has spent it, and of several
// runs that planned at the same time only as many changes go on as the limit allows.
func (a *applier) spend(ctx context.Context, c *plan.Change) (settle func(made bool), err error) {
	if !c.Op.Destructive() || c.Approved || a.run.Memory == nil {
		return func(bool) {}, nil
	}
	limit := a.report.Apply.Limit(c)
	settle, ok, err := a.run.Memory.Spend(ctx, c, limit)
	if err == nil && !ok {
		err = fault.Errorf(fault.Unsafe, "others used up the limit since this was planned: %d in 24 hours", limit)
	}
	return settle, err
}

// resolve fills in the remote ids of objects that this run made.
func (a *applier) resolve(c *plan.Change) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.RemoteID == "" {
		c.RemoteID = a.remote[c.Ref]
	}
	if c.Member != nil && c.MemberRemoteID == "" {
		c.MemberRemoteID = a.remote[*c.Member]
	}
	mirror := a.cfg.Provider.Capabilities().Mirror // Its objects are named by their entries.
	if c.Op.Membership() && !mirror && (c.RemoteID == "" || c.MemberRemoteID == "") {
		return fault.Errorf(fault.NotFound,
			"the group or the member's account was not made in this run: the next run adds it")
	}
	return nil
}

// latecomers applies, in plan order, the changes whose entries were locked elsewhere.
func (a *applier) latecomers(ctx context.Context) error {
	until := time.NewTimer(busyFor)
	defer until.Stop()
	for len(a.late) > 0 {
		waiting := a.late
		a.late = nil
		for _, i := range waiting {
			if err := a.batch(ctx, []int{i}); err != nil {
				return err
			}
		}
		if len(a.late) == 0 {
			return nil
		}
		again := time.NewTimer(500 * time.Millisecond)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-until.C:
			for _, i := range a.late {
				a.superseded(&a.report.Apply.Changes[i])
			}
			return nil
		case <-again.C:
		}
	}
	return nil
}

// settle judges one result: the first of the three switches over fault.Kind. An error stops the run.
func (a *applier) settle(ctx context.Context, i int, c *plan.Change, r provider.Result) error {
	a.run.Journal.Done(c, r)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.report.Results != nil {
		a.report.Results[i] = r
	}
	if r.Err == nil {
		a.report.Applied++
		a.down = 0
		if r.Note != "" {
			a.run.Journal.Say(Info, r.Note, about(c))
		}
		a.hop.learn(a, c, r)
		return nil
	}
	kind := fault.KindOf(r.Err)
	stop := fmt.Errorf("%s: %w", describe(c), r.Err)
	switch kind {
	case fault.Invalid, fault.Conflict, fault.NotFound, fault.Unsafe, fault.Refused:
		if kind == fault.NotFound && !c.Op.Membership() {
			a.lost = append(a.lost, c.Ref)
		}
		stop = nil
	case fault.Unavailable:
		if a.down++; a.down < mostUnavailable && ctx.Err() == nil {
			stop = nil
		}
	case fault.Throttled, fault.Denied, fault.Canceled, fault.Internal:
	}
	if kind != fault.Throttled && kind != fault.Canceled {
		a.report.Failed++
		m := about(c)
		m["reason"] = kind.String()
		if r.RequestID != "" {
			m["request_id"] = r.RequestID
		}
		a.run.Journal.Say(Error, "Failed: "+describe(c)+": "+r.Err.Error(), m)
	}
	return stop
}
