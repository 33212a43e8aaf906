package redisfault_test

import (
	"context"
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/internal/redistest"
)

// The answers are those of a real redis-server and of miniredis.
func TestOf(t *testing.T) {
	t.Parallel()
	if err := redisfault.Of("read", nil); err != nil {
		t.Errorf("Of(nil) = %v, want nil", err)
	}
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		ctx := t.Context()
		if err := rdb.Set(ctx, "text", "x", 0).Err(); err != nil {
			t.Fatal(err)
		}
		ended, cancel := context.WithCancel(ctx)
		cancel()
		for name, tc := range map[string]struct {
			err  error
			want fault.Kind
		}{
			"a wrong type":      {rdb.HGet(ctx, "text", "f").Err(), fault.Internal},
			"no number":         {rdb.Incr(ctx, "text").Err(), fault.Internal},
			"a cancelled call":  {rdb.Get(ended, "text").Err(), fault.Canceled},
			"a lost connection": {errors.New("connection reset by peer"), fault.Unavailable},
		} {
			err := redisfault.Of("read", tc.err)
			if err == nil || fault.KindOf(err) != tc.want || !errors.Is(err, tc.err) {
				t.Errorf("%s: Of(%v) = %v, want %v", name, tc.err, fault.KindOf(err), tc.want)
			}
		}
	})
}
