package reconcile_test

import (
	"context"
	"slices"
	"testing"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

// asked records the lookups in a tenant.
type asked struct {
	*tenantFake
	lookups []provider.Lookup
}

func (a *asked) Read(ctx context.Context, q provider.Query) (plan.State, error) {
	a.lookups = q.Lookups
	return a.tenantFake.Read(ctx, q)
}

// The lookups for one entry follow from the entry and the groups. No other entry is mapped for them.
func TestLookupsMapTheEntryAndTheGroupsAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	tenant, mapped := &asked{tenantFake: w.tenant}, []int{}
	e := reconcile.New(reconcile.Config{
		Source: w.source, Provider: tenant, Ledger: w.ledger, Policy: w.policy,
		Desire: func(s directory.Snapshot, state plan.State) (mapping.Result, error) {
			mapped = append(mapped, len(s.Entries))
			return desire(s, state)
		},
	})
	x := e.Explain(t.Context(), ref(2), w.gate, 0, reconcile.Waiting{})
	if x.SourceErr != nil || x.RemoteErr != nil || len(x.Apply.Changes) != 0 {
		t.Fatalf("explained: %+v", x)
	}
	if want := len(company()); len(mapped) != 2 || mapped[0] != 4 || mapped[1] != want {
		t.Errorf("mapped %v entries, want 4 (one and three groups) and %d", mapped, want)
	}
	if l := tenant.lookups; len(l) != 1 || l[0].Address != "u002@example.com" || l[0].RemoteID == "" ||
		len(l[0].Groups) != 2 || l[0].Groups[0].ID != "g000" || l[0].Groups[1].ID != "g001" {
		t.Errorf("looked for %+v, want u002 in g000 and g001", l)
	}
}

// A pin keeps an address until it ends, which may be in the job that looks for its entry. The object that has the
// address from the source then is found, too, and goes on having it.
func TestLookupsFindTheAddressBesideThatOfAPin(t *testing.T) {
	t.Parallel()
	for name, version := range map[string]string{"ended": "other", "lasting": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.source.snapshot.Entries = company()
			mustRun(t, w)
			w.names = map[directory.Ref]string{ref(2): "new"}
			w.tenant.objects["alien"] = &plan.Object{Ref: directory.Ref{Kind: directory.User}, RemoteID: "alien",
				Address: "new@example.com", Active: true}
			if version == "" {
				for _, e := range company() {
					if e.Ref() == ref(2) {
						version = e.Digest()
					}
				}
			}
			w.gate.pins = map[directory.Ref]plan.Pin{ref(2): {Ref: ref(2), Version: version, Address: "u002@example.com"}}
			tenant := &asked{tenantFake: w.tenant}
			w.provider = tenant
			r, err := w.run(t.Context(), ref(2))
			var found []string
			for _, l := range tenant.lookups {
				found = append(found, l.Address)
			}
			if err != nil || !slices.Equal(found, []string{"u002@example.com", "new@example.com"}) ||
				tenant.lookups[1].Ref == ref(2) {
				t.Errorf("looked for %+v, %v; want u002 and new", tenant.lookups, err)
			}
			conflicts := len(r.Apply.Held)
			if len(r.Apply.Changes) > 0 || (conflicts > 0) != (name == "ended") {
				t.Errorf("planned %v, in conflict %+v", r.Apply.Changes, r.Apply.Held)
			}
		})
	}
}
