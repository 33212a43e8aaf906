package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/source"
)

// Follower has the pending entries of a provider that follows a source.
type Follower struct {
	Pending
	// Within says that a group limits the provider's scope.
	Within bool
}

// news are the entries that a source's plan makes pending at its followers.
type news struct {
	refs []directory.Ref
	// scope are also the entries below groups that may enter or leave the group that limits a scope.
	scope []directory.Ref
}

// newsOf returns what a source's plan makes pending. It reads the local directory before the plan is applied: an entry
// with other groups above it afterwards is below a group of a changed edge, before and after.
func (e *Engine) newsOf(ctx context.Context, p plan.Plan) (n news, err error) {
	if len(e.cfg.Followers) == 0 {
		return n, nil
	}
	refs, moved := map[directory.Ref]bool{}, map[directory.Ref]bool{}
	for i := range p.Changes {
		c := &p.Changes[i]
		refs[c.Ref] = true
		if c.From != "" {
			refs[directory.Ref{Kind: c.Kind, ID: c.From}] = true
		}
		switch {
		case c.Member != nil:
			refs[*c.Member] = true
			moved[*c.Member] = c.Member.Kind == directory.Group
		case c.Kind == directory.Group && reshapes(c):
			moved[c.Ref] = true
		}
	}
	maps.DeleteFunc(moved, func(_ directory.Ref, is bool) bool { return !is })
	n.refs = announced(refs)
	within := slices.ContainsFunc(e.cfg.Followers, func(f Follower) bool { return f.Within })
	if n.scope = n.refs; len(moved) == 0 || !within {
		return n, nil
	}
	below, err := e.cfg.Local.Around(ctx, directory.Neighbourhood{Refs: slices.Collect(maps.Keys(moved))})
	if errors.Is(err, source.ErrNotReady) { // A run died while it wrote, or this is the first one.
		n.scope = []directory.Ref{ledger.Everything}
		return n, nil
	}
	for i := range below.Entries {
		refs[below.Entries[i].Ref()] = true
	}
	n.scope = announced(refs)
	return n, err
}

// reshapes reports whether a change of a group changes which people are in scope. The configuration names the group
// that limits the scope by its name or DN, and a group that leaves takes its members out of the groups above it.
func reshapes(c *plan.Change) bool {
	return c.Op != plan.Update || slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool {
		return slices.Contains([]string{plan.MirrorDN, directory.CommonName, directory.DisplayName}, f.Name)
	})
}

// announced returns entries for a follower. Too many are replaced by everything.
func announced(refs map[directory.Ref]bool) []directory.Ref {
	if len(refs) > source.MostChanges {
		return []directory.Ref{ledger.Everything}
	}
	return slices.SortedFunc(maps.Keys(refs), directory.Ref.Compare)
}

// announce makes the planned changes of a source pending at the providers that follow it. It does so before they are
// made, so that a run that dies loses none, and again afterwards, because a provider may have read in between.
func (e *Engine) announce(ctx context.Context, n news) error {
	for _, f := range e.cfg.Followers {
		refs := n.refs
		if f.Within {
			refs = n.scope
		}
		if len(refs) == 0 {
			continue
		}
		if err := f.Add(ctx, refs...); err != nil {
			return err
		}
	}
	return nil
}

// Unsent returns the users that left or are disabled in the local directory, and whose accounts at this provider no run
// and no job has suspended since. A worker that died may have noticed them.
func (e *Engine) Unsent(ctx context.Context) ([]directory.Ref, error) {
	if e.cfg.Pending == nil || e.cfg.Local == nil {
		return nil, nil
	}
	pending, err := e.cfg.Pending.Pending(ctx)
	if _, everything := pending[ledger.Everything]; everything || err != nil {
		return nil, err // The next run of the provider reads everything.
	}
	users := slices.DeleteFunc(slices.Collect(maps.Keys(pending)),
		func(ref directory.Ref) bool { return ref.Kind != directory.User })
	links, err := e.cfg.Ledger.LinksOf(ctx, users...)
	users = slices.DeleteFunc(users, func(ref directory.Ref) bool { return !stands(links[ref]) })
	if err != nil || len(users) == 0 {
		return nil, err
	}
	local, err := e.cfg.Local.Around(ctx, directory.Neighbourhood{Also: users})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	stay := map[directory.Ref]bool{}
	for i := range local.Entries {
		stay[local.Entries[i].Ref()] = local.Entries[i].Active
	}
	return slices.DeleteFunc(users, func(ref directory.Ref) bool { return stay[ref] }), nil
}

// leaversOf returns the changes of a source's plan that take a user away or disable it, and these users.
func leaversOf(p plan.Plan) (plan.Plan, []directory.Ref) {
	var refs []directory.Ref
	p.Changes = slices.DeleteFunc(slices.Clone(p.Changes), func(c plan.Change) bool {
		leaves := c.Kind == directory.User && (c.Op == plan.Delete || c.Op == plan.Suspend)
		if leaves {
			refs = append(refs, c.Ref)
		}
		return !leaves
	})
	return p, refs
}

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
	changes := a.changes
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
		a.tried <- a.changes[i].Ref
	}
}
