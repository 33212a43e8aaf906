package plan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

// company is n people, the first gone of which have left.
func company(n, gone int) plan.Input {
	in := plan.Input{Now: now, Policy: suspend}
	for i := range n {
		id := fmt.Sprintf("u%05d", i)
		in.State.Objects = append(in.State.Objects, have(id, "r"+id, id+"@x"))
		if i >= gone {
			in.Desired = append(in.Desired, want(id, id+"@x"))
		}
	}
	return in
}

func rules(p plan.Plan) map[plan.Rule]int {
	out := map[plan.Rule]int{}
	for _, c := range p.Changes {
		out[c.Guard]++
	}
	return out
}

func TestLaw9TheLimitIsHeldWholeAndTheRestGoesOn(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		people, gone, spent int
		want                map[plan.Rule]int
	}{
		{10, 3, 0, map[plan.Rule]int{}},
		{10, 4, 0, map[plan.Rule]int{plan.RuleLimit: 4}},
		{10, 2, 1, map[plan.Rule]int{}},
		{10, 2, 2, map[plan.Rule]int{plan.RuleLimit: 2}},
		{1000, 50, 0, map[plan.Rule]int{}},
		{1000, 51, 0, map[plan.Rule]int{plan.RuleLimit: 51}},
		{20000, 500, 0, map[plan.Rule]int{}},
		{20000, 501, 0, map[plan.Rule]int{plan.RuleLimit: 501}},
		{4, 2, 0, map[plan.Rule]int{}},
		{5, 3, 0, map[plan.Rule]int{plan.RuleHalf: 3}},
		{2, 2, 0, map[plan.Rule]int{plan.RuleEmpty: 2}},
	} {
		in := company(tc.people, tc.gone)
		in.Desired = append(in.Desired, want("joiner", "joiner@x"))
		if tc.people == tc.gone {
			in.Desired = nil
		}
		apply, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{User: tc.spent})
		if diff := cmp.Diff(tc.want, rules(held)); diff != "" {
			t.Errorf("%d of %d gone, %d spent (-want +got):\n%s", tc.gone, tc.people, tc.spent, diff)
		}
		if n := len(apply.Changes); len(in.Desired) > 0 && (n == 0 || apply.Changes[n-1].Op != plan.Create) {
			t.Errorf("%d of %d gone: the joiner does not arrive: %v", tc.gone, tc.people, lines(apply))
		}
		if got := len(apply.Changes) + len(held.Changes); got != tc.gone+min(1, len(in.Desired)) {
			t.Errorf("%d of %d gone: %d changes in all", tc.gone, tc.people, got)
		}
	}
}

func members(n int) (ids, remotes []string, people []plan.Desired, objects []plan.Object) {
	for i := range n {
		id := fmt.Sprintf("m%03d", i)
		ids, remotes = append(ids, id), append(remotes, "r"+id)
		people, objects = append(people, want(id, id+"@x")), append(objects, have(id, "r"+id, id+"@x"))
	}
	return ids, remotes, people, objects
}

func TestLaw9AGroupIsNotDrained(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		size, leave, spent int
		want               map[plan.Rule]int
	}{
		{20, 8, 0, map[plan.Rule]int{}}, // up to twenty is free
		{30, 9, 0, map[plan.Rule]int{}},
		{30, 10, 0, map[plan.Rule]int{plan.RuleMembers: 10}},
		{21, 3, 9, map[plan.Rule]int{plan.RuleMembers: 3}},
	} {
		ids, remotes, people, objects := members(tc.size)
		in := plan.Input{
			Now: now, Policy: suspend, Desired: append(people, team("g", "g@x", ids[tc.leave:]...)),
			State: plan.State{Objects: append(objects, teamObject("g", "rg", "g@x", remotes...))},
		}
		_, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{Members: map[directory.ID]int{"g": tc.spent}})
		if diff := cmp.Diff(tc.want, rules(held)); diff != "" {
			t.Errorf("%d of %d leave, %d spent (-want +got):\n%s", tc.leave, tc.size, tc.spent, diff)
		}
	}
}

func TestAHeldDepartureStartsNoClock(t *testing.T) {
	t.Parallel()
	in := company(10, 6)
	in.Links = map[directory.Ref]plan.Link{user("u00000"): {Departed: now.Add(-time.Hour)}}
	apply, _ := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if len(apply.Tombstones) != 1 || apply.Tombstones[0].Ref != user("u00000") {
		t.Errorf("tombstones %v, want that of u00000 alone", apply.Tombstones)
	}
}

func TestLaw8SameInputSameBytes(t *testing.T) {
	t.Parallel()
	in := company(50, 5)
	a, err := json.Marshal(plan.Compute(in))
	if err != nil {
		t.Fatal(err)
	}
	back := company(50, 5)
	for i, j := 0, len(back.State.Objects)-1; i < j; i, j = i+1, j-1 {
		back.State.Objects[i], back.State.Objects[j] = back.State.Objects[j], back.State.Objects[i]
	}
	first := back.State.Objects[0].ID
	b, err := json.Marshal(plan.Compute(back))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Errorf("the order of the input changed the plan:\n%s\n%s", a, b)
	}
	if back.State.Objects[0].ID != first {
		t.Error("Compute changed its input")
	}
}

