package reconcile_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// A group answers every write with 503. All other objects get their changes, and the broken group costs few writes.
func TestLaw10AGroupWithoutAnswersHarmsNoOtherObject(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy.UserDeleteAction, w.policy.DeleteAfter = plan.ActionDelete, 0
	var people []directory.Entry
	var all []int
	for i := range 60 {
		people, all = append(people, person(i)), append(all, i)
	}
	w.source.snapshot.Entries = append(people[:60:60], crew(0, all[:20]...), crew(1, 59))
	mustRun(t, w)
	w.source.snapshot.Entries = append(people[:59:59], crew(0, all[20:50]...), crew(1, all[:20]...), person(60))
	var asked atomic.Int64
	w.tenant.hook = func(c plan.Change, after bool) error {
		if !after && c.Ref == (directory.Ref{Kind: directory.Group, ID: "g000"}) {
			asked.Add(1)
			return fault.Errorf(fault.Unavailable, "503 backendError")
		}
		return nil
	}
	before := len(w.tenant.applied)
	r, err := w.run(t.Context())
	if err != nil || r.Failed != 30 {
		t.Errorf("Execute() = %v, %d failed; want the 30 additions to the broken group", err, r.Failed)
	}
	done := w.tenant.applied[before:]
	added := 0
	for _, s := range done {
		if strings.HasPrefix(s, "add_member ") && strings.HasSuffix(s, "g001") {
			added++
		}
	}
	if added != 20 || count(done, "create") != 1 || count(done, "delete") != 1 {
		t.Errorf("%d added to the other group, %d created, %d deleted; want 20, 1 and 1", added, count(done, "create"),
			count(done, "delete"))
	}
	// Writes that are under way when the object is given up are counted, too.
	if asked.Load() > 2*(3+4) {
		t.Errorf("the broken group was written %d times, want few", asked.Load())
	}
}

// The broken object is the last one that is written. The run is not deferred for it, because all others were answered.
// If no write is answered, it is.
func TestTheLastObjectWithoutAnAnswerFailsAlone(t *testing.T) {
	t.Parallel()
	for name, only := range map[string]bool{"after others": false, "alone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			people := []directory.Entry{person(0), person(1), person(2)}
			w.source.snapshot.Entries = append(people[:3:3], crew(0, 0))
			mustRun(t, w)
			w.source.snapshot.Entries = append(people[:3:3], crew(0, 0, 1, 2)) // The lane of new members is the last one.
			if !only {
				w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(3))
			}
			w.tenant.hook = func(c plan.Change, after bool) error {
				if after || c.Kind != directory.Group {
					return nil
				}
				return fault.Errorf(fault.Unavailable, "503 backendError")
			}
			r, err := w.run(t.Context())
			if deferred := fault.KindOf(err) == fault.Unavailable && err != nil; deferred != only || !only && r.Failed != 2 {
				t.Errorf("Execute() = %v, %d failed; want a deferral: %t", err, r.Failed, only)
			}
		})
	}
}

// Accounts that settle are answers. However many there are, all other changes are made, and theirs at the end of the
// run.
func TestObjectsThatSettleHoldUpNoOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var people []directory.Entry
	for i := range 30 {
		people = append(people, person(i))
	}
	w.source.snapshot.Entries = people
	mustRun(t, w)
	for i := range 20 {
		people[i].Attributes = people[i].Attributes.Clone()
		people[i].Attributes[0].Values = []string{"Renamed"}
	}
	people[29].Active = false
	w.source.snapshot.Entries = append(people, person(30))
	seen := map[directory.Ref]bool{}
	w.tenant.hook = func(c plan.Change, after bool) error {
		if after || c.Op == plan.Create || seen[c.Ref] {
			return nil
		}
		seen[c.Ref] = true
		return fault.New(fault.Unavailable, "", provider.Settling(errors.New("409 an earlier change is still settling")))
	}
	before := len(w.tenant.applied)
	r, err := w.run(t.Context())
	done := w.tenant.applied[before:]
	if err != nil || r.Failed != 0 || len(done) != 22 || !strings.HasPrefix(done[0], "create") {
		t.Errorf("Execute() = %v, %d failed, applied %q; want the creation first and then all others", err, r.Failed, done)
	}
}

// A change that is not sent, because it needs one that had no answer, is no answer of the target.
func TestAChangeThatIsNotSentIsNoAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = []directory.Entry{person(0), crew(0, 0)}
	mustRun(t, w)
	w.source.snapshot.Entries = []directory.Entry{person(0), person(1), crew(0, 0, 1)}
	w.tenant.hook = func(plan.Change, bool) error { return fault.Errorf(fault.Unavailable, "503 backendError") }
	if r, err := w.run(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Execute() = %v, %d failed; want a deferral", err, r.Failed)
	}
}
