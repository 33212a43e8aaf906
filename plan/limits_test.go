package plan_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

func TestLimitsOfTheConfiguration(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		limits plan.DayLimits
		want   []string
	}{
		{plan.DayLimits{}, nil},
		{plan.DayLimits{Leave: plan.Limit{Share: 100, Least: 7, Most: 7}, Members: plan.MemberLimit{Share: 100, Above: 1}},
			nil},
		{plan.DayLimits{Leave: plan.Limit{Share: -1}, Rename: plan.Limit{Share: 101}},
			[]string{"limits.leave.share: -1 is no percentage: want 1 to 100",
				"limits.rename.share: 101 is no percentage: want 1 to 100"}},
		{plan.DayLimits{Reactivate: plan.Limit{Least: -1, Most: -2}},
			[]string{"limits.reactivate.at_least: -1 is negative", "limits.reactivate.at_most: -2 is negative",
				"limits.reactivate: at_least (-1) is more than at_most (-2)"}},
		{plan.DayLimits{Leave: plan.Limit{Most: 2}}, []string{"limits.leave: at_least (3) is more than at_most (2)"}},
		{plan.DayLimits{Members: plan.MemberLimit{Share: 101, Above: -1}},
			[]string{"limits.members.share: 101 is no percentage: want 1 to 100", "limits.members.above: -1 is negative"}},
	} {
		var got []string
		for _, err := range tc.limits.Validate() {
			got = append(got, err.Error())
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%+v: Validate() (-want +got):\n%s", tc.limits, diff)
		}
	}
}

// Each counted change is taken from its own budget. Changes that take nothing away have no limit.
func TestLaw12EachKindOfHarmHasALimitOfItsOwn(t *testing.T) {
	t.Parallel()
	limits := plan.Limits{DayLimits: plan.DayLimits{Leave: plan.Limit{Least: 11, Most: 11},
		Reactivate: plan.Limit{Least: 12, Most: 12}, Rename: plan.Limit{Least: 13, Most: 13},
		Members: plan.MemberLimit{Share: 50, Above: 2}}}
	renames := []plan.FieldChange{{Name: plan.AddressField, Before: []string{"a@x"}, After: []string{"b@x"}}}
	first := []plan.FieldChange{{Name: plan.AddressField, After: []string{"b@x"}}}
	member := new(user("m3"))
	for _, tc := range []struct {
		change       plan.Change
		want, mirror int
	}{
		{plan.Change{Op: plan.Suspend, Ref: user("a")}, 11, 11},
		{plan.Change{Op: plan.Delete, Ref: group("g")}, 11, 11},
		{plan.Change{Op: plan.Restore, Ref: user("a"), Inactive: true}, 12, math.MaxInt},
		{plan.Change{Op: plan.Restore, Ref: user("a")}, math.MaxInt, math.MaxInt},
		{plan.Change{Op: plan.Undelete, Ref: user("a")}, 12, math.MaxInt},
		{plan.Change{Op: plan.Undelete, Ref: user("a"), Inactive: true}, math.MaxInt, math.MaxInt},
		{plan.Change{Op: plan.Create, Ref: user("a"), WasInactive: true}, 12, math.MaxInt},
		{plan.Change{Op: plan.Create, Ref: user("a")}, math.MaxInt, math.MaxInt},
		{plan.Change{Op: plan.Update, Ref: user("a"), Fields: renames}, 13, 13},
		{plan.Change{Op: plan.Update, Ref: user("a"), Fields: first}, math.MaxInt, math.MaxInt},
		{plan.Change{Op: plan.Update, Ref: user("a"), Fields: renames, Undoes: true}, math.MaxInt, math.MaxInt},
		{plan.Change{Op: plan.Restore, Ref: user("a"), Inactive: true, Undoes: true}, math.MaxInt, math.MaxInt},
		{plan.Change{Op: plan.Suspend, Ref: user("a"), Undoes: true}, 11, 11},
		{plan.Change{Op: plan.Delete, Ref: user("a"), Paired: true}, math.MaxInt, math.MaxInt},
		{plan.Change{Op: plan.RemoveMember, Ref: group("g"), Member: member}, 2, 2},
		{plan.Change{Op: plan.RemoveMember, Ref: group("other"), Member: member}, math.MaxInt, math.MaxInt},
		{plan.Change{Op: plan.AddMember, Ref: group("g"), Member: member}, math.MaxInt, math.MaxInt},
	} {
		ids, remotes, people, objects := members(4)
		in := plan.Input{Now: now, Policy: suspend, Desired: append(people, team("g", "g@x", ids[1:]...)),
			State: plan.State{Objects: append(objects, teamObject("g", "rg", "g@x", remotes...))}}
		whole := plan.Compute(in)
		apply, _ := whole.Guard(limits, plan.Budget{})
		in.Capabilities.Mirror = true
		mirror, _ := plan.Compute(in).Guard(limits, plan.Budget{})
		if got := apply.Limit(&tc.change); got != tc.want {
			t.Errorf("%s: Limit() = %d, want %d", tc.change.Claim(), got, tc.want)
		}
		if got := mirror.Limit(&tc.change); tc.change.Member == nil && got != tc.mirror {
			t.Errorf("%s of a mirror: Limit() = %d, want %d", tc.change.Claim(), got, tc.mirror)
		}
		if got := whole.Limit(&tc.change); got != math.MaxInt {
			t.Errorf("%s: Limit() of a plan without a guard = %d", tc.change.Claim(), got)
		}
	}
}

// A run that a person had undone gives accounts and addresses back whatever the limits say. What it takes away is
// counted.
func TestLaw12AnUndoIsDecided(t *testing.T) {
	t.Parallel()
	in := staff(40)
	in.Versions = map[directory.Ref]string{}
	for i := range in.Desired {
		in.Versions[in.Desired[i].Ref] = in.Desired[i].Version
		if i >= 4 && i < 8 {
			in.Desired[i].Address = "new-" + in.Desired[i].Address
		}
	}
	for i := range 4 {
		in.Desired[i].Active, in.Desired[i].Why = false, plan.Disabled
	}
	mistake := plan.Compute(in)
	in.Pins = undo(t, mistake.Changes, in)
	for i := range 8 {
		o := &in.State.Objects[i]
		if i < 4 {
			o.Active, o.Suspender = false, plan.Us
		} else {
			o.Address = "new-" + o.Address
		}
	}
	apply, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	got := map[string]int{}
	for _, c := range apply.Changes {
		got[fmt.Sprint(c.Op)]++
	}
	if diff := cmp.Diff(map[string]int{"restore": 4, "update": 4}, got); diff != "" || !held.Empty() {
		t.Errorf("applied (-want +got):\n%s\nheld %v", diff, lines(held))
	}
}

func TestPoliciesForEntriesWithoutAnAddress(t *testing.T) {
	t.Parallel()
	for _, a := range []plan.Addressless{"", plan.AddresslessHold, plan.AddresslessLeaveOut} {
		if err := a.Validate(); err != nil {
			t.Errorf("Validate(%q) = %v", a, err)
		}
	}
	if err := plan.Addressless("delete").Validate(); err == nil {
		t.Error("Validate(delete) = nil, want an error")
	}
}
