package status_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/status"
)

// TestALockOfADeadWorkerIsTakenOver: the run's next worker need not wait for locks that the last one left.
func TestALockOfADeadWorkerIsTakenOver(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		first := f.acquire(f.start(), "w1")
		stale, ok, err := f.Lock(t.Context(), corp, first.Fence(), "user:1")
		if err != nil || !ok {
			t.Fatalf("Lock() = %v, %v, want true", ok, err)
		}
		if _, ok, err := f.Lock(t.Context(), corp, status.Fence{}, "user:2"); err != nil || !ok {
			t.Fatalf("Lock() by an object job = %v, %v, want true", ok, err)
		}
		run, err := first.HandBack(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		second := f.acquire(run, "w2")
		unlock, ok, err := f.Lock(t.Context(), corp, second.Fence(), "user:1")
		if err != nil || !ok {
			t.Fatalf("Lock() by the next worker = %v, %v, want true", ok, err)
		}
		wantStale(t, "Unlock() by the first worker", stale(t.Context()))
		if err := unlock(t.Context()); err != nil {
			t.Errorf("Unlock() = %v, want nil", err)
		}
		if _, ok, err := f.Lock(t.Context(), corp, second.Fence(), "user:2"); ok || err != nil {
			t.Errorf("Lock() of an object job's entry = %v, %v, want false", ok, err)
		}
	})
}
