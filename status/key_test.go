package status_test

import (
	"bytes"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/status"
)

func TestAllProcessesShareAKey(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		var keys [8][]byte
		var all sync.WaitGroup
		for i := range keys {
			all.Go(func() { keys[i], _ = status.New(rdb, status.Config{}).Key(t.Context(), "pages") })
		}
		all.Wait()
		for _, k := range keys {
			if len(k) != 32 || !bytes.Equal(k, keys[0]) {
				t.Fatalf("keys %x and %x, want the same 32 bytes", k, keys[0])
			}
		}
		if other, err := status.New(rdb, status.Config{}).Key(t.Context(), "other"); err != nil ||
			bytes.Equal(other, keys[0]) {
			t.Errorf("Key(other) = %x, %v, want another key", other, err)
		}
	})
}
