package googleworkspace_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
	"rollcall/simulator/fault"
	simulator "rollcall/simulator/googleworkspace"
)

// The sessions of a suspended account end where the optional scope was granted. An account is suspended at once
// whatever Google answers to the sign-out, and the result says whether the sessions ended.
func TestSuspensionEndsSessions(t *testing.T) {
	t.Parallel()
	const signOut, update = "directory.users.signOut", "directory.users.update"
	refuse := func(status, times int) []simulator.Fault {
		return []simulator.Fault{{Method: signOut, Effect: fault.Refuse, Status: status, Times: times}}
	}
	for _, tc := range []struct {
		name   string
		setup  setup
		faults []simulator.Fault
		plans  bool
		calls  []string
		ended  bool
		note   string
	}{
		{name: "granted", plans: true, ended: true, calls: []string{signOut, update}},
		{name: "scope not granted", setup: setup{tenant: simulator.Config{Scopes: googleworkspace.Scopes}},
			calls: []string{update}},
		{name: "off", setup: setup{config: func(c *googleworkspace.Config) { c.EndSessions = "off" }},
			calls: []string{update}},
		{name: "refused", plans: true, faults: refuse(403, 0), calls: []string{update},
			note: "is suspended, and its sessions could not be ended: users.signOut: 403"},
		{name: "busy at first", plans: true, faults: refuse(503, 1), ended: true, calls: []string{update, signOut}},
		{name: "busy twice", plans: true, faults: refuse(503, 2), calls: []string{update},
			note: "is suspended, and its sessions could not be ended: users.signOut: 503"},
		{name: "busy", plans: true, faults: refuse(429, 0), calls: []string{update},
			note: "is suspended, and its sessions could not be ended: users.signOut: 429"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.setup.caller = again{}
			w := open(t, tc.setup)
			id := w.must(newUser("u1", "liz@example.com"))
			p := plan.Compute(plan.Input{State: w.read(provider.Query{}), Capabilities: w.Capabilities(), Now: w.clock.Now(),
				Policy: plan.Policy{UserDeleteAction: plan.ActionSuspend}})
			if len(p.Changes) != 1 || p.Changes[0].EndSessions != tc.plans {
				t.Fatalf("planned %+v, want one suspension with EndSessions %v", p.Changes, tc.plans)
			}
			w.tenant.Inject(tc.faults...)
			w.tenant.ResetCalls()
			r := w.do(p.Changes[0])
			calls := slices.DeleteFunc(w.tenant.Calls().Methods(), func(m string) bool { return m != signOut && m != update })
			if diff := cmp.Diff(tc.calls, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if r.Err != nil || r.SessionsEnded != tc.ended || !strings.HasPrefix(r.Note, tc.note) ||
				tc.note == "" && r.Note != "" {
				t.Errorf("result = %+v, want ended %v and the note %q", r, tc.ended, tc.note)
			}
			if u, _ := w.tenant.User(id); !u.Suspended {
				t.Error("the account is not suspended")
			}
			good, err := w.Check(t.Context())
			last := good[len(good)-1]
			if err != nil || strings.HasPrefix(last, "suspended accounts are signed out") != tc.plans {
				t.Errorf("Check() = %q, %v", last, err)
			}
		})
	}
}
