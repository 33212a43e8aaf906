package reconcile

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// pins reads what is pinned, and adds what the run is to undo.
func (e *Engine) pins(ctx context.Context, run Run, v *view) error {
	if e.mirror() {
		if run.Undo != nil {
			return fault.Errorf(fault.Invalid, "a run of a source cannot be undone: it changed the local copy alone, which follows its source")
		}
		return nil
	}
	kept, err := run.Gate.Pins(ctx)
	if err != nil {
		return err
	}
	v.pins = kept
	if run.Undo == nil {
		return nil
	}
	fresh, cannot := plan.Undo(*run.Undo, v.desired.Desired, v.snapshot.Versions, v.at)
	v.undoes = fresh
	v.pins = plan.MergePins(kept, fresh)
	run.Journal.Say(Info, fmt.Sprintf("Undoing run %s: %d entries are kept as they were before it, until their source changes or the pin is lifted.", run.Undo.Run, len(fresh)), nil)
	const most = 100
	for _, n := range cannot[:min(most, len(cannot))] {
		run.Journal.Say(Warning, "Not undone: "+n.Detail, map[string]any{"kind": n.Kind.String(), "id": string(n.ID), "label": n.Label})
	}
	if n := len(cannot) - most; n > 0 {
		run.Journal.Say(Warning, fmt.Sprintf("Not undone: %d more.", n), nil)
	}
	return nil
}

// unpin forgets the pins that have ended, and what of others the source wants by itself now.
func (a *applier) unpin(ctx context.Context) error {
	if len(a.view.pins) == 0 {
		return nil
	}
	before := make(map[directory.Ref]*plan.Pin, len(a.view.pins))
	for i := range a.view.pins {
		before[a.view.pins[i].Ref] = &a.view.pins[i]
	}
	keep := slices.Clone(a.report.Apply.Pins)
	keep = slices.DeleteFunc(keep, func(p plan.Pin) bool { return samePin(&p, before[p.Ref]) })
	lapsed := a.report.Apply.Lapsed
	if len(a.report.Apply.Doubts) > 0 { // What the source seems to have changed may be what it failed to say.
		lapsed = nil
	}
	if len(keep)+len(lapsed) == 0 {
		return nil
	}
	if n := len(lapsed); n > 0 {
		a.run.Journal.Say(Info, fmt.Sprintf("%d pins have ended: the source changed, or says the same again.", n), nil)
	}
	return a.run.Gate.Repin(ctx, keep, lapsed)
}

// fresh returns the pins of this run's undo, with what was kept of the same entries before.
func (v *view) fresh() []plan.Pin {
	out := make([]plan.Pin, 0, len(v.undoes))
	for i := range v.undoes { // Both are sorted, and every pin of the undo is among the pins.
		at, _ := slices.BinarySearchFunc(v.pins, v.undoes[i].Ref, func(p plan.Pin, ref directory.Ref) int { return p.Ref.Compare(ref) })
		out = append(out, v.pins[at])
	}
	return out
}

func samePin(a, b *plan.Pin) bool {
	return b != nil && a.Account == b.Account && a.Address == b.Address && len(a.Groups) == len(b.Groups) && reflect.DeepEqual(a.Fields, b.Fields)
}
