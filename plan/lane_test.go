package plan_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

// Access is taken away first, names are freed and objects made before others refer to them, and deletions come last.
func TestLaw11TheOrderOfLanes(t *testing.T) {
	t.Parallel()
	want := map[string]plan.Lane{
		"suspend user": plan.LaneSuspend, "suspend group": plan.LaneSuspend,
		"remove_member user": plan.LaneRemove, "remove_member group": plan.LaneRemove,
		"update user": plan.LaneUpdate, "adopt user": plan.LaneUpdate, "reanchor user": plan.LaneUpdate,
		"restore user": plan.LaneUpdate,
		"update group": plan.LaneGroups, "adopt group": plan.LaneGroups, "reanchor group": plan.LaneGroups,
		"restore group": plan.LaneGroups, "create group": plan.LaneGroups, "undelete group": plan.LaneGroups,
		"create user": plan.LaneCreate, "undelete user": plan.LaneCreate,
		"add_member user": plan.LaneAdd, "add_member group": plan.LaneAdd,
		"delete user": plan.LaneDelete, "delete group": plan.LaneDelete,
		"reference user": plan.LaneReferences, "op? user": plan.LaneGroups, "op? group": plan.LaneGroups,
	}
	got := map[string]plan.Lane{}
	for _, k := range directory.Kinds {
		for _, op := range append(plan.Ops(), 0) {
			c := plan.Change{Op: op, Ref: directory.Ref{Kind: k, ID: "a"}}
			got[fmt.Sprintf("%s %s", op, k)] = c.Lane()
		}
	}
	reference := plan.Change{Op: plan.Update, Ref: user("a"), Refers: true}
	got["reference user"] = reference.Lane()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Lane() (-want +got):\n%s", diff)
	}
}

// Stages follow the lanes, and a group is deleted before its members. A wave is a part of its stage, however many
// there are.
func TestLaw11TheOrderOfStages(t *testing.T) {
	t.Parallel()
	order := []plan.Change{
		{Op: plan.Suspend, Ref: user("a")}, {Op: plan.RemoveMember, Ref: group("g")},
		{Op: plan.Update, Ref: user("a")}, {Op: plan.Update, Ref: user("a"), Wave: 1},
		{Op: plan.Update, Ref: user("a"), Wave: 999},
		{Op: plan.Adopt, Ref: user("a")}, {Op: plan.Reanchor, Ref: user("a")}, {Op: plan.Restore, Ref: user("a")},
		{Op: plan.Create, Ref: user("a")}, {Op: plan.Undelete, Ref: user("a")},
		{Op: plan.Update, Ref: user("a"), Refers: true},
		{Op: plan.Update, Ref: group("g")}, {Op: plan.Create, Ref: group("g")}, {Op: plan.Undelete, Ref: group("g")},
		{Op: plan.AddMember, Ref: group("g")}, {Op: plan.Delete, Ref: group("g")}, {Op: plan.Delete, Ref: user("a")},
	}
	for i := 1; i < len(order); i++ {
		if before, after := &order[i-1], &order[i]; before.Stage() >= after.Stage() {
			t.Errorf("%s %s (%d) does not come before %s %s (%d)", before.Op, before.Ref, before.Stage(), after.Op,
				after.Ref, after.Stage())
		}
	}
	last, more := plan.Change{Op: plan.Update, Ref: user("a"), Wave: 999}, plan.Change{Op: plan.Update, Ref: user("a"),
		Wave: 1000}
	if more.Stage() != last.Stage() {
		t.Errorf("wave 1000 is in stage %d, want %d", more.Stage(), last.Stage())
	}
}
