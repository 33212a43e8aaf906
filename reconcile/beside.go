package reconcile

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"rollcall/directory"
	"rollcall/plan"
)

// making applies the lanes of creations, groups and additions of members. Where the creation of users has a limit of
// its own, the other changes use the rest of the quota meanwhile. Groups come first, then members that exist. The
// memberships of each new user follow as soon as its creation was tried.
func (a *applier) making(ctx context.Context, byLane [plan.Lanes][]int) error {
	creates := byLane[plan.LaneCreate]
	if !a.cfg.Provider.Capabilities().CreatesApart || len(creates) == 0 {
		for of := plan.LaneCreate; of <= plan.LaneAdd; of++ {
			if err := a.lane(ctx, of, byLane[of]); err != nil {
				return err
			}
		}
		return nil
	}
	ready, waiting := a.membersOf(creates, byLane[plan.LaneAdd])
	a.tried = make(chan directory.Ref, len(creates))
	var g errgroup.Group
	g.Go(func() error {
		defer close(a.tried)
		return a.lane(ctx, plan.LaneCreate, creates)
	})
	g.Go(func() error {
		if err := a.lane(ctx, plan.LaneGroups, byLane[plan.LaneGroups]); err != nil {
			return err
		}
		if err := a.lane(ctx, plan.LaneAdd, ready); err != nil {
			return err
		}
		return a.followers(ctx, waiting)
	})
	err := g.Wait()
	a.tried = nil
	if err != nil {
		return err
	}
	return a.lane(ctx, plan.LaneReferences, byLane[plan.LaneReferences])
}

// membersOf splits additions of members into those of existing members, and those that wait for the creation of their
// member.
func (a *applier) membersOf(creates, adds []int) (ready []int, waiting map[directory.Ref][]int) {
	changes := a.report.Apply.Changes
	waiting = make(map[directory.Ref][]int, len(creates))
	for _, i := range creates {
		waiting[changes[i].Ref] = nil
	}
	for _, i := range adds {
		member := *changes[i].Member
		if at, waits := waiting[member]; waits {
			waiting[member] = append(at, i)
		} else {
			ready = append(ready, i)
		}
	}
	return ready, waiting
}

// followers applies the additions of each new user after its creation was tried.
func (a *applier) followers(ctx context.Context, waiting map[directory.Ref][]int) error {
	g, stop := errgroup.WithContext(ctx)
	g.SetLimit(max(1, a.cfg.Provider.Capabilities().Concurrency))
	for ref := range a.tried {
		for at := range slices.Chunk(waiting[ref], 1) {
			g.Go(func() error {
				if stop.Err() != nil {
					return nil
				}
				return a.batch(ctx, plan.LaneAdd, at)
			})
		}
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// noteTried lets the memberships of new users go on. The creations succeeded, failed or were postponed.
func (a *applier) noteTried(of plan.Lane, at []int) {
	if of != plan.LaneCreate || a.tried == nil {
		return
	}
	for _, i := range at {
		a.tried <- a.report.Apply.Changes[i].Ref
	}
}
