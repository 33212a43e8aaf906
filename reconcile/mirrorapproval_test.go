package reconcile_test

import (
	"slices"
	"testing"

	"rollcall/plan"
	"rollcall/reconcile"
)

// localFake is a local directory, a mirror of its source.
type localFake struct{ *tenantFake }

func (l localFake) Capabilities() plan.Capabilities {
	return plan.Capabilities{BatchSize: 10, Concurrency: 1, Mirror: true}
}

// The local directory is a complete copy of its source, or it is not read. Publishing a part of a plan would remove
// people from one group before they are in the other.
func TestAnApprovalOfASourceCarriesOutTheWholePlan(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	engine := func() *reconcile.Engine {
		return reconcile.New(reconcile.Config{Source: w.source, Provider: localFake{w.tenant}, Desire: desire,
			Ledger: w.ledger})
	}
	run := w.runOf("run", reconcile.Full())
	if _, err := engine().Execute(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	w.source.snapshot.Entries = slices.Delete(company(), 4, 10) // u004 … u009
	r, err := engine().Execute(t.Context(), run)
	if err != nil || len(r.Held.Changes) == 0 {
		t.Fatalf("held %d changes, err %v; want most of the people", len(r.Held.Changes), err)
	}
	w.gate.verdicts = map[string]plan.Verdict{}
	for i := range r.Held.Changes {
		w.gate.verdicts[r.Held.Changes[i].Fingerprint()] = plan.Approved
	}
	w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(20))
	run.Scope = reconcile.Approved()
	if _, err := engine().Execute(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	got := w.tenant.picture()
	if _, there := got["u005@example.com"]; there {
		t.Error("who may go is still there")
	}
	if _, there := got["u020@example.com"]; !there {
		t.Error("the directory counts as complete, and the joiner is not in it")
	}
}
