package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

// staff is n people with an account, a title and a name each.
func staff(n int) plan.Input {
	in := plan.Input{Now: now, Policy: suspend, Links: map[directory.Ref]plan.Link{}}
	for i := range n {
		id := fmt.Sprintf("u%05d", i)
		in.State.Objects = append(in.State.Objects, have(id, "r"+id, id+"@x", "title", "T", "name", id))
		in.Desired = append(in.Desired, want(id, id+"@x", "title", "T", "name", id))
	}
	return in
}

func TestLaw12HarmIsBrakedInBothDirections(t *testing.T) {
	t.Parallel()
	suspended := func(n int) func(*plan.Input) {
		return func(in *plan.Input) {
			for i := range n {
				in.State.Objects[i].Active, in.State.Objects[i].Suspender = false, plan.Us
			}
		}
	}
	first := func(n int) func(*plan.Input) {
		return func(in *plan.Input) {
			for i := range n {
				in.Links[in.Desired[i].Ref] = plan.Link{Inactive: true}
			}
			in.State.Objects = in.State.Objects[n:]
		}
	}
	renamed := func(n int) func(*plan.Input) {
		return func(in *plan.Input) {
			for i := range n {
				in.Desired[i].Address = "new-" + in.Desired[i].Address
				in.Desired[i].Fields = in.Desired[i].Fields.Clone().Set("name", "New")
			}
		}
	}
	cleared := func(n int) func(*plan.Input) {
		return func(in *plan.Input) {
			for i := range n {
				in.Desired[i].Fields = directory.Attributes{{Name: "name", Values: []string{"New"}}, {Name: "title"}}
			}
		}
	}
	doubted := func(change func(*plan.Input)) func(*plan.Input) {
		return func(in *plan.Input) { change(in); in.Doubts = []string{"an older server"} }
	}
	forgotten := func(change func(*plan.Input)) func(*plan.Input) {
		return func(in *plan.Input) { change(in); in.Forgotten = "what was known was lost" }
	}
	limits := plan.Limits{DayLimits: plan.DayLimits{Rename: plan.Limit{Most: 1, Least: 1},
		Reactivate: plan.Limit{Share: 50}}}
	for _, tc := range []struct {
		name   string
		people int
		change func(*plan.Input)
		limits plan.Limits
		spent  plan.Budget
		apply  int
		held   map[plan.Rule]int
	}{
		{"three come back", 40, suspended(3), plan.Limits{}, plan.Budget{}, 3, map[plan.Rule]int{}},
		{"four come back", 40, suspended(4), plan.Limits{}, plan.Budget{}, 0, map[plan.Rule]int{plan.RuleReactivate: 4}},
		{"two more come back", 40, suspended(2), plan.Limits{}, plan.Budget{Reactivated: plan.Tally{User: 2}}, 0,
			map[plan.Rule]int{plan.RuleReactivate: 2}},
		{"an address and a name in one update", 40, renamed(2), plan.Limits{},
			plan.Budget{Renamed: plan.Tally{User: 2}}, 2, map[plan.Rule]int{plan.RuleRename: 2}},
		{"departures have a budget of their own", 40, suspended(3), plan.Limits{}, plan.Budget{User: 3}, 3,
			map[plan.Rule]int{}},
		{"configured", 40, suspended(20), limits, plan.Budget{}, 20, map[plan.Rule]int{}},
		{"first accounts", 40, first(4), plan.Limits{}, plan.Budget{}, 0, map[plan.Rule]int{plan.RuleReactivate: 4}},
		{"five percent of a thousand", 1000, suspended(50), plan.Limits{}, plan.Budget{}, 50, map[plan.Rule]int{}},
		{"more than that", 1000, suspended(51), plan.Limits{}, plan.Budget{}, 0, map[plan.Rule]int{plan.RuleReactivate: 51}},
		{"three get a new address", 40, renamed(3), plan.Limits{}, plan.Budget{}, 3, map[plan.Rule]int{}},
		{"four do, and the rest of their changes goes on", 40, renamed(4), plan.Limits{}, plan.Budget{}, 4,
			map[plan.Rule]int{plan.RuleRename: 4}},
		{"configured renames", 40, renamed(2), limits, plan.Budget{}, 2, map[plan.Rule]int{plan.RuleRename: 2}},
		{"a fifth of the titles goes", 100, cleared(20), plan.Limits{}, plan.Budget{}, 20, map[plan.Rule]int{}},
		{"more titles go", 100, cleared(21), plan.Limits{}, plan.Budget{}, 21, map[plan.Rule]int{plan.RuleEmptied: 21}},
		{"few had one", 19, cleared(19), plan.Limits{}, plan.Budget{}, 19, map[plan.Rule]int{}},
		{"a doubt holds who comes back", 40, doubted(suspended(1)), plan.Limits{}, plan.Budget{}, 0,
			map[plan.Rule]int{plan.RuleDoubt: 1}},
		{"a doubt holds first accounts of those last seen inactive", 40, doubted(first(1)), plan.Limits{}, plan.Budget{}, 0,
			map[plan.Rule]int{plan.RuleDoubt: 1}},
		{"a doubt holds names", 40, doubted(renamed(1)), plan.Limits{}, plan.Budget{}, 1,
			map[plan.Rule]int{plan.RuleDoubt: 1}},
		{"a doubt holds emptied fields", 40, doubted(cleared(1)), plan.Limits{}, plan.Budget{}, 1,
			map[plan.Rule]int{plan.RuleDoubt: 1}},
		{"a lost memory does, too", 40, forgotten(cleared(1)), plan.Limits{}, plan.Budget{}, 1,
			map[plan.Rule]int{plan.RuleDoubt: 1}},
		{"a lost memory holds who comes back", 40, forgotten(suspended(1)), plan.Limits{}, plan.Budget{}, 0,
			map[plan.Rule]int{plan.RuleDoubt: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := staff(tc.people)
			tc.change(&in)
			p := plan.Compute(in)
			apply, waits := p.Guard(tc.limits, tc.spent)
			if diff := cmp.Diff(tc.held, rules(waits)); diff != "" || len(apply.Changes) != tc.apply {
				t.Errorf("held (-want +got):\n%s\napplied %v", diff, lines(apply))
			}
			tc.limits.Verdicts = map[string]plan.Verdict{}
			for i := range waits.Changes {
				tc.limits.Verdicts[waits.Changes[i].Fingerprint()] = plan.Approved
			}
			if _, waits = p.Guard(tc.limits, tc.spent); !waits.Empty() {
				t.Errorf("approved, and still held: %v", lines(waits))
			}
		})
	}
}

