package entra_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/internal/testclock"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/entra"
	"rollcall/provider/pace"
	"rollcall/provider/remote"
	"rollcall/simulator/fault"
	"rollcall/simulator/graph"
)

// The sessions of an account are revoked after it was disabled, where the optional permission was granted. A refusal
// does not fail the suspension, and the result says whether the sessions ended.
func TestSuspensionRevokesSessions(t *testing.T) {
	t.Parallel()
	const revoke, update = "users.revokeSignInSessions", "users.update"
	all := graph.Config{App: graph.App{Permissions: append(graph.DefaultPermissions(), entra.SessionsPermission)}}
	refuse := func(status int, code string) []graph.Fault {
		return []graph.Fault{{Method: revoke, Key: "", Effect: fault.Refuse, Status: status, Code: code}}
	}
	for _, tc := range []struct {
		name   string
		setup  setup
		faults []graph.Fault
		plans  bool
		calls  []string
		ended  bool
		note   string
	}{
		{name: "granted", setup: setup{tenant: all}, plans: true, ended: true,
			calls: []string{update, update, revoke, revoke}},
		{name: "permission not granted", calls: []string{update, update}},
		{name: "off", setup: setup{tenant: all, config: func(c *entra.Config) { c.EndSessions = "off" }},
			calls: []string{update, update}},
		{name: "refused", setup: setup{tenant: all}, plans: true, faults: refuse(403, "Authorization_RequestDenied"),
			calls: []string{update, update}, note: "is suspended, and its sessions could not be ended: "},
		{name: "unavailable", setup: setup{tenant: all}, plans: true, faults: refuse(503, ""),
			calls: []string{update, update}, note: "is suspended, and its sessions could not be ended: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			calling := &timed{}
			tc.setup.caller = func(c *testclock.Clock) remote.Caller {
				calling.Caller = patient(3)(c)
				return calling
			}
			w := open(t, tc.setup)
			ids := []string{w.must(newUser("u1", "liz@example.com")), w.must(newUser("u2", "ann@example.com"))}
			p := plan.Compute(plan.Input{State: w.read(provider.Query{Known: map[directory.Ref]plan.Link{
				user("u1"): {RemoteID: ids[0]}, user("u2"): {RemoteID: ids[1]},
			}}), Links: map[directory.Ref]plan.Link{user("u1"): {RemoteID: ids[0]}, user("u2"): {RemoteID: ids[1]}},
				Capabilities: w.Capabilities(), Now: w.clock.Now(),
				Policy: plan.Policy{UserDeleteAction: plan.ActionSuspend}})
			if len(p.Changes) != 2 || p.Changes[0].EndSessions != tc.plans || p.Changes[1].EndSessions != tc.plans {
				t.Fatalf("planned %+v, want two suspensions with EndSessions %v", p.Changes, tc.plans)
			}
			w.tenant.Inject(tc.faults...)
			w.tenant.ResetCalls()
			results := w.Apply(t.Context(), p.Changes)
			if within := calling.within; within <= 0 != !tc.plans || within > 10*time.Second {
				t.Errorf("the sessions have to end within %v, want 10 seconds at most", within)
			}
			var calls []string
			for _, c := range w.tenant.Calls().Log {
				if !c.Refused && (c.Method == revoke || c.Method == update) {
					calls = append(calls, c.Method)
				}
			}
			if diff := cmp.Diff(tc.calls, calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			for i, r := range results {
				if r.Err != nil || r.SessionsEnded != tc.ended || !strings.HasPrefix(r.Note, tc.note) ||
					tc.note == "" && r.Note != "" {
					t.Errorf("result = %+v, want ended %v and the note %q", r, tc.ended, tc.note)
				}
				u, _ := w.tenant.User(ids[i])
				since := u.Properties["signInSessionsValidFromDateTime"]
				if !u.Disabled || (since != nil) != tc.ended {
					t.Errorf("disabled %v, sessions valid from %v, want disabled and ended %v", u.Disabled, since, tc.ended)
				}
			}
			good, err := w.Check(t.Context())
			if err != nil || slices.Contains(good, "the sessions of suspended accounts are revoked") != tc.plans {
				t.Errorf("Check() = %q, %v", good, err)
			}
		})
	}
}

// timed is a Caller that notes the time within which the last call has to end. It is zero without a limit.
type timed struct {
	remote.Caller

	mu     sync.Mutex
	within time.Duration
}

func (c *timed) Call(ctx context.Context, op string, cost pace.Cost, fn func(context.Context) error) error {
	c.mu.Lock()
	c.within = 0
	if end, ok := ctx.Deadline(); ok {
		c.within = time.Until(end)
	}
	c.mu.Unlock()
	return c.Caller.Call(ctx, op, cost, fn)
}
