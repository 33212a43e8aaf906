package redistest_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
)

func TestEachHasItsOwnData(t *testing.T) {
	t.Parallel()
	for range 3 {
		redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
			if ok, err := rdb.SetNX(t.Context(), "key", 1, 20*time.Millisecond).Result(); err != nil || !ok {
				t.Fatalf("SetNX() = %v, %v, want true", ok, err)
			}
			testclock.Eventually(t, time.Minute, "the key expires", func() bool {
				return rdb.Exists(t.Context(), "key").Val() == 0
			})
		})
	}
}

func TestURL(t *testing.T) {
	t.Parallel()
	opts, err := redis.ParseURL(redistest.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opts)
	defer rdb.Close()
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Errorf("Ping() = %v, want nil", err)
	}
}

func TestTCPAndCluster(t *testing.T) {
	t.Parallel()
	addr, kill := redistest.TCP(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer rdb.Close()
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Errorf("Ping() = %v, want nil", err)
	}
	kill()
	if err := rdb.Ping(t.Context()).Err(); err == nil {
		t.Error("Ping() after kill = nil, want an error")
	}
	if err := redistest.Cluster(t).Set(t.Context(), "{a}b", 1, 0).Err(); err != nil {
		t.Errorf("Set() on the cluster = %v, want nil", err)
	}
}
