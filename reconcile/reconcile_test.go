package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

func mustRun(t *testing.T, w *world) {
	t.Helper()
	if _, err := w.run(t.Context()); err != nil {
		t.Fatalf("Execute() = %v", err)
	}
}

// quiet makes sure that a run has nothing to do.
func quiet(t *testing.T, w *world) {
	t.Helper()
	before := len(w.tenant.applied)
	r, err := w.run(t.Context())
	if err != nil || !r.Apply.Empty() || !r.Held.Empty() || len(w.tenant.applied) != before {
		t.Fatalf("the next run has %d changes, %d held, err %v; want none", len(r.Apply.Changes), len(r.Held.Changes), err)
	}
}

func TestAFirstRunProvisionsAndTheNextDoesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	if got, want := len(w.tenant.objects), 13; got != want {
		t.Errorf("the tenant has %d objects, want %d", got, want)
	}
	if got := w.tenant.picture()["g001@example.com"]; !strings.Contains(got,
		"[u002@example.com u004@example.com u006@example.com]") {
		t.Errorf("crew 1 is %s", got)
	}
	quiet(t, w) // lists the changed groups once
	listed := w.tenant.listed
	quiet(t, w)
	if w.tenant.listed != listed {
		t.Errorf("%d groups were listed although their witness holds", w.tenant.listed-listed)
	}
	w.now = w.now.Add(8 * 24 * time.Hour)
	quiet(t, w)
	if got := w.tenant.listed - listed; got != 3 {
		t.Errorf("%d groups were verified after a week, want 3", got)
	}
}

func TestLaw3LosingTheLedgerCostsNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	w.source.snapshot.Entries = slices.Delete(company(), 5, 6) // u005, in no crew
	mustRun(t, w)
	want := w.tenant.picture()
	w.ledger = newLedger(t)
	quiet(t, w)
	if diff := cmp.Diff(want, w.tenant.picture()); diff != "" {
		t.Errorf("after the ledger was lost (-want +got):\n%s", diff)
	}
}

func TestLaw1NoUsersWhereThereWereSomeFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	w.source.snapshot.Entries = nil
	before := len(w.tenant.applied)
	if _, err := w.run(t.Context()); fault.KindOf(err) != fault.Unsafe || len(w.tenant.applied) != before {
		t.Errorf("Execute() = %v with %d writes, want an error of kind unsafe and none", err, len(w.tenant.applied)-before)
	}
	w.source.err = fault.Errorf(fault.Unavailable, "connection reset")
	if _, err := w.run(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Execute() = %v, want unavailable", err)
	}
}

func TestLaw1OtherReferralsHoldTheDestructiveLane(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	w.source.snapshot.Referrals = []string{"ldap://a/"}
	mustRun(t, w)
	w.source.snapshot.Entries = append(slices.Delete(company(), 5, 6), person(20))
	w.source.snapshot.Referrals = []string{"ldap://a/", "ldap://b/"}
	for range 2 { // As long as the set differs from the last good run's.
		r, err := w.run(t.Context())
		if err != nil || len(r.Held.Changes) != 1 || r.Held.Changes[0].Guard != plan.RuleDoubt {
			t.Fatalf("held %+v, err %v; want one suspension held for doubt", r.Held.Changes, err)
		}
	}
	if _, there := w.tenant.picture()["u020@example.com"]; !there {
		t.Error("the joiner did not arrive")
	}
	w.source.snapshot.Referrals = []string{"ldap://a/"}
	if r, err := w.run(t.Context()); err != nil || r.Applied != 1 {
		t.Errorf("applied %d, err %v; want the suspension", r.Applied, err)
	}
	w.source.snapshot.Referrals = nil // A different set with nothing missing becomes the new one.
	mustRun(t, w)
	w.source.snapshot.Entries = append(slices.Delete(company(), 5, 7), person(20))
	if r, err := w.run(t.Context()); err != nil || r.Applied != 1 {
		t.Errorf("applied %d, err %v; want the suspension of u006", r.Applied, err)
	}
}

