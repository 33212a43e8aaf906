package tokens

import (
	"sync"
	"time"
)

// maxNames bounds the names that a Counter remembers.
const maxNames = 10_000

// Counter counts by name within a window of time. It is safe for concurrent use.
type Counter struct {
	window time.Duration

	mu     sync.Mutex
	counts map[string]int
	ends   time.Time
}

// NewCounter returns a Counter that begins anew after each window.
func NewCounter(window time.Duration) *Counter { return &Counter{window: window} }

// Count returns how often it was called with this name within the window, with this call.
func (c *Counter) Count(name string, now time.Time) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.After(c.ends) || len(c.counts) >= maxNames {
		c.counts, c.ends = map[string]int{}, now.Add(c.window)
	}
	c.counts[name]++
	return c.counts[name]
}
