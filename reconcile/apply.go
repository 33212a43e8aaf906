package reconcile

import (
	"context"
	"errors"
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

// busyFor is how long a change waits for an entry's lock at the end of the run; the lock of a worker that died lives shorter than that.
const busyFor = 75 * time.Second

// writeWithin bounds a write with its waits and retries: it ends well before the locks of its entries, which live for a minute.
const writeWithin = 50 * time.Second

var errDraining = fault.Errorf(fault.Canceled, "the worker is shutting down")

// applier carries out one plan.
type applier struct {
	*Engine
	run    Run
	view   *view
	report *Report

	mu sync.Mutex
	// remote maps entries to the remote ids that this run found or made.
	remote  map[directory.Ref]string
	links   map[directory.Ref]plan.Link
	lost    []directory.Ref
	touched map[directory.ID]bool
	late    []int
	down    int
}

// apply carries out what the guards let through and records it, also what was done before an error.
func (e *Engine) apply(ctx context.Context, run Run, v *view, report *Report) error {
	a := &applier{
		Engine: e, run: run, view: v, report: report, remote: map[directory.Ref]string{},
		links: map[directory.Ref]plan.Link{}, touched: map[directory.ID]bool{},
	}
	if len(run.Only) > 0 {
		report.Results = map[int]provider.Result{}
	}
	if err := a.begin(ctx); err != nil {
		return err
	}
	err := a.stages(ctx)
	follower, _ := run.Journal.(Follower)
	if follower != nil {
		follower.Applied(report)
	}
	// What was done is recorded also when the run was told to stop.
	settle, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	recorded := a.record(settle, err == nil)
	if follower != nil && recorded == nil {
		follower.Recorded()
	}
	return errors.Join(err, recorded)
}

// begin marks what is about to be written, so that a death in between leaves nothing believed that is not so.
func (a *applier) begin(ctx context.Context) error {
	if err := a.run.Gate.Check(ctx); err != nil {
		return err
	}
	if c, ok := a.cfg.Provider.(Committer); ok {
		name := a.run.ID
		if len(a.run.Only) > 0 {
			name = ""
		}
		if err := c.Begin(ctx, name, a.view.readAt); err != nil {
			return err
		}
	}
	for i := range a.report.Apply.Changes {
		if c := &a.report.Apply.Changes[i]; c.Op.Membership() && !a.mirror() {
			a.touched[c.ID] = true
		}
	}
	ids := make([]directory.ID, 0, len(a.touched))
	for id := range a.touched {
		ids = append(ids, id)
	}
	if len(ids) == 0 {
		return nil
	}
	return a.cfg.Ledger.Unconfirm(ctx, ids...)
}

// stages applies the plan stage by stage: changes of one stage do not depend on each other.
func (a *applier) stages(ctx context.Context) error {
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
			// A write under way is finished although a neighbour failed: ctx, not stop.
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
	case <-a.run.Gate.Draining():
		return errDraining
	default:
	}
	if a.mirror() { // The local directory compares versions by itself, in the write.
		if err := a.run.Gate.Check(ctx); err != nil {
			return err
		}
		return a.write(ctx, at)
	}
	ready := make([]int, 0, len(at))
	for _, i := range at {
		unlock, ok, err := a.admit(ctx, i)
		if err != nil {
			return err
		}
		if ok {
			defer unlock()
			ready = append(ready, i)
		}
	}
	return a.write(ctx, ready)
}

// admit takes the entry's lock and makes sure that the plan is not older than the entry. A busy lock moves the change
// to the end of the run.
func (a *applier) admit(ctx context.Context, i int) (unlock func(), ok bool, err error) {
	c := &a.report.Apply.Changes[i]
	unlock, ok, err = a.run.Gate.Lock(ctx, lockName(c))
	if err != nil {
		return nil, false, err
	}
	if !ok {
		a.mu.Lock()
		a.late = append(a.late, i)
		a.mu.Unlock()
		return nil, false, nil
	}
	now, since, err := a.cfg.Version(ctx, c.Source, c.Ref)
	if err == nil && now == c.Version {
		a.due(c, since)
		return unlock, true, nil
	}
	unlock()
	if err == nil {
		a.superseded(c)
	}
	return nil, false, err
}