func TestLaw10TheClockSurvivesAndComingBackCancels(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy.UserDeleteAction = plan.ActionDelete
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	w.source.snapshot.Entries = slices.Delete(company(), 5, 6)
	mustRun(t, w)
	w.now = w.now.Add(719 * time.Hour)
	quiet(t, w)
	w.source.snapshot.Entries = company() // back
	mustRun(t, w)
	if got := w.tenant.picture()["u005@example.com"]; !strings.Contains(got, "active=true") {
		t.Fatalf("who came back is %s", got)
	}
	w.source.snapshot.Entries = slices.Delete(company(), 5, 6)
	mustRun(t, w)
	w.now = w.now.Add(719 * time.Hour)
	quiet(t, w)
	w.now = w.now.Add(time.Hour)
	mustRun(t, w)
	if got, there := w.tenant.picture()["u005@example.com"]; there {
		t.Errorf("after the grace period there is still %s", got)
	}
	quiet(t, w)
}

func TestLaw13AnOlderPlanGivesWay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	w.tenant.hook = func(c plan.Change, after bool) error {
		if !after && c.Ref == ref(0) { // While the first is written, the directory moves on.
			w.source.mu.Lock()
			defer w.source.mu.Unlock()
			w.source.snapshot.Entries[9].Attributes = directory.Attributes{{Name: directory.CommonName,
				Values: []string{"Renamed"}}}
		}
		return nil
	}
	r, err := w.run(t.Context())
	if err != nil || r.Superseded == 0 && !strings.Contains(w.tenant.picture()["u009@example.com"], "Person 9") {
		t.Fatalf("superseded %d, err %v", r.Superseded, err)
	}
	w.tenant.hook = nil
	mustRun(t, w)
	if got := w.tenant.picture()["u009@example.com"]; !strings.Contains(got, "Renamed") {
		t.Errorf("u009 is %s", got)
	}
}

func TestLaw11OneBadEntryIsNamedAndABadTargetStops(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		kind  fault.Kind
		stops bool
	}{
		{fault.Internal, true},
		{fault.Invalid, false},
		{fault.NotFound, false},
		{fault.Conflict, false},
		{fault.Denied, false}, // A denied target refuses its token or its listing, and every write.
		{fault.Throttled, true},
		{fault.Unavailable, false},
		{fault.Unsafe, false},
		{fault.Canceled, true},
		{fault.Refused, false},
	} {
		w := newWorld(t)
		w.source.snapshot.Entries = company()
		w.tenant.hook = func(c plan.Change, after bool) error {
			if !after && c.Ref == ref(3) {
				return fault.Errorf(tc.kind, "no")
			}
			return nil
		}
		_, err := w.run(t.Context())
		if got := err != nil; got != tc.stops || err != nil && fault.KindOf(err) != tc.kind {
			t.Errorf("%s: Execute() = %v, stops %v want %v", tc.kind, err, got, tc.stops)
		}
		if len(fault.Kinds()) != 10 {
			t.Error("a new kind of fault needs a row here")
		}
	}
}

func TestATargetThatIsDownStopsTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	w.tenant.hook = func(plan.Change, bool) error { return fault.Errorf(fault.Unavailable, "502") }
	if _, err := w.run(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Execute() = %v, want unavailable", err)
	}
}

func TestLaw12AWorkerWithoutItsLeaseWritesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	w.gate.err = errors.New("the lease is gone")
	if _, err := w.run(t.Context()); err == nil || len(w.tenant.applied) > 0 {
		t.Errorf("Execute() = %v with %d writes, want an error and none", err, len(w.tenant.applied))
	}
}

func TestDraining(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	w.gate.drain = make(chan struct{})
	close(w.gate.drain)
	if _, err := w.run(t.Context()); fault.KindOf(err) != fault.Canceled || len(w.tenant.applied) > 0 {
		t.Errorf("Execute() = %v with %d writes, want canceled and none", err, len(w.tenant.applied))
	}
}

func TestAnObjectJobTouchesOneEntry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	mustRun(t, w)
	changed := company()
	changed[3].Attributes = directory.Attributes{{Name: directory.CommonName, Values: []string{"Three"}}}
	changed[4].Attributes = directory.Attributes{{Name: directory.CommonName, Values: []string{"Four"}}}
	changed[12].Members = append(changed[12].Members, ref(3)) // crew 2
	w.source.snapshot.Entries = append(changed, person(30))
	r, err := w.run(t.Context(), ref(3))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range r.Apply.Changes {
		got = append(got, c.Op.String()+" "+c.Ref.String())
	}
	if diff := cmp.Diff([]string{"update user/u003", "add_member group/g002"}, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}

