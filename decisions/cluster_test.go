package decisions_test

import (
	"testing"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/internal/redistest"
	"rollcall/plan"
)

// TestCluster has every script run on a Redis Cluster, which refuses one that leaves its slot.
func TestCluster(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Cluster(t))
	settle, _, err := f.Claim(t.Context(), corp, decisions.BudgetUsers, "suspend user/1", 3)
	f.must(err)
	f.must(settle(t.Context(), false))
	_, err = f.Spent(t.Context(), corp)
	f.must(err)
	pin := plan.Pin{Ref: directory.Ref{Kind: directory.User, ID: "1"}}
	f.must(f.Pin(t.Context(), corp, []plan.Pin{pin}, nil))
	f.must(f.Repin(t.Context(), corp, []plan.Pin{pin}, []directory.Ref{pin.Ref}))
	f.must(f.SetHeld(t.Context(), corp, decisions.HeldSet{Digest: "d",
		Changes: []decisions.HeldChange{{Fingerprint: "a"}}}))
	_, err = f.HeldCounts(t.Context(), corp)
	f.must(err)
	order := plan.Order{Ref: pin.Ref, Providers: []container.ID{google, corp}}
	f.must(f.Leave(t.Context(), order))
	f.must(f.Agree(t.Context(), google, order))
	trail := f.Trail(google)
	trail.Add("user/1", decisions.Attempt{Op: "create"})
	f.must(trail.Flush(t.Context()))
}
