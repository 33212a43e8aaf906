package reconcile_test

import (
	"context"
	"errors"
	"testing"

	"rollcall/fault"
	"rollcall/plan"
	"rollcall/reconcile"
)

// restorer is a tenant that shows its deleted accounts.
type restorer struct {
	*tenantFake
	deleted []plan.Deleted
	err     error
	asked   int
}

func (r *restorer) Capabilities() plan.Capabilities {
	c := r.tenantFake.Capabilities()
	c.UndeleteWithin = 20 * 24 * 3600e9
	return c
}

func (r *restorer) Deleted(context.Context) ([]plan.Deleted, error) {
	r.asked++
	return r.deleted, r.err
}

// The deleted accounts are read only when an account would be created. If they cannot be read, only creations are
// held.
func TestDeletedAccountsAreReadBeforeCreates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	tenant := &restorer{tenantFake: w.tenant}
	run := func() reconcile.Report {
		e := reconcile.New(reconcile.Config{
			Source: w.source, Provider: tenant, Desire: desire, Ledger: w.ledger, Policy: w.policy,
		})
		r, err := e.Execute(t.Context(), w.runOf("run", reconcile.Full()))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if run(); tenant.asked != 0 {
		t.Error("the deleted accounts were read although no entry joined")
	}
	w.source.snapshot.Entries = append(w.source.snapshot.Entries[1:], person(20)) // Person 0 left, person 20 joined.
	tenant.err = fault.New(fault.Denied, "users.list", errors.New("no"))
	r := run()
	if len(r.Apply.Held) != 1 || r.Apply.Held[0].Reason != plan.Restorable || r.Apply.Held[0].Ref != ref(20) {
		t.Errorf("held = %+v, want the joiner", r.Apply.Held)
	}
	if r.Applied == 0 {
		t.Error("the leaver was not suspended while the deleted accounts could not be read")
	}
	tenant.err = nil
	if r := run(); len(r.Apply.Held) != 0 || r.Applied != 1 {
		t.Errorf("applied %d, held %+v, want the joiner's account", r.Applied, r.Apply.Held)
	}
}
