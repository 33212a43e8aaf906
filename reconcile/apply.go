package reconcile

import (
	"context"
	"sync"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
)

// mostUnavailable is how many different objects in a row may give no answer before the target counts as down.
const mostUnavailable = 10

// mostMute is how many writes to one object may remain without an answer before a pass tries no more of them. One
// broken group with many members must not use up the time of the run.
const mostMute = 3

// busyFor is how long a change waits for an entry's lock at the end of the run. The lock of a dead worker expires
// sooner.
const busyFor = 75 * time.Second

// writeWithin bounds a write including its waits and retries. It ends well before the locks of its entries, which
// expire after a minute.
const writeWithin = 50 * time.Second

var errDraining = fault.Errorf(fault.Canceled, "the worker is shutting down")

// applier applies one plan.
type applier struct {
	*Engine
	hop    hop
	run    Run
	view   *view
	report *Report

	// changes are the changes of the plan. The suspensions with which deletions begin follow them.
	changes []plan.Change

	mu sync.Mutex
	// ending are the suspensions with which deletions begin, by their users.
	ending map[directory.Ref]*ending
	// again are the entries with a failed or superseded change.
	again []directory.Ref
	// remote maps entries to the remote ids that this run found or made.
	remote map[directory.Ref]string
	// links are the links that differ from those that the run read. stored has those of them that are in the ledger
	// already. lost are the entries with links to be dropped.
	links  map[directory.Ref]plan.Link
	stored map[directory.Ref]bool
	lost   []directory.Ref
	// touched are the groups with member changes in this run.
	touched map[directory.ID]bool
	// late are the changes of entries that were locked elsewhere.
	late []int
	// down are the objects that gave no answer since the last answer. mute are the objects that gave no answer in this
	// pass. heard is set once the target has answered a write. silent is set if it counts as down after the first pass,
	// until it answers. unanswered are the changes that had no answer in the second pass either.
	down       map[directory.Ref]bool
	mute       map[directory.Ref]muteness
	heard      bool
	silent     bool
	unanswered []outcome

	lanes [plan.Lanes]lane
	// refused are the claims of the changes that were refused in this run, and refusedBefore those of the last run.
	refused       []string
	refusedBefore map[string]bool
	// rejections are the values that were refused in this run.
	rejections []plan.Rejection
	// postponed are the changes to retry in the second pass. unmade are the entries with a postponed creation.
	postponed []int
	unmade    map[directory.Ref]bool
	// names are the changes that take an address which another change frees.
	names      exchange
	secondPass bool
	// tried has the new users of this pass with a creation that was tried, where other lanes go on beside creations.
	tried chan directory.Ref
	// gains counts the open additions of a member. losses are the member's removals, which wait for them. ready are
	// the losses of members without open gains.
	gains  map[directory.Ref]int
	losses map[directory.Ref][]int
	ready  []int
	// deferral, internal and denied are errors of the run that are reported after every lane was tried.
	deferral, internal, denied error
}

// outcome is the result of a change, by its index in the plan.
type outcome struct {
	at     int
	result provider.Result
}

// ending is the outcome of the suspension with which a deletion begins. failed is one that failed, until the deletion
// has an outcome.
type ending struct {
	suspended bool
	failed    provider.Result
}

// muteness is how many writes to an object had no answer, and the result of the last one.
type muteness struct {
	writes int
	last   provider.Result
}

func (e *Engine) applier(run Run, v *view, report *Report) *applier {
	if run.Scope.limited() {
		report.Results = map[int]provider.Result{}
	}
	before := make(map[string]bool, len(v.facts.Refused))
	mark(before, v.facts.Refused...)
	return &applier{
		Engine: e, refusedBefore: before, hop: e.hop(), run: run, view: v, report: report,
		remote: map[directory.Ref]string{},
		links:  map[directory.Ref]plan.Link{}, stored: map[directory.Ref]bool{}, touched: map[directory.ID]bool{},
		down: map[directory.Ref]bool{}, mute: map[directory.Ref]muteness{},
		names: newExchange(report.Apply.Changes), changes: report.Apply.Changes, ending: map[directory.Ref]*ending{},
		unmade: map[directory.Ref]bool{}, gains: map[directory.Ref]int{}, losses: map[directory.Ref][]int{},
	}
}

