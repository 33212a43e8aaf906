package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/source"
)

// Explanation is what the next run would do about one entry, with the facts that lead to it. The engine makes it with
// the code of a run. Reading, mapping, planning and guards are the same, applied to one entry. The guards also count
// what the run has to do to other entries, as far as it is known without reading the tenant.
type Explanation struct {
	// Apply and Held are the plan for the entry alone.
	Apply, Held plan.Plan
	// Link is the entry's link in the ledger. Facts are the ledger's facts about the provider.
	Link  plan.Link
	Facts ledger.Facts
	// Entry is the entry in the source of this hop. Departure is its departure from there. Finding is the reason why
	// it cannot be used. Each may be nil.
	Entry     *directory.Entry
	Departure *directory.Departure
	Finding   *directory.Finding
	// OutOfScope is the provider's rule that excludes the entry, and Desired is its desired state.
	OutOfScope *mapping.Decision
	Desired    *plan.Desired
	// Groups are the groups in which the entry should be a member.
	Groups []plan.Desired
	// Unmade are those of the groups that the provider does not have yet.
	Unmade []plan.Desired
	// Joining are the members of a group that the provider does not have yet, and gets.
	Joining []plan.Desired
	// Objects are the remote objects that carry the anchor, that the ledger links, or that have the address.
	Objects []plan.Object
	// Pin keeps the entry as it was before a run that was undone. It is nil for an entry without a pin.
	Pin *plan.Pin
	// Beside is how many other entries the next run may change, where a guard may hold a change together with theirs.
	Beside int
	// Uncounted says why the other entries were not counted there. The plan is that for the entry alone then.
	Uncounted error
	// Unproven says why the sync of this entry alone would be refused.
	Unproven error
	// SourceErr is the error of reading the source of this hop, and RemoteErr that of reading the provider. With
	// either of them there is no plan.
	SourceErr, RemoteErr error
}

// Explain reads the data about one entry and plans it as a full run would. It writes nothing. The explanation names
// what could not be read. within bounds the time for reading the provider. w is what waits of other entries.
func (e *Engine) Explain(ctx context.Context, ref directory.Ref, memory Memory, within time.Duration,
	w Waiting) Explanation {
	s, err := e.hop().restrict(Explaining(ref, within))
	if err != nil {
		return Explanation{SourceErr: err}
	}
	v, err := e.read(pace.Urgent(ctx), s, memory)
	x := Explanation{Facts: v.facts, Link: v.links[ref]}
	if err != nil && v.sourceRead && !v.stateRead {
		x.RemoteErr, err = errors.Unwrap(err), nil // without the engine's "read provider"
		if len(v.desired.Desired) == 0 {           // The mapping can be shown without the tenant's domains.
			v.desired, err = e.cfg.Desire(v.snapshot, plan.State{})
		}
	}
	x.find(v, ref)
	if err != nil {
		x.SourceErr = err
		return x
	}
	if x.RemoteErr != nil {
		return x
	}
	x.Pin = find(v.memory.Pins, func(p *plan.Pin) bool { return p.Ref == ref })
	v.facts.Emptied = v.facts.Emptied.Plus(w.Emptied)
	report, err := e.plan(s, v)
	if slices.ContainsFunc(report.Apply.Changes, harmful) {
		if others, beside, failed := e.crowd(ctx, v, ref, w); failed != nil {
			x.Uncounted = failed
		} else {
			v.others, x.Beside = others, beside
			report, err = e.plan(s, v)
		}
	}
	if !slices.ContainsFunc(report.Apply.Changes, uncounted) {
		x.Beside = 0
	}
	x.Joining = e.making(ctx, x.Joining, memory, within)
	x.Apply, x.Held, x.Unproven = report.Apply, report.Held, err
	if slices.Contains(report.Apply.Lapsed, ref) {
		x.Pin = nil // It has ended.
	}
	return x
}

// mostJoining bounds the members without an account that an explanation of a group reads. Of more than these it says
// that they get one.
const mostJoining = 20

