package pace_test

import (
	"math"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/provider/pace"
)

// TestStates checks that States shows the use of each limit and takes no slot.
func TestStates(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		c := testclock.New()
		l := shared(t, rdb, pace.Config{Rates: map[string]float64{pace.Writes: 10, pace.ResourceUnits: 40}, MaxWait: 1,
			Now: c.Now})
		want := func(when string, writes pace.State, unitsUsed float64) {
			t.Helper()
			got, err := l.States(t.Context())
			if err != nil || len(got) != 2 {
				t.Fatalf("%s: States() = %+v, %v", when, got, err)
			}
			units, w := got[0], got[1]
			close := func(a, b float64) bool { return math.Abs(a-b) < 0.002 }
			if w.Bucket != pace.Writes || !close(w.Limit, writes.Limit) || !close(w.Used, writes.Used) ||
				w.Paused != writes.Paused {
				t.Errorf("%s: States() of writes = %+v, want %+v", when, w, writes)
			}
			if units.Bucket != pace.ResourceUnits || !close(units.Used, unitsUsed) {
				t.Errorf("%s: States() of units = %+v, want %v used", when, units, unitsUsed)
			}
		}
		want("at first", pace.State{Limit: 10}, 0)
		for range 30 { // five a second, half of the quota, for half a minute
			for range 5 {
				next(t, l, pace.Cost{pace.Writes: 1, pace.ResourceUnits: 1})
			}
			c.Advance(time.Second)
		}
		want("after half a minute", pace.State{Limit: 10, Used: 0.25}, 0.0625)
		c.Advance(45 * time.Second) // a quarter of the next minute; three quarters of the last one still count
		want("in the next minute", pace.State{Limit: 10, Used: 0.1875}, 0.0469)
		if err := l.Refused(t.Context(), 20*time.Second); err != nil {
			t.Fatal(err)
		}
		want("refused", pace.State{Limit: 5, Used: 0.375, Paused: 20 * time.Second}, 0.0938)
		c.Advance(10 * time.Second)
		want("later", pace.State{Limit: 6, Used: 0.2431, Paused: 10 * time.Second}, 0.0608)
		c.Advance(2 * time.Minute)
		want("much later", pace.State{Limit: 10}, 0)
	})
}
