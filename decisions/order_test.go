package decisions_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/plan"
)

// Orders stand until they end. With a key, an order that another program wrote or changed is told apart.
func TestOrders(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		const key = "rollcall:{orders}:leave"
		clock := testclock.New()
		plain, f := open(t, rdb), signing(t, rdb, clock, newKey)
		ann, bob := annPin.Ref, bobPin.Ref
		order := plan.Order{Ref: ann, Label: "Ann", Source: "corp", By: "grace", At: clock.Now().UTC()}
		orders := func(want ...plan.Order) decisions.Orders {
			t.Helper()
			got, err := f.Orders(t.Context())
			f.must(err)
			if diff := cmp.Diff(want, got.Leave); diff != "" {
				t.Errorf("Orders() (-want +got):\n%s", diff)
			}
			return got
		}
		orders()
		f.must(f.Leave(t.Context(), order))
		f.must(plain.Leave(t.Context(), plan.Order{Ref: bob, By: "mallory"}))
		if got := orders(order); got.Untrusted[bob] != "is not signed" || got.Of(ann).By != "grace" || got.Of(bob) != nil {
			t.Errorf("an order without a signature is %+v", got)
		}
		clean := signing(t, rdb, clock, oldKey, newKey) // The first process to read signs anew with the first key.
		_, err := clean.Orders(t.Context())
		f.must(err)
		if got, err := signing(t, rdb, clock, oldKey).Orders(t.Context()); err != nil || got.Of(ann) == nil {
			t.Errorf("with the new key alone the orders are %+v, %v", got, err)
		}
		f.must(f.Leave(t.Context(), order))
		text := rdb.HGet(t.Context(), key, "user/ann").Val()
		f.must(rdb.HSet(t.Context(), key, "user/bob", text, "user/ann", strings.Replace(text, "grace", "ghost", 1)).Err())
		if got := orders(); got.Untrusted[bob] != "was changed by another program" ||
			!strings.Contains(got.Untrusted[ann], "does not match its signature") {
			t.Errorf("changed orders are %+v", got.Untrusted)
		}
		f.must(f.EndLeaves(t.Context(), ann, bob))
		if got := orders(); len(got.Untrusted) > 0 {
			t.Errorf("after the end there are %+v", got.Untrusted)
		}
	})
}