func TestLaw13Coverage(t *testing.T) {
	t.Parallel()
	cover := func(n int, activity bool) []directory.Coverage {
		return []directory.Coverage{{Kind: directory.User, Name: "x", Entries: n, Activity: activity}}
	}
	count := func(n int) func(directory.Kind) int { return func(directory.Kind) int { return n } }
	for _, tc := range []struct {
		before, now   int
		were, entries int
		activity      bool
		want          bool
	}{
		{20, 15, 100, 100, false, true}, {20, 16, 100, 100, false, false}, {19, 0, 100, 100, false, false},
		{3, 0, 100, 100, true, true}, {2, 0, 100, 100, true, false}, {6, 3, 100, 100, true, true},
		{6, 4, 100, 100, true, false}, {5, 2, 100, 100, true, false},
		{100, 60, 100, 60, false, false}, // The others left.
		{100, 40, 100, 60, false, true}, {0, 0, 0, 0, true, false},
	} {
		got := plan.Missed(cover(tc.before, tc.activity), cover(tc.now, tc.activity), count(tc.were), count(tc.entries))
		if (len(got) > 0) != tc.want {
			t.Errorf("%+v: Missed() = %v", tc, got)
		}
	}
}

func TestLaw13WhatAnAbsenceChangesIsHeld(t *testing.T) {
	t.Parallel()
	in := staff(10)
	in.Capabilities.Mirror = true
	in.Desired[0].Fields = directory.Attributes{{Name: "name", Values: []string{"New"}}} // title is gone
	in.State.Objects[1].Active = false
	in.Missing = []plan.Missing{
		{Coverage: directory.Coverage{Kind: directory.User, Name: "personalTitle", Attributes: []string{"title"},
			Entries: 1}, Before: 30},
		{Coverage: directory.Coverage{Kind: directory.User, Name: "nsAccountLock", Activity: true}, Before: 3},
	}
	apply, waits := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	var got []string
	for _, c := range waits.Changes {
		got = append(got, string(c.Guard)+" "+c.Op.String()+": "+c.Held)
	}
	if diff := cmp.Diff([]string{
		"coverage update: 1 users have the attribute personalTitle, and 30 had it in the last good run",
		"coverage restore: 0 users have the attribute nsAccountLock, and 3 had it in the last good run",
	}, got); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"update user/u00000 name:u00000>New"}, lines(apply)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
}

