package plan_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

// What a plan says of the fields after it is what the next plan counts.
func TestFilledIsWhatTheNextPlanCounts(t *testing.T) {
	t.Parallel()
	remote := &tenant{objects: map[string]*plan.Object{}}
	for _, o := range []plan.Object{
		have("fills", "1", "fills@x", "title", "", "phone", "1"), have("clears", "2", "clears@x", "title", "T"),
		have("changes", "3", "changes@x", "title", "T"), have("leaves", "4", "leaves@x", "title", "T"),
		have("keeps", "5", "keeps@x", "title", "T"), have("", "6", "adopted@x", "title", "T", "phone", "3"),
	} {
		remote.objects[o.RemoteID] = &o
	}
	remote.objects["1"].Fields = directory.Attributes{{Name: "phone", Values: []string{"1"}}, {Name: "title"}}
	cleared := want("clears", "clears@x")
	cleared.Fields = directory.Attributes{{Name: "title"}}
	in := plan.Input{Now: now, Policy: suspend, Desired: []plan.Desired{cleared,
		want("fills", "fills@x", "title", "T"), want("changes", "changes@x", "title", "U"),
		want("joins", "joins@x", "title", "T", "phone", "2"), want("keeps", "keeps@x", "title", "T"),
		want("adopted", "adopted@x", "title", "U", "phone", "3")}}
	in.Policy.Adoption = plan.AdoptByAddress
	in.Policy.UserDeleteAction, in.Policy.DeleteAfter = plan.ActionDelete, 0
	in.State = remote.state()
	p := plan.Compute(in)
	if diff := cmp.Diff(plan.Filled{"user title": 5, "user phone": 3}, p.Filled()); diff != "" {
		t.Errorf("Filled() (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(plan.Filled{"user title": 1}, p.Emptied()); diff != "" {
		t.Errorf("Emptied() (-want +got):\n%s", diff)
	}
	for _, c := range p.Changes {
		remote.apply(t, c)
	}
	in.State = remote.state()
	next := plan.Compute(in)
	if diff := cmp.Diff(p.Filled(), next.Filled()); diff != "" || !next.Empty() {
		t.Errorf("the next plan (-said +counted):\n%s\n%v", diff, lines(next))
	}
	in.State.Objects, in.Capabilities.Mirror = nil, true
	first := plan.Compute(in)
	if diff := cmp.Diff(plan.Filled{"user title": 5, "user phone": 2}, first.Filled()); diff != "" {
		t.Errorf("Filled() of a first import (-want +got):\n%s", diff)
	}
}

func TestSumsOfFilledFields(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ a, b, want plan.Filled }{
		{plan.Filled{"x": 1}, nil, plan.Filled{"x": 1}},
		{nil, plan.Filled{"x": 1}, plan.Filled{"x": 1}},
		{plan.Filled{"x": 1, "y": 2}, plan.Filled{"y": 3, "z": 4}, plan.Filled{"x": 1, "y": 5, "z": 4}},
	} {
		if diff := cmp.Diff(tc.want, tc.a.Plus(tc.b)); diff != "" {
			t.Errorf("%v plus %v (-want +got):\n%s", tc.a, tc.b, diff)
		}
	}
}

// Plans for some entries share the limit of the last full run: what was lost since counts.
func TestLaw12EmptiedFieldsOfPlansForSomeEntriesAreCountedTogether(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ filled, emptied, held int }{
		{100, 0, 0}, {100, 19, 0}, {100, 20, 1}, {19, 18, 0}, {20, 3, 0}, {20, 4, 1},
	} {
		in := staff(1)
		in.Desired[0].Fields = directory.Attributes{{Name: "name", Values: []string{"u00000"}}, {Name: "title"}}
		in.Only = []directory.Ref{in.Desired[0].Ref}
		in.Filled, in.Emptied = plan.Filled{"user title": tc.filled}, plan.Filled{"user title": tc.emptied}
		_, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
		if diff := cmp.Diff(tc.held, rules(held)[plan.RuleEmptied]); diff != "" {
			t.Errorf("one more than %d of %d: held (-want +got):\n%s", tc.emptied, tc.filled, diff)
		}
	}
}

// An attribute is compared with the same attribute of the same kind, whatever the case of its name.
func TestLaw13CoverageIsThatOfOneAttribute(t *testing.T) {
	t.Parallel()
	before := []directory.Coverage{{Kind: directory.Group, Name: "mail", Entries: 30},
		{Kind: directory.User, Name: "title", Entries: 30}, {Kind: directory.User, Name: "Mail", Entries: 30}}
	count := func(directory.Kind) int { return 30 }
	for _, tc := range []struct {
		now  directory.Coverage
		want string
	}{
		{directory.Coverage{Kind: directory.User, Name: "mail", Entries: 30}, "[]"},
		{directory.Coverage{Kind: directory.User, Name: "MAIL", Entries: 20},
			"[20 users have the attribute MAIL, and 30 had it in the last good run]"},
		{directory.Coverage{Kind: directory.User, Name: "new", Entries: 0}, "[]"},
	} {
		if got := fmt.Sprint(plan.Missed(before, []directory.Coverage{tc.now}, count, count)); got != tc.want {
			t.Errorf("%v: Missed() = %s, want %s", tc.now, got, tc.want)
		}
	}
}

// The first address of an object is no rename, and goes on beside renames that are held.
func TestLaw12AFirstAddressIsNoRename(t *testing.T) {
	t.Parallel()
	in := staff(40)
	for i := range 5 {
		in.Desired[i].Address = "new-" + in.Desired[i].Address
	}
	in.State.Objects[4].Address = ""
	in.Desired[4].Fields = in.Desired[4].Fields.Clone().Set("name", "New")
	apply, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if diff := cmp.Diff([]string{"update user/u00004 address:>new-u00004@x name:u00004>New"}, lines(apply)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[plan.Rule]int{plan.RuleRename: 4}, rules(held)); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
}