func TestAnObjectJobCreatesNothingBeforeAFullRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	if _, err := w.run(t.Context(), ref(3)); fault.KindOf(err) != fault.Unsafe || len(w.tenant.objects) > 0 {
		t.Errorf("Execute() = %v with %d objects, want unsafe and none", err, len(w.tenant.objects))
	}
}

func TestRequireApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries, w.approval, w.scope = company(), provider.ApprovalFirstRun, "one"
	for range 2 { // Waiting does not approve.
		r, err := w.run(t.Context())
		if err != nil || len(r.Held.Changes) != 21 || len(w.tenant.objects) != 0 {
			t.Fatalf("held %d with %d objects, err %v; want 21 and none", len(r.Held.Changes), len(w.tenant.objects), err)
		}
	}
	w.approval = provider.ApprovalGuard
	mustRun(t, w)
	w.approval = provider.ApprovalFirstRun
	quiet(t, w)
	w.source.snapshot.Entries = append(company(), person(20))
	mustRun(t, w) // The same scope: only guards hold.
	if len(w.tenant.objects) != 14 {
		t.Errorf("%d objects, want 14", len(w.tenant.objects))
	}
	w.scope, w.source.snapshot.Entries = "two", append(company(), person(20), person(21))
	if r, err := w.run(t.Context()); err != nil || len(r.Held.Changes) != 1 ||
		r.Held.Changes[0].Guard != plan.RuleApproval {
		t.Errorf("after a change of scope %d are held, err %v; want the joiner", len(r.Held.Changes), err)
	}
}

var errKilled = fault.Errorf(fault.Canceled, "killed")

// scenario prepares a world for the run that is going to be killed. Some people join, one changes, one leaves and one
// comes back.
func scenario(t *testing.T) *world {
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	w.source.snapshot.Entries = slices.Delete(company(), 7, 8)
	mustRun(t, w)
	next := append(slices.Delete(company(), 8, 9), person(11), person(12), crew(3, 0, 11, 12))
	next[0].Attributes = directory.Attributes{{Name: directory.CommonName, Values: []string{"Renamed"}}}
	next[9].Members = []directory.Ref{ref(1), ref(2), ref(12)}
	w.source.snapshot.Entries = next
	return w
}

// TestStopAnywhereRunAgainSameEnd kills a run at every remote call, before and after its effect, and at every write
// of our own. The next run must reach the same end, without duplicates or deletions.
func TestStopAnywhereRunAgainSameEnd(t *testing.T) {
	t.Parallel()
	calm := scenario(t)
	start := len(calm.tenant.applied)
	mustRun(t, calm)
	want, writes := calm.tenant.picture(), len(calm.tenant.applied)-start
	if writes < 8 {
		t.Fatalf("the scenario has %d writes only", writes)
	}
	for _, after := range []bool{false, true} {
		for cut := range writes {
			w := scenario(t)
			n := 0
			w.tenant.hook = func(_ plan.Change, now bool) error {
				if now != after {
					return nil
				}
				if n++; n > cut {
					return errKilled
				}
				return nil
			}
			w.ledger = dying(w.ledger, 1) // Who is killed records nothing any more.
			if _, err := w.run(t.Context()); err == nil {
				t.Fatalf("cut %d after=%v: the run survived", cut, after)
			}
			resume(t, w, want, fmt.Sprintf("cut %d after=%v", cut, after))
		}
	}
	for cut := range 5 {
		w := scenario(t)
		w.ledger = dying(w.ledger, cut)
		if _, err := w.run(t.Context()); !errors.Is(err, errDead) {
			t.Fatalf("own cut %d: %v", cut, err)
		}
		resume(t, w, want, fmt.Sprintf("own cut %d", cut))
	}
}

func resume(t *testing.T, w *world, want map[string]string, what string) {
	t.Helper()
	w.tenant.hook = nil
	if l, ok := w.ledger.(*ledgerFake); ok {
		w.ledger = l.Ledger
	}
	if _, err := w.run(context.WithoutCancel(t.Context())); err != nil {
		t.Fatalf("%s: run again: %v", what, err)
	}
	if diff := cmp.Diff(want, w.tenant.picture()); diff != "" {
		t.Fatalf("%s (-want +got):\n%s", what, diff)
	}
	quiet(t, w)
}
