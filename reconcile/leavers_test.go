package reconcile_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/reconcile"
)

var errNoLists = fault.Errorf(fault.Denied, "users.list: 403 forbidden")

// unlisted is a hop with sixty people to a tenant that refuses every list from now on.
func unlisted(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for i := range 60 {
		w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(i))
	}
	w.source.snapshot.Entries = append(w.source.snapshot.Entries, crew(0, 1, 2, 3))
	mustRun(t, w)
	w.tenant.refuses = errNoLists
	return w
}

// leave removes entries from the source, disables one, and adds a joiner.
func (w *world) leave(disabled int, gone ...int) {
	entries := slices.DeleteFunc(slices.Clone(w.source.snapshot.Entries), func(e directory.Entry) bool {
		return slices.ContainsFunc(gone, func(i int) bool { return e.Ref() == ref(i) })
	})
	for i := range entries {
		if entries[i].Ref() == ref(disabled) {
			entries[i].Active = false
		}
	}
	w.source.snapshot.Entries = append(entries, person(100))
}

// A first provisioning may take hours. A leaver in the middle of it is judged by the accounts that are there by then.
func TestALeaverInTheMiddleOfAFirstProvisioning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	present := &sourceFake{snapshot: w.source.snapshot}
	present.snapshot.Entries = present.snapshot.Entries[1:]
	var once sync.Once
	var leaver reconcile.Report
	var failed error
	w.tenant.before = func(c plan.Change) {
		if c.Kind != directory.Group {
			return
		}
		once.Do(func() {
			leaver, failed = w.engine().From(present).Execute(t.Context(), w.runOf("leaver", reconcile.Suspending(ref(0))))
		})
	}
	mustRun(t, w)
	if failed != nil || leaver.Applied != 1 {
		t.Errorf("Execute() = %v, %d applied, held: %+v", failed, leaver.Applied, leaver.Held.Changes)
	}
	w.tenant.before, w.source.snapshot = nil, present.snapshot
	if mustRun(t, w); !slices.Equal(w.tenant.suspended(), []string{"u000"}) {
		t.Errorf("after the next run %q are suspended, want the leaver", w.tenant.suspended())
	}
	links, err := w.ledger.Links(t.Context())
	if link := links[ref(0)]; err != nil || !link.Suspended {
		t.Errorf("the ledger has %+v, %v: want the suspension that was made during the first run", link, err)
	}
}

func (t *tenantFake) suspended() (ids []string) {
	for _, o := range t.objects {
		if !o.Active {
			ids = append(ids, string(o.ID))
		}
	}
	slices.Sort(ids)
	return ids
}

// A tenant that refuses lists still loses its leavers. They are known from the ledger, and each account is read.
// Nothing else is changed, and the run fails. An administrator, and an account without our anchor, stay.
func TestLaw11LeaversAreSuspendedWithoutLists(t *testing.T) {
	t.Parallel()
	w := unlisted(t)
	w.leave(2, 1, 4, 5)
	for _, o := range w.tenant.objects {
		switch o.Ref {
		case ref(4):
			o.Protected = "administrator"
		case ref(5):
			o.Ref.ID = ""
		}
	}
	before := len(w.tenant.applied)
	r, err := w.run(t.Context())
	if fault.KindOf(err) != fault.Denied || r.Applied != 2 || r.Failed != 0 {
		t.Fatalf("Execute() = %v, %d applied, %d failed; want denied and two suspensions", err, r.Applied, r.Failed)
	}
	slices.Sort(w.tenant.applied[before:])
	if diff := cmp.Diff([]string{"suspend user/u001", "suspend user/u002"}, w.tenant.applied[before:]); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	if !slices.ContainsFunc(w.said.messages, func(m string) bool {
		return strings.HasPrefix(m, "Held: user u004@example.com: left its source") && strings.HasSuffix(m, "administrator")
	}) {
		t.Errorf("no message names the administrator that stays: %q", w.said.messages)
	}
	if r, err := w.run(t.Context()); r.Applied != 0 || fault.KindOf(err) != fault.Denied {
		t.Errorf("the next run applied %d, %v; want nothing and denied", r.Applied, err)
	}
	w.tenant.refuses = nil
	mustRun(t, w)
	if got := w.tenant.picture()["u100@example.com"]; got == "" {
		t.Error("the joiner has no account after the tenant lists again")
	}
}

