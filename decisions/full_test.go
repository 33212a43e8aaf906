package decisions_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
)

// A full Redis refuses writes and transactions, and still shows what is stored.
func TestRecordsAreReadWhileMemoryIsFull(t *testing.T) {
	t.Parallel()
	addr, _ := redistest.TCP(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer rdb.Close()
	f := signing(t, rdb, testclock.New(), newKey)
	f.decided()
	before := f.told(google)
	f.must(rdb.ConfigSet(t.Context(), "maxmemory", "1").Err())
	if got := f.told(google); got != before {
		t.Errorf("while memory is full the records are %s, want %s", got, before)
	}
}
