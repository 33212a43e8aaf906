package reconcile

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
)

// Explanation is what the next run would do about one entry, and what it would decide that from. It comes out of the code
// that decides: the same reading, mapping, planning and guards, over one entry.
type Explanation struct {
	// Apply and Held are the plan for the entry alone. A guard that counts what leaves counts this entry, and what the last 24
	// hours have seen: what a full run holds because of others is in that run's held set.
	Apply, Held plan.Plan
	// Link is what the ledger knows of its remote object, Facts what it knows of the provider.
	Link  plan.Link
	Facts ledger.Facts
	// Entry is the entry in the source of this hop, Departure its departure from there, Finding why it cannot be used; nil for
	// what it does not have.
	Entry     *directory.Entry
	Departure *directory.Departure
	Finding   *directory.Finding
	// OutOfScope is the provider's rule that leaves it out, Desired what the provider should have.
	OutOfScope *mapping.Decision
	Desired    *plan.Desired
	// Groups are those that it should be a member of.
	Groups []plan.Desired
	// Objects are the remote objects that concern it: that carry its anchor, that the ledger links, that have its address.
	Objects []plan.Object
	// Pin keeps it as it was before a run that a person undid; nil where nothing does.
	Pin *plan.Pin
	// Unproven says why the sync of this entry alone would be refused.
	Unproven error
	// SourceErr says why the source of this hop could not be read, and RemoteErr why the provider could not: there is no plan
	// then.
	SourceErr, RemoteErr error
}

// Explain reads what concerns one entry and plans it as a full run would. It writes nothing. What cannot be read is said in the
// explanation. The provider may take as long as within to answer.
func (e *Engine) Explain(ctx context.Context, ref directory.Ref, gate Gate, within time.Duration) Explanation {
	run := Run{Only: []directory.Ref{ref}, DryRun: true, Gate: gate, whole: !e.mirror(), within: within}
	v, err := e.read(ctx, run)
	x := Explanation{Facts: v.facts, Link: v.links[ref]}
	if err != nil && v.sourceRead && !v.stateRead {
		x.RemoteErr, err = errors.Unwrap(err), nil // without the engine's "read provider"
		if !e.mirror() {                           // The mapping can be shown; which domains are verified is not known.
			v.desired, err = e.cfg.Desire(v.snapshot, plan.State{})
		}
	}
	x.look(v, ref)
	switch {
	case err != nil:
		x.SourceErr = err
		return x
	case x.RemoteErr != nil:
		return x
	}
	spent, err := gate.Spent(ctx)
	if err != nil {
		x.SourceErr = err
		return x
	}
	verdicts, err := gate.Verdicts(ctx)
	if err != nil {
		x.SourceErr = err
		return x
	}
	if err := e.pins(ctx, run, v); err != nil {
		x.SourceErr = err
		return x
	}
	for i := range v.pins {
		if v.pins[i].Ref == ref {
			x.Pin = &v.pins[i]
		}
	}
	report, err := e.plan(run, v, spent, verdicts)
	x.Apply, x.Held, x.Unproven = report.Apply, report.Held, err
	if slices.Contains(report.Apply.Lapsed, ref) {
		x.Pin = nil // It has ended.
	}
	return x
}

// Holders returns the remote objects that have an address, whoever they belong to. The provider may take as long as within to answer.
func (e *Engine) Holders(ctx context.Context, address string, within time.Duration) ([]plan.Object, error) {
	q := provider.Query{Now: e.cfg.Now()}
	for _, kind := range directory.Kinds { // Looked up as an entry that nobody is: only the address can be found.
		q.Lookups = append(q.Lookups, provider.Lookup{Ref: directory.Ref{Kind: kind, ID: directory.ID(uuid.NewString())}, Address: address})
	}
	state, err := e.remote(ctx, Run{within: within}, q)
	has := func(text string) bool { return strings.EqualFold(text, address) }
	return slices.DeleteFunc(state.Objects, func(o plan.Object) bool { return !has(o.Address) && !slices.ContainsFunc(o.Aliases, has) }), err
}

// look finds what the view has of the entry.
func (x *Explanation) look(v *view, ref directory.Ref) {
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
			x.Groups = append(x.Groups, *d)
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
