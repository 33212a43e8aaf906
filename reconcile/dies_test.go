package reconcile_test

import (
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// killed is the error of a write right before its worker dies.
var killed = fault.Errorf(fault.Canceled, "the worker was killed")

// What the ledger and the budget must know before a write is made is there when the worker dies right after it.
func TestAWorkerThatDiesAfterAWrite(t *testing.T) {
	t.Parallel()
	after := func(op plan.Op) func(plan.Change, bool) error {
		return func(c plan.Change, after bool) error {
			if after && c.Op == op {
				return killed
			}
			return nil
		}
	}
	begin := func() *world {
		w := newWorld(t)
		w.source.snapshot = directory.Snapshot{Entries: company()}
		if _, err := w.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := w.run(t.Context()); err != nil { // It lists the members, and confirms them.
			t.Fatal(err)
		}
		return w
	}
	t.Run("the members of a group that was changed are not confirmed", func(t *testing.T) {
		t.Parallel()
		w := begin()
		if groups, _ := w.ledger.Groups(t.Context()); len(groups["g000"].Members) != 4 {
			t.Fatalf("the confirmed members are %v, want four of g000", groups)
		}
		w.source.snapshot.Entries[10] = crew(0, 0, 1, 2)
		w.tenant.hook = after(plan.RemoveMember)
		if _, err := w.run(t.Context()); fault.KindOf(err) != fault.Canceled {
			t.Fatalf("Execute() = %v, want the death", err)
		}
		if groups, _ := w.ledger.Groups(t.Context()); len(groups["g000"].Members) > 0 {
			t.Errorf("the members are confirmed as %v, and one was removed", groups["g000"].Members)
		}
	})
	t.Run("a suspension is known for ours, and stays counted", func(t *testing.T) {
		t.Parallel()
		w := begin()
		w.source.snapshot.Entries = append(company()[:9], company()[10:]...)
		w.tenant.hook = func(c plan.Change, after bool) error {
			if c.Op != plan.Suspend {
				return nil
			}
			links, err := w.ledger.Links(t.Context())
			if err != nil || !links[ref(9)].Suspended {
				t.Errorf("at the write, Links() = %+v, %v, want the suspension noted", links[ref(9)], err)
			}
			if after {
				return killed
			}
			return nil
		}
		if _, err := w.run(t.Context()); fault.KindOf(err) != fault.Canceled {
			t.Fatalf("Execute() = %v, want the death", err)
		}
		if w.gate.spent != 1 {
			t.Errorf("%d changes are counted, want the suspension", w.gate.spent)
		}
	})
}
