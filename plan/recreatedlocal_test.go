package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

// A group that was created again is one question with its members and with the people who were created again.
func TestLaw5AMirrorPutsAGroupInThePlaceOfAnother(t *testing.T) {
	t.Parallel()
	in := local(10, 1)
	last := len(in.Desired) - 1
	in.Desired[last].Ref, in.Desired[last].Fields = group("new"), fields(directory.CommonName, "all")
	in.State.Objects[last].Fields = fields(directory.CommonName, "all")
	p := plan.Compute(in)
	for _, c := range p.Changes {
		if !c.Paired {
			t.Errorf("%s %s is not a part of the exchange", c.Op, c.Ref)
		}
	}
	if apply, waits := p.Guard(plan.Limits{}, plan.Budget{}); !waits.Empty() || len(apply.Changes) != 2*2+10 {
		t.Errorf("applied %v, held %v; want two exchanges and ten members", lines(apply), lines(waits))
	}
	in.Doubts = []string{"the answer was short"}
	apply, waits := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	if diff := cmp.Diff(map[plan.Rule]int{plan.RuleDoubt: 2*2 + 10}, rules(waits)); diff != "" || !apply.Empty() {
		t.Errorf("in doubt: applied %v, held (-want +got):\n%s", lines(apply), diff)
	}
}

// The number of an entry tells it from another one with its login name, where both have a number.
func TestLaw5AMirrorTellsPeopleApartByTheirNumbers(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		had, has string
		same     bool
	}{{"1", "1", true}, {"1", "2", false}, {"", "2", true}, {"1", "", true}, {"", "", true}} {
		attributes := func(number string) []string {
			if number == "" {
				return []string{directory.UserName, "ada"}
			}
			return []string{directory.EmployeeNumber, number, directory.UserName, "ada"}
		}
		in := plan.Input{Now: now, Capabilities: plan.Capabilities{Mirror: true},
			Desired: []plan.Desired{want("new", "", attributes(tc.has)...)},
			State:   plan.State{Objects: []plan.Object{have("old", "user/old", "", attributes(tc.had)...)}}}
		if p := plan.Compute(in); p.Changes[0].Paired != tc.same {
			t.Errorf("number %q, now %q: one person %v, want %v", tc.had, tc.has, p.Changes[0].Paired, tc.same)
		}
	}
}
