package pace_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/provider/pace"
)

// each runs a test on all limiters.
func each(t *testing.T, run func(t *testing.T, open func(pace.Config) pace.Limiter)) {
	t.Helper()
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		run(t, func(cfg pace.Config) pace.Limiter { return local(t, cfg) })
	})
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		run(t, func(cfg pace.Config) pace.Limiter { return shared(t, rdb, cfg) })
	})
}

func local(t *testing.T, cfg pace.Config) *pace.Local {
	t.Helper()
	l, err := pace.NewLocal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func shared(t *testing.T, rdb redis.UniversalClient, cfg pace.Config) *pace.Shared {
	t.Helper()
	l, err := pace.NewShared(rdb, "google_workspace:1", cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// next returns the time until the next slot without waiting for it. With a MaxWait of a microsecond the limiter
// refuses a slot that is not free now, and does not take it.
func next(t *testing.T, l pace.Limiter, cost pace.Cost) time.Duration {
	t.Helper()
	return nextOf(t.Context(), t, l, cost)
}

// nextOf is next for calls of this context.
func nextOf(ctx context.Context, t *testing.T, l pace.Limiter, cost pace.Cost) time.Duration {
	t.Helper()
	_, err := l.Wait(ctx, cost)
	if err != nil && fault.KindOf(err) != fault.Throttled {
		t.Fatalf("Wait() = %v, want nil or throttled", err)
	}
	return fault.RetryAfter(err)
}

func near(got, want time.Duration) bool { return (got - want).Abs() <= 50*time.Microsecond }

func TestBurstThenRate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func(pace.Config) pace.Limiter) {
		c := testclock.New()
		l := open(pace.Config{Rates: map[string]float64{pace.Calls: 40}, MaxWait: 1, Now: c.Now})
		for i := range 32 {
			if d := next(t, l, pace.One(pace.Calls)); d != 0 {
				t.Fatalf("call %d of the burst waits %v, want 0", i+1, d)
			}
		}
		if d := next(t, l, pace.One(pace.Calls)); !near(d, 25*time.Millisecond) {
			t.Errorf("call 33 waits %v, want 25ms", d)
		}
		if d := next(t, l, pace.Cost{pace.Calls: 20}); !near(d, 500*time.Millisecond) {
			t.Errorf("a call that costs 20 waits %v, want 500ms", d)
		}
		c.Advance(time.Hour)
		for range 32 {
			next(t, l, pace.One(pace.Calls))
		}
		if d := next(t, l, pace.One(pace.Calls)); !near(d, 25*time.Millisecond) {
			t.Errorf("after an hour, call 33 waits %v, want 25ms: more than 0.8 s was saved up", d)
		}
	})
}

func TestOneCallTakesFromSeveralBuckets(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func(pace.Config) pace.Limiter) {
		c := testclock.New()
		rates := map[string]float64{pace.ResourceUnits: 100, pace.Writes: 10}
		l := open(pace.Config{Rates: rates, MaxWait: 1, Now: c.Now})
		write := pace.Cost{pace.ResourceUnits: 5, pace.Writes: 1}
		for i := range 8 {
			if d := next(t, l, write); d != 0 {
				t.Fatalf("write %d waits %v, want 0", i+1, d)
			}
		}
		if d := next(t, l, write); !near(d, 100*time.Millisecond) {
			t.Errorf("write 9 waits %v, want 100ms", d)
		}
		if d := next(t, l, pace.Cost{pace.ResourceUnits: 40}); d != 0 {
			t.Errorf("a read of the units that are left waits %v, want 0", d)
		}
		if d := next(t, l, pace.Cost{pace.ResourceUnits: 1}); !near(d, 10*time.Millisecond) {
			t.Errorf("one unit more waits %v, want 10ms", d)
		}
	})
}

