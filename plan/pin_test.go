package plan_test

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rollcall/directory"
	"rollcall/plan"
)

// undo returns what takes back a plan that was carried out, as a run that reverts another does.
func undo(t *testing.T, changes []plan.Change, in plan.Input) []plan.Pin {
	t.Helper()
	pins, _ := plan.Undo(plan.Undone{Run: "mistake", At: in.Now, By: "ops", Changes: changes}, in.Desired, in.Versions,
		in.Now)
	return pins
}

// carry computes, carries out and returns the plan; the pins that it leaves go into the input.
func carry(t *testing.T, in *plan.Input, remote *tenant) plan.Plan {
	t.Helper()
	in.State = remote.state()
	p := plan.Compute(*in)
	for _, c := range p.Changes {
		remote.apply(t, c)
	}
	in.Pins = p.Pins
	return p
}

// staffed is a team of three people that the source wants as they are.
func staffed() (plan.Input, *tenant) {
	remote := &tenant{objects: map[string]*plan.Object{}}
	in := plan.Input{Now: now, Policy: suspend, Capabilities: plan.Capabilities{UndeleteWithin: 20 * 24 * time.Hour},
		Versions: map[directory.Ref]string{}}
	for _, id := range []string{"ann", "bob", "cid"} {
		in.Desired = append(in.Desired, want(id, id+"@x", "title", "T"))
	}
	in.Desired = append(in.Desired, team("all", "all@x", "ann", "bob", "cid"))
	for _, d := range in.Desired {
		in.Versions[d.Ref] = d.Version
	}
	return in, remote
}

// leave takes people out of the source.
func leave(in *plan.Input, ids ...string) {
	in.Desired = slices.DeleteFunc(slices.Clone(in.Desired),
		func(d plan.Desired) bool { return slices.Contains(ids, string(d.ID)) })
	for i := range in.Desired {
		in.Desired[i].Members = slices.DeleteFunc(slices.Clone(in.Desired[i].Members),
			func(m plan.Member) bool { return slices.Contains(ids, string(m.ID)) })
	}
	in.Versions = mapsWithout(in.Versions, ids)
}

func mapsWithout(m map[directory.Ref]string, ids []string) map[directory.Ref]string {
	out := map[directory.Ref]string{}
	for ref, v := range m {
		if !slices.Contains(ids, string(ref.ID)) {
			out[ref] = v
		}
	}
	return out
}

