package redistest

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/freeport"
)

// Master is the name by which a sentinel of Failover knows the master.
const Master = "main"

// Failover starts a master, its replica, and a sentinel, which promotes the replica about two seconds after kill has
// ended the master.
func Failover(t testing.TB) (sentinel string, kill func()) {
	t.Helper()
	master, kill := TCP(t)
	host, port, _ := net.SplitHostPort(master)
	TCP(t, "--replicaof", host, port)
	dir, _, err := workspace()
	if err != nil {
		t.Fatal(err)
	}
	own := freeport.Port(t)
	config := filepath.Join(dir, "sentinel.conf")
	text := "port " + own + "\nbind 127.0.0.1\nsentinel monitor " + Master + " " + host + " " + port + " 1\n" +
		"sentinel down-after-milliseconds " + Master + " 1000\nsentinel failover-timeout " + Master + " 5000\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	sentinel = net.JoinHostPort("127.0.0.1", own)
	stop, err := serve(dir, "tcp", sentinel, config, "--sentinel")
	if err != nil {
		t.Fatalf("start the sentinel: %v", err)
	}
	t.Cleanup(stop)
	rdb := redis.NewSentinelClient(&redis.Options{Addr: sentinel})
	defer rdb.Close()
	wait(t, "the sentinel knows the replica", func() bool {
		known, err := rdb.Replicas(t.Context(), Master).Result()
		return err == nil && len(known) == 1 && known[0]["master-link-status"] == "ok"
	})
	return sentinel, kill
}

// wait polls a condition for up to three minutes.
func wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within three minutes: %s", what)
		}
	}
}
