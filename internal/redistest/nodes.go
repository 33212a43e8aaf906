package redistest

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
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
	own := strconv.Itoa(freePort(t))
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

// Nodes are the two masters of a Redis Cluster.
type Nodes struct {
	t     testing.TB
	nodes [2]*redis.Client
	ids   [2]string
}

// TwoNodes starts a Redis Cluster of two masters, with half of the slots each.
func TwoNodes(t testing.TB) *Nodes {
	t.Helper()
	n := &Nodes{t: t}
	var buses [2]string
	for i := range n.nodes {
		buses[i] = strconv.Itoa(freePort(t))
		addr, _ := TCP(t, "--cluster-enabled", "yes", "--cluster-port", buses[i])
		n.nodes[i] = redis.NewClient(&redis.Options{Addr: addr})
		t.Cleanup(func() { _ = n.nodes[i].Close() })
		const half = 8192
		n.must(n.nodes[i].ClusterAddSlotsRange(t.Context(), i*half, i*half+half-1).Err())
		n.ids[i] = n.nodes[i].ClusterMyID(t.Context()).Val()
	}
	host, port, _ := net.SplitHostPort(n.Addr(1))
	n.must(n.nodes[0].Do(t.Context(), "CLUSTER", "MEET", host, port, buses[1]).Err())
	for i := range n.nodes {
		wait(t, "the cluster comes up", func() bool {
			info := n.nodes[i].ClusterInfo(t.Context()).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_slots_assigned:16384")
		})
	}
	wait(t, "the nodes have different epochs", func() bool { return n.epoch(0) != n.epoch(1) })
	return n
}

// epoch returns the configuration epoch of a node. Of two nodes with one epoch, either may claim a slot.
func (n *Nodes) epoch(i int) string {
	_, rest, _ := strings.Cut(n.nodes[i].ClusterInfo(n.t.Context()).Val(), "cluster_my_epoch:")
	epoch, _, _ := strings.Cut(rest, "\r\n")
	return epoch
}

// Addr returns the address of a node.
func (n *Nodes) Addr(i int) string { return n.nodes[i].Options().Addr }

// Move moves the slot of a key to the other node, as `redis-cli --cluster reshard` does.
func (n *Nodes) Move(key string) {
	n.t.Helper()
	ctx := n.t.Context()
	slot := n.nodes[0].ClusterKeySlot(ctx, key).Val()
	from, to := 0, 1
	if _, err := n.nodes[0].Get(ctx, key).Result(); err != nil && strings.HasPrefix(err.Error(), "MOVED") {
		from, to = 1, 0
	}
	set := func(node int, args ...any) {
		n.must(n.nodes[node].Do(ctx, append([]any{"CLUSTER", "SETSLOT", slot}, args...)...).Err())
	}
	set(to, "IMPORTING", n.ids[from])
	set(from, "MIGRATING", n.ids[to])
	host, port, _ := net.SplitHostPort(n.Addr(to))
	for {
		const some = 5
		keys, err := n.nodes[from].ClusterGetKeysInSlot(ctx, int(slot), some).Result()
		n.must(err)
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", host, port, "", 0, 5000, "KEYS"}
		for _, k := range keys {
			args = append(args, k)
		}
		n.must(n.nodes[from].Do(ctx, args...).Err())
	}
	set(to, "NODE", n.ids[to])
	set(from, "NODE", n.ids[to])
	wait(n.t, "the nodes agree about the slot", func() bool {
		here := n.nodes[to].Exists(ctx, key).Err()
		there := n.nodes[from].Exists(ctx, key).Err()
		return here == nil && there != nil && strings.HasPrefix(there.Error(), "MOVED")
	})
}

func (n *Nodes) must(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatal(err)
	}
}

// wait polls a condition for up to a minute.
func wait(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
