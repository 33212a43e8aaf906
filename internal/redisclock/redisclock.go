// Package redisclock has the one clock of all processes, the clock of Redis. Times are written by one process and
// read by others, so a host with a wrong clock must not mislead them.
package redisclock

import (
	"context"
	"fmt"
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
