package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

// An entry left long ago and its account is suspended only now, because a guard held the change. The grace period
// begins now, even if the worker dies right after the write.
func TestLaw10TheGracePeriodOfALateSuspensionSurvivesADeath(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy.UserDeleteAction = plan.ActionDelete
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	w.source.snapshot.Entries = slices.Delete(company(), 5, 6)
	w.source.snapshot.Departed = []directory.Departure{{Ref: ref(5), Source: "corp", Left: w.now.Add(-1000 * time.Hour)}}
	good := w.ledger
	w.ledger = dying(good, 1) // It takes what is noted before the write, and nothing after.
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

// keeper is a tenant that suspends accounts in place of deleting them.
type keeper struct {
	*markless
	silent *bool                  // deletions get no answer
	ours   map[directory.Ref]bool // what was active, or suspended by us
}

func (t keeper) Read(ctx context.Context, q provider.Query) (plan.State, error) {
	s, err := t.markless.Read(ctx, q)
	for i := range s.Objects {
		t.ours[s.Objects[i].Ref] = s.Objects[i].Active || s.Objects[i].Suspender == plan.Us
	}
	return s, err
}

func (t keeper) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	batch = slices.Clone(batch)
	deleted := make([]bool, len(batch))
	for i := range batch {
		if deleted[i] = batch[i].Op == plan.Delete; deleted[i] {
			batch[i].Op = plan.Suspend
		}
	}
	results := t.markless.Apply(ctx, batch)
	for i := range results {
		results[i].Outlived = deleted[i] && results[i].Err == nil
		results[i].Foreign = results[i].Outlived && !t.ours[batch[i].Ref]
		if deleted[i] && *t.silent {
			results[i] = provider.Result{Err: fault.Errorf(fault.Unavailable, "no answer")}
		}
	}
	return results
}

// TestADeletedAccountThatTheTenantKeeps is deleted once, and active again when the person comes back.
func TestADeletedAccountThatTheTenantKeeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy.UserDeleteAction, w.policy.DeleteAfter = plan.ActionDelete, 0
	silent := false
	run := func(want int) {
		t.Helper()
		tenant, _ := w.withoutMarks() // It knows what the ledger knows.
		engine := reconcile.New(reconcile.Config{Source: w.source, Desire: desire,
			Provider: keeper{tenant, &silent, map[directory.Ref]bool{}}, Ledger: w.ledger, Policy: w.policy})
		report, err := engine.Execute(t.Context(), w.runOf("", reconcile.Full()))
		if err != nil && !silent {
			t.Fatal(err)
		}
		if n := len(report.Apply.Changes); n != want && want >= 0 {
			t.Errorf("%d changes, want %d: %+v", n, want, report.Apply.Changes)
		}
	}
	is := func(want string) {
		t.Helper()
		if got := w.tenant.picture()["u005@example.com"]; !strings.Contains(got, want) {
			t.Errorf("the account is %q, want %s", got, want)
		}
	}
	w.source.snapshot.Entries = company()
	run(-1)
	for _, silent = range []bool{false, true} {
		w.source.snapshot.Entries = slices.Delete(company(), 5, 6)
		w.source.snapshot.Departed = []directory.Departure{{Ref: ref(5), Source: "corp", Left: w.now}}
		run(-1)
		if silent {
			silent = false
			run(-1)
		}
		run(0)
		is("active=false")
		w.source.snapshot.Entries, w.source.snapshot.Departed = company(), nil
		run(-1)
		run(0)
		is("active=true")
	}
}
