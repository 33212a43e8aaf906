package redisclock_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redisclock"
	"rollcall/internal/redistest"
)

// The clock shows the time of Redis whatever the host's clock shows, and tells how far this host is off.
func TestAWrongHostClock(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		for _, off := range []time.Duration{0, 2 * time.Hour, -31 * 24 * time.Hour} {
			step := time.Duration(0)
			c := redisclock.New(rdb, func() time.Time { return time.Now().Round(0).Add(off + step) })
			if got := time.Until(c.Now()); (got - off).Abs() > time.Second {
				t.Errorf("unmeasured: it is off by %s, want %s", got, off)
			}
			if err := c.Measure(t.Context()); err != nil {
				t.Fatal(err)
			}
			for _, step = range []time.Duration{0, 40 * time.Minute} { // The host's time is stepped.
				if got := time.Since(c.Now()); got.Abs() > time.Second {
					t.Errorf("offset %s: Now() is off by %s, want the time of Redis", off, got)
				}
				if got := c.Offset(); (got - off - step).Abs() > time.Second {
					t.Errorf("Offset() = %s, want %s", got, off+step)
				}
			}
		}
	})
}

func TestAClockWithoutRedis(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	c := redisclock.New(rdb, nil)
	if err := c.Measure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Measure(t.Context()); err == nil {
		t.Error("Measure() without Redis = nil, want an error")
	}
	if got := time.Since(c.Now()); got.Abs() > time.Second {
		t.Errorf("Now() is off by %s after Redis went away", got)
	}
}
