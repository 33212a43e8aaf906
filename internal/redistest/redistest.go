// Package redistest gives tests a Redis, either a real redis-server that the tests of one package share or miniredis.
//
// Lua, expiries and pub/sub must be tested on the real server, so every suite runs there. It also runs on miniredis,
// because the demo uses it. The first test that needs the server starts it. The server persists nothing and listens
// on a unix socket. It ends with the test process, even if that is killed. Each test has its own database.
package redistest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/testprocess"
)

// databases is how many databases a shared server has, which is the number of tests that can use it at once.
const databases = 512

// guard starts the server and kills it, by its pid, when its standard input ends. That happens whenever the test
// process ends, also by a panic or a kill.
const guard = `dir=$1; shift; "$@" >"$dir/log" 2>&1 & pid=$!; read -r _; kill -9 $pid; wait $pid; rm -rf "$dir"`

// shared is the server of this test process. Holding stop keeps its standard input from being closed by the garbage
// collector.
type shared struct {
	socket string
	stop   func()
}

// server starts the shared server once. The server ends with the process.
var server = sync.OnceValues(func() (s shared, err error) {
	dir, socket, err := workspace()
	if err != nil {
		return shared{}, err
	}
	stop, err := launch(dir, "unix", socket, "--port", "0", "--unixsocket", socket, "--databases", fmt.Sprint(databases))
	return shared{socket, stop}, err
})

var nextDB atomic.Int64

// Options returns the options for connecting to an empty database of the real server. No other test uses that
// database.
func Options(t testing.TB) *redis.Options {
	t.Helper()
	s, err := server()
	if err != nil {
		t.Fatalf("start redis-server: %v", err)
	}
	opts := &redis.Options{Network: "unix", Addr: s.socket, DB: int(nextDB.Add(1)-1) % databases}
	flush(t, opts)
	t.Cleanup(func() { flush(t, opts) })
	return opts
}

// URL returns Options as a URL.
func URL(t testing.TB) string {
	t.Helper()
	opts := Options(t)
	return fmt.Sprintf("unix://%s?db=%d", opts.Addr, opts.DB)
}

// Start returns a client of an empty database of the real server. No other test uses that database.
func Start(t testing.TB) *redis.Client {
	t.Helper()
	return client(t, redis.NewClient(Options(t)))
}

// Mini returns a client of a new miniredis. Its keys expire as time passes.
func Mini(t testing.TB) *redis.Client {
	t.Helper()
	m := miniredis.RunT(t)
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		const step = 10 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case <-stop:
				return
			case now := <-tick.C:
				m.FastForward(now.Sub(last))
				last = now
			}
		}
	})
	t.Cleanup(func() { close(stop); done.Wait() })
	return client(t, redis.NewClient(&redis.Options{Addr: m.Addr()}))
}

// Silent returns a client of a Redis that accepts connections and never answers. A read waits for a second.
func Silent(t testing.TB) *redis.Client {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return client(t, redis.NewClient(&redis.Options{Addr: l.Addr().String(), ContextTimeoutEnabled: true,
		ReadTimeout: time.Second}))
}

// Each runs a test on both kinds of Redis, as parallel subtests.
func Each(t *testing.T, run func(t *testing.T, rdb *redis.Client)) {
	t.Helper()
	t.Run("redis", func(t *testing.T) { t.Parallel(); run(t, Start(t)) })
	t.Run("miniredis", func(t *testing.T) { t.Parallel(); run(t, Mini(t)) })
}

func client(t testing.TB, rdb *redis.Client) *redis.Client {
	t.Cleanup(func() { _ = rdb.Close() })
	return rdb
}

func flush(t testing.TB, opts *redis.Options) {
	t.Helper()
	rdb := redis.NewClient(opts)
	defer rdb.Close()
	if err := rdb.FlushDB(context.Background()).Err(); err != nil {
		t.Errorf("flush database %d: %v", opts.DB, err)
	}
}

func workspace() (dir, socket string, err error) {
	dir, err = os.MkdirTemp("", "redistest")
	return dir, filepath.Join(dir, "s"), err
}

// launch starts redis-server without persistence. See serve.
func launch(dir, network, addr string, args ...string) (stop func(), err error) {
	return serve(dir, network, addr, append([]string{"--save", "", "--appendonly", "no", "--dir", dir, "--loglevel",
		"warning"}, args...)...)
}

// serve starts redis-server under the guard and waits until it responds. Calling stop ends it.
func serve(dir, network, addr string, args ...string) (stop func(), err error) {
	server, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("%w: install it (Debian and Ubuntu: apt-get install redis-server)", err)
	}
	// The server is started by its absolute path, which it needs to restart itself (DEBUG CRASH-AND-RECOVER).
	cmd := exec.Command("sh", append([]string{"-c", guard, "sh", dir, server}, args...)...)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() { _ = in.Close(); _ = cmd.Wait() }
	rdb := redis.NewClient(&redis.Options{Network: network, Addr: addr, MaxRetries: -1})
	defer rdb.Close()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		if err = rdb.Ping(context.Background()).Err(); err == nil {
			return stop, nil
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			stop()
			return nil, fmt.Errorf("%w; its log: %s", err, log)
		}
	}
}

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
	own := testprocess.Port(t)
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
		port := testprocess.Port(t)
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
	addr, _ := TCP(t, "--cluster-enabled", "yes", "--cluster-port", testprocess.Port(t))
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
