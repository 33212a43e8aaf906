package reconcile

import (
	"context"
	"fmt"
	"reflect"
	"slices"

	"rollcall/directory"
	"rollcall/plan"
)

// endPins removes the pins that have ended, and reduces the others to the part that still differs from the source.
func (a *applier) endPins(ctx context.Context) error {
	if len(a.view.memory.Pins) == 0 {
		return nil
	}
	before := make(map[directory.Ref]*plan.Pin, len(a.view.memory.Pins))
	for i := range a.view.memory.Pins {
		before[a.view.memory.Pins[i].Ref] = &a.view.memory.Pins[i]
	}
	update := slices.Clone(a.report.Apply.Pins)
	update = slices.DeleteFunc(update, func(p plan.Pin) bool { return samePin(&p, before[p.Ref]) })
	lapsed := a.report.Apply.Lapsed
	if len(a.report.Apply.Doubts) > 0 { // In a doubtful read, a change of the source may be a missing answer.
		lapsed = nil
	}
	if len(update)+len(lapsed) == 0 {
		return nil
	}
	if n := len(lapsed); n > 0 {
		a.run.Journal.Say(Info, fmt.Sprintf("%d pins have ended: the source changed, or wants the same again.", n), nil)
	}
	return a.run.Memory.Keep(ctx, PinChanges{Update: update, Remove: lapsed})
}

// newPins returns the pins of this run's undo, merged with earlier pins of the same entries.
func (v *view) newPins() []plan.Pin {
	out := make([]plan.Pin, 0, len(v.undo))
	for i := range v.undo { // Both are sorted, and every pin of the undo is among the pins.
		at, _ := slices.BinarySearchFunc(v.memory.Pins, v.undo[i].Ref,
			func(p plan.Pin, ref directory.Ref) int { return p.Ref.Compare(ref) })
		out = append(out, v.memory.Pins[at])
	}
	return out
}

func samePin(a, b *plan.Pin) bool {
	return b != nil && a.Account == b.Account && a.Address == b.Address && len(a.Groups) == len(b.Groups) &&
		reflect.DeepEqual(a.Fields, b.Fields)
}