// The login name comes from cn where uid is not shown. That is no new name. A change of a field that has one attribute
// goes on, because only the attribute itself can have given the new value.
func TestLaw13AValueOfAnotherAttributeIsHeld(t *testing.T) {
	t.Parallel()
	cover := func(name, field string, entries int) directory.Coverage {
		return directory.Coverage{Kind: directory.User, Name: name, Attributes: []string{field}, Entries: entries}
	}
	in := staff(40)
	in.Capabilities.Mirror = true
	in.Coverage = []directory.Coverage{cover("uid", "name", 20), cover("cn", "name", 40), cover("t", "title", 20)}
	in.Missing = []plan.Missing{{Coverage: in.Coverage[0], Before: 40}, {Coverage: in.Coverage[2], Before: 40}}
	in.Desired[0].Fields = in.Desired[0].Fields.Clone().Set("name", "First Last").Set("title", "Chief")
	apply, waits := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if diff := cmp.Diff([]string{"update user/u00000 name:u00000>First Last"}, lines(waits)); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"update user/u00000 title:T>Chief"}, lines(apply)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
}

// A source no longer reads an attribute that the mapping stopped using. The local copy then drops its values, and no
// brake or doubt holds that. An attribute that was asked for and came from no entry is held.
func TestAnAttributeThatIsNotAskedForIsNoLoss(t *testing.T) {
	t.Parallel()
	asked := []directory.Coverage{{Kind: directory.User, Name: "cn", Attributes: []string{"Name"}, Entries: 30}}
	none := directory.Coverage{Kind: directory.User, Name: "t", Attributes: []string{"Title"}}
	hidden := append(slices.Clone(asked), none)
	groups := []directory.Coverage{{Kind: directory.Group, Name: "cn", Attributes: []string{"cn"}, Entries: 3}}
	doubts := []string{"the answer was short"}
	for _, tc := range []struct {
		name     string
		mirror   bool
		coverage []directory.Coverage
		doubts   []string
		held     int
	}{
		{"not asked for", true, asked, nil, 0},
		{"not asked for, in doubt", true, asked, doubts, 0},
		{"asked for", true, hidden, nil, 30},
		{"asked for, in doubt", true, hidden, doubts, 30},
		{"what was asked for is not known", true, nil, nil, 30},
		{"only of groups it is known what was asked for", true, groups, nil, 30},
		{"a tenant", false, asked, nil, 30},
	} {
		in := staff(30)
		in.Capabilities.Mirror, in.Coverage, in.Doubts = tc.mirror, tc.coverage, tc.doubts
		for i := range in.Desired {
			in.Desired[i].Fields = directory.Attributes{{Name: "name", Values: []string{string(in.Desired[i].ID)}}}
			if !tc.mirror {
				in.Desired[i].Fields = append(in.Desired[i].Fields, directory.Attribute{Name: "title"})
			}
		}
		apply, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
		if len(held.Changes) != tc.held || len(apply.Changes) != 30-tc.held {
			t.Errorf("%s: %d applied and %d held, want %d held", tc.name, len(apply.Changes), len(held.Changes), tc.held)
		}
	}
}

// The source no longer shows the members of many groups, so nothing is concluded from their absence. Leavers still
// leave.
func TestLaw13MembersThatAreNotShownAreKept(t *testing.T) {
	t.Parallel()
	in := plan.Input{Now: now, Capabilities: plan.Capabilities{Mirror: true}}
	for i := range 100 {
		var ids, remotes []string
		for j := range 5 {
			id := fmt.Sprintf("u%02d%d", i, j)
			ids, remotes = append(ids, id), append(remotes, "user/"+id)
			in.State.Objects = append(in.State.Objects, have(id, "user/"+id, ""))
			if id != "u990" {
				in.Desired = append(in.Desired, want(id, ""))
			}
		}
		id := fmt.Sprintf("g%02d", i)
		in.State.Objects = append(in.State.Objects, teamObject(id, "group/"+id, "", remotes...))
		switch {
		case i < 40:
			ids = nil
		case i == 99:
			ids = ids[1:]
		}
		in.Desired = append(in.Desired, team(id, "", ids...))
	}
	for _, m := range []directory.Coverage{
		{Kind: directory.Group, Name: "member", Entries: 60, Members: true},
		{Kind: directory.User, Name: "primaryGroupID", Entries: 60, Members: true},
	} {
		in.Missing = []plan.Missing{{Coverage: m, Before: 100}}
		apply, waits := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
		if diff := cmp.Diff(map[plan.Rule]int{plan.RuleCoverage: 200}, rules(waits)); diff != "" {
			t.Errorf("%s: held (-want +got):\n%s", m.Name, diff)
		}
		if diff := cmp.Diff([]string{"remove_member group/g99 user/u990", "delete user/u990 because absent"},
			lines(apply)); diff != "" {
			t.Errorf("%s: applied (-want +got):\n%s", m.Name, diff)
		}
	}
}
