// Package pace keeps calls to a remote tenant within its quota and repeats those that failed for a moment.
//
// A [Limiter] hands out slots. [Shared] keeps its state on Redis, so that all workers together keep to the quota of a
// tenant. It follows a virtual schedule (GCRA) with costs. A bucket allows its rate, with a burst of 0.8 seconds. A
// caller gets the next free slot at once and sleeps until then. Each grant costs one call to Redis, however many
// callers wait. Calls for single objects and leavers ([Urgent]) go first.
//
// A refusal by the remote side halves the rate, which then grows back by 1 % of its full value a second. A
// Retry-After pauses the tenant for all workers. A caller does not sleep through a long wait. It gets fault.Throttled
// with RetryAfter, so that the run is deferred and the worker is free.
//
// A [Caller] wraps single calls. It waits for the limiter, bounds the call's time, and repeats the call for seconds
// when the kind of its error allows that. Pauses of minutes are left to the job queue, which defers the run.
package pace

import (
	"cmp"
	"context"
	"math"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/redis/go-redis/v9"

	"rollcall/fault"
)

// CallerConfig configures a Caller. The zero values are the defaults.
type CallerConfig struct {
	// Limiter grants a slot before every attempt. Nil sets no limit.
	Limiter Limiter
	// Timeout bounds one attempt. Default 20 s.
	Timeout time.Duration
	// Within is how long after its start a call may still be repeated, including waits. Default 30 s.
	Within time.Duration
	// First and Longest bound the pauses between attempts, which double with a jitter of half. Default 500 ms and 8 s.
	First, Longest time.Duration
	// OnlyThrottled repeats no call but those that the tenant throttled. It is for commands that a person waits for, and
	// that work without the limiter of the workers.
	OnlyThrottled bool
	// Observe is called after every attempt. Nil discards attempts.
	Observe func(Attempt)
}

// Attempt describes one attempt to the observer.
type Attempt struct {
	Op     string
	Number int           // 1 is the first
	Err    error         // nil for a success
	Waited time.Duration // time spent in the limiter
	Took   time.Duration // duration of the call; zero when the call was not made
	// Late is why the run no longer had its lease when the call ended; nil if it had. Such a call was made beside
	// those of another worker.
	Late error
}

// Outcome returns "ok" or the kind of the error, for a metric label.
func (a Attempt) Outcome() string {
	if a.Err == nil {
		return "ok"
	}
	return fault.KindOf(a.Err).String()
}

// Caller makes calls to one tenant within its quota, bounds their time, and repeats calls that failed for a moment.
// It is safe for concurrent use.
type Caller struct {
	cfg CallerConfig
}

// NewCaller returns a Caller.
func NewCaller(cfg CallerConfig) *Caller {
	cfg.Timeout = cmp.Or(cfg.Timeout, 20*time.Second)
	cfg.Within = cmp.Or(cfg.Within, 30*time.Second)
	cfg.First = cmp.Or(cfg.First, 500*time.Millisecond)
	cfg.Longest = cmp.Or(cfg.Longest, 8*time.Second)
	return &Caller{cfg: cfg}
}

// Call makes one call. fn returns errors that the adapter has classified. Call repeats fn for the kinds Throttled and
// Unavailable. The pause is exponential, or what the remote side asked for (fault.RetryAfter) if that is longer. When
// Within leaves no time for another attempt, Call returns the last error. fn must be safe to repeat, because an
// attempt that timed out may have been carried out.
func (c *Caller) Call(ctx context.Context, op string, cost Cost, fn func(context.Context) error) error {
	began := time.Now()
	curve := &backoff.ExponentialBackOff{
		InitialInterval: c.cfg.First, MaxInterval: c.cfg.Longest,
		Multiplier: 2, RandomizationFactor: backoff.DefaultRandomizationFactor,
	}
	curve.Reset()
	for number := 1; ; number++ {
		asked, err := c.attempt(ctx, op, cost, number, fn)
		if err == nil {
			return nil
		}
		pause, kind := max(curve.NextBackOff(), fault.RetryAfter(err)), fault.KindOf(err)
		if !asked || !kind.Retryable() || c.cfg.OnlyThrottled && kind != fault.Throttled ||
			time.Since(began)+pause > c.cfg.Within {
			return err
		}
		if ended := sleep(ctx, pause); ended != nil {
			return ended
		}
	}
}