func check(t *testing.T, what string, p plan.Plan, want ...string) {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	if diff := cmp.Diff(want, lines(p)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestUndoOfLeavers(t *testing.T) {
	t.Parallel()
	in, remote := staffed()
	carry(t, &in, remote)
	everybody := in
	leave(&in, "ann", "bob")
	mistake := carry(t, &in, remote)
	check(t, "the mistake", mistake, "suspend user/ann because absent", "suspend user/bob because absent",
		"remove_member group/all user/ann", "remove_member group/all user/bob")

	in.Pins = undo(t, mistake.Changes, in)
	check(t, "its undo", carry(t, &in, remote),
		"restore user/ann", "restore user/bob", "add_member group/all user/ann", "add_member group/all user/bob")
	check(t, "the next sync", carry(t, &in, remote))
	if len(in.Pins) != 2 {
		t.Errorf("%d pins, want 2", len(in.Pins))
	}

	// A joiner and other leavers are the source's business.
	in.Desired = append(in.Desired, want("dee", "dee@x"))
	leave(&in, "cid")
	check(t, "a sync with news", carry(t, &in, remote), "suspend user/cid because absent",
		"remove_member group/all user/cid", "create user/dee")

	// Bob comes back to the source, so his pin has ended. Ann's pin is lifted, so she leaves.
	in.Desired, in.Versions = everybody.Desired, everybody.Versions
	leave(&in, "ann", "cid")
	p := carry(t, &in, remote)
	if diff := cmp.Diff([]directory.Ref{user("bob")}, p.Lapsed); diff != "" {
		t.Errorf("lapsed (-want +got):\n%s", diff)
	}
	in.Pins = nil
	check(t, "a lifted pin", carry(t, &in, remote), "suspend user/ann because absent", "remove_member group/all user/ann",
		"note user/cid absent", "note user/dee absent")
}

func TestUndoOfDisabledAndOutOfScope(t *testing.T) {
	t.Parallel()
	in, remote := staffed()
	carry(t, &in, remote)
	in.Desired = slices.Clone(in.Desired)
	in.Desired[0].Active, in.Desired[0].Why, in.Desired[0].Version = false, plan.Disabled, "v2"
	in.Versions[user("ann")] = "v2"
	in.Desired = slices.DeleteFunc(in.Desired, func(d plan.Desired) bool { return d.ID == "bob" })
	in.OutOfScope = []directory.Ref{user("bob")}
	mistake := carry(t, &in, remote)
	check(t, "the mistake", mistake, "suspend user/ann because disabled", "suspend user/bob because out_of_scope")
	in.Pins = undo(t, mistake.Changes, in)
	check(t, "its undo", carry(t, &in, remote), "restore user/ann", "restore user/bob")
	check(t, "the next sync", carry(t, &in, remote))
	// Ann is changed in the source and still disabled there, so the source decides again.
	in.Desired[0].Version = "v3"
	in.Versions[user("ann")] = "v3"
	check(t, "a change in the source", carry(t, &in, remote), "suspend user/ann because disabled")
	// The scope is put right, so nothing of Bob's pin is needed any more.
	in.OutOfScope = nil
	in.Desired = append(in.Desired, want("bob", "bob@x", "title", "T"))
	if check(t, "the scope put right", carry(t, &in, remote), "note user/ann disabled"); len(in.Pins) > 0 {
		t.Errorf("pins are left: %+v", in.Pins)
	}
}

func TestUndoOfFields(t *testing.T) {
	t.Parallel()
	in, remote := staffed()
	carry(t, &in, remote)
	in.Desired = slices.Clone(in.Desired)
	for i := range 3 { // A mapping was changed: the source entries have not.
		in.Desired[i].Fields, in.Desired[i].Address = fields("title", "WRONG", "phone", "1"), "wrong."+in.Desired[i].Address
	}
	mistake := carry(t, &in, remote)
	in.Versions[user("cid")] = "newer" // The entry was changed since.
	pins, cannot := plan.Undo(plan.Undone{Run: "mistake", Changes: mistake.Changes}, in.Desired, in.Versions, now)
	if len(pins) != 2 || len(cannot) != 1 || cannot[0].ID != "cid" {
		t.Fatalf("%d pins, cannot %+v; want 2, and cid left to its source", len(pins), cannot)
	}
	in.Pins = pins
	carry(t, &in, remote)
	if o := remote.remote(user("ann")); o.Address != "ann@x" || o.Fields.Get("title") != "T" ||
		o.Fields.Get("phone") != "" {
		t.Errorf("ann = %+v, want the fields of before", o)
	}
	check(t, "the next sync", carry(t, &in, remote))
}

func TestUndoOfCreations(t *testing.T) {
	t.Parallel()
	in, remote := staffed()
	mistake := carry(t, &in, remote)
	in.Pins = undo(t, mistake.Changes, in)
	p := carry(t, &in, remote)
	check(t, "the undo of a first sync", p, "suspend user/ann because reverted", "suspend user/bob because reverted",
		"suspend user/cid because reverted", "note group/all reverted")
	for _, c := range p.Changes {
		if c.Op == plan.Suspend && c.Why != plan.Reverted {
			t.Errorf("suspended because %s, want %s", c.Why, plan.Reverted)
		}
	}
	if _, held := p.Guard(plan.Limits{}, plan.Budget{}); len(held.Changes) == 0 {
		t.Error("the guards let everybody go: an undo is guarded like every other plan")
	}
}

func TestUndoOfDeletions(t *testing.T) {
	t.Parallel()
	in, remote := staffed()
	in.Policy.UserDeleteAction, in.Policy.DeleteAfter = plan.ActionDelete, 0
	carry(t, &in, remote)
	leave(&in, "ann", "bob")
	remote.remote(user("bob")).Active, remote.remote(user("bob")).Suspender = false, plan.Us
	mistake := carry(t, &in, remote)
	check(t, "the mistake", mistake, "remove_member group/all user/ann", "remove_member group/all user/bob",
		"delete user/ann title:T> because absent", "delete user/bob title:T> because absent")
	in.Pins = undo(t, mistake.Changes, in)

	late := in
	late.Now = in.Now.Add(21 * 24 * time.Hour)
	late.State = remote.state()
	if p := plan.Compute(late); len(p.Held) != 2 || p.Held[0].Reason != plan.Reverted {
		t.Errorf("too late: %v, want both held", lines(p))
	}
	check(t, "its undo", carry(t, &in, remote),
		"undelete user/ann title:>T because reverted", "undelete user/bob title:>T because reverted",
		"add_member group/all user/ann", "add_member group/all user/bob")
	if a, b := remote.remote(user("ann")), remote.remote(user("bob")); !a.Active || b.Active {
		t.Errorf("ann is active: %v, bob: %v; want true and, as he was suspended, false", a.Active, b.Active)
	}
	check(t, "the next sync", carry(t, &in, remote), "note user/bob absent")
}

func TestMergePins(t *testing.T) {
	t.Parallel()
	older := []plan.Pin{
		{Ref: user("a"), Version: "1", Account: plan.StandsActive, Fields: fields("x", "old", "y", "old"),
			Groups: []plan.PinnedMembership{{ID: "g", Member: true}}},
		{Ref: user("b"), Version: "1", Address: "b@x"},
		{Ref: user("c"), Version: "1", Address: "c@x"},
	}
	newer := []plan.Pin{
		{Ref: user("a"), Version: "1", Run: "new", Fields: fields("x", "new"),
			Groups: []plan.PinnedMembership{{ID: "g"}, {ID: "h", Member: true}}},
		{Ref: user("b"), Version: "2", Run: "new", Account: plan.StandsNone},
	}
	want := []plan.Pin{
		{
			Ref: user("a"), Version: "1", Run: "new", Account: plan.StandsActive, Fields: fields("x", "new", "y", "old"),
			Groups: []plan.PinnedMembership{{ID: "g"}, {ID: "h", Member: true}},
		},
		{Ref: user("b"), Version: "2", Run: "new", Account: plan.StandsNone},
		{Ref: user("c"), Version: "1", Address: "c@x"},
	}
	if diff := cmp.Diff(want, plan.MergePins(older, newer)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestUndoOverRandomDirectories checks that an undo takes back whatever a plan did to our objects, and that the next
// sync leaves it so.
func TestUndoOverRandomDirectories(t *testing.T) {
	t.Parallel()
	for seed := range uint64(500) {
		r := rand.New(rand.NewPCG(seed, 2))
		in, remote := world(r)
		in.Policy.Adoption = plan.AdoptOff
		in.Capabilities.UndeleteWithin = time.Hour
		if seed%2 == 1 {
			in.Policy.UserDeleteAction, in.Policy.DeleteAfter = plan.ActionDelete, 0
		}
		in.Versions = map[directory.Ref]string{}
		for _, d := range in.Desired {
			in.Versions[d.Ref] = d.Version
		}
		before := remote.state()
		in.State = before
		mistake := plan.Compute(in)
		done := len(mistake.Changes)
		if seed%5 == 0 { // It was cancelled on its way.
			done = r.IntN(done + 1)
		}
		for _, c := range mistake.Changes[:done] {
			remote.apply(t, c)
		}
		in.Pins = undo(t, mistake.Changes, in)
		undone, named := in.Pins, map[directory.Ref]bool{}
		for _, p := range in.Pins {
			named[p.Ref] = true
		}
		in.State = remote.state()
		p := plan.Compute(in)
		shuffled := in
		shuffled.Desired = slices.Clone(in.Desired)
		r.Shuffle(len(shuffled.Desired), func(i, j int) {
			shuffled.Desired[i], shuffled.Desired[j] = shuffled.Desired[j], shuffled.Desired[i]
		})
		if diff := cmp.Diff(p, plan.Compute(shuffled), cmpopts.IgnoreUnexported(plan.Plan{}, plan.Tombstone{})); diff != "" {
			t.Fatalf("seed %d, law 8: the same undo is another plan (-first +again):\n%s", seed, diff)
		}
		for _, c := range p.About(undone).Changes {
			remote.apply(t, c)
		}
		in.Pins = p.Pins
		held := map[directory.Ref]bool{}
		for _, h := range p.Held { // An address that went to a new account, say: it stays there, suspended.
			held[h.Ref] = true
		}
		for _, was := range before.Objects {
			is := remote.objects[was.RemoteID]
			if !named[was.Ref] || held[was.Ref] {
				continue
			}
			if is == nil {
				t.Fatalf("seed %d: %s is gone after the undo %v of %v", seed, was.Ref, lines(p), lines(mistake))
			}
			if !was.Active { // Nothing is written to who is suspended but that: their fields are set when they come back.
				was.Fields, was.Address = is.Fields, is.Address
			}
			if diff := cmp.Diff(was, *is); diff != "" {
				t.Fatalf("seed %d: %s (-before +after the undo):\n%s\nthe plan was %v", seed, was.Ref, diff, lines(p))
			}
		}
		for _, o := range remote.state().Objects {
			made := !slices.ContainsFunc(before.Objects, func(was plan.Object) bool { return was.RemoteID == o.RemoteID })
			if made && o.Kind == directory.User && o.Active {
				t.Fatalf("seed %d: the new account of %s is still active", seed, o.Ref)
			}
		}
		in.State = remote.state()
		again := plan.Compute(in).About(undone)
		// The new account was deleted, so the address is free.
		again.Changes = slices.DeleteFunc(again.Changes, func(c plan.Change) bool { return held[c.Ref] })
		if !again.Empty() {
			t.Fatalf("seed %d: the sync after the undo is %v, the undo was %v, the mistake %v", seed, lines(again), lines(p),
				lines(mistake))
		}
	}
}
