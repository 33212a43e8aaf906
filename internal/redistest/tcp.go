package redistest

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/freeport"
)

// TCP starts a redis-server for t alone and returns its loopback address and a function that kills it. The end of t
// kills it, too. It is for programs that want an address, and for tests that take Redis away.
func TCP(t testing.TB, args ...string) (addr string, kill func()) {
	t.Helper()
	var err error
	for range 5 { // the free port may be taken meanwhile
		var dir string
		if dir, _, err = workspace(); err != nil {
			break
		}
		port := freeport.Port(t)
		addr = net.JoinHostPort("127.0.0.1", port)
		var stop func()
		stop, err = launch(dir, "tcp", addr, append([]string{"--port", port, "--bind", "127.0.0.1"}, args...)...)
		if err == nil {
			t.Cleanup(stop)
			return addr, stop
		}
	}
	t.Fatalf("start redis-server: %v", err)
	return "", nil
}

// Cluster returns a client of a one-node Redis Cluster that has all slots. Scripts that touch two slots fail there.
func Cluster(t testing.TB) *redis.ClusterClient {
	t.Helper()
	ctx := context.Background()
	addr, _ := TCP(t, "--cluster-enabled", "yes", "--cluster-port", freeport.Port(t))
	node := redis.NewClient(&redis.Options{Addr: addr})
	defer node.Close()
	if err := node.ClusterAddSlotsRange(ctx, 0, 16383).Err(); err != nil {
		t.Fatalf("add slots: %v", err)
	}
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}})
	t.Cleanup(func() { _ = rdb.Close() })
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = rdb.Set(ctx, "ready", 1, time.Millisecond).Err(); err == nil {
			return rdb
		}
	}
	t.Fatalf("the cluster does not come up: %v", err)
	return nil
}
