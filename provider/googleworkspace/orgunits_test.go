package googleworkspace_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
)

// An organizational unit that does not exist is named with field and path in the plan, and nothing is sent. A new unit
// is used after some minutes. Without the optional scope the units are unknown, and the plan has the change.
func TestAnUnknownOrganizationalUnitIsNamedInThePlan(t *testing.T) {
	t.Parallel()
	for _, granted := range []bool{true, false} {
		s := mapUsers("orgUnitPath")
		if !granted {
			s.tenant.Scopes = googleworkspace.Scopes
		}
		w := open(t, s)
		w.tenant.AddOrgUnit("/Staff")
		compute := func() plan.Plan {
			t.Helper()
			state, err := w.Read(t.Context(), provider.Query{Now: w.clock.Now()})
			if err != nil {
				t.Fatal(err)
			}
			in := plan.Input{State: state, Capabilities: w.Capabilities(), Now: w.clock.Now()}
			for id, unit := range map[directory.ID]string{"u1": "/interns", "u2": "/staff", "u3": "/"} {
				in.Desired = append(in.Desired, plan.Desired{
					Ref: user(id), Label: string(id), Address: string(id) + "@example.com", Active: true,
					Fields: directory.Attributes{{Name: "orgUnitPath", Values: []string{unit}}},
				})
			}
			return plan.Compute(in)
		}
		p := compute()
		var held []string
		for _, h := range p.Held {
			held = append(held, h.Label+": "+h.Detail)
		}
		var want []string
		if granted {
			want = []string{
				`u1: orgUnitPath: the tenant has no organizational unit "/interns": create it, or correct the mapping`}
		}
		if diff := cmp.Diff(want, held); diff != "" || len(p.Changes) != 3-len(want) {
			t.Errorf("scope granted %v: %d changes, held (-want +got):\n%s", granted, len(p.Changes), diff)
		}
		w.tenant.AddOrgUnit("/interns")
		w.clock.Advance(15 * time.Minute)
		if p := compute(); len(p.Held) > 0 {
			t.Errorf("scope granted %v, the unit exists: held %+v", granted, p.Held)
		}
	}
}
