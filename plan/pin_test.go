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

// An entry that cannot be read for a while keeps its pin, and nothing happens to it.
func TestPinOfAnUnusableEntry(t *testing.T) {
	t.Parallel()
	in, remote := staffed()
	carry(t, &in, remote)
	sound := in
	in.Desired = append([]plan.Desired(nil), in.Desired...)
	in.Desired[0].Active, in.Desired[0].Why = false, plan.Disabled
	disabled := in
	mistake := carry(t, &in, remote)
	in.Pins = undo(t, mistake.Changes, in)
	carry(t, &in, remote)
	pins := in.Pins

	in.Desired, in.Versions = sound.Desired[1:], mapsWithout(in.Versions, []string{"ann"})
	in.Findings = []directory.Finding{{Ref: user("ann"), Problem: "two sources have it"}}
	check(t, "while it is unusable", carry(t, &in, remote), "held user/ann unusable")
	if diff := cmp.Diff(pins, in.Pins); diff != "" {
		t.Fatalf("pins while it is unusable (-want +got):\n%s", diff)
	}
	in.Desired, in.Versions, in.Findings = disabled.Desired, disabled.Versions, nil
	check(t, "when it can be read again", carry(t, &in, remote))
}

// Nothing happens to an entry with a pin that is lost, whatever the source says of it and of its groups.
func TestALostPin(t *testing.T) {
	t.Parallel()
	ann := directory.Ref{Kind: directory.User, ID: "ann"}
	for name, change := range map[string]func(in *plan.Input){
		"it left":              func(in *plan.Input) { leave(in, "ann") },
		"it changed":           func(in *plan.Input) { in.Desired[0].Fields = directory.Attributes{{Name: "title"}} },
		"it left the group":    func(in *plan.Input) { in.Desired[3].Members = in.Desired[3].Members[1:] },
		"it is disabled":       func(in *plan.Input) { in.Desired[0].Active, in.Desired[0].Why = false, plan.Disabled },
		"it has a new address": func(in *plan.Input) { in.Desired[0].Address = "new@x" },
	} {
		in, remote := staffed()
		carry(t, &in, remote)
		change(&in)
		in.State = remote.state()
		if len(plan.Compute(in).Changes) == 0 {
			t.Errorf("%s: the plan without the loss is empty", name)
		}
		in.Unpinned = []plan.Held{{Ref: ann, Reason: plan.PinLost, Detail: "its pin is gone"}}
		p := plan.Compute(in)
		if len(p.Changes) > 0 || len(p.Held) != 1 || p.Held[0].Ref != ann || p.Held[0].Reason != plan.PinLost {
			t.Errorf("%s: the plan is %v and holds %v, want nothing but ann held", name, p.Changes, p.Held)
		}
	}
	in, remote := staffed()
	in.Desired[3].Members = in.Desired[3].Members[1:]
	carry(t, &in, remote)
	in, _ = staffed()
	in.State, in.Unpinned = remote.state(), []plan.Held{{Ref: ann, Reason: plan.PinLost}}
	if p := plan.Compute(in); len(p.Changes) > 0 {
		t.Errorf("the plan adds an entry with a lost pin to a group: %v", p.Changes)
	}
}

// What a run did first says how things were before it. A run that was resumed planned again, and the pins of both plans
// together are those of the first.
func TestUndoOfAResumedRun(t *testing.T) {
	t.Parallel()
	ann, bob := user("ann"), user("bob")
	changes := []plan.Change{
		{Op: plan.RemoveMember, Ref: group("g"), Member: &ann}, {Op: plan.AddMember, Ref: group("h"), Member: &ann},
		{Op: plan.Update, Ref: bob, Fields: []plan.FieldChange{
			{Name: plan.AddressField, Before: []string{"bob@x"}, After: []string{"wrong@x"}},
			{Name: "title", Before: []string{"T"}, After: []string{"U"}}}},
		{Op: plan.Update, Ref: bob, Fields: []plan.FieldChange{
			{Name: plan.AddressField, Before: []string{"wrong@x"}, After: []string{"worse@x"}},
			{Name: "title", Before: []string{"U"}, After: []string{"V"}}}},
		{Op: plan.AddMember, Ref: group("g"), Member: &ann},
	}
	want := []plan.Pin{
		{Ref: ann, Run: "mistake", Ended: now, By: "ops", At: now,
			Groups: []plan.PinnedMembership{{ID: "g", Member: true}, {ID: "h"}}},
		{Ref: bob, Run: "mistake", Ended: now, By: "ops", At: now, Address: "bob@x", Fields: fields("title", "T")},
	}
	if diff := cmp.Diff(want, undo(t, changes, plan.Input{Now: now})); diff != "" {
		t.Errorf("pins (-want +got):\n%s", diff)
	}
}