// due sets the time since which a change has been due. That is the time of the entry's last change, unless the last
// full run has seen it already. Otherwise the change has another cause, such as drift or a new mapping.
func (a *applier) due(c *plan.Change, changed time.Time) {
	seen := a.view.facts.ReadAt
	if seen.IsZero() {
		seen = a.view.facts.LastFull
	}
	if changed.After(seen) && (c.Since.IsZero() || changed.Before(c.Since)) {
		c.Since = changed
	}
}

// The reasons for which a change is left to the next run.
const (
	changedMeanwhile = "the entry was changed during this run"
	orderedMeanwhile = "a person ordered during this run that it leaves"
)

// superseded leaves a change to the next run.
func (a *applier) superseded(i int, why string) {
	c := &a.changes[i]
	a.mu.Lock()
	a.report.Superseded++
	a.again = append(a.again, c.Ref)
	a.gained(c)
	a.concluded(i, leftOver)
	a.mu.Unlock()
	a.run.Journal.Say(Info, "Left to the next run: "+describe(c)+": "+why+".", about(c))
}

// send passes changes to the provider and handles their results.
func (a *applier) send(ctx context.Context, at []int) error {
	batch, index := make([]plan.Change, 0, len(at)), make([]int, 0, len(at))
	settles := make([]func(bool), 0, len(at))
	for _, i := range at {
		c := a.changes[i]
		err := a.resolve(&c)
		var settle func(bool)
		if err == nil {
			settle, err = a.spend(ctx, &c)
		}
		if err != nil {
			if err := a.settle(ctx, i, &c, provider.Result{Err: err}, false); err != nil {
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
	if !a.cfg.Provider.Capabilities().Mirror { // A write may wait for the quota until here.
		bounded = pace.WithFence(bounded, a.run.mayWrite)
	}
	// Taking access away does not wait for the end of the run, which is the last attempt of every other change.
	if of := batch[0].Lane(); a.secondPass || of == plan.LaneSuspend || of == plan.LaneRemove {
		bounded = provider.Patient(bounded)
	}
	var stop error
	for k, r := range a.cfg.Provider.Apply(bounded, batch) {
		// The outcome of a write without a response is unknown. It stays counted until the change is begun again.
		if r.Err == nil || !unanswered(r.Err) {
			settles[k](r.Err == nil)
		}
		if err := a.settle(ctx, index[k], &batch[k], r, true); err != nil && stop == nil {
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

// spend counts a change against the budget before it is made. A run that dies afterwards has spent it. When several
// runs plan at the same time, the sum of their changes stays within the limit.
func (a *applier) spend(ctx context.Context, c *plan.Change) (settle func(made bool), err error) {
	if c.Brake() == "" || c.Approved || c.Counted || a.run.Memory == nil {
		return func(bool) {}, nil
	}
	if e := a.ending[c.Ref]; e != nil && c.Op == plan.Delete && e.suspended {
		return func(bool) {}, nil // It was counted with its suspension.
	} else if e != nil && c.Op == plan.Suspend {
		deletion := *c
		deletion.Op = plan.Delete
		c = &deletion
	}
	limit := a.report.Apply.Limit(c)
	settle, ok, err := a.run.Memory.Spend(ctx, c, limit)
	if err == nil && !ok {
		err = fault.Errorf(fault.Unsafe, "other runs used up the limit after this was planned: %d in 24 hours", limit)
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
	if e := a.ending[c.Ref]; e != nil && c.Op == plan.Delete {
		c.Inactive = e.suspended
	}
	mirror := a.cfg.Provider.Capabilities().Mirror // A mirror identifies objects by their entries.
	if c.Op.Membership() && !mirror && (c.RemoteID == "" || c.MemberRemoteID == "") {
		return fault.Errorf(fault.NotFound, "the group or the member's account could not be created")
	}
	if c.Refers && c.RemoteID == "" {
		return fault.Errorf(fault.Conflict, "its account could not be created")
	}
	return nil
}

// latecomers applies, in plan order, the changes of entries that were locked elsewhere.
func (a *applier) latecomers(ctx context.Context) error {
	until := time.NewTimer(busyFor)
	defer until.Stop()
	for len(a.late) > 0 {
		waiting := a.late
		a.late = nil
		for _, i := range waiting {
			if err := a.batch(ctx, a.changes[i].Lane(), []int{i}); err != nil {
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
				a.superseded(i, changedMeanwhile)
			}
			return nil
		case <-again.C:
		}
	}
	return nil
}
