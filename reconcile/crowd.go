package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/source"
)

// Waiting is what the newest plan left of other entries than an explained one.
type Waiting struct {
	// Held has the entries with a held change that a brake counts and nothing was decided about.
	Held map[directory.Ref]plan.Brake
	// Members counts the held removals from each group.
	Members map[directory.ID]int
	// Emptied counts the held losses of each field.
	Emptied plan.Filled
	// Settled are entries to which the next run does nothing that a brake counts. They are in conflict, or a person has
	// decided.
	Settled map[directory.Ref]bool
}

// errCrowd is the error of a crowd that an explanation does not read.
var errCrowd = errors.New("too many of them have changed or wait")

// crowd counts what the next full run does to other entries, as far as the ledger and the local directory tell. It
// counts the pending entries that leave or come back, and the accounts that are due for deletion. Of renames and
// removals of members it knows those that the newest plan held. beside is how many entries are pending. Of more than
// source.MostChanges it reads none, and fails with errCrowd.
func (e *Engine) crowd(ctx context.Context, v *view, of directory.Ref, w Waiting) (out plan.Budget, beside int,
	err error) {
	out = plan.Budget{Members: w.Members}
	refs, links, err := e.restless(ctx, v)
	if err != nil {
		return out, 0, err
	}
	if refs = slices.AppendSeq(refs, maps.Keys(w.Held)); len(refs) > source.MostChanges {
		return out, 0, errCrowd
	}
	near, err := e.around(ctx, refs)
	if err != nil {
		return out, 0, err
	}
	active, err := e.wanted(v, near)
	if err != nil {
		return out, 0, err
	}
	renewed := recreated(near, links)
	seen := map[directory.Ref]bool{of: true}
	for i := range v.memory.Pins { // A pin goes before what is desired. What comes back by an undo is not counted.
		if p := &v.memory.Pins[i]; p.Account != "" {
			active[p.Ref] = p.Account == plan.StandsActive
			seen[p.Ref] = seen[p.Ref] || active[p.Ref]
		}
	}
	for _, ref := range refs {
		if seen[ref] || w.Settled[ref] || renewed[ref] {
			continue
		}
		seen[ref] = true
		beside++
		e.count(&out, v, ref, links[ref], w.Held[ref], active[ref])
	}
	return out, beside, nil
}

// restless returns the entries that the next run may change, with their links.
func (e *Engine) restless(ctx context.Context, v *view) (refs []directory.Ref, links map[directory.Ref]plan.Link,
	err error) {
	var pending ledger.Pending
	if e.cfg.Pending != nil {
		if pending, err = e.cfg.Pending.Pending(ctx); err != nil {
			return nil, nil, err
		}
	}
	if _, everything := pending[ledger.Everything]; everything || len(pending) > source.MostChanges {
		return nil, nil, errCrowd
	}
	refs = slices.Collect(maps.Keys(pending))
	for i := range v.memory.Pins {
		refs = append(refs, v.memory.Pins[i].Ref)
	}
	p := &e.cfg.Policy
	if p.UserDeleteAction != plan.ActionDelete && p.GroupDeleteAction != plan.ActionDelete {
		links, err = e.cfg.Ledger.LinksOf(ctx, refs...)
		return refs, links, err
	}
	links, err = e.cfg.Ledger.Links(ctx)
	for ref, link := range links {
		if e.due(ref, link, v) {
			refs = append(refs, ref)
		}
	}
	return refs, links, err
}

// due reports whether the account of an entry that left is due for deletion.
func (e *Engine) due(ref directory.Ref, link plan.Link, v *view) bool {
	if link.RemoteID == "" || link.Departed.IsZero() || link.Outlived {
		return false
	}
	end, deletes := e.cfg.Policy.Due(ref.Kind, link.Departed)
	return deletes && !v.at.Before(end)
}

// around reads entries of the source; none where it cannot read some alone.
func (e *Engine) around(ctx context.Context, refs []directory.Ref) (s directory.Snapshot, err error) {
	near, ok := e.cfg.Source.(source.Neighbours)
	if !ok || len(refs) == 0 {
		return s, nil
	}
	if s, err = near.Around(ctx, directory.Neighbourhood{Also: refs, Within: e.cfg.Within}); err != nil {
		return s, fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	return s, nil
}

// wanted returns which entries should have an active account.
func (e *Engine) wanted(v *view, s directory.Snapshot) (map[directory.Ref]bool, error) {
	desired, err := e.cfg.Desire(s, plan.State{Domains: v.state.Domains})
	active := map[directory.Ref]bool{}
	for i := range desired.Desired {
		d := &desired.Desired[i]
		active[d.Ref] = d.Active || d.Held != ""
	}
	for i := range s.Findings {
		active[s.Findings[i].Ref] = true
	}
	return active, err
}

// recreated returns the entries that left and have the name of a new one. Their accounts wait for a decision.
func recreated(s directory.Snapshot, links map[directory.Ref]plan.Link) map[directory.Ref]bool {
	named, out := map[string]bool{}, map[directory.Ref]bool{}
	for i := range s.Entries {
		if e := &s.Entries[i]; links[e.Ref()].RemoteID == "" {
			named[e.Kind.String()+" "+e.Label()] = true
		}
	}
	for i := range s.Departed {
		d := &s.Departed[i]
		out[d.Ref] = named[d.Kind.String()+" "+d.Label]
	}
	return out
}

// count counts what a run does to one entry. What was held is counted unless the directory has changed since.
func (e *Engine) count(n *plan.Budget, v *view, ref directory.Ref, link plan.Link, held plan.Brake, active bool) {
	user := ref.Kind == directory.User
	switch {
	case held == plan.BrakeRename && user:
		n.Renamed.User++
	case held == plan.BrakeRename:
		n.Renamed.Group++
	case active && user && (held == plan.BrakeReactivate || link.Suspended || link.Inactive):
		n.Reactivated.User++
	case active:
	case user && (held == plan.BrakeLeave || stands(link) || e.due(ref, link, v)):
		n.User++
	case !user && (held == plan.BrakeLeave || e.due(ref, link, v)):
		n.Group++
	}
}
