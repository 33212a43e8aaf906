package reconcile_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/reconcile"
)

// deletesAtOnce is a company with a user who left, at a tenant that deletes at once. A joiner comes in the same run.
func deletesAtOnce(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.policy.UserDeleteAction, w.policy.DeleteAfter = plan.ActionDelete, 0
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	w.source.snapshot.Entries = append(slices.Delete(company(), 5, 6), person(20))
	return w
}

// A leaver whose deletion is refused, gets no answer or has to wait has no active account after the run. The next run
// deletes it, and both runs count one departure.
func TestLaw11ARefusedDeletionLeavesNobodyActive(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		err      error
		op       plan.Op // the deletion, if zero
		after    bool
		deferred bool
	}{
		"refused":         {err: fault.Errorf(fault.Refused, "never delete")},
		"invalid":         {err: fault.Errorf(fault.Invalid, "never delete")},
		"conflict":        {err: fault.Errorf(fault.Conflict, "has data")},
		"not found":       {err: fault.Errorf(fault.NotFound, "a gateway")},
		"internal":        {err: fault.Errorf(fault.Internal, "what is this")},
		"denied":          {err: fault.Errorf(fault.Denied, "no right")},
		"throttled":       {err: fault.Errorf(fault.Throttled, "slower"), deferred: true},
		"no answer":       {err: fault.Errorf(fault.Unavailable, "silence")},
		"a lost answer":   {err: fault.Errorf(fault.Unavailable, "silence"), after: true},
		"a dead worker":   {err: killed, deferred: true},
		"a death between": {err: killed, op: plan.Suspend, after: true, deferred: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := deletesAtOnce(t)
			var suspended bool
			w.tenant.hook = func(c plan.Change, after bool) error {
				switch {
				case c.Op == plan.Create && c.Ref == ref(20) && !suspended:
					t.Error("the joiner is created before the leaver is suspended")
				case c.Op == plan.Suspend && after && tc.op == 0:
					suspended = true
				case c.Op == cmp.Or(tc.op, plan.Delete) && after == tc.after:
					return tc.err
				}
				return nil
			}
			_, err := w.run(t.Context())
			if deferred := err != nil && fault.KindOf(err) != fault.Internal; deferred != tc.deferred {
				t.Errorf("Execute() = %v", err)
			}
			state, there := w.tenant.picture()["u005@example.com"]
			if there && !strings.Contains(state, "active=false by=1") {
				t.Errorf("the leaver is %s, want it suspended by us", state)
			}
			if w.gate.taken != 1 {
				t.Errorf("%d departures are counted, want one", w.gate.taken)
			}
			w.tenant.hook = nil
			mustRun(t, w)
			if state := w.tenant.picture()["u005@example.com"]; state != "" {
				t.Errorf("the leaver is %s after the next run, want it deleted", state)
			}
			if w.gate.taken != 1 {
				t.Errorf("%d departures are counted after the next run, want one", w.gate.taken)
			}
		})
	}
}

// An account that cannot be suspended is deleted all the same, and nothing failed. Where the deletion is refused, too,
// one message says both.
func TestAnAccountThatCannotBeSuspendedIsDeleted(t *testing.T) {
	t.Parallel()
	for _, kind := range []fault.Kind{fault.Refused, fault.Unavailable} {
		for _, refused := range []bool{false, true} {
			w := deletesAtOnce(t)
			w.tenant.hook = func(c plan.Change, after bool) error {
				if after || c.Op != plan.Suspend && (c.Op != plan.Delete || !refused) {
					return nil
				} else if c.Op == plan.Delete {
					return fault.Errorf(fault.Refused, "no deletions")
				}
				return fault.Errorf(kind, "no suspensions")
			}
			r, err := w.run(t.Context())
			_, there := w.tenant.picture()["u005@example.com"]
			if failed := r.Failed == 1; err != nil || failed != refused || there != refused {
				t.Errorf("%v, refused %v: %d failed, there %v, %v", kind, refused, r.Failed, there, err)
			}
			both := func(m string) bool {
				return strings.Contains(m, "no deletions") && strings.Contains(m, "no suspensions")
			}
			if slices.ContainsFunc(w.said.messages, both) != refused {
				t.Errorf("%v, refused %v: the messages are %q", kind, refused, w.said.messages)
			}
		}
	}
}

