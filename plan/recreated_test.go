package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

func rekeyed(d plan.Desired, fact string) plan.Desired {
	d.Rekey = fact
	return d
}

// again is a staff of three and their groups, of which person a and group g have new ids in the directory.
func again() plan.Input {
	inner := team("inner", "", "c")
	g := team("g2", "", "a2", "b")
	g.Members = append(g.Members, plan.Member{Ref: group("inner")})
	return plan.Input{
		Now: now, Policy: suspend,
		Desired: []plan.Desired{
			rekeyed(want("a2", "a@x"), "1"), rekeyed(want("b", "b@x"), "2"), rekeyed(want("c", "c@x"), "3"), rekeyed(g, "team"),
			rekeyed(inner, "inner"),
		},
		Links: map[directory.Ref]plan.Link{
			user("a1"): {RemoteID: "1", Rekey: "1"}, user("b"): {RemoteID: "2", Rekey: "2"},
			user("c"):   {RemoteID: "3", Rekey: "3"},
			group("g1"): {RemoteID: "7", Rekey: "TEAM"}, group("inner"): {RemoteID: "8", Rekey: "inner"},
		},
		State: plan.State{Objects: []plan.Object{
			have("a1", "1", "a@x"), have("b", "2", "b@x"), have("c", "3", "c@x"),
			teamObject("g1", "7", "", "1", "2", "8"), teamObject("inner", "8", "", "3"),
		}},
	}
}

func held(p plan.Plan) map[string]plan.Rule {
	out := map[string]plan.Rule{}
	for i := range p.Changes {
		out[p.Changes[i].Claim()] = p.Changes[i].Guard
	}
	return out
}

