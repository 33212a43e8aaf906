package status_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/status"
)

// TestPlansOfARunThatWasResumed: what an earlier worker planned, and perhaps did, stays on record beside the newest
// plan.
func TestPlansOfARunThatWasResumed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{MaxPlans: 2})
		run := f.start()
		l := f.acquire(run, "w1")
		for _, p := range []struct {
			digest string
			rows   int
		}{{"one", 600}, {"one again", 3}, {"idle", 0}, {"last", 0}} {
			if err := l.Recorder().SavePlan(t.Context(), status.PlanHead{Digest: p.digest, Idle: p.rows == 0},
				planned(p.rows, 1)); err != nil {
				t.Fatal(err)
			}
		}
		h := f.plan(run.ID)
		if h.Digest != "last" || h.Earlier != 2 {
			t.Fatalf("the plan is %s with %d before it, want last with the 2 that had something to do", h.Digest, h.Earlier)
		}
		for n, want := range []struct {
			digest string
			rows   int
		}{{"one", 600}, {"one again", 3}} {
			e, err := f.EarlierPlan(t.Context(), h, n+1)
			if err != nil || e.Digest != want.digest {
				t.Fatalf("EarlierPlan(%d) = %+v, %v, want %s", n+1, e, err, want.digest)
			}
			rows, err := f.PlanRows(t.Context(), e, 0, 1000)
			if err != nil || len(rows) != want.rows+1 {
				t.Errorf("%s has %d rows, err %v; want %d", want.digest, len(rows), err, want.rows+1)
			}
		}
		if _, err := f.EarlierPlan(t.Context(), h, 3); fault.KindOf(err) != fault.NotFound {
			t.Errorf("EarlierPlan(3) = %v, want not found", err)
		}
		if _, err := l.Finish(t.Context(), status.End{State: status.Completed}); err != nil {
			t.Fatal(err)
		}
		for range 3 { // Newer plans make room: the earlier ones go with the last.
			f.save(status.PlanHead{Digest: "x", Idle: true}, planned(0, 1))
		}
		keys, err := rdb.Keys(t.Context(), "rollcall:{ldap:corp}:run:"+run.ID+":plan*").Result()
		if err != nil || len(keys) != 0 {
			t.Errorf("left over: %v, %v", keys, err)
		}
	})
}