// An attribute that tells who is disabled came back too rarely. Suspensions and reactivations that follow from it
// wait. Entries that are gone leave.
func TestLaw13WhatAMissingActivityAttributeDecidesIsHeld(t *testing.T) {
	t.Parallel()
	in := staff(40)
	in.Desired[1].Active, in.Desired[1].Why = false, plan.Disabled
	in.State.Objects[2].Active, in.State.Objects[2].Suspender = false, plan.Us
	in.Desired = in.Desired[1:]
	in.Missing = []plan.Missing{{Coverage: directory.Coverage{Kind: directory.User, Name: "nsAccountLock",
		Activity: true}, Before: 3}}
	apply, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if diff := cmp.Diff([]string{"suspend user/u00000 because absent"}, lines(apply)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"suspend user/u00001 because disabled", "restore user/u00002"},
		lines(changesOf(held))); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
}

func changesOf(p plan.Plan) plan.Plan { return plan.Plan{Changes: p.Changes} }

// While members are not shown, members stay in their groups, but for those that leave themselves.
func TestLaw13LeaversLeaveTheirGroupsWhileMembersAreNotShown(t *testing.T) {
	t.Parallel()
	ids, remotes, people, objects := members(4)
	in := plan.Input{Now: now, Policy: suspend, Desired: append(people[1:], team("g", "g@x", ids[2:]...)),
		State: plan.State{Objects: append(objects, teamObject("g", "rg", "g@x", remotes...))},
		Missing: []plan.Missing{{Coverage: directory.Coverage{Kind: directory.Group, Name: "member", Members: true},
			Before: 30}}}
	apply, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if diff := cmp.Diff([]string{"suspend user/m000 because absent", "remove_member group/g user/m000"},
		lines(apply)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"remove_member group/g user/m001"}, lines(changesOf(held))); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
}

// A field without a value is not lost where the source drops it.
func TestAFieldWithoutAValueIsNotLost(t *testing.T) {
	t.Parallel()
	o := have("a", "user/a", "", "name", "A")
	o.Fields = append(o.Fields, directory.Attribute{Name: "title"})
	p := plan.Compute(plan.Input{Now: now, Capabilities: plan.Capabilities{Mirror: true},
		Desired: []plan.Desired{want("a", "", "name", "A")}, State: plan.State{Objects: []plan.Object{o}}})
	if diff := cmp.Diff(plan.Filled{}, p.Emptied()); diff != "" {
		t.Errorf("Emptied() (-want +got):\n%s", diff)
	}
}

// An attribute with members that no group shows any more concerns the groups that it may have emptied. If no other one
// lists members, these are all groups.
func TestLaw13AVanishedAttributeWithMembersHoldsWhatItMayHaveGiven(t *testing.T) {
	t.Parallel()
	lists := func(members, logins int, of ...directory.ID) []directory.Coverage {
		return []directory.Coverage{{Kind: directory.Group, Name: "member", Entries: members, Members: true, Lists: true},
			{Kind: directory.Group, Name: "memberUid", Entries: logins, Members: true, Lists: true, Of: of},
			{Kind: directory.Group, Name: "objectSid", Entries: 30, Members: true},
			{Kind: directory.User, Name: "memberOf", Entries: 30, Members: true, Lists: true}}
	}
	ids, remotes, people, objects := members(4)
	in := plan.Input{Now: now, Policy: suspend,
		Desired: append(people, team("emptied", "e@x"), team("shrunk", "s@x", ids[1:]...)),
		State: plan.State{Objects: append(objects, teamObject("emptied", "re", "e@x", remotes[:2]...),
			teamObject("shrunk", "rs", "s@x", remotes...))}}
	one, emptied := []string{"remove_member group/shrunk user/m000"},
		[]string{"remove_member group/emptied user/m000", "remove_member group/emptied user/m001"}
	for name, tc := range map[string]struct {
		before, now   []directory.Coverage
		were, entries int
		held          []string
	}{
		"few of many":                {lists(197, 3), lists(197, 0), 200, 200, emptied},
		"most, beside another":       {lists(12, 3), lists(0, 3), 15, 15, emptied},
		"one that had both":          {lists(197, 3, "shrunk", "x", "y"), lists(197, 0), 200, 200, append(emptied, one...)},
		"others that had both":       {lists(197, 3, "w", "x", "y"), lists(197, 0), 200, 200, emptied},
		"too few":                    {lists(197, 2), lists(197, 0), 200, 200, []string{}},
		"all that list members":      {lists(12, 3), lists(0, 0), 30, 30, append(emptied, one...)},
		"the only one":               {lists(12, 0), lists(0, 0), 30, 30, append(emptied, one...)},
		"many, beside another":       {lists(60, 40), lists(60, 0), 100, 100, append(emptied, one...)},
		"many of them left entirely": {lists(50, 4), lists(50, 0), 100, 54, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			count := func(n int) func(directory.Kind) int { return func(directory.Kind) int { return n } }
			mine := in
			mine.Missing = plan.Missed(tc.before, tc.now, count(tc.were), count(tc.entries))
			_, held := plan.Compute(mine).Guard(plan.Limits{}, plan.Budget{})
			if diff := cmp.Diff(tc.held, lines(changesOf(held))); diff != "" {
				t.Errorf("held (-want +got):\n%s", diff)
			}
		})
	}
}