// attempt waits for the limiter and makes the call once, if the lease of the run still holds after the wait. asked
// reports whether the call was made. A refusal by the limiter lasts for minutes.
func (c *Caller) attempt(
	ctx context.Context, op string, cost Cost, number int, fn func(context.Context) error,
) (asked bool, err error) {
	a := Attempt{Op: op, Number: number}
	if c.cfg.Limiter != nil {
		a.Waited, a.Err = c.cfg.Limiter.Wait(ctx, cost)
	}
	if a.Err == nil {
		a.Err = Fenced(ctx)
	}
	if asked = a.Err == nil; asked {
		began := time.Now()
		a.Err = c.once(ctx, fn)
		a.Took = time.Since(began)
		a.Late = Fenced(ctx)
	}
	if c.cfg.Observe != nil {
		c.cfg.Observe(a)
	}
	if asked && a.Err != nil && c.cfg.Limiter != nil && fault.KindOf(a.Err) == fault.Throttled {
		// The error of the remote side counts, even if the other workers cannot be informed.
		_ = c.cfg.Limiter.Refused(context.WithoutCancel(ctx), fault.RetryAfter(a.Err))
	}
	return asked, a.Err
}

func (c *Caller) once(ctx context.Context, fn func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	err := fn(bounded)
	if err != nil && ctx.Err() != nil {
		return ended(ctx) // ctx ended, whatever error fn made of it
	}
	return err
}

type fenceKey struct{}

// WithFence returns a context under which Fenced also calls check, which reports whether the lease of the run still
// holds.
func WithFence(ctx context.Context, check func(context.Context) error) context.Context {
	return context.WithValue(ctx, fenceKey{}, check)
}

// Fenced returns an error if no further request may begin. It makes no request itself. Adapters call it after the
// last wait before a request, such as the wait for the quota or a token. A stopped process may resume in such a wait,
// after another worker has taken over its run and before any timer has fired. So deadlines are compared with the
// clock.
func Fenced(ctx context.Context) error {
	if ctx.Err() != nil {
		return fault.New(fault.KindOf(ctx.Err()), "", context.Cause(ctx))
	}
	if until, ok := ctx.Deadline(); ok && !time.Now().Before(until) {
		return fault.New(fault.Unavailable, "", context.DeadlineExceeded)
	}
	if check, ok := ctx.Value(fenceKey{}).(func(context.Context) error); ok {
		return check(ctx)
	}
	return nil
}

// State describes the use of one bucket.
type State struct {
	Bucket string
	// Limit is the current limit in units a second.
	Limit float64
	// Used is the fraction of Limit that was used in the last minute, 0 to 1.
	Used float64
	// Paused is the rest of a pause that the remote side asked for.
	Paused time.Duration
}

// States returns the use of each bucket of the tenant, sorted by name. It takes no slot.
func (s *Shared) States(ctx context.Context) ([]State, error) {
	var clock *redis.TimeCmd
	var all *redis.MapStringStringCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		clock, all = p.Time(ctx), p.HGetAll(ctx, s.key)
		return nil
	})
	if err != nil {
		return nil, redisFault(ctx, err)
	}
	now := clock.Val()
	if s.cfg.Now != nil {
		now = s.cfg.Now()
	}
	return s.cfg.states(all.Val(), now), nil
}

// states parses the fields that reserve.lua and refuse.lua write.
func (c Config) states(f map[string]string, at time.Time) []State {
	now := float64(at.UnixMicro())
	number := func(name string) float64 { n, _ := strconv.ParseFloat(f[name], 64); return n }
	factor := 1.0
	if f["factor"] != "" {
		factor = max(c.Floor, min(1, number("factor")+(now-number("factor_at"))/1e6*recovery))
	}
	paused := time.Duration(max(0, number("pause")-now)) * time.Microsecond
	const minute = 60e6
	var out []State
	for _, name := range c.buckets() {
		// The previous minute is weighted by the part of it that lies within the last sixty seconds.
		this, taken, before := number("m:"+name), number("n:"+name), number("p:"+name)
		switch math.Floor(now/minute) - this {
		case 0:
		case 1:
			taken, before = 0, taken
		default:
			taken, before = 0, 0
		}
		taken += before * (1 - math.Mod(now, minute)/minute)
		out = append(out, State{Bucket: name, Limit: c.Rates[name] * factor, Used: min(1, taken/minute/factor),
			Paused: paused})
	}
	return out
}
