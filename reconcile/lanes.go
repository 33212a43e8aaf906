package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"rollcall/directory"
	"rollcall/plan"
)

// mostRefused is how many different objects a lane may have refused, with none accepted, before it is given up.
const mostRefused = 20

// lane is the state of one part of a plan. The applier's lock guards it.
type lane struct {
	// accepted reports whether any change succeeded. refused has the objects that were refused.
	accepted bool
	refused  map[directory.Ref]bool
	// throttled is the error that closed the lane for this pass.
	throttled error
	// skipped counts the changes that were not tried because the lane was given up.
	skipped int
}

func (l *lane) refuse(ref directory.Ref) {
	if l.refused == nil {
		l.refused = map[directory.Ref]bool{}
	}
	l.refused[ref] = true
}

// givenUp reports whether the lane tries no further changes. Lanes of suspensions are never given up.
func (a *applier) givenUp(of plan.Lane) bool {
	l := &a.lanes[of]
	return of != plan.LaneSuspend && !l.accepted && len(l.refused) >= mostRefused
}

// apply applies the plan lane by lane. A lane collects its own failures. A change that was throttled or unavailable
// is retried once after all other lanes. Deletions come last.
func (a *applier) apply(ctx context.Context) error {
	byLane := a.split()
	for of := range plan.LaneCreate {
		if err := a.lane(ctx, of, byLane[of]); err != nil {
			return err
		}
	}
	if err := a.making(ctx, byLane); err != nil {
		return err
	}
	if err := a.latecomers(ctx); err != nil {
		return err
	}
	if err := a.retry(ctx); err != nil {
		return err
	}
	// A loss is carried out even if the gain failed, is held or is deferred.
	if err := a.lane(ctx, plan.LaneRemove, a.remainingLosses()); err != nil {
		return err
	}
	a.silence()
	if a.deferral == nil { // A deferred run deletes when everything else is done.
		if err := a.lane(ctx, plan.LaneDelete, byLane[plan.LaneDelete]); err != nil {
			return err
		}
	}
	if err := a.latecomers(ctx); err != nil {
		return err
	}
	return a.verdict()
}

// split sorts the changes into lanes, by their index in the plan. The removal of a member that gains a membership in
// the same plan belongs to no lane, because it follows the gain.
func (a *applier) split() (byLane [plan.Lanes][]int) {
	// No reader sees the local directory half written by a full run.
	if !a.cfg.Provider.Capabilities().Mirror || a.run.Scope.limited() {
		for _, changes := range [][]plan.Change{a.changes, a.report.Held.Changes} {
			for i := range changes {
				if c := &changes[i]; c.Op == plan.AddMember {
					a.gains[*c.Member]++
				}
			}
		}
	}
	for i := range a.changes {
		c := &a.changes[i]
		if c.Op == plan.RemoveMember && a.gains[*c.Member] > 0 {
			a.losses[*c.Member] = append(a.losses[*c.Member], i)
			continue
		}
		byLane[c.Lane()] = append(byLane[c.Lane()], i)
	}
	if !a.cfg.Provider.Capabilities().Mirror {
		byLane[plan.LaneSuspend] = append(byLane[plan.LaneSuspend], a.endFirst(byLane[plan.LaneDelete])...)
	}
	if len(a.refusedBefore) > 0 {
		for of := range byLane {
			a.refusedLast(byLane[of])
		}
	}
	return byLane
}

// endFirst returns the suspensions with which deletions begin (law 11). A leaver then has no access while the deletion
// waits for the other lanes, and where it is refused or gets no answer.
func (a *applier) endFirst(deletions []int) (suspensions []int) {
	for _, i := range deletions {
		if s, ok := a.changes[i].Suspension(a.view.state.EndsSessions); ok {
			suspensions = append(suspensions, len(a.changes))
			a.changes = append(a.changes, s)
			a.ending[s.Ref] = &ending{}
		}
	}
	return suspensions
}

// refusedLast moves the changes that were refused in the last run to the end of their stage. Otherwise a lane could
// be given up because of permanently refused objects before it tries a new object.
func (a *applier) refusedLast(at []int) {
	changes := a.changes
	slices.SortStableFunc(at, func(i, k int) int {
		if r := cmp.Compare(changes[i].Stage(), changes[k].Stage()); r != 0 {
			return r
		}
		before, after := a.refusedBefore[changes[i].Claim()], a.refusedBefore[changes[k].Claim()]
		switch {
		case before == after:
			return 0
		case before:
			return 1
		}
		return -1
	})
}

// lane applies changes of one lane, stage by stage. The changes of one stage do not depend on each other.
func (a *applier) lane(ctx context.Context, of plan.Lane, at []int) error {
	changes := a.changes
	for len(at) > 0 {
		n := 1
		for n < len(at) && changes[at[n]].Stage() == changes[at[0]].Stage() {
			n++
		}
		if err := a.stage(ctx, of, at[:n]); err != nil {
			return err
		}
		at = at[n:]
	}
	return nil
}