// due notes since when a change has been due: since its entry was changed, where the last full run cannot have seen that.
// Otherwise the change answers something else: drift, a new mapping.
func (a *applier) due(c *plan.Change, changed time.Time) {
	seen := a.view.facts.ReadAt
	if seen.IsZero() {
		seen = a.view.facts.LastFull
	}
	if changed.After(seen) && (c.Since.IsZero() || changed.Before(c.Since)) {
		c.Since = changed
	}
}

// lockName is the entry that a change writes: for a membership the pair, so that a large group's members can be
// written side by side.
func lockName(c *plan.Change) string {
	if c.Member != nil {
		return c.Ref.String() + "+" + c.Member.String()
	}
	return c.Ref.String()
}

func (a *applier) superseded(c *plan.Change) {
	a.mu.Lock()
	a.report.Superseded++
	a.mu.Unlock()
	a.run.Journal.Say(Info, "Left to the next run: the entry was changed while this one was under way.", about(c))
}

// write hands changes to the provider and takes its results.
func (a *applier) write(ctx context.Context, at []int) error {
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
	if err := a.intend(ctx, batch); err != nil {
		for _, settle := range settles {
			settle(false)
		}
		return err
	}
	bounded, cancel := context.WithTimeout(ctx, writeWithin)
	defer cancel()
	var stop error
	for k, r := range a.cfg.Provider.Apply(bounded, batch) {
		// Whether a write without an answer was made nobody knows: it stays counted until it is begun again.
		if r.Err == nil || !unheard(r.Err) {
			settles[k](r.Err == nil)
		}
		if err := a.settle(ctx, index[k], &batch[k], r); err != nil && stop == nil {
			stop = err
		}
	}
	return stop
}

// unheard reports whether an error leaves open what became of a write.
func unheard(err error) bool {
	kind := fault.KindOf(err)
	return kind == fault.Unavailable || kind == fault.Canceled
}

// spend takes a destructive change from the budget before it is made: whoever dies in between has spent it, and of
// those who planned at the same time only so many as the limit lets go on. It returns what settles it.
func (a *applier) spend(ctx context.Context, c *plan.Change) (settle func(made bool), err error) {
	if !c.Op.Destructive() || c.Approved {
		return func(bool) {}, nil
	}
	limit := a.report.Apply.Limit(c)
	settle, ok, err := a.run.Gate.Spend(ctx, c, limit)
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
	if c.Op.Membership() && !a.mirror() && (c.RemoteID == "" || c.MemberRemoteID == "") {
		return fault.Errorf(fault.NotFound, "the group or the member's account was not made in this run: the next run adds it")
	}
	return nil
}

// latecomers applies, in plan order, the changes whose entries were locked by somebody else.
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

func about(c *plan.Change) map[string]any {
	m := map[string]any{"kind": c.Kind.String(), "id": string(c.ID), "label": c.Label, "op": c.Op.String()}
	if c.Member != nil {
		m["member"], m["member_label"] = string(c.Member.ID), c.MemberLabel
	}
	if c.RemoteID != "" {
		m["remote_id"] = c.RemoteID
	}
	return m
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
		a.learn(c, r)
		return nil
	}
	kind := fault.KindOf(r.Err)
	stop := fmt.Errorf("%s %s: %w", c.Op, c.Ref, r.Err)
	switch kind {
	case fault.Invalid, fault.Conflict, fault.NotFound, fault.Unsafe:
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
		a.run.Journal.Say(Error, "Failed: "+r.Err.Error(), m)
	}
	return stop
}
