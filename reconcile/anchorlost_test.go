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
	w := newWorld()
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