func (a *applier) stage(ctx context.Context, of plan.Lane, at []int) error {
	g, stop := errgroup.WithContext(ctx)
	g.SetLimit(max(1, a.cfg.Provider.Capabilities().Concurrency))
	for len(at) > 0 && stop.Err() == nil {
		n := a.size(at)
		batch := at[:n]
		at = at[n:]
		g.Go(func() error {
			// A write in progress is finished even if another one failed, so it gets ctx and not stop.
			if stop.Err() != nil {
				return nil
			}
			defer a.noteTried(of, batch)
			return a.batch(ctx, of, batch)
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// size is how many of the changes go into one Apply.
func (a *applier) size(at []int) int {
	size := a.cfg.Provider.Capabilities().BatchSize
	if b, ok := a.cfg.Provider.(Batcher); ok {
		size = b.Batch(a.window(at))
	}
	return min(max(1, size), len(at))
}

// window returns the leading changes, without a copy where they are adjacent in the plan.
func (a *applier) window(at []int) []plan.Change {
	all := a.changes
	if first, last := at[0], at[len(at)-1]; last-first == len(at)-1 {
		return all[first : last+1]
	}
	const most = 1000
	out := make([]plan.Change, 0, min(len(at), most))
	for _, i := range at[:min(len(at), most)] {
		out = append(out, all[i])
	}
	return out
}

// batch applies a few changes of one stage. The losses of members with no open gains follow.
func (a *applier) batch(ctx context.Context, of plan.Lane, at []int) error {
	select {
	case <-a.run.Lease.Draining():
		return errDraining
	default:
	}
	if at = a.open(of, at); len(at) > 0 {
		if err := a.hop.write(ctx, a, at); err != nil {
			return err
		}
	}
	for ready := a.readyLosses(); len(ready) > 0; {
		n := a.size(ready)
		if err := a.batch(ctx, plan.LaneRemove, ready[:n]); err != nil {
			return err
		}
		ready = ready[n:]
	}
	return nil
}

// open returns the changes that may be tried now. It postpones those of a throttled lane, and those that depend on a
// postponed change.
func (a *applier) open(of plan.Lane, at []int) []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.givenUp(of) {
		a.lanes[of].skipped += len(at)
		for _, i := range at {
			c := &a.changes[i]
			a.again = append(a.again, c.Ref)
			if a.refusedBefore[c.Claim()] {
				a.refused = append(a.refused, c.Claim())
			}
			a.gained(c)
			a.concluded(i, notFreed)
		}
		return nil
	}
	out := make([]int, 0, len(at))
	for _, i := range at {
		if a.lanes[of].throttled != nil || a.depends(&a.changes[i]) {
			a.postpone(i)
			continue
		}
		if a.spared(i) || a.awaits(i) {
			continue
		}
		out = append(out, i)
	}
	return out
}

// depends reports whether a change refers to an object with a postponed creation.
func (a *applier) depends(c *plan.Change) bool {
	if c.Refers {
		return c.RemoteID == "" && a.unmade[c.Ref]
	}
	return c.Member != nil && (c.RemoteID == "" && a.unmade[c.Ref] || c.MemberRemoteID == "" && a.unmade[*c.Member])
}

// postpone schedules a change for one retry after all other lanes. The caller holds the lock.
func (a *applier) postpone(i int) {
	a.postponed = append(a.postponed, i)
	switch c := &a.changes[i]; c.Op {
	case plan.Create, plan.Adopt, plan.Reanchor, plan.Undelete:
		a.unmade[c.Ref] = true
	case plan.Update, plan.Restore, plan.AddMember, plan.RemoveMember, plan.Suspend, plan.Delete:
	}
}

// retry tries the postponed changes once more, in plan order. A change that is throttled again defers the run.
func (a *applier) retry(ctx context.Context) error {
	waiting := a.postponed
	slices.Sort(waiting)
	a.postponed, a.secondPass = nil, true
	// A single object without an answer is more likely broken than the target is down.
	a.silent = !a.heard || len(a.down) > 1
	clear(a.unmade)
	clear(a.mute)
	var byLane [plan.Lanes][]int
	for _, i := range waiting {
		of := a.changes[i].Lane()
		byLane[of] = append(byLane[of], i)
	}
	for of := range byLane {
		a.lanes[of].throttled = nil
		if err := a.lane(ctx, plan.Lane(of), byLane[of]); err != nil {
			return err
		}
	}
	return nil
}

// gained notes that an addition of a member is settled, successfully or not. The last one makes the member's losses
// ready. The caller holds the lock.
func (a *applier) gained(c *plan.Change) {
	if c.Op != plan.AddMember || a.gains[*c.Member] == 0 {
		return
	}
	if a.gains[*c.Member]--; a.gains[*c.Member] == 0 {
		a.ready = append(a.ready, a.losses[*c.Member]...)
		delete(a.losses, *c.Member)
	}
}

func (a *applier) readyLosses() []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	ready := a.ready
	a.ready = nil
	return ready
}

func (a *applier) remainingLosses() []int {
	at := a.readyLosses()
	for _, losses := range a.losses {
		at = append(at, losses...)
	}
	clear(a.losses)
	slices.Sort(at)
	return at
}

// verdict returns the error of the run as a whole after every lane was tried. It reports the lanes that were given
// up.
func (a *applier) verdict() error {
	a.silence()
	a.untold()
	for of := range a.lanes {
		if n := a.lanes[of].skipped; n > 0 {
			a.run.Journal.Say(Error, fmt.Sprintf(
				"%d changes (%s) were not tried: %d objects were refused and none was accepted.",
				n, plan.Lane(of), len(a.lanes[of].refused)), nil)
		}
	}
	switch {
	case a.deferral != nil:
		return a.deferral
	case a.internal != nil:
		return a.internal
	case a.denied != nil && a.report.Applied == 0:
		return a.denied
	}
	return nil
}
