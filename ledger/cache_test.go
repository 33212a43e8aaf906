package ledger_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/provider"
)

// TestCache runs one suite on every cache.
func TestCache(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		testCache(t, ledger.NewRedisCache(rdb, "microsoft_entra:1"))
	})
}

func TestCacheOnCluster(t *testing.T) {
	t.Parallel()
	testCache(t, ledger.NewRedisCache(redistest.Cluster(t), "microsoft_entra:1"))
}

// noise returns bytes that do not compress, so that a blob of them has several parts.
func noise(n int, seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func testCache(t *testing.T, c provider.Cache) {
	ctx := t.Context()
	if blob, err := c.Load(ctx, "users"); blob != nil || err != nil {
		t.Errorf("Load() of nothing = %d bytes, %v", len(blob), err)
	}
	for i, blob := range [][]byte{[]byte("small"), noise(3<<20, 1), []byte(strings.Repeat("the same again ", 1<<18)),
		{'x'}, noise(1<<20, 2)} {
		must(t, c.Save(ctx, "users", blob))
		must(t, c.Save(ctx, "groups", []byte("others")))
		got, err := c.Load(ctx, "users")
		if err != nil || !bytes.Equal(got, blob) {
			t.Errorf("blob %d: Load() = %d bytes, %v; want %d bytes", i, len(got), err, len(blob))
		}
	}
}

// TestCacheIsWholeOrNothing checks that neither a missing part nor a writer that dies leaves half a blob.
func TestCacheIsWholeOrNothing(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		ctx := t.Context()
		c := ledger.NewRedisCache(rdb, "microsoft_entra:1")
		old := noise(2<<20, 1)
		must(t, c.Save(ctx, "users", old))
		dying, cancel := context.WithCancel(ctx)
		cancel()
		if err := c.Save(dying, "users", noise(5<<20, 2)); err == nil || fault.KindOf(err) != fault.Canceled {
			t.Errorf("Save() of one who is told to stop = %v", err)
		}
		if got, err := c.Load(ctx, "users"); err != nil || !bytes.Equal(got, old) {
			t.Errorf("Load() after a save that came to nothing = %d bytes, %v", len(got), err)
		}
		keys, err := rdb.Keys(ctx, "*:cache:users:*:1").Result()
		if err != nil || len(keys) != 1 {
			t.Fatalf("parts = %q, %v", keys, err)
		}
		if ttl := rdb.TTL(ctx, keys[0]).Val(); ttl < 24*time.Hour {
			t.Errorf("a part lives for %v", ttl)
		}
		must(t, rdb.Del(ctx, keys[0]).Err())
		if got, err := c.Load(ctx, "users"); got != nil || err != nil {
			t.Errorf("Load() without a part = %d bytes, %v; want nothing", len(got), err)
		}
		// The parts of a replaced blob expire.
		must(t, c.Save(ctx, "users", []byte("new")))
		keys, err = rdb.Keys(ctx, "*:cache:users:*:0").Result()
		must(t, err)
		short := 0
		for _, k := range keys {
			if rdb.TTL(ctx, k).Val() <= 10*time.Minute {
				short++
			}
		}
		if len(keys) != 2 || short != 1 {
			t.Errorf("of %d versions %d are about to go, want one of two", len(keys), short)
		}
	})
}
