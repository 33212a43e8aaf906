package entra_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/fault"
	"rollcall/plan"
	"rollcall/simulator/graph"
)

// TestObserve checks that Observe is called for each item of a batch, also for a permanently refused one, and for a
// batch that is refused as a whole.
func TestObserve(t *testing.T) {
	t.Parallel()
	s := mapUsers("jobTitle")
	s.caller = patient(3)
	w := open(t, s)
	seen := map[string]int{}
	w.opts.Observe = func(op string, status int, err error) {
		what := "ok"
		if err != nil {
			what = fault.KindOf(err).String()
		}
		seen[fmt.Sprintf("%s %d %s", op, status, what)]++
	}
	w.restart()
	ids := w.staff(20)
	clear(seen)
	w.tenant.Inject(
		graph.Fault{Method: "batch", Times: 1, Status: 503},
		graph.Fault{Method: "users.update", Key: ids[3], Times: 1, Status: 429},
		graph.Fault{Method: "users.update", Key: ids[11], Status: 400, Code: "Request_BadRequest",
			Message: "Invalid value."},
	)
	var batch []plan.Change
	for i, remote := range ids {
		batch = append(batch, change(plan.Update, user(id(i)), remote, "jobTitle", "Sailor"))
	}
	w.Apply(t.Context(), batch)
	want := map[string]int{"batch 503 unavailable": 1, "users.update 429 throttled": 1, "users.update 400 invalid": 1,
		"users.update 204 ok": 19}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("observed (-want +got)\n%s", diff)
	}
	clear(seen)
	w.tenant.Inject(graph.Fault{Method: "users.update", Status: 403, Code: "Authorization_RequestDenied"})
	w.Apply(t.Context(), []plan.Change{change(plan.Update, user(id(0)), ids[0], "jobTitle", "Captain")})
	if diff := cmp.Diff(map[string]int{"users.update 403 refused": 1}, seen); diff != "" {
		t.Errorf("observed of one alone (-want +got)\n%s", diff)
	}
}
