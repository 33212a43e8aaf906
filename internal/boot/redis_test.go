package boot_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
)

// locked starts a Redis that wants a password and returns its address and a file with the password.
func locked(t *testing.T) (addr, file string) {
	t.Helper()
	addr, _ = redistest.TCP(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer rdb.Close()
	if err := rdb.ConfigSet(t.Context(), "requirepass", "first hunter2").Err(); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "password")
	write(t, file, "first hunter2\n")
	return addr, file
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRedisPasswordFile(t *testing.T) {
	t.Parallel()
	addr, file := locked(t)
	log := slog.New(slog.DiscardHandler)
	p := config.Process{RedisURL: "redis://" + addr + "/3", RedisPasswordFile: file}
	rdb, done, err := boot.Connect(t.Context(), p, log)
	if err != nil {
		t.Fatalf("Connect() = %v", err)
	}
	defer done()
	if err := rdb.Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatalf("Set() = %v", err)
	}

	// The password changes while the process runs. Open connections go on, and new ones take the new password.
	if err := rdb.ConfigSet(t.Context(), "requirepass", "second hunter2").Err(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := boot.Connect(t.Context(), p, log); fault.KindOf(err) != fault.Unavailable ||
		strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Connect() with the old password = %v, want it refused and not shown", err)
	}
	write(t, file, "second hunter2")
	if err := rdb.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	pipe := rdb.Pipeline() // and this connection, last
	pipe.Do(t.Context(), "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no")
	if _, err := pipe.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := rdb.Get(t.Context(), "key").Result(); got != "value" || err != nil {
		t.Errorf("Get() after the password was changed = %q, %v", got, err)
	}
}

func TestRedisPasswordFileOfACluster(t *testing.T) {
	t.Parallel()
	addr, file := locked(t)
	_, _, err := boot.Connect(t.Context(), config.Process{RedisURL: "redis-cluster://" + addr, RedisPasswordFile: file},
		slog.New(slog.DiscardHandler))
	// The server is no cluster, and says so only to authenticated clients.
	if err == nil || !strings.Contains(err.Error(), "cluster support disabled") {
		t.Errorf("Connect() = %v, want that the server is no cluster", err)
	}
}

func TestRedisWithoutItsPassword(t *testing.T) {
	t.Parallel()
	addr, file := locked(t)
	var out bytes.Buffer
	log := slog.New(slog.NewTextHandler(&out, nil))
	if _, _, err := boot.Connect(t.Context(), config.Process{RedisURL: "redis://" + addr}, log); err == nil ||
		!strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("Connect() without a password = %v, want NOAUTH", err)
	}
	missing := config.Process{RedisURL: "redis://" + addr, RedisPasswordFile: file + ".not"}
	if _, _, err := boot.Connect(t.Context(), missing, log); !errors.Is(err, os.ErrNotExist) ||
		!strings.HasPrefix(err.Error(), "ROLLCALL_REDIS_PASSWORD_FILE: ") {
		t.Errorf("Connect() without the file = %v, want the variable and the file named", err)
	}

	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	open := config.Process{RedisURL: "redis://" + addr, RedisPasswordFile: file}
	_, done, err := boot.Connect(t.Context(), open, log)
	if err != nil {
		t.Fatal(err)
	}
	done()
	if !strings.Contains(out.String(), "may be read by every user") {
		t.Errorf("it said %q, want a warning of the mode", out.String())
	}
	open.StrictFiles = true
	if _, _, err := boot.Connect(t.Context(), open, log); err == nil {
		t.Error("Connect() with strict files and a file that all can read = nil, want an error")
	}
}

// A Redis that does not let us subscribe is refused at the start, and the message says what to allow.
func TestARedisWithoutSubscriptionsIsRefused(t *testing.T) {
	t.Parallel()
	addr, _ := redistest.TCP(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer rdb.Close()
	if err := rdb.Do(t.Context(), "ACL", "SETUSER", "rollcall", "on", ">pw", "~*", "resetchannels",
		"+@all").Err(); err != nil {
		t.Fatal(err)
	}
	p := config.Process{RedisURL: "redis://rollcall:pw@" + addr}
	_, _, err := boot.Connect(t.Context(), p, slog.New(slog.DiscardHandler))
	if fault.KindOf(err) != fault.Denied || !strings.Contains(err.Error(), "&rollcall:* &asynq:*") {
		t.Errorf("Connect() = %v, want it refused with what to allow", err)
	}
	if err := rdb.Do(t.Context(), "ACL", "SETUSER", "rollcall", "&rollcall:*", "&asynq:*").Err(); err != nil {
		t.Fatal(err)
	}
	_, done, err := boot.Connect(t.Context(), p, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("Connect() = %v, want nil", err)
	}
	done()
}

// A Redis with a replica should not accept writes without it.
func TestARedisWithReplicasIsWarnedAbout(t *testing.T) {
	t.Parallel()
	addr, _ := redistest.TCP(t)
	host, port, _ := strings.Cut(addr, ":")
	redistest.TCP(t, "--replicaof", host+" "+port)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer rdb.Close()
	testclock.Eventually(t, time.Minute, "the replica connects", func() bool {
		return strings.Contains(rdb.Info(t.Context(), "replication").Val(), "connected_slaves:1")
	})
	said := func() string {
		var log bytes.Buffer
		_, done, err := boot.Connect(t.Context(), config.Process{RedisURL: "redis://" + addr},
			slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		done()
		return log.String()
	}
	if text := said(); !strings.Contains(text, "min-replicas-to-write to 1") {
		t.Errorf("the log says %q, want a warning", text)
	}
	if err := rdb.ConfigSet(t.Context(), "min-replicas-to-write", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if text := said(); strings.Contains(text, "min-replicas-to-write to 1") {
		t.Errorf("the log says %q, want no warning", text)
	}
}
