package status_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/status"
)

func TestEntryLock(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{LockTTL: 400 * time.Millisecond})
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
		var later status.Unlock
		for deadline := time.Now().Add(10 * time.Second); later == nil; time.Sleep(10 * time.Millisecond) {
			if later, _, err = f.Lock(t.Context(), corp, l.Fence(), "user:1"); err != nil || time.Now().After(deadline) {
				t.Fatalf("Lock() of a dead worker's entry = %v, want it at last", err)
			}
		}
		wantStale(t, "Unlock() of an expired lock", unlock(t.Context()))
		if err := later(t.Context()); err != nil {
			t.Errorf("Unlock() of the next = %v, want nil: another's Unlock took it away", err)
		}
	})
}

func TestBudgetWindow(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		spend := func(kind status.BudgetKind, n, want int) {
			t.Helper()
			if got, err := f.Spend(t.Context(), corp, kind, n); err != nil || got != want {
				t.Errorf("Spend(%s, %d) = %d, %v, want %d", kind, n, got, err, want)
			}
		}
		spent := func(want map[status.BudgetKind]int) {
			t.Helper()
			got, err := f.Spent(t.Context(), corp)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("Spent() = %v (-want +got):\n%s", err, diff)
			}
		}
		members := status.BudgetMembers("g@1")
		spent(map[status.BudgetKind]int{})
		spend(status.BudgetUsers, 3, 3)
		spend(status.BudgetUsers, 2, 5)
		f.move(12 * time.Hour)
		spend(status.BudgetUsers, 1, 6)
		spend(members, 4, 4)
		spend(status.BudgetGroups, 0, 0)
		spent(map[status.BudgetKind]int{status.BudgetUsers: 6, members: 4})
		f.move(11*time.Hour + 59*time.Minute)
		spent(map[status.BudgetKind]int{status.BudgetUsers: 6, members: 4})
		f.move(3 * time.Minute)
		spent(map[status.BudgetKind]int{status.BudgetUsers: 1, members: 4})
		if _, ok, err := f.SpendWithin(t.Context(), corp, status.BudgetUsers, 3, 3); ok || err != nil {
			t.Errorf("SpendWithin(3 of 3, 1 spent) = %v, %v, want it refused", ok, err)
		}
		if _, ok, err := f.SpendWithin(t.Context(), corp, status.BudgetUsers, 2, 3); !ok || err != nil {
			t.Errorf("SpendWithin(2 of 3, 1 spent) = %v, %v, want it granted", ok, err)
		}
		f.move(25 * time.Hour)
		spent(map[status.BudgetKind]int{})
		if _, err := f.Spend(t.Context(), corp, status.BudgetUsers, -1); err == nil {
			t.Error("Spend(-1) = nil, want an error")
		}
	})
}

func TestBudgetIsNotOverspentTogether(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		var granted atomic.Int64
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				if _, ok, err := f.SpendWithin(t.Context(), corp, status.BudgetUsers, 1, 10); err != nil {
					t.Error(err)
				} else if ok {
					granted.Add(1)
				}
			})
		}
		all.Wait()
		if granted.Load() != 10 {
			t.Errorf("%d were granted, want 10", granted.Load())
		}
	})
}

func TestARefundGivesBackWhatWasSpentAndNoMore(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		refund, ok, err := f.SpendWithin(t.Context(), corp, status.BudgetUsers, 1, 2)
		if !ok || err != nil {
			t.Fatal(ok, err)
		}
		if _, ok, err := f.SpendWithin(t.Context(), corp, status.BudgetUsers, 1, 2); !ok || err != nil {
			t.Fatal(ok, err)
		}
		f.move(10 * time.Minute)
		if err := refund(t.Context()); err != nil {
			t.Fatal(err)
		}
		if spent, err := f.Spent(t.Context(), corp); err != nil || spent[status.BudgetUsers] != 1 {
			t.Errorf("Spent() = %v, %v, want 1", spent, err)
		}
		f.move(25 * time.Hour)
		if spent, err := f.Spent(t.Context(), corp); err != nil || len(spent) != 0 {
			t.Errorf("Spent() a day later = %v, %v, want nothing", spent, err)
		}
		if err := refund(t.Context()); err != nil { // It is forgotten: there is nothing to give back.
			t.Fatal(err)
		}
		if _, ok, err := f.SpendWithin(t.Context(), corp, status.BudgetUsers, 3, 2); ok || err != nil {
			t.Errorf("SpendWithin(3 of 2) = %v, %v, want it refused", ok, err)
		}
	})
}
