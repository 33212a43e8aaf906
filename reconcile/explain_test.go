package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

func (w *world) explain(t *testing.T, ref directory.Ref) reconcile.Explanation {
	t.Helper()
	before := len(w.tenant.applied)
	x := w.engine().Explain(t.Context(), ref, w.gate, time.Minute, reconcile.Waiting{})
	if len(w.tenant.applied) != before {
		t.Errorf("Explain() wrote %v", w.tenant.applied[before:])
	}
	return x
}

// ops returns the operations of an entry's own changes.
func ops(p plan.Plan, ref directory.Ref) (out []plan.Op) {
	for i := range p.Changes {
		if c := &p.Changes[i]; c.Ref == ref {
			out = append(out, c.Op)
		}
	}
	return out
}

// An explanation draws the conclusions of a full run about one entry. The sync of the entry alone must not.
func TestExplainConcludesDepartures(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	if x := w.explain(t, ref(5)); !slices.Equal(ops(x.Apply, ref(5)), []plan.Op{plan.Create}) ||
		fault.KindOf(x.Unproven) != fault.Unsafe || x.Facts.Complete() {
		t.Errorf("before the first run: %+v", x)
	}
	mustRun(t, w)
	x := w.explain(t, ref(2))
	if len(x.Apply.Changes) != 0 || len(x.Objects) != 1 || len(x.Groups) != 2 ||
		x.Link.RemoteID != x.Objects[0].RemoteID || x.Desired == nil || x.Entry == nil {
		t.Errorf("in step: %+v", x)
	}
	w.source.snapshot.Entries = slices.Delete(company(), 5, 6)
	x = w.explain(t, ref(5))
	if !slices.Equal(ops(x.Apply, ref(5)), []plan.Op{plan.Suspend}) || len(x.Apply.Tombstones) != 1 || x.Entry != nil {
		t.Errorf("departed: %+v", x)
	}
	if r, err := w.run(t.Context(), ref(5)); err != nil || len(r.Apply.Changes) != 0 {
		t.Errorf("the sync of one who left plans %v, %v; want nothing", r.Apply.Changes, err)
	}
}

// deaf is a tenant that never responds.
type deaf struct{ *tenantFake }

func (deaf) Read(context.Context, provider.Query) (plan.State, error) {
	return plan.State{}, fault.Errorf(fault.Unavailable, "no answer")
}

// Without one of the sides, the explanation has the data of the other.
func TestExplainWithoutASide(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	e := reconcile.New(reconcile.Config{Source: w.source, Provider: deaf{w.tenant}, Desire: desire, Ledger: w.ledger,
		Policy: w.policy})
	x := e.Explain(t.Context(), ref(5), w.gate, time.Minute, reconcile.Waiting{})
	if x.RemoteErr == nil || x.SourceErr != nil || x.Desired == nil || x.Desired.Address != "u005@example.com" ||
		x.Link.RemoteID == "" {
		t.Errorf("without the tenant: %+v", x)
	}
	w.source.err = errors.New("half written")
	if x := w.explain(t, ref(5)); x.SourceErr == nil || x.RemoteErr != nil || x.Link.RemoteID == "" {
		t.Errorf("without the source: %+v", x)
	}
}

// A lookup that does not find the entry's account outweighs the link in the ledger.
func TestTheSyncOfOneEntryMakesWhatWasDeletedByHand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	for id, o := range w.tenant.objects {
		if o.Ref == ref(5) {
			delete(w.tenant.objects, id)
		}
	}
	w.now = w.now.Add(time.Hour)
	if x := w.explain(t, ref(5)); !slices.Equal(ops(x.Apply, ref(5)), []plan.Op{plan.Create}) {
		t.Errorf("Explain() plans %v, want create", x.Apply.Changes)
	}
	if r, err := w.run(t.Context(), ref(5)); err != nil || r.Applied != 1 || r.Failed != 0 {
		t.Errorf("the sync of the entry: %d applied, %d failed, %v", r.Applied, r.Failed, err)
	}
}

// With two accounts under one anchor, the engine chooses neither. That is also true of a sync that looks up only the
// account that the ledger knows.
func TestAnAmbiguousAnchorIsNotLinked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	w.tenant.objects["copy"] = &plan.Object{Ref: ref(5), RemoteID: "copy", Address: "copy@example.com", Active: true}
	mustRun(t, w)
	links, err := w.ledger.Links(t.Context())
	if err != nil || links[ref(5)].RemoteID != "" {
		t.Errorf("the ledger links %+v, %v; want no account", links[ref(5)], err)
	}
	delete(w.tenant.objects, "copy")
	mustRun(t, w)
	if links, err = w.ledger.Links(t.Context()); err != nil || links[ref(5)].RemoteID == "" {
		t.Errorf("after the copy is gone the ledger links %+v, %v", links[ref(5)], err)
	}
}
