package tokens

import (
	"cmp"
	"maps"
	"slices"
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
	if now.After(c.ends) {
		c.counts, c.ends = map[string]int{}, now.Add(c.window)
	}
	if _, known := c.counts[name]; !known && len(c.counts) >= maxNames {
		c.forget()
	}
	c.counts[name]++
	return c.counts[name]
}

// forget makes room by half. The names with the highest counts stay, so that many other names do not clear a count.
func (c *Counter) forget() {
	names := slices.SortedFunc(maps.Keys(c.counts), func(a, b string) int { return cmp.Compare(c.counts[b], c.counts[a]) })
	for _, name := range names[maxNames/2:] {
		delete(c.counts, name)
	}
}
