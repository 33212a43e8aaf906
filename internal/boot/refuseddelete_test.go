package boot_test

import (
	"net/http"
	"strings"
	"testing"

	"rollcall/internal/slapdtest"
	google "rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
	simulator "rollcall/simulator/scim"
)

// activity returns the accounts of a person in the tenants, by tenant, and whether they are active.
func (o *office) activity(address string) map[string]bool {
	out := map[string]bool{}
	for key, state := range o.picture(nil) {
		if tenant, name, _ := strings.Cut(key, " "); name == address {
			out[tenant] = strings.HasPrefix(state, "true")
		}
	}
	return out
}

// TestLaw11ARefusedDeletionSuspendsInEveryTenant has leavers of a provider that deletes at once. The tenants refuse the
// deletion, or carry it out without an answer. No leaver is active after the run, and the next run deletes all of them.
func TestLaw11ARefusedDeletionSuspendsInEveryTenant(t *testing.T) {
	t.Parallel()
	deletes := []string{"user_delete_action: delete", "delete_after: 0s"}
	for name, tc := range map[string]struct {
		google google.Fault
		graph  graph.Fault
		scim   simulator.Fault
	}{
		"refused": {google.Fault{Status: http.StatusForbidden, Code: "forbidden"},
			graph.Fault{Status: http.StatusForbidden, Code: "Authorization_RequestDenied"},
			simulator.Fault{Status: http.StatusForbidden}},
		"a lost answer": {google.Fault{Effect: google.LoseAnswer}, graph.Fault{Effect: graph.LoseAnswer},
			simulator.Fault{Effect: simulator.LoseAnswer}},
		"no answer": {google.Fault{Effect: google.Drop}, graph.Fault{Effect: graph.Drop},
			simulator.Fault{Effect: simulator.Drop}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, officeOptions{ldif: tree + slapdtest.Generate(12, 1, 3), file: true, scim: true, both: deletes})
			o.sync(o.containers...)
			tc.google.Method, tc.graph.Method, tc.scim.Method = "directory.users.delete", "users.delete", "users.delete"
			o.tenant.Inject(tc.google)
			o.graph.Inject(tc.graph)
			o.third.Inject(tc.scim)
			o.replace(tree + slapdtest.Generate(11, 1, 3))
			o.wholeCycle()
			const leaver = "u000011@" + domain
			for tenant, active := range o.activity(leaver) {
				if active {
					t.Errorf("the leaver is active at %s", tenant)
				}
			}
			o.tenant.ClearFaults()
			o.graph.ClearFaults()
			o.third.ClearFaults()
			o.wholeCycle()
			if left := o.activity(leaver); len(left) > 0 {
				t.Errorf("the leaver's accounts after the next run: %v", left)
			}
		})
	}
}