func TestLaw5AReCreatedEntryIsOneAccount(t *testing.T) {
	t.Parallel()
	offered := map[string]plan.Rule{"reanchor user/a2": plan.RuleApproval, "reanchor group/g2": plan.RuleApproval}
	for name, tc := range map[string]struct {
		change func(*plan.Input)
		apply  []string
		held   map[string]plan.Rule
	}{
		"nothing else happens": {func(*plan.Input) {}, []string{}, offered},
		"the address changed at the same time": {func(in *plan.Input) { in.Desired[0].Address = "ada@x" }, []string{},
			offered},
		"the ledger is lost": {func(in *plan.Input) {
			clear(in.Links)
			in.Desired[3].Fields, in.State.Objects[3].Fields = fields("displayName", "Team"), fields("displayName", "team")
		}, []string{}, offered},
		"a membership really ends": {func(
			in *plan.Input) {
			in.Desired[4].Members = nil
			in.State.Objects[4].Members = []string{"1", "3"}
		},
			[]string{"remove_member group/inner user/a2", "remove_member group/inner user/c"}, offered},
		"a membership begins": {func(in *plan.Input) {
			in.Desired[4].Members = []plan.Member{{Ref: user("a2")},
				{Ref: user("c")}}
		},
			[]string{"add_member group/inner user/a2"}, offered},
		"the group changes too": {func(in *plan.Input) { in.Desired[3].Members = in.Desired[3].Members[1:] }, []string{},
			map[string]plan.Rule{
				"reanchor user/a2": plan.RuleApproval, "reanchor group/g2": plan.RuleApproval,
				"remove_member group/g2 user/a2": plan.RuleFollows,
			}},
		"the old account was suspended": {func(in *plan.Input) {
			in.State.Objects[0].Active,
				in.State.Objects[0].Suspender = false, plan.Us
		}, []string{},
			map[string]plan.Rule{"reanchor user/a2": plan.RuleApproval, "reanchor group/g2": plan.RuleApproval,
				"restore user/a2": plan.RuleFollows}},
		"one object": {func(in *plan.Input) { in.Only = []directory.Ref{group("inner")}; in.State.Objects[0].Stub = true },
			[]string{}, map[string]plan.Rule{}},
		"a new group is made": {func(in *plan.Input) {
			in.Desired = append(in.Desired,
				rekeyed(team("other", "", "a2"), "other"))
		},
			[]string{"create group/other", "add_member group/other user/a2"}, offered},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := again()
			tc.change(&in)
			apply, waits := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
			if diff := cmp.Diff(tc.apply, lines(apply)); diff != "" {
				t.Errorf("applied (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.held, held(waits)); diff != "" {
				t.Errorf("held (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLaw5ApprovingAPartLosesNoMembership(t *testing.T) {
	t.Parallel()
	for _, part := range [][]string{{"reanchor user/a2"}, {"reanchor group/g2"},
		{"reanchor user/a2", "reanchor group/g2"}} {
		in := again()
		verdicts := map[string]plan.Verdict{}
		for _, c := range plan.Compute(in).Changes {
			for _, claim := range part {
				if c.Claim() == claim {
					verdicts[c.Fingerprint()] = plan.Approved
				}
			}
		}
		apply, _ := plan.Compute(in).Guard(plan.Limits{Verdicts: verdicts}, plan.Budget{})
		if diff := cmp.Diff(part, lines(apply)); diff != "" {
			t.Errorf("approved %v: applied (-want +got):\n%s", part, diff)
		}
		remote := &tenant{objects: map[string]*plan.Object{}}
		for i := range in.State.Objects {
			remote.objects[in.State.Objects[i].RemoteID] = &in.State.Objects[i]
		}
		for _, c := range apply.Changes {
			remote.apply(t, c)
		}
		in.State = remote.state()
		apply, _ = plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
		if !apply.Empty() {
			t.Errorf("after %v the next plan is %v", part, lines(apply))
		}
	}
}

// Two entries that look like the former owner of one account are named; the account and its memberships stay.
func TestLaw5AnAccountThatTwoEntriesMayHaveHadStays(t *testing.T) {
	t.Parallel()
	in := again()
	in.Desired = append(in.Desired, rekeyed(want("a3", "a3@x"), "1"))
	apply, waits := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if diff := cmp.Diff([]string{"held user/a2 reanchor", "held user/a3 reanchor"}, lines(apply)); diff != "" ||
		len(waits.Changes) != 1 {
		t.Errorf("applied (-want +got):\n%s\nheld %v", diff, held(waits))
	}
}

// One leaves, and another person gets the address. The account of the leaver is suspended at once, and the joiner waits
// for an address. With a name in common the entry may be the same person, which is a question.
func TestALeaversAddressGivenToAnotherPerson(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fields directory.Attributes
		want   []string
		held   map[string]plan.Rule
	}{
		"another person": {fields("given", "Joe", "family", "Joiner", "mail", "ada@x"),
			[]string{"suspend user/ada because absent", "held user/joe address_kept"}, map[string]plan.Rule{}},
		"the given name stays": {fields("given", "ADA", "family", "Married"), []string{},
			map[string]plan.Rule{"reanchor user/joe": plan.RuleApproval}},
		"one field tells too little": {fields("family", "Joiner"), []string{},
			map[string]plan.Rule{"reanchor user/joe": plan.RuleApproval}},
	} {
		in := staff(10)
		in.State.Objects = append(in.State.Objects, have("ada", "rada", "ada@x", "given", "Ada", "family", "King",
			"mail", "ada@x"))
		in.Desired = append(in.Desired, rekeyed(want("joe", "ada@x"), "ada@x"))
		in.Desired[10].Fields = tc.fields
		in.Links[user("ada")] = plan.Link{RemoteID: "rada", Rekey: "ada@x"}
		apply, waits := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
		if diff := cmp.Diff(tc.want, lines(apply)); diff != "" {
			t.Errorf("%s: applied (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(tc.held, held(waits)); diff != "" {
			t.Errorf("%s: held (-want +got):\n%s", name, diff)
		}
	}
}

// local is a directory of n people in one group, the first few of which have new ids.
func local(n, renewed int) plan.Input {
	in := plan.Input{Now: now, Capabilities: plan.Capabilities{Mirror: true}}
	var members, old []string
	for i := range n {
		id, was := fmt.Sprintf("u%03d", i), fmt.Sprintf("u%03d", i)
		if i < renewed {
			id = "new" + id
		}
		name := fmt.Sprintf("uid%d", i)
		in.Desired = append(in.Desired, want(id, "", directory.UserName, name))
		in.State.Objects = append(in.State.Objects, have(was, "user/"+was, "", directory.UserName, name))
		members, old = append(members, id), append(old, "user/"+was)
	}
	in.Desired = append(in.Desired, team("g", "", members...))
	in.State.Objects = append(in.State.Objects, teamObject("g", "group/g", "", old...))
	return in
}

func TestLaw5ARecreatedDirectoryIsOneQuestion(t *testing.T) {
	t.Parallel()
	in := local(40, 2)
	apply, waits := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if !waits.Empty() || len(apply.Changes) != 2*4 {
		t.Errorf("two of forty: applied %v, held %v", lines(apply), held(waits))
	}
	in = local(40, 30)
	p := plan.Compute(in)
	apply, waits = p.Guard(plan.Limits{}, plan.Budget{})
	reasons := map[string]bool{}
	for _, c := range waits.Changes {
		reasons[c.Held] = true
	}
	if !apply.Empty() || len(reasons) != 1 || !strings.HasPrefix(waits.Changes[0].Held,
		"30 people and 0 groups have new ids") {
		t.Errorf("thirty of forty: applied %v, reasons %v", lines(apply), reasons)
	}
	verdicts := map[string]plan.Verdict{}
	for _, c := range waits.Changes {
		verdicts[c.Fingerprint()] = plan.Approved
	}
	if apply, waits = p.Guard(plan.Limits{Verdicts: verdicts}, plan.Budget{}); !waits.Empty() ||
		len(apply.Changes) != 30*4 {
		t.Errorf("approved: applied %d changes, held %v", len(apply.Changes), held(waits))
	}
	create := slices.IndexFunc(p.Changes, func(c plan.Change) bool { return c.Op == plan.Create })
	delete(verdicts, p.Changes[create].Fingerprint())
	if apply, _ = p.Guard(plan.Limits{Verdicts: verdicts}, plan.Budget{}); !apply.Empty() {
		t.Errorf("approved in part: applied %v, want all or nothing", lines(apply))
	}
}

// externals are a hundred people with the number 0, three of which left, and a new one.
func externals(joiner string) plan.Input {
	in := plan.Input{Now: now, Policy: suspend, Links: map[directory.Ref]plan.Link{}}
	for i := range 100 {
		id := fmt.Sprintf("u%02d", i)
		in.State.Objects = append(in.State.Objects, have(id, "r"+id, id+"@x"))
		in.Links[user(id)] = plan.Link{RemoteID: "r" + id, Rekey: "0"}
		if i >= 3 {
			in.Desired = append(in.Desired, rekeyed(want(id, id+"@x"), "0"))
		}
	}
	in.Desired = append(in.Desired, rekeyed(want("joiner", joiner), "0"))
	return in
}

func TestAFactOfManyRecognisesNoEntry(t *testing.T) {
	t.Parallel()
	one := externals("new@x")
	one.Desired = append(one.Desired, rekeyed(want("u00", "u00@x"), "0"), rekeyed(want("u01", "u01@x"), "0"))
	for name, tc := range map[string]struct {
		in   plan.Input
		want []string
	}{
		"three leave and one joins": {externals("new@x"), []string{
			"suspend user/u00 because absent", "suspend user/u01 because absent", "suspend user/u02 because absent",
			"create user/joiner",
		}},
		"one leaves and one joins": {one, []string{"suspend user/u02 because absent", "create user/joiner"}},
		"the address decides": {externals("u00@x"), []string{
			"suspend user/u01 because absent", "suspend user/u02 because absent", "reanchor user/joiner",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, lines(plan.Compute(tc.in))); diff != "" {
				t.Errorf("planned (-want +got):\n%s", diff)
			}
		})
	}
}

// In the local directory, a leaver and a joiner with the number that many have are two people.
func TestAMirrorRecognisesNoEntryByAFactOfMany(t *testing.T) {
	t.Parallel()
	in := plan.Input{Now: now, Capabilities: plan.Capabilities{Mirror: true}}
	person := func(name string) []string { return []string{directory.EmployeeNumber, "0", directory.UserName, name} }
	for _, id := range []string{"a", "b", "c", "d"} {
		in.State.Objects = append(in.State.Objects, have(id, "user/"+id, "", person(id)...))
		if id != "a" {
			in.Desired = append(in.Desired, want(id, "", person(id)...))
		}
	}
	in.Desired = append(in.Desired, want("joiner", "", person("joiner")...))
	for _, c := range plan.Compute(in).Changes {
		if c.Paired || c.From != "" {
			t.Errorf("%s %s takes the place of %q, want two people", c.Op, c.Ref, c.From)
		}
	}
}

// A person who is created again has the same names in another composition of their accents, or with the blanks and
// the case that the tenant made of them.
func TestLaw5NamesOfAPersonCreatedAgainAreComparedAsTheTenantKeepsThem(t *testing.T) {
	t.Parallel()
	in := staff(10)
	in.Capabilities.Normal = map[string]plan.Normal{"family": plan.Squeeze}
	in.State.Objects = append(in.State.Objects, have("zoe", "rzoe", "zoe@x", "given", "Zoe\u0308", "family", "de la Cruz"))
	in.Desired = append(in.Desired, rekeyed(want("zoe2", "zoe@x", "given", "ZOË", "family", "De  la CRUZ"), "zoe@x"))
	in.Links[user("zoe")] = plan.Link{RemoteID: "rzoe", Rekey: "zoe@x"}
	apply, waits := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if diff := cmp.Diff([]string{}, lines(apply)); diff != "" {
		t.Errorf("applied (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]plan.Rule{"reanchor user/zoe2": plan.RuleApproval}, held(waits)); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
}

// Entries that were created again are one question where more of a kind would change than a day may see. One alone, as
// many as the limit, and half of a kind go on. What is spent of one kind holds no other kind.
func TestLaw12EntriesThatWereCreatedAgainHaveALimit(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		people, renewed int
		spent           plan.Budget
		held            bool
	}{
		{40, 3, plan.Budget{}, false}, {40, 4, plan.Budget{}, true},
		{40, 2, plan.Budget{User: 1}, false}, {40, 2, plan.Budget{User: 2}, true},
		{40, 3, plan.Budget{Group: 4}, false},
		{1, 1, plan.Budget{}, false}, {2, 1, plan.Budget{}, false}, {4, 2, plan.Budget{}, false},
		{3, 2, plan.Budget{}, true},
	} {
		apply, waits := plan.Compute(local(tc.people, tc.renewed)).Guard(plan.Limits{}, tc.spent)
		if tc.held != apply.Empty() || tc.held == waits.Empty() {
			t.Errorf("%+v: applied %v, held %v", tc, lines(apply), lines(waits))
		}
	}
}

// A disabled entry takes no account over. One that cannot be mapped keeps its account until it can, and one whose
// address is taken is held.
func TestLaw5WhatTakesAnAccountOver(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*plan.Input)
		want   []string
	}{
		"a disabled entry": {func(in *plan.Input) { in.Desired[0].Active, in.Desired[0].Why = false, plan.Disabled },
			[]string{"suspend user/old because absent", "note user/new disabled"}},
		"a disabled entry that cannot be mapped": {func(in *plan.Input) {
			in.Desired[0].Active, in.Desired[0].Held = false, plan.BadMapping
		}, []string{"note user/new "}},
		"an entry that cannot be mapped": {func(in *plan.Input) { in.Desired[0].Held = plan.BadMapping },
			[]string{"held user/new mapping"}},
		"a new address": {func(in *plan.Input) { in.Desired[0].Address = "ada2@x" },
			[]string{"reanchor user/new address:ada@x>ada2@x"}},
		"an address that is taken": {func(in *plan.Input) {
			in.Desired[0].Address = "ada2@x"
			in.State.Objects = append(in.State.Objects, have("", "2", "ada2@x"))
		}, []string{"held user/new address_taken"}},
	} {
		in := plan.Input{Now: now, Policy: suspend, Desired: []plan.Desired{rekeyed(want("new", "ada@x"), "4711")},
			Links: map[directory.Ref]plan.Link{user("old"): {RemoteID: "1", Rekey: "4711"}},
			State: plan.State{Objects: []plan.Object{have("old", "1", "ada@x")}}}
		tc.change(&in)
		if diff := cmp.Diff(tc.want, lines(plan.Compute(in))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
