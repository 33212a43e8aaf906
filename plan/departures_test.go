package plan_test

import (
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// What people are told of the end of a grace period is when the plan deletes, for either kind.
func TestDueIsWhenThePlanDeletes(t *testing.T) {
	t.Parallel()
	left := now.Add(-time.Hour)
	in := plan.Input{
		Policy: plan.Policy{UserDeleteAction: plan.ActionDelete, GroupDeleteAction: plan.ActionDelete,
			DeleteAfter: 48 * time.Hour},
		Links: map[directory.Ref]plan.Link{user("u"): {Departed: left}, group("g"): {Departed: left}},
	}
	gone := have("u", "r1", "u@x")
	gone.Active, gone.Suspender = false, plan.Us
	in.State.Objects = []plan.Object{gone, teamObject("g", "r2", "g@x")}
	for _, kind := range directory.Kinds {
		due, deleted := in.Policy.Due(kind, left)
		if !deleted || !due.Equal(left.Add(48*time.Hour)) {
			t.Errorf("Due(%s) = %s, %t", kind, due, deleted)
		}
		in.Now = due.Add(-time.Second)
		p := plan.Compute(in)
		if len(p.Changes) != 0 || len(p.Notes) != 2 || !strings.Contains(p.Notes[0].Detail, due.UTC().Format(time.RFC3339)) {
			t.Errorf("a second before: %v, notes %+v; want none deleted, and when", lines(p), p.Notes)
		}
		in.Now = due
		if p := plan.Compute(in); len(p.Changes) != 2 || p.Changes[0].Op != plan.Delete || p.Changes[1].Op != plan.Delete {
			t.Errorf("when it is due: %v, want both deleted", lines(p))
		}
	}
	in.Policy.GroupDeleteAction = plan.ActionDoNothing
	if _, deleted := in.Policy.Due(directory.Group, left); deleted || len(plan.Compute(in).Changes) != 1 {
		t.Errorf("groups are kept by the policy: Due says %t, the plan %v", deleted, lines(plan.Compute(in)))
	}
}
