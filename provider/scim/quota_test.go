package scim_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/plan"
	"rollcall/provider/pace"
	"rollcall/provider/scim"
	simulator "rollcall/simulator/scim"
)

// TestQuotaIsUsed creates users at the limit of each profile that has one, with all limits raised by one factor so that
// the test is short. Nearly all of the quota is used, and nearly nothing refused.
func TestQuotaIsUsed(t *testing.T) {
	t.Parallel()
	for _, name := range simulator.Profiles() {
		profile, err := simulator.Profile(name)
		if err != nil {
			t.Fatal(err)
		}
		q := profile.Quota
		limit := 0.0 // of the quota that a creation uses up first
		for _, rate := range []float64{q.Requests, q.Writes, q.UserWrites, q.UserCreates} {
			if rate > 0 && (limit == 0 || rate < limit) {
				limit = rate
			}
		}
		if limit == 0 {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			factor := 50 / limit
			w := open(t, as(name), func(tenant *simulator.Config, c *scim.Config) {
				tenant.Now = time.Now
				tenant.Quota = simulator.Quota{Requests: q.Requests * factor, Reads: q.Reads * factor,
					Writes: q.Writes * factor, UserWrites: q.UserWrites * factor, UserCreates: q.UserCreates * factor}
				c.SetDefaults()
				for _, rate := range []*float64{&c.Requests, &c.Writes, &c.UserWrites, &c.UserCreates} {
					*rate *= factor
				}
			})
			// Reads of AWS use up the same quota.
			spend(t, w, 50, name == "aws")
		})
	}
}

// spend creates users until two seconds had 97 % of the limit in creations, or in requests. A busy machine may need
// several seconds for that.
func spend(t *testing.T, w *world, limit float64, requests bool) {
	t.Helper()
	rdb := redis.NewClient(redistest.Options(t))
	t.Cleanup(func() { _ = rdb.Close() })
	limiter, err := pace.NewShared(rdb, "scim:1", pace.Config{Rates: w.cfg.Quotas()[0].Rates})
	if err != nil {
		t.Fatal(err)
	}
	var granted, refused atomic.Int64
	p, err := scim.New(w.cfg, scim.Options{
		Caller: pace.NewCaller(pace.CallerConfig{Limiter: limiter}),
		Observe: func(op string, _ int, err error) {
			switch {
			case fault.KindOf(err) == fault.Throttled && err != nil:
				refused.Add(1)
			case requests || op == "users.create":
				granted.Add(1)
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	var all sync.WaitGroup
	var number atomic.Int64
	for range 8 {
		all.Go(func() {
			for ctx.Err() == nil {
				n := number.Add(1)
				c := newUser(directory.ID(fmt.Sprint("u", n)), fmt.Sprintf("user%d@example.com", n))
				p.Apply(ctx, []plan.Change{c})
			}
		})
	}
	used := 0.0
	for ctx.Err() == nil {
		began, before := time.Now(), granted.Load()
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
		}
		if used = float64(granted.Load()-before) / time.Since(began).Seconds() / limit; used >= 0.97 && used <= 1 {
			break
		}
	}
	stop()
	all.Wait()
	if n, no := granted.Load(), refused.Load(); used < 0.97 || used > 1 || float64(no) > 0.005*float64(n) {
		t.Errorf("%.1f %% of the quota was used, and %d of %d refused, want 97 %% and less than 0.5 %%", used*100, no,
			n)
	}
	t.Logf("%.1f %% of the quota, %d requests granted, %d refused", used*100, granted.Load(), refused.Load())
}
