package plan_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/plan"
)

// TestLaw12ANewSourceAsksBeforeManyJoin has a tenant with accounts of one source, and adds another source.
func TestLaw12ANewSourceAsksBeforeManyJoin(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name                  string
		accounts, users, crew int
		adopts                bool
		limits                plan.Limits
		apply                 int
		held                  map[plan.Rule]int
	}{
		{"as many as a day's limit", 40, 3, 3, false, plan.Limits{}, 6, map[plan.Rule]int{}},
		{"one more user", 40, 4, 3, false, plan.Limits{}, 0, map[plan.Rule]int{plan.RuleSource: 7}},
		{"one more group", 40, 3, 4, false, plan.Limits{}, 0, map[plan.Rule]int{plan.RuleSource: 7}},
		{"five percent", 200, 10, 0, false, plan.Limits{}, 10, map[plan.Rule]int{}},
		{"more than that", 200, 11, 0, false, plan.Limits{}, 0, map[plan.Rule]int{plan.RuleSource: 11}},
		{"accounts that would be adopted", 40, 4, 0, true, plan.Limits{}, 0, map[plan.Rule]int{plan.RuleSource: 4}},
		{"limits of harm are others", 40, 4, 0, false,
			plan.Limits{DayLimits: plan.DayLimits{Leave: plan.Limit{Share: 100, Most: 1000}}}, 0,
			map[plan.Rule]int{plan.RuleSource: 4}},
		{"the first sync of the tenant", 0, 4000, 100, false, plan.Limits{}, 4100, map[plan.Rule]int{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			in := staff(tc.accounts)
			in.Policy.Adoption = plan.AdoptByAddress
			for i := range tc.users {
				id := fmt.Sprintf("v%05d", i)
				in.Desired = append(in.Desired, want(id, id+"@x", "name", id))
				in.Desired[len(in.Desired)-1].Source = "other"
				if tc.adopts {
					o := have("", "r"+id, id+"@x", "name", id)
					in.State.Objects = append(in.State.Objects, o)
				}
			}
			for i := range tc.crew {
				in.Desired = append(in.Desired, team(fmt.Sprintf("g%05d", i), fmt.Sprintf("g%d@x", i)))
				in.Desired[len(in.Desired)-1].Source = "other"
			}
			in.Desired = append(in.Desired, want("w", "w@x", "name", "w")) // A joiner of the source that is known.
			tc.limits.NewSources = []plan.NewSource{{Slug: "other"}}
			p := plan.Compute(in)
			apply, waits := p.Guard(tc.limits, plan.Budget{})
			if diff := cmp.Diff(tc.held, rules(waits)); diff != "" || len(apply.Changes) != tc.apply+1 {
				t.Fatalf("held (-want +got):\n%s\napplied %v", diff, lines(apply))
			}
			tc.limits.Verdicts = map[string]plan.Verdict{}
			for i := range waits.Changes {
				if !strings.Contains(waits.Changes[i].Held, "ldap:other") {
					t.Errorf("the source is not named: %s", waits.Changes[i].Held)
				}
				tc.limits.Verdicts[waits.Changes[i].Fingerprint()] = plan.Approved
			}
			if _, waits = p.Guard(tc.limits, plan.Budget{}); !waits.Empty() {
				t.Errorf("approved, and still held: %v", lines(waits))
			}
		})
	}
}

// What joined by a decision about a part counts, of each kind, and a tenant with as many groups as users is no new one.
func TestLaw12APartOfANewSourceCounts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		joined plan.Tally
		held   map[plan.Rule]int
	}{
		{plan.Tally{}, map[plan.Rule]int{}}, {plan.Tally{User: 2, Group: 2}, map[plan.Rule]int{}},
		{plan.Tally{User: 3}, map[plan.Rule]int{plan.RuleSource: 2}},
		{plan.Tally{Group: 3}, map[plan.Rule]int{plan.RuleSource: 2}},
	} {
		in := staff(1)
		in.State.Objects = append(in.State.Objects, teamObject("g", "rg", "g@x"))
		in.Desired = append(in.Desired, team("g", "g@x"), want("v", "v@x"), team("w", "w@x"))
		for i := 2; i < 4; i++ {
			in.Desired[i].Source = "other"
		}
		_, held := plan.Compute(in).Guard(plan.Limits{NewSources: []plan.NewSource{{Slug: "other",
			Accounts: tc.joined}}}, plan.Budget{})
		if diff := cmp.Diff(tc.held, rules(held)); diff != "" {
			t.Errorf("%+v: held (-want +got):\n%s", tc.joined, diff)
		}
	}
}
