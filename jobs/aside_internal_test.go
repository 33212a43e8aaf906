package jobs

import (
	"strings"
	"testing"
	"time"
)

// A worker whose clock is off takes no task, is not counted among the workers and says why, until its clock is set.
func TestAWorkerWithAWrongClockStandsAside(t *testing.T) {
	t.Parallel()
	k := newTicker(t, noon)
	w := k.worker(Container{Name: "ldap:corp"})
	t.Cleanup(w.Shutdown)
	for _, tt := range []struct {
		off  time.Duration
		want string
	}{
		{0, ""}, {29 * time.Second, ""}, {2 * time.Hour, "2h0m0s ahead of"}, {-31 * time.Second, "31s behind"},
		{-time.Second, ""},
	} {
		w.cfg.Skew = func() time.Duration { return tt.off }
		if err := w.look(t.Context()); err != nil {
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