func TestRefusalHalvesTheRateAndItGrowsBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func(pace.Config) pace.Limiter) {
		c := testclock.New()
		l := open(pace.Config{Rates: map[string]float64{pace.Calls: 100}, MaxWait: 1, Now: c.Now, Floor: 0.2})
		spacing := func() time.Duration { // of calls, with the burst used up
			for next(t, l, pace.One(pace.Calls)) == 0 {
			}
			return next(t, l, pace.Cost{pace.Calls: 2}) - next(t, l, pace.One(pace.Calls))
		}
		refuse := func() {
			if err := l.Refused(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		for _, step := range []struct {
			do   func()
			want time.Duration
		}{
			{func() {}, 10 * time.Millisecond},
			{refuse, 20 * time.Millisecond},
			{refuse, 20 * time.Millisecond}, // within the same second
			{func() { c.Advance(25 * time.Second) }, time.Second / 75},
			{func() { c.Advance(25 * time.Second) }, 10 * time.Millisecond},
			// the floor
			{func() { refuse(); c.Advance(time.Second); refuse(); c.Advance(time.Second); refuse() }, 50 * time.Millisecond},
			{func() { c.Advance(200 * time.Second) }, 10 * time.Millisecond},
		} {
			step.do()
			if got := spacing(); !near(got, step.want) {
				t.Errorf("spacing = %v, want %v", got, step.want)
			}
		}
	})
}

func TestPauseHoldsEverybody(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func(pace.Config) pace.Limiter) {
		c := testclock.New()
		l := open(pace.Config{Rates: map[string]float64{pace.Calls: 10}, MaxWait: 1, Now: c.Now})
		if err := l.Refused(t.Context(), 30*time.Second); err != nil {
			t.Fatal(err)
		}
		if err := l.Refused(t.Context(), time.Second); err != nil { // does not shorten the pause
			t.Fatal(err)
		}
		if d := next(t, l, pace.One(pace.Calls)); !near(d, 30*time.Second) {
			t.Errorf("a call waits %v, want 30s", d)
		}
		c.Advance(30 * time.Second)
		if d := next(t, l, pace.One(pace.Calls)); d != 0 {
			t.Errorf("a call after the pause waits %v, want 0", d)
		}
	})
}

// A clock of Redis that was ahead and is set right leaves no call waiting for the time that it showed.
func TestTheClockIsSetBack(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func(pace.Config) pace.Limiter) {
		c := testclock.New()
		l := open(pace.Config{Rates: map[string]float64{pace.Calls: 10}, MaxWait: 1, Now: c.Now})
		for range 8 {
			next(t, l, pace.One(pace.Calls))
		}
		c.Advance(-time.Second) // Less is the difference of the clocks of two nodes.
		if d := next(t, l, pace.One(pace.Calls)); !near(d, 1100*time.Millisecond) {
			t.Errorf("after a small step a call waits %v, want 1.1s", d)
		}
		c.Advance(-31 * 24 * time.Hour)
		if d := next(t, l, pace.One(pace.Calls)); d != 0 {
			t.Errorf("after the clock was set back by a month, a call waits %v, want 0", d)
		}
	})
}

func TestSharedOnACluster(t *testing.T) {
	t.Parallel()
	l := shared(t, redistest.Cluster(t), pace.Config{Rates: map[string]float64{"a": 10, "b": 5}, MaxWait: 1})
	for range 4 {
		if d := next(t, l, pace.Cost{"a": 1, "b": 1}); d != 0 {
			t.Errorf("a call of the burst waits %v, want 0", d)
		}
	}
	if err := l.Refused(t.Context(), time.Minute); err != nil {
		t.Errorf("Refused() = %v, want nil", err)
	}
	if d := next(t, l, pace.One("a")); d < 50*time.Second {
		t.Errorf("a call in a pause waits %v, want about a minute", d)
	}
}

// TestLocalAndSharedAgree plays random histories on all three limiters and compares their answers.
func TestLocalAndSharedAgree(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		random := rand.New(rand.NewPCG(1, 2))
		c := testclock.New()
		cfg := pace.Config{Rates: map[string]float64{"a": 39.2, "b": 7}, MaxWait: 1, Now: c.Now}
		one, other := local(t, cfg), shared(t, rdb, cfg)
		for i := range 400 {
			switch random.IntN(8) {
			case 0:
				c.Advance(time.Duration(random.IntN(3000)) * time.Millisecond)
			case 1:
				retryAfter := time.Duration(random.IntN(2)*random.IntN(5000)) * time.Millisecond
				if err := errors.Join(one.Refused(t.Context(), retryAfter), other.Refused(t.Context(), retryAfter)); err != nil {
					t.Fatal(err)
				}
			default:
				cost := pace.Cost{"a": random.Float64() * 4, "b": float64(random.IntN(2))}
				ctx := t.Context()
				if random.IntN(3) == 0 {
					ctx = pace.Urgent(ctx)
				}
				got, want := nextOf(ctx, t, other, cost), nextOf(ctx, t, one, cost)
				if (got - want).Abs() > 2*time.Millisecond {
					t.Fatalf("step %d: shared waits %v, local %v", i, got, want)
				}
			}
		}
	})
}

