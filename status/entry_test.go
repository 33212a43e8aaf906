package status_test

import (
	"fmt"
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
		for i, want := range []bool{true, true, false} { // one is spent, of three
			if _, ok, err := f.Claim(t.Context(), corp, status.BudgetUsers, fmt.Sprintf("suspend user/%d", i), 3); ok != want || err != nil {
				t.Errorf("Claim() %d = %v, %v, want %v", i, ok, err, want)
			}
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
		for i := range 30 {
			all.Go(func() {
				if _, ok, err := f.Claim(t.Context(), corp, status.BudgetUsers, fmt.Sprintf("suspend user/%d", i), 10); err != nil {
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

func TestAClaimIsCountedOnce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		claim := func(name string, want bool) status.Settle {
			t.Helper()
			settle, ok, err := f.Claim(t.Context(), corp, status.BudgetUsers, name, 2)
			if ok != want || err != nil {
				t.Fatalf("Claim(%s) = %v, %v, want %v", name, ok, err, want)
			}
			return settle
		}
		check := func(want int, open ...string) {
			t.Helper()
			spent, err := f.Spent(t.Context(), corp)
			claims, err2 := f.Claims(t.Context(), corp)
			if err != nil || err2 != nil || spent[status.BudgetUsers] != want || len(claims) != len(open) {
				t.Errorf("spent %v, claims %v, %v %v; want %d and %v", spent, claims, err, err2, want, open)
			}
			for _, name := range open {
				if !claims[name] {
					t.Errorf("claims %v, want %s", claims, name)
				}
			}
		}
		claim("a", true) // Its worker dies.
		f.move(10 * time.Minute)
		again := claim("a", true)
		second := claim("b", true)
		claim("c", false)
		check(2, "a", "b")
		if err := again(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		check(2, "b")
		for range 2 { // What was not made is given back, and no more.
			if err := second(t.Context(), false); err != nil {
				t.Fatal(err)
			}
			check(1)
		}
		claim("c", true)
		f.move(25 * time.Hour)
		check(0)
		claim("c", true)
		check(1, "c")
	})
}
