package googleworkspace_test

import (
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// TestEstimateFollowsThePublishedLimits checks that new users count against their own limit, and everything else
// against that of all calls.
func TestEstimateFollowsThePublishedLimits(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	changes := func(op plan.Op, kind directory.Kind, n int) []plan.Change {
		out := make([]plan.Change, n)
		for i := range out {
			out[i] = plan.Change{Op: op, Ref: directory.Ref{Kind: kind}}
		}
		return out
	}
	for name, tc := range map[string]struct {
		changes []plan.Change
		want    time.Duration
	}{
		"none":    {nil, 0},
		"users":   {changes(plan.Create, directory.User, 980), 100 * time.Second},
		"members": {changes(plan.AddMember, directory.Group, 3920), 100 * time.Second},
		"both": {append(changes(plan.Create, directory.User, 98),
			changes(plan.AddMember, directory.Group, 3822)...), 100 * time.Second},
		"suspending": {changes(plan.Suspend, directory.User, 1960), 100 * time.Second},
	} {
		if got := w.Estimate(tc.changes); (got - tc.want).Abs() > time.Second {
			t.Errorf("%s: Estimate() = %v, want %v", name, got, tc.want)
		}
	}
}
