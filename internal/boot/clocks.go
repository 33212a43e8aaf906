package boot

import (
	"context"
	"sync"
	"time"

	"rollcall/container"
	"rollcall/provider"
)

// clocks returns what the engine of a provider asks after each read: which clocks disagree, as its tenant shows. The
// empty id means all tenants, for a source.
func (a *App) clocks(name container.ID) func() (string, bool) {
	return func() (string, bool) { return a.witnesses.Disagreement(string(name)) }
}

// askEvery is how often the tenants are asked for the time while the clock of this host differs from that of Redis.
const askEvery = time.Minute

// redisIsWrong returns what a worker asks while its clock differs from that of Redis: whether a tenant shows the time
// of this host. Without a recent answer the tenants are asked in the background, and a later call tells.
func (a *App) redisIsWrong() func(context.Context) bool {
	var mu sync.Mutex
	var asked time.Time
	told := false
	return func(ctx context.Context) bool {
		mu.Lock()
		defer mu.Unlock()
		if a.witnesses.Due() && time.Since(asked) > askEvery {
			asked = time.Now()
			for _, t := range a.tenants {
				go askTime(ctx, t)
			}
		}
		wrong := a.witnesses.RedisIsWrong()
		if wrong && !told {
			a.Log.ErrorContext(ctx, "the clock of the host of Redis is wrong: destructive changes wait until it is set",
				"ahead", -a.Clock.Offset().Round(time.Second))
		}
		told = wrong
		return wrong
	}
}

// askTime has a tenant answer. Each answer shows the time, a refusal too.
func askTime(ctx context.Context, t provider.Tenant) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) //nolint:mnd // within askEvery
	defer cancel()
	_, _ = t.Check(ctx)
}