// A sync of one leaver, a run that a tenant shows no list to, and the plan for the fast lane suspend as well.
func TestDeletionsBeginWithASuspensionInEveryScope(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(w *world) (reconcile.Report, error){
		"departing": func(w *world) (reconcile.Report, error) {
			return w.engine().Execute(t.Context(), w.runOf("run", reconcile.Departing(ref(5))))
		},
		"suspending": func(w *world) (reconcile.Report, error) {
			return w.engine().Execute(t.Context(), w.runOf("run", reconcile.Suspending(ref(5))))
		},
		"without lists": func(w *world) (reconcile.Report, error) {
			w.tenant.refuses = fault.Errorf(fault.Denied, "no lists")
			return w.run(t.Context())
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := deletesAtOnce(t)
			w.source.snapshot.Departed = []directory.Departure{{Ref: ref(5), Source: "corp", Left: w.now}}
			w.tenant.hook = func(c plan.Change, after bool) error {
				if c.Op == plan.Delete && !after {
					return fault.Errorf(fault.Refused, "never delete")
				}
				return nil
			}
			if r, err := run(w); len(r.Apply.Changes) != 1 {
				t.Errorf("Execute() = %v, %+v; want one change", err, r.Apply.Changes)
			}
			if state := w.tenant.picture()["u005@example.com"]; !strings.Contains(state, "active=false by=1") {
				t.Errorf("the leaver is %s, want it suspended by us", state)
			}
			w.tenant.hook, w.tenant.refuses = nil, nil
			mustRun(t, w)
			if state := w.tenant.picture()["u005@example.com"]; state != "" || w.gate.taken != 1 {
				t.Errorf("the leaver is %q after a full run, and %d departures are counted", state, w.gate.taken)
			}
		})
	}
}

// An approval of held deletions ends the access of the leavers also where the tenant shows no list.
func TestHeldDeletionsAreApprovedWithoutLists(t *testing.T) {
	t.Parallel()
	w := deletesAtOnce(t)
	w.source.snapshot.Entries = slices.Delete(company(), 1, 5)
	for i := 1; i < 5; i++ {
		w.source.snapshot.Departed = append(w.source.snapshot.Departed,
			directory.Departure{Ref: ref(i), Source: "corp", Left: w.now})
	}
	w.tenant.refuses = fault.Errorf(fault.Denied, "no lists")
	r, err := w.run(t.Context())
	if len(r.Held.Changes) != 4 {
		t.Fatalf("Execute() = %v, %d held, want the four leavers", err, len(r.Held.Changes))
	}
	w.gate.verdicts = approved(r.Held)
	if r, err = w.run(t.Context()); len(r.Apply.Changes) != 4 || len(r.Held.Changes) != 0 {
		t.Errorf("Execute() = %v, %d to apply, %d held after the approval", err, len(r.Apply.Changes), len(r.Held.Changes))
	}
	for _, address := range []string{"u001@example.com", "u004@example.com"} {
		if state := w.tenant.picture()[address]; !strings.Contains(state, "active=false by=1") {
			t.Errorf("the leaver is %s, want it suspended by us", state)
		}
	}
}

// An account that is still active, because its suspension and its deletion are refused, is not known as suspended. A
// run without lists tries it again.
func TestARefusedEndingIsNotNotedAsSuspended(t *testing.T) {
	t.Parallel()
	w := deletesAtOnce(t)
	w.source.snapshot.Departed = []directory.Departure{{Ref: ref(5), Source: "corp", Left: w.now}}
	w.tenant.hook = func(c plan.Change, after bool) error {
		if !after && (c.Op == plan.Delete || c.Op == plan.Suspend) {
			return fault.Errorf(fault.Refused, "no")
		}
		return nil
	}
	mustRun(t, w)
	if links, err := w.ledger.LinksOf(t.Context(), ref(5)); err != nil || links[ref(5)].Suspended {
		t.Errorf("the link is %+v, %v; want it not suspended", links[ref(5)], err)
	}
	w.tenant.hook, w.tenant.refuses = nil, fault.Errorf(fault.Denied, "no lists")
	_, err := w.run(t.Context())
	if state := w.tenant.picture()["u005@example.com"]; !strings.Contains(state, "active=false by=1") {
		t.Errorf("Execute() = %v, and the leaver is %s, want it suspended by us", err, state)
	}
}

// A failed suspension is told also where its deletion waits for another run or is not tried.
func TestAFailedSuspensionIsToldWithoutADeletion(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		people, leavers int
		kind            fault.Kind // of the deletion
	}{"throttled": {20, 1, fault.Throttled}, "lane given up": {600, 25, fault.Refused}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.policy.UserDeleteAction, w.policy.DeleteAfter = plan.ActionDelete, 0
			for i := range tc.people {
				w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(i))
			}
			mustRun(t, w)
			w.source.snapshot.Entries = w.source.snapshot.Entries[tc.leavers:]
			w.tenant.hook = func(c plan.Change, _ bool) error {
				switch c.Op {
				case plan.Suspend:
					return fault.Errorf(fault.Refused, "no suspension")
				case plan.Delete:
					return fault.Errorf(tc.kind, "no deletion")
				}
				return nil
			}
			w.said.messages = nil
			r, err := w.run(t.Context())
			named := 0
			for _, m := range w.said.messages {
				if strings.HasPrefix(m, "Failed: ") && strings.Contains(m, "no suspension") {
					named++
				}
			}
			if r.Failed != tc.leavers || named != tc.leavers {
				t.Errorf("Execute() = %v, %d failed, %d named, want %d", err, r.Failed, named, tc.leavers)
			}
		})
	}
}
