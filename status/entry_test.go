package status_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/status"
)

// The lock of an attempt without a lease ends soon after the attempt, and that of a run as configured.
func TestALockEndsWithItsAttempt(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{LockTTL: time.Hour})
		l := f.acquire(f.start(), "w1")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for entry, tc := range map[string]struct {
			fence    status.Fence
			from, to time.Duration
		}{
			"user:1": {status.Fence{}, time.Minute / 2, 2 * time.Minute}, "user:2": {l.Fence(), time.Hour / 2, time.Hour},
		} {
			if _, ok, err := f.Lock(ctx, corp, tc.fence, entry); err != nil || !ok {
				t.Fatalf("Lock() = %v, %v, want true", ok, err)
			}
			key := "rollcall:{" + string(corp) + "}:entry:" + entry
			if ttl := rdb.PTTL(t.Context(), key).Val(); ttl < tc.from || ttl > tc.to {
				t.Errorf("the lock of %s lasts %v, want %v to %v", entry, ttl, tc.from, tc.to)
			}
		}
	})
}

func TestEntryLock(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{LockTTL: time.Minute})
		l := f.acquire(f.start(), "w1")
		unlock, ok, err := f.Lock(t.Context(), corp, l.Fence(), "user:1")
		if err != nil || !ok {
			t.Fatalf("Lock() = %v, %v, want true", ok, err)
		}
		if _, ok, err := f.Lock(t.Context(), corp, status.Fence{}, "user:1"); ok || err != nil {
			t.Errorf("Lock() of a locked entry = %v, %v, want false", ok, err)
		}
		if _, ok, err := f.Lock(t.Context(), corp, status.Fence{}, "user:2"); !ok || err != nil {
			t.Errorf("Lock() of another entry = %v, %v, want true", ok, err)
		}
		if err := unlock(t.Context()); err != nil {
			t.Errorf("Unlock() = %v, want nil", err)
		}
		unlock, ok, err = f.Lock(t.Context(), corp, status.Fence{}, "user:1")
		if err != nil || !ok {
			t.Fatalf("Lock() after Unlock() = %v, %v, want true", ok, err)
		}
		f.expire(time.Minute, "entry:user:1")
		later, ok, err := f.Lock(t.Context(), corp, l.Fence(), "user:1")
		if err != nil || !ok {
			t.Fatalf("Lock() of a dead worker's entry = %v, %v, want true", ok, err)
		}
		wantStale(t, "Unlock() of an expired lock", unlock(t.Context()))
		if err := later(t.Context()); err != nil {
			t.Errorf("Unlock() of the next = %v, want nil: another's Unlock took it away", err)
		}
	})
}
