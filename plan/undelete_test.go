package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

// The memberships of a held account are held, too, because a deleted account cannot be a member.
func TestMembershipsFollowAnUndeleteThatIsHeld(t *testing.T) {
	t.Parallel()
	in := plan.Input{Now: now, Policy: suspend, State: plan.State{Objects: []plan.Object{teamObject("t", "9", "t@x.org")}}}
	in.Capabilities.UndeleteWithin = 20 * 24 * time.Hour
	ids := []string{"a", "b", "c", "d"}
	for _, id := range ids {
		in.Desired = append(in.Desired, want(id, id+"@x.org"))
		in.State.Deleted = append(in.State.Deleted, plan.Deleted{Ref: user(id), RemoteID: "r" + id, Address: id + "@x.org",
			At: now})
	}
	in.Desired = append(in.Desired, team("t", "t@x.org", ids...))
	apply, waits := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if diff := cmp.Diff(map[plan.Rule]int{plan.RuleReactivate: 4, plan.RuleFollows: 4}, rules(waits)); diff != "" ||
		!apply.Empty() {
		t.Errorf("held (-want +got):\n%s\napplied %v", diff, lines(apply))
	}
}

// Of several deleted accounts the one that was deleted last comes back, and of two at the same time always the same
// one. Its manager is written when it is there.
func TestTheAccountThatWasDeletedLastComesBack(t *testing.T) {
	t.Parallel()
	of := func(remote string, at time.Time) plan.Deleted {
		return plan.Deleted{Ref: user("a"), RemoteID: remote, Address: "a@x", At: at}
	}
	old, one, two := of("9", now.Add(-time.Hour)), of("1", now), of("2", now)
	for _, deleted := range [][]plan.Deleted{{old, one, two}, {two, one, old}, {one, two}, {two, old, one}} {
		in := plan.Input{Now: now, Policy: suspend, State: plan.State{Deleted: deleted},
			Desired: []plan.Desired{want("a", "a@x", "manager", "b@x", "title", "T"), want("b", "b@x")}}
		in.Capabilities.UndeleteWithin, in.Capabilities.Refers = time.Hour*2, []string{"manager"}
		p := plan.Compute(in)
		if diff := cmp.Diff([]string{"create user/b", "undelete user/a title:>T", "update user/a manager:>b@x"},
			lines(p)); diff != "" || p.Changes[1].RemoteID != "2" {
			t.Errorf("of %v: brought back %s (-want +got):\n%s", deleted, p.Changes[1].RemoteID, diff)
		}
	}
}

// A manager that is cleared waits for no other account.
func TestAClearedManagerWaitsForNoAccount(t *testing.T) {
	t.Parallel()
	b := want("b", "b@x")
	b.Fields = directory.Attributes{{Name: "manager"}}
	in := plan.Input{Now: now, Policy: suspend, Capabilities: plan.Capabilities{Refers: []string{"manager"}},
		Desired: []plan.Desired{want("a", "a@x"), b},
		Links:   map[directory.Ref]plan.Link{user("a"): {Inactive: true}},
		State:   plan.State{Objects: []plan.Object{have("b", "2", "b@x", "manager", "a@x")}}}
	limits := plan.Limits{Stale: "an older server", Verdicts: map[string]plan.Verdict{}}
	p := plan.Compute(in)
	for i := range p.Changes {
		if c := &p.Changes[i]; c.Op == plan.Update {
			limits.Verdicts[c.Fingerprint()] = plan.Approved
		}
	}
	apply, held := p.Guard(limits, plan.Budget{})
	if diff := cmp.Diff([]string{"update user/b manager:a@x>"}, lines(apply)); diff != "" || len(held.Changes) != 1 {
		t.Errorf("applied (-want +got):\n%s\nheld %v", diff, lines(held))
	}
}