// A deleted user can be brought back and a deleted group cannot. The first address of an object is taken from none.
func TestWhatAnUndoCanTakeBack(t *testing.T) {
	t.Parallel()
	first := plan.Change{Op: plan.Update, Ref: user("a"), Fields: []plan.FieldChange{
		{Name: plan.AddressField, After: []string{"a@x"}}}}
	for name, tc := range map[string]struct {
		change  plan.Change
		account plan.Standing
		deleted bool
		refused string
	}{
		"a creation":   {plan.Change{Op: plan.Create, Ref: user("a")}, plan.StandsNone, false, ""},
		"a suspension": {plan.Change{Op: plan.Suspend, Ref: user("a")}, plan.StandsActive, false, ""},
		"a reactivation": {plan.Change{Op: plan.Restore, Ref: user("a"), Inactive: true}, plan.StandsSuspended,
			false, ""},
		"a mark that was left over": {plan.Change{Op: plan.Restore, Ref: user("a")}, "", false, ""},
		"a deletion":                {plan.Change{Op: plan.Delete, Ref: user("a")}, plan.StandsActive, true, ""},
		"a deletion of a suspended user": {plan.Change{Op: plan.Delete, Ref: user("a"), Inactive: true},
			plan.StandsSuspended, true, ""},
		"a deletion of a group": {plan.Change{Op: plan.Delete, Ref: group("a")}, "", false,
			"a deleted group cannot be brought back"},
		"a creation of a group": {plan.Change{Op: plan.Create, Ref: group("a")}, plan.StandsNone, false, ""},
		"a first address":       {first, "", false, ""},
	} {
		pins, cannot := plan.Undo(plan.Undone{Run: "r", At: now, Changes: []plan.Change{tc.change}}, nil, nil, now)
		var pin plan.Pin
		if len(pins) > 0 {
			pin = pins[0]
		}
		if pin.Account != tc.account || pin.Deleted.IsZero() == tc.deleted || pin.Address != "" {
			t.Errorf("%s: pin %+v, want %q", name, pin, tc.account)
		}
		refused := ""
		if len(cannot) > 0 {
			refused = cannot[0].Detail
		}
		if refused != tc.refused {
			t.Errorf("%s: refused %q, want %q", name, refused, tc.refused)
		}
	}
}

// About leaves the changes of what pins keep, each in its own part.
func TestAboutIsWhatPinsKeep(t *testing.T) {
	t.Parallel()
	ann := user("ann")
	p := plan.Plan{Changes: []plan.Change{
		{Op: plan.Suspend, Ref: ann}, {Op: plan.Update, Ref: ann}, {Op: plan.RemoveMember, Ref: group("g"), Member: &ann},
		{Op: plan.RemoveMember, Ref: group("h"), Member: &ann}, {Op: plan.Suspend, Ref: user("bob")},
	}}
	for name, tc := range map[string]struct {
		pin  plan.Pin
		want []string
	}{
		"the account": {plan.Pin{Account: plan.StandsActive}, []string{"suspend user/ann"}},
		"the address": {plan.Pin{Address: "ann@x"}, []string{"update user/ann"}},
		"a field":     {plan.Pin{Fields: fields("title", "T")}, []string{"update user/ann"}},
		"a group": {plan.Pin{Groups: []plan.PinnedMembership{{ID: "g", Member: true}}},
			[]string{"remove_member group/g user/ann"}},
		"nothing": {plan.Pin{}, []string{}},
	} {
		tc.pin.Ref = ann
		if diff := cmp.Diff(tc.want, lines(p.About([]plan.Pin{tc.pin}))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	held := plan.Plan{Changes: p.Changes}
	if got := held.Suspensions(); len(got.Changes) != 2 || got.Changes[0].Op != plan.Suspend ||
		got.Changes[1].Op != plan.Suspend {
		t.Errorf("Suspensions() = %v, want the two suspensions", lines(got))
	}
}
