// Package testclock gives tests a clock that stands still until it is moved, and waits for what gives no event.
package testclock

import (
	"sync/atomic"
	"testing"
	"time"
)

// Clock is a time that only Advance changes. Its methods may be called concurrently.
type Clock struct{ micros atomic.Int64 }

// New returns a clock that shows a time in 2026.
func New() *Clock { return At(time.Date(2026, 11, 4, 9, 0, 0, 0, time.UTC)) }

// At returns a clock that shows t, to the microsecond.
func At(t time.Time) *Clock {
	c := &Clock{}
	c.micros.Store(t.UnixMicro())
	return c
}

// Now returns the time, in UTC.
func (c *Clock) Now() time.Time { return time.UnixMicro(c.micros.Load()).UTC() }

// Advance moves the clock.
func (c *Clock) Advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// Eventually asks again and again until the answer is yes. A question that is asked within the limit counts, however
// late its answer is.
func Eventually(t testing.TB, limit time.Duration, what string, yes func() bool) {
	t.Helper()
	deadline := time.Now().Add(limit)
	asked := time.Now()
	for pause := time.Millisecond; !yes(); pause = min(2*pause, 50*time.Millisecond) {
		if asked.After(deadline) {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(pause)
		asked = time.Now()
	}
}
