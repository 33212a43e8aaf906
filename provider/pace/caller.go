package pace

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"

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
	set(&cfg.Timeout, 20*time.Second)
	set(&cfg.Within, 30*time.Second)
	set(&cfg.First, 500*time.Millisecond)
	set(&cfg.Longest, 8*time.Second)
	return &Caller{cfg: cfg}
}

func set(d *time.Duration, to time.Duration) {
	if *d == 0 {
		*d = to
	}
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
		pause := max(curve.NextBackOff(), fault.RetryAfter(err))
		if !asked || !fault.KindOf(err).Retryable() || time.Since(began)+pause > c.cfg.Within {
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
