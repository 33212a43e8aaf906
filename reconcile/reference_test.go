package reconcile_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/reconcile"
)

// pendingFake has the entries that the next delta run covers.
type pendingFake ledger.Pending

func (p pendingFake) Add(_ context.Context, refs ...directory.Ref) error {
	for _, ref := range refs {
		p[ref] = int64(len(p) + 1)
	}
	return nil
}

func (p pendingFake) Pending(context.Context) (ledger.Pending, error) { return ledger.Pending(p), nil }

func (p pendingFake) Done(context.Context, ledger.Pending) error {
	clear(p)
	return nil
}

// TestReportsFollowTheirManager: a field that depends on another entry follows that entry in a delta run, which does
// not cover the entry that has the field. It is left alone while the other entry is not read.
func TestReportsFollowTheirManager(t *testing.T) {
	t.Parallel()
	m, err := mapping.Compile(mapping.Spec{UserAddress: "mail", User: []mapping.Field{{Name: "manager"}}},
		mapping.Options{User: map[string]string{"manager": "address_of(ldap.manager)"}})
	if err != nil {
		t.Fatal(err)
	}
	n := &nearby{world: newWorld(t), local: newWorld(t).ledger, T: t, rdb: redistest.Start(t), mapping: m}
	for i := range 3 {
		e := person(i)
		e.DN = fmt.Sprintf("cn=%d,dc=example,dc=com", i)
		e.Attributes = e.Attributes.Set(directory.Mail, fmt.Sprintf("p%d@example.com", i))
		if i > 0 {
			e.Attributes = e.Attributes.Set("manager", "CN=0, dc=example,dc=com")
		}
		n.source.snapshot.Entries = append(n.source.snapshot.Entries, e)
	}
	reader, pending := store.NewReader(n.part()), pendingFake{}
	engine := reconcile.New(reconcile.Config{
		Source: reader, Local: reader, Pending: pending, Provider: n.tenant, Ledger: n.ledger, Policy: n.policy,
		Now: func() time.Time { return n.now }, Scope: m.Digest(), References: m.References(),
		Desire: func(s directory.Snapshot, state plan.State) (mapping.Result, error) {
			return m.Desire(mapping.Input{Snapshot: s, Domains: state.Domains})
		},
	})
	manager := func(i int) string {
		for _, o := range n.tenant.objects {
			if o.Ref == ref(i) {
				return o.Fields.Get("manager")
			}
		}
		return "no account"
	}
	n.mirror()
	n.execute(engine, reconcile.Full())
	if got := []string{manager(0), manager(1), manager(2)}; !slices.Equal(got, []string{"", "p0@example.com",
		"p0@example.com"}) {
		t.Fatalf("managers = %q after the full run", got)
	}
	entry := &n.source.snapshot.Entries[0]
	entry.Attributes = entry.Attributes.Clone().Set(directory.Mail, "boss@example.com")
	n.mirror()
	if r := n.execute(engine, reconcile.Entries(ref(1))); len(r.Apply.Changes) != 0 {
		t.Errorf("the sync of a person whose manager is spelled in another way plans %v, want nothing", r.Apply.Changes)
	}
	if err := pending.Add(t.Context(), ref(0)); err != nil {
		t.Fatal(err)
	}
	n.execute(engine, reconcile.Changed())
	if got := []string{manager(0), manager(1), manager(2)}; !slices.Equal(got, []string{"", "boss@example.com",
		"boss@example.com"}) {
		t.Errorf("managers = %q after the delta run, want those of the new address", got)
	}
}
