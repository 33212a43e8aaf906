package googleworkspace_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/plan"
	simulator "rollcall/simulator/googleworkspace"
)

// TestObserve checks that Observe gets the status and the error of each answer.
func TestObserve(t *testing.T) {
	t.Parallel()
	s := mapUsers("includeInGlobalAddressList")
	s.caller = again{}
	seen := map[string]int{}
	s.observe = func(op string, status int, err error) {
		what := "ok"
		if err != nil {
			what = kind(err).String()
		}
		seen[fmt.Sprintf("%s %d %s", op, status, what)]++
	}
	w := open(t, s)
	remote := w.must(newUser("liz", "liz@example.com"))
	clear(seen)
	w.tenant.Inject(
		simulator.Fault{Method: "directory.users.*", Times: 1, Status: 429, Code: "rateLimitExceeded"},
		simulator.Fault{Method: "directory.users.*", Times: 1, Effect: simulator.Drop},
	)
	w.must(change(plan.Update, user("liz"), remote, "includeInGlobalAddressList", "false"))
	for key, want := range map[string]int{"users.update 429 throttled": 1, "users.update 0 unavailable": 1,
		"users.update 200 ok": 1} {
		if seen[key] != want {
			t.Errorf("%s: %d times, want %d; %s", key, seen[key], want, cmp.Diff(nil, seen))
		}
	}
}
