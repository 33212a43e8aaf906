package tokens

import (
	"fmt"
	"testing"
	"time"
)

// TestManyNamesClearNoCount checks that an address does not lose its count through many others, and that the counts
// are bounded.
func TestManyNamesClearNoCount(t *testing.T) {
	t.Parallel()
	c, now := NewCounter(time.Minute), time.Now()
	for range 15 {
		c.Count("attacker", now)
	}
	for i := range 50_000 {
		c.Count(fmt.Sprint("other ", i), now)
	}
	if n := c.Count("attacker", now); n != 16 {
		t.Errorf("the count is %d after 50,000 other names, want 16", n)
	}
	if n := len(c.counts); n > maxNames {
		t.Errorf("%d names are kept, want at most %d", n, maxNames)
	}
	if n := c.Count("attacker", now.Add(2*time.Minute)); n != 1 {
		t.Errorf("the count is %d in another window, want 1", n)
	}
}
