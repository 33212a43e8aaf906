package reconcile

import (
	"context"
	"errors"
	"maps"
	"slices"

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
