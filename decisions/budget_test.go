package decisions_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/internal/redistest"
)

func TestBudgetWindow(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb)
		made := 0
		spend := func(kind decisions.BudgetKind, n int) {
			t.Helper()
			for range n {
				made++
				settle, ok, err := f.Claim(t.Context(), corp, kind, fmt.Sprint("change ", made), 100)
				if err != nil || !ok {
					t.Fatalf("Claim(%s) = %v, %v, want true", kind, ok, err)
				}
				f.must(settle(t.Context(), true))
			}
		}
		spent := func(want map[decisions.BudgetKind]int) {
			t.Helper()
			got, err := f.Spent(t.Context(), corp)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("Spent() = %v (-want +got):\n%s", err, diff)
			}
		}
		members := decisions.BudgetMembers("g@1")
		spent(map[decisions.BudgetKind]int{})
		spend(decisions.BudgetUsers, 3)
		spend(decisions.BudgetUsers, 2)
		f.Advance(12 * time.Hour)
		spend(decisions.BudgetUsers, 1)
		spend(members, 4)
		spent(map[decisions.BudgetKind]int{decisions.BudgetUsers: 6, members: 4})
		f.Advance(11*time.Hour + 59*time.Minute)
		spent(map[decisions.BudgetKind]int{decisions.BudgetUsers: 6, members: 4})
		f.Advance(3 * time.Minute)
		spent(map[decisions.BudgetKind]int{decisions.BudgetUsers: 1, members: 4})
		for i, want := range []bool{true, true, false} { // one is spent, of three
			if _, ok, err := f.Claim(t.Context(), corp, decisions.BudgetUsers, fmt.Sprintf("suspend user/%d", i),
				3); ok != want || err != nil {
				t.Errorf("Claim() %d = %v, %v, want %v", i, ok, err, want)
			}
		}
		f.Advance(25 * time.Hour)
		spent(map[decisions.BudgetKind]int{})
	})
}

func TestBudgetIsNotOverspentTogether(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb)
		var granted atomic.Int64
		var all sync.WaitGroup
		for i := range 30 {
			all.Go(func() {
				if _, ok, err := f.Claim(t.Context(), corp, decisions.BudgetUsers, fmt.Sprintf("suspend user/%d", i),
					10); err != nil {
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
		f := open(t, rdb)
		claim := func(name string, want bool) decisions.Settle {
			t.Helper()
			settle, ok, err := f.Claim(t.Context(), corp, decisions.BudgetUsers, name, 2)
			if ok != want || err != nil {
				t.Fatalf("Claim(%s) = %v, %v, want %v", name, ok, err, want)
			}
			return settle
		}
		check := func(want int, open ...string) {
			t.Helper()
			spent, err := f.Spent(t.Context(), corp)
			claims, err2 := f.Claims(t.Context(), corp)
			if err != nil || err2 != nil || spent[decisions.BudgetUsers] != want || len(claims) != len(open) {
				t.Errorf("spent %v, claims %v, %v %v; want %d and %v", spent, claims, err, err2, want, open)
			}
			for _, name := range open {
				if !claims[name] {
					t.Errorf("claims %v, want %s", claims, name)
				}
			}
		}
		claim("a", true) // Its worker dies.
		f.Advance(10 * time.Minute)
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
		f.Advance(25 * time.Hour)
		check(0)
		claim("c", true)
		check(1, "c")
	})
}
