package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

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
	if got := held.Suspensions(false); len(got.Changes) != 2 || got.Changes[0].Op != plan.Suspend ||
		got.Changes[1].Op != plan.Suspend {
		t.Errorf("Suspensions() = %v, want the two suspensions", lines(got))
	}
}