func TestTableShowsOddNamesOnOneLine(t *testing.T) {
	t.Parallel()
	d := want("a", "a@x")
	d.Label = "Robert'); DROP\n\tTABLE\u202estudents"
	apply, held := plan.Compute(plan.Input{Now: now, Policy: suspend, Desired: []plan.Desired{d}}).Guard(plan.Limits{},
		plan.Budget{})
	var b bytes.Buffer
	if err := plan.WriteTable(&b, apply, held); err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(b.String(), "\n"); got != 2 || strings.ContainsRune(b.String(), '\u202e') {
		t.Errorf("table has %d lines, want 2:\n%s", got, b.String())
	}
}

func TestWhatAWorkerThatDiedHadBegunIsNotCountedTwice(t *testing.T) {
	t.Parallel()
	in := company(10, 3) // Three may go; the worker died with all of them begun, and two of them made.
	in.Desired = append(in.Desired, want("u00000", "u00000@x"), want("u00001", "u00001@x"))
	p := plan.Compute(in)
	budget := plan.Budget{User: 3, Claims: map[string]bool{p.Changes[0].Claim(): true}}
	if apply, held := p.Guard(plan.Limits{}, budget); len(apply.Changes) != 1 || !held.Empty() {
		t.Errorf("applied %v, held %v; want the one that was begun to go on", lines(apply), lines(held))
	}
	if _, held := p.Guard(plan.Limits{}, plan.Budget{User: 3}); len(held.Changes) != 1 {
		t.Errorf("held %v; want one more to be too many", lines(held))
	}
}

// Three renames got no answer, and the directory takes them back. The corrections are renames of their own.
func TestLaw12ARenameAndItsCorrectionAreTwo(t *testing.T) {
	t.Parallel()
	in := staff(20)
	budget := plan.Budget{Renamed: plan.Tally{User: 3}, Claims: map[string]bool{}}
	for i := range 3 {
		in.Desired[i].Address = "wrong-" + in.Desired[i].Address
	}
	wrong := plan.Compute(in)
	for i := range wrong.Changes {
		budget.Claims[wrong.Changes[i].Claim()] = true
	}
	if apply, held := wrong.Guard(plan.Limits{}, budget); len(apply.Changes) != 3 || !held.Empty() {
		t.Errorf("applied %v, held %v; want the three that were begun to go on", lines(apply), lines(held))
	}
	for i := range 3 {
		in.State.Objects[i].Address, in.Desired[i].Address = in.Desired[i].Address, in.State.Objects[i].Address
	}
	if apply, held := plan.Compute(in).Guard(plan.Limits{}, budget); !apply.Empty() || len(held.Changes) != 3 {
		t.Errorf("applied %v, held %v; want the three corrections to be too many", lines(apply), lines(held))
	}
}

// All memberships together are braked where there are more than twenty. What joins goes on, and so does what one
// group loses within its own limit.
func TestLaw12MembershipsOfAllGroupsAreBrakedTogether(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		groups, size, leave int // so many groups, of which each loses some members
		want                map[plan.Rule]int
	}{
		{2, 10, 10, map[plan.Rule]int{}}, {3, 7, 7, map[plan.Rule]int{plan.RuleEmpty: 21}},
		{4, 10, 5, map[plan.Rule]int{}}, {4, 10, 6, map[plan.Rule]int{plan.RuleHalf: 24}},
		{2, 10, 6, map[plan.Rule]int{}}, {3, 7, 4, map[plan.Rule]int{plan.RuleHalf: 12}},
	} {
		ids, remotes, people, objects := members(tc.size)
		in := plan.Input{Now: now, Policy: suspend, Desired: people, State: plan.State{Objects: objects}}
		for i := range tc.groups {
			id := fmt.Sprintf("g%d", i)
			in.Desired = append(in.Desired, team(id, id+"@x", ids[tc.leave:]...))
			in.State.Objects = append(in.State.Objects, teamObject(id, "r"+id, id+"@x", remotes...))
		}
		p := plan.Compute(in)
		if had := p.Counts.Anchored.Membership; had != tc.groups*tc.size {
			t.Errorf("%+v: %d memberships are counted", tc, had)
		}
		if stay := tc.groups * (tc.size - tc.leave); p.Counts.Desired.Membership != stay ||
			p.Counts.Unchanged.Membership != stay {
			t.Errorf("%+v: counts %+v, want %d desired and unchanged", tc, p.Counts, stay)
		}
		_, held := p.Guard(plan.Limits{}, plan.Budget{})
		if diff := cmp.Diff(tc.want, rules(held)); diff != "" {
			t.Errorf("%+v: held (-want +got):\n%s", tc, diff)
		}
	}
}