// More leavers than a day may see wait, counted against the accounts in the ledger. So does every leaver where the
// policy asks for approval, where the source has no entry left, and in a dry run.
func TestLeaversWithoutListsPassTheGuards(t *testing.T) {
	t.Parallel()
	dry := func(w *world) reconcile.Scope { return reconcile.Full().DryRun() }
	for name, tc := range map[string]struct {
		change func(w *world)
		scope  func(w *world) reconcile.Scope
		want   []string
	}{
		"within the limit":      {func(w *world) { w.leave(0, 1, 2) }, nil, []string{"u000", "u001", "u002"}},
		"beyond the limit":      {func(w *world) { w.leave(0, 1, 2, 3) }, nil, nil},
		"the budget is spent":   {func(w *world) { w.leave(0, 1); w.gate.budget.User = 3 }, nil, nil},
		"nobody is left":        {func(w *world) { w.source.snapshot.Entries = nil }, nil, nil},
		"in doubt":              {func(w *world) { w.leave(0, 1); w.source.snapshot.Doubts = []string{"short"} }, nil, nil},
		"approval is asked for": {func(w *world) { w.leave(0, 1); w.approval = "always" }, nil, nil},
		"ordered": {func(w *world) {
			w.policy.UserDeleteAction = plan.ActionDoNothing
			w.gate.orders = []plan.Order{{Ref: ref(7), By: "grace", At: w.now}}
			w.leave(0, 1)
		}, nil, []string{"u007"}},
		"a dry run": {func(w *world) { w.leave(0, 1) }, dry, nil},
	} {
		w := unlisted(t)
		tc.change(w)
		scope := reconcile.Full()
		if tc.scope != nil {
			scope = tc.scope(w)
		}
		_, err := w.engine().Execute(t.Context(), w.runOf("run", scope))
		if fault.KindOf(err) != fault.Denied {
			t.Errorf("%s: Execute() = %v, want denied", name, err)
		}
		if diff := cmp.Diff(tc.want, w.tenant.suspended()); diff != "" {
			t.Errorf("%s: suspended (-want +got):\n%s", name, diff)
		}
	}
}

// TestLaw11ARefusedSuspensionForgetsNoLeaver has a tenant that shows its accounts only by their ids, and refuses one
// suspension, perhaps with a 404 of a gateway. The next run suspends that account.
func TestLaw11ARefusedSuspensionForgetsNoLeaver(t *testing.T) {
	t.Parallel()
	for _, kind := range []fault.Kind{fault.NotFound, fault.Refused, fault.Denied, fault.Conflict, fault.Invalid} {
		w := unlisted(t)
		w.leave(2, 1)
		w.tenant.hook = func(c plan.Change, _ bool) error {
			if c.Op == plan.Suspend && c.Ref == ref(1) {
				return fault.Errorf(kind, "no")
			}
			return nil
		}
		if r, err := w.run(t.Context()); fault.KindOf(err) != fault.Denied || r.Applied != 1 || r.Failed != 1 {
			t.Fatalf("%s: Execute() = %v, %d applied, %d failed; want one suspension and a failure", kind, err, r.Applied,
				r.Failed)
		}
		w.tenant.hook = nil
		if r, err := w.run(t.Context()); fault.KindOf(err) != fault.Denied || r.Applied != 1 {
			t.Errorf("%s: Execute() = %v, %d applied; want the other suspension", kind, err, r.Applied)
		}
		if diff := cmp.Diff([]string{"u001", "u002"}, w.tenant.suspended()); diff != "" {
			t.Errorf("%s: suspended (-want +got):\n%s", kind, diff)
		}
	}
}