// making returns the entries without an object for which the next run makes one, or would if no guard held it.
func (e *Engine) making(ctx context.Context, all []plan.Desired, memory Memory, within time.Duration) []plan.Desired {
	if len(all) == 0 || len(all) > mostJoining {
		return all
	}
	s := Explaining(all[0].Ref, within)
	s.refs = nil
	for i := range all {
		s.refs = append(s.refs, all[i].Ref)
	}
	v, err := e.read(pace.Urgent(ctx), s, memory)
	if err != nil {
		return all
	}
	report, _ := e.plan(s, v) // An unproven creation is one of a full run.
	made := map[directory.Ref]bool{}
	for _, c := range slices.Concat(report.Apply.Changes, report.Held.Changes) {
		made[c.Ref] = made[c.Ref] || c.Op == plan.Create || c.Op == plan.Undelete || c.Op == plan.Adopt
	}
	return slices.DeleteFunc(all, func(d plan.Desired) bool { return !made[d.Ref] })
}

// harmful reports whether a guard counts the change together with those of other entries.
func harmful(c plan.Change) bool { return c.Brake() != "" || uncounted(c) }

// uncounted reports whether only a read of the tenant tells which other entries have a change of the kind.
func uncounted(c plan.Change) bool {
	empties := func(f plan.FieldChange) bool { return len(f.Before) > 0 && len(f.After) == 0 }
	b := c.Brake()
	return b == plan.BrakeRename || b == plan.BrakeMembers || c.Op == plan.Update &&
		slices.ContainsFunc(c.Fields, empties)
}

// Holders returns the remote objects that have an address. within bounds the time for reading the provider.
func (e *Engine) Holders(ctx context.Context, address string, within time.Duration) ([]plan.Object, error) {
	q := provider.Query{Now: e.cfg.Now()}
	for _, kind := range directory.Kinds {
		q.Lookups = append(q.Lookups, holder(kind, address))
	}
	state, err := e.remote(ctx, within, q)
	has := func(text string) bool { return strings.EqualFold(text, address) }
	return slices.DeleteFunc(state.Objects, func(o plan.Object) bool {
		return !has(o.Address) && !slices.ContainsFunc(o.Aliases, has)
	}), err
}

// find copies the data about the entry from the view.
func (x *Explanation) find(v *view, ref directory.Ref) {
	x.Entry = find(v.snapshot.Entries, func(e *directory.Entry) bool { return e.Ref() == ref })
	x.Departure = find(v.snapshot.Departed, func(d *directory.Departure) bool { return d.Ref == ref })
	x.Finding = find(v.snapshot.Findings, func(f *directory.Finding) bool { return f.Ref == ref })
	x.OutOfScope = find(v.desired.Decisions, func(d *mapping.Decision) bool { return d.Ref == ref })
	for i := range v.desired.Desired {
		d := &v.desired.Desired[i]
		if d.Ref == ref {
			x.Desired = d
		}
		if d.Kind == directory.Group && slices.ContainsFunc(d.Members,
			func(m plan.Member) bool { return m.Ref == ref }) {
			if x.Groups = append(x.Groups, *d); d.Held == "" && v.links[d.Ref].RemoteID == "" {
				x.Unmade = append(x.Unmade, *d)
			}
		}
	}
	x.findJoining(v)
	for i := range v.state.Objects {
		if o := &v.state.Objects[i]; x.concerns(ref, o) {
			x.Objects = append(x.Objects, *o)
		}
	}
}

// find returns the last item that is meant; nil without one.
func find[T any](list []T, is func(*T) bool) *T {
	for i := len(list) - 1; i >= 0; i-- {
		if is(&list[i]) {
			return &list[i]
		}
	}
	return nil
}

// findJoining notes the members of a group without an object.
func (x *Explanation) findJoining(v *view) {
	if x.Desired == nil || x.Desired.Held != "" {
		return
	}
	members := make(map[directory.Ref]bool, len(x.Desired.Members))
	for _, m := range x.Desired.Members {
		members[m.Ref] = true
	}
	for i := range v.desired.Desired {
		d := &v.desired.Desired[i]
		if members[d.Ref] && d.Active && d.Held == "" && v.links[d.Ref].RemoteID == "" {
			x.Joining = append(x.Joining, *d)
		}
	}
}

func (x *Explanation) concerns(ref directory.Ref, o *plan.Object) bool {
	address := ""
	if x.Desired != nil {
		address = x.Desired.Address
	}
	return o.Ref == ref || o.RemoteID != "" && o.RemoteID == x.Link.RemoteID ||
		address != "" && (o.Address == address || slices.Contains(o.Aliases, address))
}

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
	case user && (held == plan.BrakeLeave || stands(link) || e.due(ref, link, v) && !link.Counted(v.at)):
		n.User++
	case !user && (held == plan.BrakeLeave || e.due(ref, link, v)):
		n.Group++
	}
}
