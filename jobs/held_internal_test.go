package jobs

import (
	"strings"
	"testing"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/internal/redistest"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/status"
)

// Held suspensions are added to the last set, but not to one that is not signed, which would be signed with them.
func TestAddedHeldChanges(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	keys, err := decisions.ParseKeys(strings.Repeat("0123456789abcdef", 4))
	if err != nil {
		t.Fatal(err)
	}
	plain := decisions.New(rdb, decisions.Config{})
	signing := decisions.New(rdb, decisions.Config{Keys: func() ([]decisions.Key, error) { return keys, nil }})
	w := &Worker{cfg: WorkerConfig{Decisions: signing, Now: time.Now}}
	held := func(op plan.Op, id directory.ID) plan.Plan {
		return plan.Plan{Changes: []plan.Change{{Op: op, Ref: directory.Ref{Kind: directory.User, ID: id}}}}
	}
	for name, tc := range map[string]struct {
		by   *decisions.Store
		want int
	}{"signed": {signing, 2}, "unsigned": {plain, 1}} {
		c := container.ID("scim:" + name)
		if err := tc.by.SetHeld(t.Context(), c, heldSet("r1", time.Now(), held(plan.Delete, "ann"))); err != nil {
			t.Fatal(err)
		}
		if err := w.addHeld(t.Context(), status.Run{ID: "r2", Container: c}, held(plan.Suspend, "bob")); err != nil {
			t.Fatal(err)
		}
		if set, err := signing.Held(t.Context(), c); err != nil || set.Unsigned || len(set.Changes) != tc.want ||
			set.Changes[0].ID != "bob" {
			t.Errorf("%s: the set is %+v, %v; want %d changes", name, set, err, tc.want)
		}
	}
}

// A held deletion that begins with a suspension replaces that of the last plan, and no other deletion.
func TestAddedHeldDeletions(t *testing.T) {
	t.Parallel()
	store := decisions.New(redistest.Start(t), decisions.Config{})
	w := &Worker{cfg: WorkerConfig{Decisions: store, Now: time.Now}}
	held := func(address string, ids ...directory.ID) (p plan.Plan) {
		for _, id := range ids {
			p.Changes = append(p.Changes, plan.Change{Op: plan.Delete, Address: address,
				Ref: directory.Ref{Kind: directory.User, ID: id}})
		}
		return p
	}
	c := container.ID("scim:x")
	if err := store.SetHeld(t.Context(), c, heldSet("r1", time.Now(), held("old", "ann", "bob"))); err != nil {
		t.Fatal(err)
	}
	if err := w.addHeld(t.Context(), status.Run{ID: "r2", Container: c}, held("new", "bob")); err != nil {
		t.Fatal(err)
	}
	set, err := store.Held(t.Context(), c)
	if err != nil || len(set.Changes) != 2 || set.Changes[0].Address != "new" || set.Changes[1].ID != "ann" {
		t.Errorf("the set is %+v, %v; want the new deletion of bob and that of ann", set.Changes, err)
	}
}

// A pause that ends a run which could plan nothing but suspensions keeps the other changes that wait for a decision.
func TestAPauseOfARunThatOnlySuspendsKeepsTheHeldChanges(t *testing.T) {
	t.Parallel()
	store := decisions.New(redistest.Start(t), decisions.Config{})
	w := &Worker{cfg: WorkerConfig{Decisions: store, Now: time.Now}}
	held := func(op plan.Op, id directory.ID) plan.Plan {
		return plan.Plan{Changes: []plan.Change{{Op: op, Ref: directory.Ref{Kind: directory.User, ID: id}}}}
	}
	c := container.ID("scim:x")
	if err := store.SetHeld(t.Context(), c, heldSet("r1", time.Now(), held(plan.Delete, "ann"))); err != nil {
		t.Fatal(err)
	}
	paused := &decisions.PausedError{Pause: decisions.Pause{Container: c, By: "grace"}}
	err := w.keepPlan(t.Context(), status.Run{ID: "r2", Container: c},
		reconcile.Report{SuspendsOnly: true, Held: held(plan.Suspend, "bob")}, paused)
	if pausedBy(err) == nil {
		t.Errorf("keepPlan() = %v, want the pause", err)
	}
	if set, err := store.Held(t.Context(), c); err != nil || len(set.Changes) != 2 {
		t.Errorf("the set is %+v, %v; want both changes", set, err)
	}
}