// Only removals are counted, and only those are held. A removal that a worker that died had begun is counted already.
func TestLaw12OnlyRemovalsDrainAGroup(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		leave, join, spent, begun int
		held                      map[plan.Rule]int
		apply                     int
	}{
		{9, 9, 0, 0, map[plan.Rule]int{}, 19}, {10, 9, 0, 0, map[plan.Rule]int{plan.RuleMembers: 10}, 10},
		{9, 0, 3, 3, map[plan.Rule]int{}, 10}, {9, 0, 4, 2, map[plan.Rule]int{plan.RuleMembers: 9}, 1},
	} {
		ids, remotes, people, objects := members(30 + tc.join)
		in := plan.Input{Now: now, Policy: suspend, Desired: append(people, team("g", "new-g@x", ids[tc.leave:]...)),
			State: plan.State{Objects: append(objects, teamObject("g", "rg", "g@x", remotes[:30]...))}}
		p := plan.Compute(in)
		budget := plan.Budget{Members: map[directory.ID]int{"g": tc.spent}, Claims: map[string]bool{}}
		if tc.spent > 0 { // Those who left within the day were members when it began.
			in.State.Objects[len(in.State.Objects)-1].Members = remotes[tc.spent-tc.begun:]
			in.State.Objects[len(in.State.Objects)-1].Size = 30 - tc.spent
		}
		for i := range p.Changes {
			if c := &p.Changes[i]; c.Op == plan.RemoveMember && len(budget.Claims) < tc.begun {
				budget.Claims[c.Claim()] = true
			}
		}
		apply, held := p.Guard(plan.Limits{}, budget)
		if diff := cmp.Diff(tc.held, rules(held)); diff != "" || len(apply.Changes) != tc.apply {
			t.Errorf("%+v: applied %v, held (-want +got):\n%s", tc, lines(apply), diff)
		}
	}
}

// Reactivations are counted in the tenants, where they happen, and not in the local copy.
func TestLaw12AMirrorCountsNoReactivations(t *testing.T) {
	t.Parallel()
	in := staff(40)
	in.Capabilities.Mirror = true
	for i := range 10 {
		in.State.Objects[i].Active = false
	}
	if apply, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{}); len(apply.Changes) != 10 || !held.Empty() {
		t.Errorf("applied %v, held %v; want ten reactivations", lines(apply), lines(held))
	}
}

// A deletion that is held starts no grace period either, and a plan without changes prints an empty list.
func TestAHeldDeletionStartsNoClock(t *testing.T) {
	t.Parallel()
	in := plan.Input{Now: now, Policy: plan.Policy{GroupDeleteAction: plan.ActionDelete}}
	for i := range 10 {
		id := fmt.Sprintf("g%d", i)
		in.State.Objects = append(in.State.Objects, teamObject(id, "r"+id, id+"@x"))
	}
	in.Desired = []plan.Desired{team("g9", "g9@x")}
	apply, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if len(apply.Tombstones) > 0 || len(held.Changes) != 9 || held.Changes[0].Op != plan.Delete {
		t.Errorf("tombstones %v, held %v; want nine held deletions and no tombstone", apply.Tombstones, lines(held))
	}
	nothing, _ := plan.Plan{}.Guard(plan.Limits{}, plan.Budget{})
	if text, err := json.Marshal(nothing); err != nil || !strings.Contains(string(text), `"changes":[]`) {
		t.Errorf("%v: %s, want an empty list of changes", err, text)
	}
}

// The numbers of an earlier full run belong to plans for some entries. A full plan counts for itself.
func TestLaw12AFullPlanCountsItsOwnFields(t *testing.T) {
	t.Parallel()
	in := staff(20)
	in.Filled = plan.Filled{"user title": 1000}
	for i := range 5 {
		in.Desired[i].Fields = directory.Attributes{{Name: "name", Values: []string{string(in.Desired[i].ID)}},
			{Name: "title"}}
	}
	_, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if diff := cmp.Diff(map[plan.Rule]int{plan.RuleEmptied: 5}, rules(held)); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
}

// A deletion right after the suspension is no second departure. A deletion a day later counts.
func TestADepartureCountsOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		left      time.Duration
		suspended bool
		held      int
	}{{time.Minute, true, 0}, {25 * time.Hour, true, 3}, {time.Minute, false, 3}} {
		in := company(40, 3)
		in.Policy = plan.Policy{UserDeleteAction: plan.ActionDelete}
		in.Links = map[directory.Ref]plan.Link{}
		for i := range 2 { // Sent ahead.
			o := &in.State.Objects[i]
			o.Active, o.Suspender = false, plan.Us
			in.Links[o.Ref] = plan.Link{RemoteID: o.RemoteID, Suspended: tc.suspended, Departed: now.Add(-tc.left)}
		}
		apply, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{User: 2})
		if len(held.Changes) != tc.held || len(apply.Changes) != 3-tc.held {
			t.Errorf("suspended %v ago by us %v: %d applied, %d held, want %d held", tc.left, tc.suspended,
				len(apply.Changes), len(held.Changes), tc.held)
		}
	}
}
