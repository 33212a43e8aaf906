package reconcile_test

import (
	"slices"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// TestGroupsAndMembersGoOnBesideCreations holds each creation of a user back until a change was made that needs no open
// creation. Such changes are the creation of a group, the membership of a user who exists, and that of the user before.
func TestGroupsAndMembersGoOnBesideCreations(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tenant.apart = true
	w.source.snapshot.Entries = []directory.Entry{person(0), crew(0, 0)}
	mustRun(t, w)
	w.source.snapshot.Entries = []directory.Entry{person(0), person(1), person(2), person(3),
		crew(0, 0, 3), crew(1, 0, 1, 2, 3)}
	made := map[string]chan struct{}{}
	for _, name := range []string{
		"create group/g001", "add_member group/g001 user/u000", "add_member group/g001 user/u001",
	} {
		made[name] = make(chan struct{})
	}
	holds := map[string]string{
		"create user/u001": "create group/g001",
		"create user/u002": "add_member group/g001 user/u000",
		"create user/u003": "add_member group/g001 user/u001",
	}
	name := func(c plan.Change) string {
		s := c.Op.String() + " " + c.Ref.String()
		if c.Member != nil {
			s += " " + c.Member.String()
		}
		return s
	}
	w.tenant.before = func(c plan.Change) {
		if other, held := holds[name(c)]; held {
			select {
			case <-made[other]:
			case <-time.After(time.Minute):
				t.Errorf("%q did not go on beside %q", other, name(c))
			}
		}
	}
	w.tenant.hook = func(c plan.Change, after bool) error {
		if done, ok := made[name(c)]; ok && after {
			close(done)
		}
		return nil
	}
	mustRun(t, w)
	for _, o := range w.tenant.objects {
		if want := map[directory.ID]int{"g000": 2, "g001": 4}[o.ID]; len(o.Members) != want {
			t.Errorf("%s has the members %v, want %d", o.Ref, o.Members, want)
		}
	}
	if again, err := w.run(t.Context()); err != nil || again.Applied != 0 {
		t.Errorf("the next run made %d changes, %v; want none", again.Applied, err)
	}
}

// TestMembershipsOfAFailedCreationFail checks that the memberships of a user who could not be created fail with the
// user, and that nothing waits for them.
func TestMembershipsOfAFailedCreationFail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.tenant.apart = true
	w.source.snapshot.Entries = []directory.Entry{person(0), person(1), crew(0, 0, 1)}
	w.refusing(map[directory.Ref]bool{ref(1): true})
	r, err := w.run(t.Context())
	if err != nil || r.Failed != 2 {
		t.Errorf("Execute() = %d failed, %v; want the creation and the membership", r.Failed, err)
	}
	if !slices.Contains(w.tenant.applied, "add_member group/g000") {
		t.Errorf("applied %v without the other member", w.tenant.applied)
	}
}
