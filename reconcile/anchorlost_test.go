package reconcile_test

import (
	"testing"

	"rollcall/directory"
	"rollcall/plan"
)

// The anchor of an account was removed and the account renamed. As long as the account exists, the entry gets no
// second one.
func TestLaw4AnAccountThatLostItsAnchorIsHeldInEveryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	for _, o := range w.tenant.objects {
		if o.Ref == ref(5) {
			o.Ref, o.Address = directory.Ref{Kind: directory.User}, "old.name@example.com"
		}
	}
	for n := range 3 {
		r, err := w.run(t.Context())
		if err != nil || r.Applied != 0 || len(r.Apply.Held) != 1 || r.Apply.Held[0].Reason != plan.AnchorLost {
			t.Fatalf("run %d: %d changes, held %+v, err %v; want the entry held because its account lost its anchor", n+1,
				r.Applied, r.Apply.Held, err)
		}
	}
	if got := len(w.tenant.objects); got != 13 {
		t.Errorf("the tenant has %d objects, want 13 and no twin", got)
	}
}

// An account lost its anchor, and its entry was disabled and enabled again. Disabled entries are remembered, too, but
// the link to the account stays, so the entry gets no second one. An account that gets its anchor back is ours again.
func TestLaw5AnInactiveEntryKeepsTheLinkToAnAccountThatLostItsAnchor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	var account *plan.Object
	for _, o := range w.tenant.objects {
		if o.Ref == ref(5) {
			account = o
		}
	}
	account.Ref, account.Address = directory.Ref{Kind: directory.User}, "old.name@example.com"
	for _, active := range []bool{false, false, true, true, false, true} {
		w.source.snapshot.Entries[5].Active = active
		r, err := w.run(t.Context())
		if err != nil || r.Applied != 0 || len(w.tenant.objects) != 13 {
			t.Fatalf("active %v: %d changes, %d objects, err %v; want no change and no twin among 13 objects", active,
				r.Applied, len(w.tenant.objects), err)
		}
		held := active && len(r.Apply.Held) == 1 && r.Apply.Held[0].Reason == plan.AnchorLost
		if active != held {
			t.Errorf("active %v: held %+v, want the active entry held because its account lost its anchor", active, r.Apply.Held)
		}
	}
	account.Ref, account.Address = ref(5), "u005@example.com"
	for range 2 {
		if r, err := w.run(t.Context()); err != nil || r.Applied != 0 || len(r.Apply.Held) > 0 {
			t.Errorf("with its anchor back: %d changes, held %+v, err %v; want nothing", r.Applied, r.Apply.Held, err)
		}
	}
	links, err := w.ledger.Links(t.Context())
	if link := links[ref(5)]; err != nil || link.RemoteID != account.RemoteID || link.Inactive {
		t.Errorf("the link is %+v, err %v; want %s", link, err, account.RemoteID)
	}
}
