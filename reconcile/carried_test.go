package reconcile_test

import (
	"slices"
	"testing"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

// fixedTenant cannot change the anchor of a group.
type fixedTenant struct{ *tenantFake }

func (t fixedTenant) Capabilities() plan.Capabilities {
	c := t.tenantFake.Capabilities()
	c.FixedAnchors = []directory.Kind{directory.Group}
	return c
}

// A group that was created again in the directory keeps its object, which keeps its anchor: the ledger has the new ID.
func TestAGroupWithAFixedAnchorIsCarriedOn(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.source.snapshot.Entries = company()
	tenant := fixedTenant{w.tenant}
	tenant.hook = func(c plan.Change, _ bool) error {
		if o := tenant.objects[c.RemoteID]; o != nil && o.Kind == directory.Group && o.ID != c.ID {
			t.Errorf("%s names %s and the object carries %s", c.Op, c.Ref, o.ID)
		}
		return nil
	}
	engine := reconcile.New(reconcile.Config{
		Source: w.source, Provider: tenant, Ledger: w.ledger, Policy: w.policy,
		Desire: func(s directory.Snapshot, state plan.State) (mapping.Result, error) {
			r, err := desire(s, state)
			for i := range r.Desired {
				if d := &r.Desired[i]; d.Kind == directory.Group {
					d.Address, d.Rekey = d.Label+"@example.com", d.Label
				}
			}
			return r, err
		},
	})
	run := func() reconcile.Report {
		t.Helper()
		r, err := engine.Execute(t.Context(), reconcile.Run{ID: "run", Scope: reconcile.Full(), Lease: w.gate, Memory: w.gate, Journal: w.said})
		if err != nil || r.Failed > 0 {
			t.Fatalf("Execute() = %v, %d failed", err, r.Failed)
		}
		return r
	}
	run()
	at := slices.IndexFunc(w.source.snapshot.Entries, func(e directory.Entry) bool { return e.ID == "g000" })
	w.source.snapshot.Entries[at].ID = "g900"
	before := w.tenant.picture()
	r := run()
	if len(r.Held.Changes) != 1 || r.Held.Changes[0].Op != plan.Reanchor || len(r.Apply.Changes) != 0 {
		t.Fatalf("held %+v, applied %+v", r.Held.Changes, r.Apply.Changes)
	}
	w.gate.verdicts = map[string]plan.Verdict{r.Held.Changes[0].Fingerprint(): plan.Approved}
	w.source.snapshot.Entries[at].Members = append(w.source.snapshot.Entries[at].Members, ref(9))
	run()
	if got := w.tenant.picture(); len(got) != len(before) || w.tenant.listed == 0 {
		t.Errorf("the tenant has %v, want the same objects as before: %v", got, before)
	}
	if r = run(); len(r.Apply.Changes)+len(r.Held.Changes) != 0 {
		t.Errorf("the next plan has %+v, held %+v", r.Apply.Changes, r.Held.Changes)
	}
	w.source.snapshot.Entries[at].Members = w.source.snapshot.Entries[at].Members[1:]
	if r = run(); r.Applied != 1 {
		t.Errorf("%d changes, want one member to leave", r.Applied)
	}
	links, err := w.ledger.Links(t.Context())
	link := links[directory.Ref{Kind: directory.Group, ID: "g900"}]
	if err != nil || link.Anchor != "g000" || link.RemoteID == "" || links[directory.Ref{Kind: directory.Group, ID: "g000"}].RemoteID != "" {
		t.Errorf("link = %+v, %v", link, err)
	}
}

var _ provider.Provider = fixedTenant{}
