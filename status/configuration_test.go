package status_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/status"
)

func (f *fixture) configure(worker, digest string) status.Configuration {
	f.t.Helper()
	got, err := f.Configure(f.t.Context(), corp, worker, digest)
	if err != nil {
		f.t.Fatalf("Configure(%s, %s) = %v, want nil", worker, digest, err)
	}
	return got
}

// A digest that was replaced counts again only when no worker with the newer one lives.
func TestTheNewestConfigurationOfALiveWorkerCounts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		want := func(when string, got, want status.Configuration) {
			t.Helper()
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", when, diff)
			}
		}
		old := status.Configuration{Digest: "old", Generation: 1, Workers: []string{"w 1"}, Digests: []string{"old"}}
		want("the first", f.configure("w 1", "old"), old)
		both := status.Configuration{Digest: "new", Generation: 2, Workers: []string{"w2"}, Superseded: []string{"w 1"},
			Digests: []string{"new", "old"}}
		want("a newer one", f.configure("w2", "new"), both)
		want("the old one", f.configure("w 1", "old"), both)
		if err := f.Unconfigure(t.Context(), corp, "w 1", "old"); err != nil {
			t.Fatal(err)
		}
		both.Superseded = []string{"w3"}
		want("the old one on a host that restarts", f.configure("w3", "old"), both)
		if err := f.Unconfigure(t.Context(), corp, "w2", "new"); err != nil {
			t.Fatal(err)
		}
		old.Workers = []string{"w3"}
		want("the old one alone", f.configure("w3", "old"), old)
		if got, err := f.Configured(t.Context(), google); err != nil || !got.Counts("any") {
			t.Errorf("Configured() of another container = %+v, %v, want none", got, err)
		}
	})
}

func TestARunIsNotGivenToAWorkerWithAnOlderConfiguration(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{WorkerTTL: time.Minute})
		f.configure("w1", "old")
		f.configure("w2", "new")
		run := f.start()
		if _, err := f.Acquire(t.Context(), corp, run.ID, run.Epoch, "w1"); !errors.Is(err, status.ErrSuperseded) {
			t.Errorf("Acquire() = %v, want ErrSuperseded", err)
		}
		f.acquire(run, "w2")
	})
}

// A worker that died without a word makes way by itself.
func TestTheConfigurationOfADeadWorkerEnds(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{WorkerTTL: 300 * time.Millisecond})
		f.configure("w2", "older")
		f.configure("w1", "newer")
		testclock.Eventually(t, time.Minute, "the older configuration counts", func() bool {
			return f.configure("w2", "older").Digest == "older"
		})
	})
}
