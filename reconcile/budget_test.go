package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// Other runs spent the budget between this run's plan and its writes. Only the rest of the budget may be spent.
func TestLaw9TheBudgetIsTakenBeforeTheWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 30 {
		w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(i))
	}
	mustRun(t, w)
	w.source.snapshot.Entries = w.source.snapshot.Entries[3:] // Three may go in a day.
	w.gate.others = 2
	r, err := w.run(t.Context())
	if err != nil || r.Applied != 1 || r.Failed != 2 || w.gate.spent != 1 {
		t.Fatalf("%d applied, %d failed, %d spent, err %v; want one that went and two that were too many", r.Applied,
			r.Failed, w.gate.spent, err)
	}
	if !slices.ContainsFunc(w.said.messages, func(m string) bool {
		return strings.HasPrefix(m, "Failed: suspend user u00") &&
			strings.HasSuffix(m, ": other runs used up the limit after this was planned: 3 in 24 hours")
	}) {
		t.Errorf("said %q", w.said.messages)
	}
}

// A failed change does not count against the budget.
func TestLaw9WhatFailedIsNotSpent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	w.source.snapshot.Entries = slices.Delete(company(), 5, 6)
	w.tenant.hook = func(plan.Change, bool) error { return fault.Errorf(fault.Conflict, "protected") }
	if r, err := w.run(t.Context()); err != nil || r.Failed != 1 || w.gate.spent != 0 {
		t.Errorf("%d failed, %d spent, err %v; want one that failed and nothing spent", r.Failed, w.gate.spent, err)
	}
}

// A change counts even if the worker dies right after its write.
func TestLaw9ADeathAfterTheWriteIsSpent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	w.source.snapshot.Entries = slices.Delete(company(), 5, 6)
	spent := -1
	w.tenant.hook = func(c plan.Change, after bool) error {
		if after && c.Ref == (directory.Ref{Kind: directory.User, ID: "u005"}) {
			w.gate.mu.Lock()
			spent = w.gate.spent
			w.gate.mu.Unlock()
		}
		return nil
	}
	mustRun(t, w)
	if spent != 1 {
		t.Errorf("%d spent when the write was made, want 1", spent)
	}
}
