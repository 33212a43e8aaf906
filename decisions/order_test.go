package decisions_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
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
		if is, err := f.Ordered(t.Context(), google, ann); err != nil || !is {
			t.Errorf("with a changed order Ordered() is %v, %v, want that it counts", is, err)
		}
		f.must(f.EndLeaves(t.Context(), ann, bob))
		if got := orders(); len(got.Untrusted) > 0 {
			t.Errorf("after the end there are %+v", got.Untrusted)
		}
	})
}

// An order ends at each provider by itself, and is deleted when it has ended at all of them. A run ends only the order
// that it read.
func TestAnOrderEndsAtEachProvider(t *testing.T) {
	t.Parallel()
	const entra, later = container.ID("microsoft_entra:2"), container.ID("google_workspace:3")
	rdb := redistest.Start(t)
	clock := testclock.New()
	f := signing(t, rdb, clock, newKey)
	read := plan.Order{Ref: annPin.Ref, By: "grace", At: clock.Now().UTC(), Providers: []container.ID{google, entra}}
	again, old := read, read
	again.At, old.Providers = read.At.Add(1), nil
	for _, tc := range []struct {
		name   string
		before plan.Order
		// while happens after the read of the order and before its end.
		while func()
		// stands are the providers at which an order stands when it ended at google.
		stands []container.ID
	}{
		{name: "one agrees", before: read, stands: []container.ID{entra, later}},
		{name: "both agree at once", before: read, while: func() { f.must(f.Agree(t.Context(), entra, read)) }},
		{name: "given again", before: again, stands: []container.ID{google, entra, later}},
		{name: "given again meanwhile", before: read, stands: []container.ID{google, entra, later},
			while: func() { f.must(f.Leave(t.Context(), again)) }},
		{name: "lifted meanwhile", before: read, while: func() { f.must(f.EndLeaves(t.Context(), read.Ref)) }},
		{name: "given by an earlier version", before: old},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f.must(f.Leave(t.Context(), tc.before))
			hooked := redis.NewClient(rdb.Options())
			defer hooked.Close()
			if tc.while != nil {
				var once sync.Once
				hooked.AddHook(beforeScript(func() { once.Do(tc.while) }))
			}
			f.must(signing(t, hooked, clock, newKey).Agree(t.Context(), google, read))
			got, err := f.Orders(t.Context())
			f.must(err)
			var stands []container.ID
			for _, c := range []container.ID{google, entra, later} {
				if at := got.At(c); at.Of(read.Ref) != nil {
					stands = append(stands, c)
				}
				if is, err := f.Ordered(t.Context(), c, read.Ref); err != nil || is != slices.Contains(tc.stands, c) {
					t.Errorf("Ordered() at %s is %v, %v", c, is, err)
				}
			}
			if !slices.Equal(stands, tc.stands) || len(got.Untrusted) > 0 {
				t.Errorf("the order stands at %v, want %v; untrusted: %v", stands, tc.stands, got.Untrusted)
			}
			if n := rdb.Exists(t.Context(), "rollcall:{orders}:leave").Val(); n > 0 != (len(tc.stands) > 0) {
				t.Errorf("%d keys are left, and the order stands at %v", n, tc.stands)
			}
			f.must(f.EndLeaves(t.Context(), read.Ref))
		})
	}
}
