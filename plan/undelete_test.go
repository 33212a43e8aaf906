package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/plan"
)

// TestDeletedAccountsAreRestored checks that no account is made beside a deleted one that can be restored.
func TestDeletedAccountsAreRestored(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	deleted := func(id, remote, address string, ago time.Duration) plan.Deleted {
		return plan.Deleted{Ref: user(id), RemoteID: remote, Address: address, At: now.Add(-ago)}
	}
	joins := team("t", "t@x.org", "a")
	for name, tc := range map[string]struct {
		in   plan.Input
		want []string
	}{
		"restored, with its memberships": {
			plan.Input{Desired: []plan.Desired{want("a", "a@x.org", "name", "A"), joins}, State: plan.State{
				Deleted: []plan.Deleted{deleted("a", "1", "a@x.org", day)}, Objects: []plan.Object{teamObject("t", "9", "t@x.org")},
			}},
			[]string{"undelete user/a name:>A", "add_member group/t user/a"},
		},
		"restored and renamed": {
			plan.Input{Desired: []plan.Desired{want("a", "new@x.org")},
				State: plan.State{Deleted: []plan.Deleted{deleted("a", "1", "a@x.org", day)}}},
			[]string{"undelete user/a address:a@x.org>new@x.org"},
		},
		"too late": {
			plan.Input{Desired: []plan.Desired{want("a", "a@x.org")},
				State: plan.State{Deleted: []plan.Deleted{deleted("a", "1", "a@x.org", 20*day)}}},
			[]string{"create user/a"},
		},
		"of two the newer": {
			plan.Input{Desired: []plan.Desired{want("a", "a@x.org")}, State: plan.State{
				Deleted: []plan.Deleted{deleted("a", "1", "b@x.org", day), deleted("a", "2", "a@x.org", time.Hour),
					deleted("a", "3", "b@x.org", 2*day)},
			}},
			[]string{"undelete user/a"},
		},
		"its old address is taken": {
			plan.Input{Desired: []plan.Desired{want("a", "new@x.org")}, State: plan.State{
				Deleted: []plan.Deleted{deleted("a", "1", "a@x.org", day)}, Objects: []plan.Object{have("", "7", "a@x.org")},
			}},
			[]string{"held user/a restorable"},
		},
		"its new address is taken": {
			plan.Input{Desired: []plan.Desired{want("a", "new@x.org")}, State: plan.State{
				Deleted: []plan.Deleted{deleted("a", "1", "a@x.org", day)}, Objects: []plan.Object{have("", "7", "new@x.org")},
			}},
			[]string{"held user/a restorable"},
		},
		"not known": {
			plan.Input{Desired: []plan.Desired{want("a", "a@x.org"), joins}, State: plan.State{DeletedUnknown: "refused"}},
			[]string{"create group/t", "held user/a restorable"},
		},
		"the entry is gone": {
			plan.Input{State: plan.State{Deleted: []plan.Deleted{deleted("a", "1", "a@x.org", day)}}},
			[]string{},
		},
		"disabled": {
			plan.Input{Desired: []plan.Desired{{Ref: user("a"), Address: "a@x.org", Why: plan.Disabled}},
				State: plan.State{Deleted: []plan.Deleted{deleted("a", "1", "a@x.org", day)}}},
			[]string{"note user/a disabled"},
		},
	} {
		tc.in.Now, tc.in.Capabilities.UndeleteWithin, tc.in.Policy = now, 20*day, suspend
		p := plan.Compute(tc.in)
		if diff := cmp.Diff(tc.want, lines(p)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		for _, h := range p.Held {
			if until := now.Add(19 * day).Format(time.RFC3339); strings.HasPrefix(name, "its ") &&
				!strings.Contains(h.Detail, until) {
				t.Errorf("%s: %q does not say until when (%s)", name, h.Detail, until)
			}
		}
		for _, c := range p.Changes {
			if c.Op == plan.Undelete && c.RemoteID == "" {
				t.Errorf("%s: %+v has no remote id", name, c)
			}
		}
	}
}

// TestUnreadableObjectsAreLeftAlone checks that what the tenant does not show is neither empty nor absent.
func TestUnreadableObjectsAreLeftAlone(t *testing.T) {
	t.Parallel()
	account, club := have("a", "1", ""), teamObject("t", "9", "t@x.org")
	account.ReadOnly, account.Unreadable = "403", true
	club.ReadOnly, club.Unreadable = "403", true
	state := plan.State{Objects: []plan.Object{account, club, have("b", "2", "b@x.org")}}
	in := plan.Input{
		Desired: []plan.Desired{want("a", "a@x.org"), want("b", "b@x.org"), team("t", "t@x.org", "a", "b")},
		State:   state, Now: now, Policy: suspend,
	}
	if diff := cmp.Diff([]string{"held user/a unreadable", "held group/t unreadable"},
		lines(plan.Compute(in))); diff != "" {
		t.Errorf("with the entries there (-want +got):\n%s", diff)
	}
	in.Desired = in.Desired[1:2]
	if diff := cmp.Diff([]string{"held user/a unreadable", "held group/t unreadable"},
		lines(plan.Compute(in))); diff != "" {
		t.Errorf("with the entries gone (-want +got):\n%s", diff)
	}
}

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
