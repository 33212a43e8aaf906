package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"rollcall/plan"
	"rollcall/reconcile"
)

// slowTenant takes a minute for each change, as far as its quota goes.
type slowTenant struct{ *tenantFake }

func (slowTenant) Estimate(changes []plan.Change) time.Duration {
	return time.Duration(len(changes)) * time.Minute
}

// TestAPlanSaysHowLongItTakes checks that the estimate is a message of the run before anything is written.
func TestAPlanSaysHowLongItTakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company() // 13 objects and 8 memberships
	const want = "At the tenant's quota the changes take about 21 minutes."
	w.tenant.hook = func(plan.Change, bool) error {
		w.said.mu.Lock()
		defer w.said.mu.Unlock()
		if !slices.Contains(w.said.messages, want) {
			t.Errorf("said %q before the first write, want %q", w.said.messages, want)
		}
		return nil
	}
	engine := reconcile.New(reconcile.Config{Source: w.source, Provider: slowTenant{w.tenant}, Desire: w.desire,
		Ledger: w.ledger, Policy: w.policy, Now: func() time.Time { return w.now }})
	if _, err := engine.Execute(t.Context(), w.runOf("run", reconcile.Full())); err != nil {
		t.Fatal(err)
	}
}
