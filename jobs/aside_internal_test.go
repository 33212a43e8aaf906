package jobs

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// A worker that is unfit or whose clock is off takes no task, is not counted among the workers and says why, until the
// cause is gone.
func TestAnUnfitWorkerStandsAside(t *testing.T) {
	t.Parallel()
	k := newTicker(t, noon)
	w := k.worker(Container{Name: "ldap:corp"})
	t.Cleanup(w.Shutdown)
	for _, tt := range []struct {
		off   time.Duration
		redis bool // A tenant shows that the clock of Redis is the wrong one.
		unfit string
		want  string
	}{
		{off: 0}, {off: 29 * time.Second}, {off: 2 * time.Hour, want: "2h0m0s ahead of"},
		{off: -31 * time.Second, want: "31s behind"}, {off: -time.Second}, {off: 2 * time.Hour, redis: true},
		{off: 2 * time.Hour, want: "2h0m0s ahead of"}, {off: 0}, {unfit: "it has another key", want: "another key"}, {off: 0},
	} {
		w.cfg.Unfit = func() string { return tt.unfit }
		w.cfg.Skew = func() time.Duration { return tt.off }
		w.cfg.RedisIsWrong = func(context.Context) bool { return tt.redis }
		if err := w.round(t.Context()); err != nil {
			t.Fatal(err)
		}
		alive, err := k.store.Workers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		aside := tt.want != ""
		if why := w.Aside(); !strings.Contains(why, tt.want) || (why != "") != aside {
			t.Errorf("off by %s: Aside() = %q, want %q", tt.off, why, tt.want)
		}
		if w.taking == aside || (len(alive) == 0) != aside {
			t.Errorf("off by %s: it takes tasks: %v, workers: %v", tt.off, w.taking, alive)
		}
	}
}

// A worker does not start before it has read the clock of Redis: that of its host may be a month off, and would fire
// schedules.
func TestAWorkerStartsWithTheClockOfRedis(t *testing.T) {
	t.Parallel()
	k := newTicker(t, noon)
	w := k.worker(Container{Name: "ldap:corp", Schedule: "@every 10m"})
	t.Cleanup(w.Shutdown)
	unread := errors.New("clock: no answer")
	w.cfg.Measure = func(context.Context) error { return unread }
	if err := w.Start(t.Context()); !errors.Is(err, unread) {
		t.Fatalf("Start() = %v, want %v", err, unread)
	}
	alive, err := k.store.Workers(t.Context())
	if err != nil || len(alive) > 0 || w.taking {
		t.Errorf("workers %v (%v), and it takes tasks: %v", alive, err, w.taking)
	}
}
