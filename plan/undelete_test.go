package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/plan"
)

// The memberships of a held account are held, too, because a deleted account cannot be a member.
func TestMembershipsFollowAnUndeleteThatIsHeld(t *testing.T) {
	t.Parallel()
	in := plan.Input{Now: now, Policy: suspend, State: plan.State{Objects: []plan.Object{teamObject("t", "9", "t@x.org")}}}
	in.Capabilities.UndeleteWithin = 20 * 24 * time.Hour
	ids := []string{"a", "b", "c", "d"}
	for _, id := range ids {
		in.Desired = append(in.Desired, want(id, id+"@x.org"))
		in.State.Deleted = append(in.State.Deleted, plan.Deleted{Ref: user(id), RemoteID: "r" + id, Address: id + "@x.org",
			At: now})
	}
	in.Desired = append(in.Desired, team("t", "t@x.org", ids...))
	apply, waits := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if diff := cmp.Diff(map[plan.Rule]int{plan.RuleReactivate: 4, plan.RuleFollows: 4}, rules(waits)); diff != "" ||
		!apply.Empty() {
		t.Errorf("held (-want +got):\n%s\napplied %v", diff, lines(apply))
	}
}
