package reconcile_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// An entry left long ago and its account is suspended only now, because a guard held the change. The grace period
// begins now, even if the worker dies right after the write.
func TestLaw10TheGracePeriodOfALateSuspensionSurvivesADeath(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.policy.UserDeleteAction = plan.ActionDelete
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	w.source.snapshot.Entries = slices.Delete(company(), 5, 6)
	w.source.snapshot.Departed = []directory.Departure{{Ref: ref(5), Source: "corp", Left: w.now.Add(-1000 * time.Hour)}}
	good := w.ledger
	w.ledger = &ledgerFake{good, 1} // It takes what is noted before the write, and nothing after.
	if _, err := w.run(t.Context()); err == nil {
		t.Fatal("the run survived")
	}
	w.ledger = good
	w.now = w.now.Add(time.Minute)
	mustRun(t, w)
	if got := w.tenant.picture()["u005@example.com"]; !strings.Contains(got, "active=false") {
		t.Errorf("a minute after the suspension the account is %q, want it there and suspended", got)
	}
	w.now = w.now.Add(720 * time.Hour)
	mustRun(t, w)
	if got, there := w.tenant.picture()["u005@example.com"]; there {
		t.Errorf("after the grace period there is still %s", got)
	}
}
