// Package redisclock has the one clock of all processes, the clock of Redis. Times are written by one process and
// read by others, so a host with a wrong clock must not mislead them.
package redisclock

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redisfault"
	"rollcall/internal/stored"
)

const (
	// Every is how often Keep measures.
	Every = 5 * time.Second
	// patience is how long one measurement may take.
	patience = 2 * time.Second
)

// timeScript asks the node that has the key. The nodes of a Redis Cluster have clocks of their own.
var timeScript = redis.NewScript(`redis.call('EXISTS', KEYS[1]); return redis.call('TIME')`)

const key = "rollcall:{workers}:alive"

// Clock shows the time of Redis. Between measurements it goes with the monotonic clock of this host, which a step of
// the host's time does not move. Its methods may be called concurrently.
type Clock struct {
	rdb redis.UniversalClient
	// host is the clock of this host; only tests set it.
	host func() time.Time

	mu sync.Mutex
	// shown is what Redis showed at a time of this host's monotonic clock.
	shown, at time.Time
}

// New returns a clock that shows the time of this host until it has been measured. A nil host is time.Now.
func New(rdb redis.UniversalClient, host func() time.Time) *Clock {
	if host == nil {
		host = time.Now
	}
	return &Clock{rdb: rdb, host: host}
}

// Now returns the time of Redis, in the time zone of this host.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shown.IsZero() {
		return c.host()
	}
	return c.shown.Add(time.Since(c.at))
}

// Offset returns by how much the clock of this host is ahead of Redis; negative where it is behind, zero before the
// first measurement.
func (c *Clock) Offset() time.Duration {
	c.mu.Lock()
	known := !c.shown.IsZero()
	c.mu.Unlock()
	if !known {
		return 0
	}
	return c.host().Round(0).Sub(c.Now()) // Round drops the monotonic reading, which knows of no step.
}

// Measure asks Redis for the time. The answer counts for the middle of the round trip.
func (c *Clock) Measure(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	sent := time.Now()
	answer, err := timeScript.Run(ctx, c.rdb, []string{key}).StringSlice()
	if err != nil {
		return redisfault.Of("clock", err)
	}
	if len(answer) != 2 { //nolint:mnd // seconds and microseconds
		return fmt.Errorf("clock: TIME answered %v", answer)
	}
	trip := time.Since(sent)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = time.Unix(stored.Int(answer[0]), stored.Int(answer[1])*int64(time.Microsecond))
	c.at = sent.Add(trip / 2) //nolint:mnd // the middle
	return nil
}

// Keep measures until ctx ends. A measurement that fails leaves the clock going.
func (c *Clock) Keep(ctx context.Context) {
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			_ = c.Measure(ctx)
		}
	}
}

const (
	// Near is the largest difference of two clocks that agree.
	Near = 30 * time.Second
	// disagree is the difference from which on harmful changes wait.
	disagree = 5 * time.Minute
	// fresh is how long the time of an answer counts.
	fresh = 10 * time.Minute
	// shown is how long it is exported.
	shown = time.Hour
)

// Witnesses are the clocks of tenants, as the Date headers of their answers show them. They tell which of two clocks is
// wrong. Its methods may be called concurrently.
type Witnesses struct {
	clock *Clock

	mu   sync.Mutex
	seen map[string]sighting
}

// sighting is the time of a tenant at a time of this host's monotonic clock.
type sighting struct{ shown, at time.Time }

// NewWitnesses returns Witnesses of a clock that have seen no answer yet.
func NewWitnesses(c *Clock) *Witnesses { return &Witnesses{clock: c, seen: map[string]sighting{}} }

// Wrap returns a transport that reads the time of a tenant from each answer.
func (w *Witnesses) Wrap(tenant string, base http.RoundTripper) http.RoundTripper {
	return dated{base, func(h http.Header) {
		shown, err := http.ParseTime(h.Get("Date"))
		if err != nil || h.Get("Age") != "" { // A cache answered.
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.seen[tenant] = sighting{shown, time.Now()}
	}}
}

// dated is a transport that shows the headers of each answer.
type dated struct {
	http.RoundTripper

	see func(http.Header)
}

// RoundTrip implements http.RoundTripper.
func (d dated) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := d.RoundTripper.RoundTrip(req)
	if err == nil {
		d.see(resp.Header)
	}
	return resp, err
}

// Ahead returns how far the clocks of the tenants that answered within the last hour are ahead of that of Redis now.
func (w *Witnesses) Ahead() map[string]time.Duration { return w.within(shown) }

// within returns the same for the tenants whose last answer is at most that old.
func (w *Witnesses) within(age time.Duration) map[string]time.Duration {
	now, out := w.clock.Now(), map[string]time.Duration{}
	w.mu.Lock()
	defer w.mu.Unlock()
	for tenant, s := range w.seen {
		if old := time.Since(s.at); old <= age {
			out[tenant] = s.shown.Add(old).Sub(now)
		}
	}
	return out
}

// Disagreement says which clocks disagree by more than five minutes and which of them is wrong, as seen from a tenant.
// It is empty where they agree or no recent answer is known. An empty name means all tenants: then one that agrees with
// Redis is enough. It counts, and harm waits, unless this host and another tenant agree with Redis: then only the clock
// of the tenant is wrong.
func (w *Witnesses) Disagreement(tenant string) (text string, counts bool) {
	worst, name, agree := time.Duration(0), "", false
	for n, ahead := range w.within(fresh) {
		switch {
		case ahead.Abs() <= disagree:
			agree = true
		case (tenant == "" || tenant == n) && ahead.Abs() > worst.Abs():
			worst, name = ahead, n
		}
	}
	if name == "" || tenant == "" && agree {
		return "", false
	}
	off, now := w.clock.Offset(), w.clock.Now().UTC()
	counts = !agree || off.Abs() > disagree
	wrong := "all hosts"
	switch {
	case (worst - off).Abs() <= Near:
		wrong = "the host of Redis"
	case !counts:
		wrong = "the tenant"
	case off.Abs() <= Near:
		wrong = "the hosts of Redis and of the workers, or that of the tenant"
	}
	at := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	return fmt.Sprintf("the clocks disagree: it is %s at %s, %s on Redis and %s on this host: set the clock of %s",
		at(worst), name, at(0), at(off), wrong), counts
}

// RedisIsWrong reports whether a tenant shows the time of this host while Redis shows another.
func (w *Witnesses) RedisIsWrong() bool {
	off := w.clock.Offset()
	if off.Abs() <= Near {
		return false
	}
	for _, ahead := range w.within(fresh) {
		if (ahead - off).Abs() <= Near {
			return true
		}
	}
	return false
}

// Due reports whether the tenants should be asked again before their answers are too old to count.
func (w *Witnesses) Due() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.seen {
		if time.Since(s.at) < fresh/2 { //nolint:mnd // half
			return false
		}
	}
	return true
}
