package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
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
	for i := range v.memory.Pins {
		if v.memory.Pins[i].Ref == ref {
			x.Pin = &v.memory.Pins[i]
		}
	}
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
	x.Apply, x.Held, x.Unproven = report.Apply, report.Held, err
	if slices.Contains(report.Apply.Lapsed, ref) {
		x.Pin = nil // It has ended.
	}
	return x
}

// harmful reports whether a guard counts the change together with those of other entries.
func harmful(c plan.Change) bool { return c.Brake() != "" || uncounted(c) }

// uncounted reports whether only a read of the tenant tells which other entries have a change of the kind.
func uncounted(c plan.Change) bool {
	empties := func(f plan.FieldChange) bool { return len(f.Before) > 0 && len(f.After) == 0 }
	b := c.Brake()
	return b == plan.BrakeRename || b == plan.BrakeMembers || c.Op == plan.Update && slices.ContainsFunc(c.Fields, empties)
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
	for i := range v.snapshot.Entries {
		if e := &v.snapshot.Entries[i]; e.Ref() == ref {
			x.Entry = e
		}
	}
	for i := range v.snapshot.Departed {
		if d := &v.snapshot.Departed[i]; d.Ref == ref {
			x.Departure = d
		}
	}
	for i := range v.snapshot.Findings {
		if f := &v.snapshot.Findings[i]; f.Ref == ref {
			x.Finding = f
		}
	}
	for i := range v.desired.Decisions {
		if d := &v.desired.Decisions[i]; d.Ref == ref {
			x.OutOfScope = d
		}
	}
	for i := range v.desired.Desired {
		d := &v.desired.Desired[i]
		if d.Ref == ref {
			x.Desired = d
		}
		if d.Kind == directory.Group && slices.ContainsFunc(d.Members, func(m plan.Member) bool { return m.Ref == ref }) {
			if x.Groups = append(x.Groups, *d); d.Held == "" && v.links[d.Ref].RemoteID == "" {
				x.Unmade = append(x.Unmade, *d)
			}
		}
	}
	for i := range v.state.Objects {
		if o := &v.state.Objects[i]; x.concerns(ref, o) {
			x.Objects = append(x.Objects, *o)
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