// TestWorkersShareOneRate runs four groups of callers against one tenant for a while.
func TestWorkersShareOneRate(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		// A burst is granted at once, and the rest at the rate. A busy machine only makes it slower.
		const rate, workers, callers, each = 100, 4, 8, 8
		var all sync.WaitGroup
		began := time.Now()
		for range workers {
			l := shared(t, rdb, pace.Config{Rates: map[string]float64{pace.Calls: rate}})
			for range callers {
				all.Go(func() {
					for range each {
						if _, err := l.Wait(t.Context(), pace.One(pace.Calls)); err != nil {
							t.Errorf("Wait() = %v, want nil", err)
						}
					}
				})
			}
		}
		all.Wait()
		const least = time.Duration(workers*callers*each-rate*8/10-1) * time.Second / rate
		if took := time.Since(began); took < least {
			t.Errorf("%d grants took %v, want at least %v", workers*callers*each, took, least)
		}
	})
}

func TestWaitSleepsExactly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := local(t, pace.Config{Rates: map[string]float64{pace.Calls: 2}})
		began := time.Now()
		for range 5 {
			if _, err := l.Wait(t.Context(), pace.One(pace.Calls)); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := time.Since(began), 1700*time.Millisecond; got != want {
			t.Errorf("5 calls at 2/s took %v, want %v", got, want)
		}
		if _, err := l.Wait(t.Context(), pace.Cost{pace.Calls: 100}); fault.KindOf(err) != fault.Throttled ||
			fault.RetryAfter(err) != 50*time.Second {
			t.Errorf("Wait(100) = %v (retry after %v), want throttled (50s)", err, fault.RetryAfter(err))
		}
	})
}

func TestWhoSleepsDoesNotCallIntoAPause(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func(pace.Config) pace.Limiter) {
		l := open(pace.Config{Rates: map[string]float64{pace.Calls: 1.25}})
		if _, err := l.Wait(t.Context(), pace.One(pace.Calls)); err != nil {
			t.Fatal(err)
		}
		var sleeper sync.WaitGroup
		sleeper.Go(func() {
			if _, err := l.Wait(t.Context(), pace.Cost{pace.Calls: 4}); err != nil {
				t.Errorf("Wait() = %v, want nil", err)
			}
		})
		time.Sleep(50 * time.Millisecond) // it sleeps for 3.2 s, for longer than a busy machine stands still
		const pause = 5 * time.Second
		began := time.Now()
		if err := l.Refused(t.Context(), pause); err != nil {
			t.Fatal(err)
		}
		sleeper.Wait()
		if got := time.Since(began); got < pause-20*time.Millisecond {
			t.Errorf("the sleeper called %v into a pause of %v", got, pause)
		}
	})
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, open func(pace.Config) pace.Limiter) {
		l := open(pace.Config{Rates: map[string]float64{pace.Calls: 1}})
		cause := errors.New("told to stop")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
		_, err := l.Wait(ctx, pace.Cost{pace.Calls: 9})
		if fault.KindOf(err) != fault.Canceled || !errors.Is(err, cause) {
			t.Errorf("Wait() = %v (%v), want the cause (canceled)", err, fault.KindOf(err))
		}
	})
}

func TestConfigAndCostAreChecked(t *testing.T) {
	t.Parallel()
	for _, rates := range []map[string]float64{nil, {"a": 0}, {"a": 1, "b": -1}} {
		if _, err := pace.NewLocal(pace.Config{Rates: rates}); err == nil || fault.KindOf(err) != fault.Invalid {
			t.Errorf("NewLocal(%v) = %v, want invalid", rates, err)
		}
	}
	l := local(t, pace.Config{Rates: map[string]float64{"a": 1}})
	if _, err := l.Wait(t.Context(), pace.One("b")); err == nil || fault.KindOf(err) != fault.Internal {
		t.Errorf("Wait(unknown bucket) = %v, want internal", err)
	}
}

func TestSharedWithoutRedisIsUnavailable(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", MaxRetries: -1})
	defer rdb.Close()
	l := shared(t, rdb, pace.Config{Rates: map[string]float64{"a": 1}})
	if _, err := l.Wait(t.Context(), pace.One("a")); err == nil || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Wait() = %v, want unavailable", err)
	}
}
