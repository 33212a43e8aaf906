package pace_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/provider/pace"
)

// TestUrgentCallsAloneHaveTheWholeQuota checks that nothing is set aside for calls that do not come.
func TestUrgentCallsAloneHaveTheWholeQuota(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func(pace.Config) pace.Limiter) {
		c := testclock.New()
		l := open(pace.Config{Rates: map[string]float64{pace.Calls: 10}, MaxWait: time.Microsecond, Now: c.Now})
		urgent, granted := pace.Urgent(t.Context()), 0
		for range 600 {
			c.Advance(100 * time.Millisecond)
			if nextOf(urgent, t, l, pace.One(pace.Calls)) == 0 {
				granted++
			}
		}
		if granted < 590 {
			t.Errorf("%d urgent calls in a minute, want about 600", granted)
		}
	})
}

// TestUrgentCallsHaveHalfOfTheQuota lets runs and single objects of several workers compete for a simulated minute.
func TestUrgentCallsHaveHalfOfTheQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const rate = 20
		l := local(t, pace.Config{Rates: map[string]float64{pace.Calls: rate}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		var mu sync.Mutex
		granted := map[bool]int{}
		var all sync.WaitGroup
		for caller := range 8 {
			all.Go(func() {
				ctx, urgent := ctx, caller%2 == 0
				if urgent {
					ctx = pace.Urgent(ctx)
				}
				for {
					if _, err := l.Wait(ctx, pace.One(pace.Calls)); err != nil {
						return
					}
					mu.Lock()
					granted[urgent]++
					mu.Unlock()
				}
			})
		}
		all.Wait()
		total := granted[true] + granted[false]
		// A burst comes in addition, and a slot of each caller that an urgent call overtook.
		if total < rate*59 || total > rate*62 {
			t.Errorf("%d calls in a minute, want about %d", total, rate*60)
		}
		if share := float64(granted[true]) / (rate * 60); share < 0.45 {
			t.Errorf("the share of urgent calls is %.2f, want about a half", share)
		}
		if share := float64(granted[false]) / (rate * 60); share < 0.2 {
			t.Errorf("the share of runs is %.2f, want at least 0.2", share)
		}
	})
}

// TestAWorkerHasOneSlotAtATime checks that an urgent call waits for an interval of each worker at most, however many
// calls their runs have ready.
func TestAWorkerHasOneSlotAtATime(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		const rate, workers, callers = 10, 2, 20
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		saturated := make(chan struct{}, workers*callers*100)
		for range workers {
			l := shared(t, rdb, pace.Config{Rates: map[string]float64{pace.Calls: rate}})
			for range callers {
				all.Go(func() {
					for {
						if _, err := l.Wait(ctx, pace.One(pace.Calls)); err != nil {
							return
						}
						saturated <- struct{}{}
					}
				})
			}
		}
		for range rate { // The burst is used up.
			<-saturated
		}
		// A limiter that takes no slot tells how far the slots of runs reach.
		l := shared(t, rdb, pace.Config{Rates: map[string]float64{pace.Calls: rate}, MaxWait: time.Microsecond})
		if d := next(t, l, pace.One(pace.Calls)); d > (workers+2)*time.Second/rate {
			t.Errorf("the slots of %d callers reach %v, want at most one of each worker", workers*callers, d)
		}
		if d := nextOf(pace.Urgent(t.Context()), t, l, pace.One(pace.Calls)); d > time.Second/rate+time.Millisecond {
			t.Errorf("an urgent call waits %v, want at most an interval", d)
		}
		cancel()
		all.Wait()
	})
}
