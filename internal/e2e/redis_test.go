package e2e

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
)

// Redis crashes in the middle of a provider sync and comes back with what it had written. The run goes on, or it is
// over and says so, and nothing is done twice.
func TestRedisCrashes(t *testing.T) {
	t.Parallel()
	for name, milliseconds := range map[string]int{"for a moment": 1500, "for longer than a lease": 17_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{slapd: small(), workers: 2,
				redis: []string{"--appendonly", "yes", "--enable-debug-command", "yes"}})
			w.sync(corp)
			id, goOn := w.midway(100)
			w.crashRedis(milliseconds)
			goOn()
			if milliseconds > 10_000 { // The API waits for an answer for a while, but not for this long.
				if code, data := w.call(http.MethodGet, google+"sync/status/", ""); code != http.StatusServiceUnavailable {
					w.Errorf("without Redis the status is answered with %d %s, want 503", code, data)
				}
			}
			testclock.Eventually(w, 3*time.Minute, "Redis is back",
				func() bool { return w.redis.Ping(t.Context()).Err() == nil })
			var r run
			testclock.Eventually(t, 3*time.Minute, "the run is over", func() bool { r = w.run(google, id); return !r.open() })
			t.Logf("the run is %s after %d resumes: %s", r.State, r.Resumes, r.Reason)
			if r.State != "completed" && r.State != "failed" {
				t.Errorf("the run is %s: %s", r.State, r.Reason)
			}
			w.onRequest(nil)
			w.both()
			w.undisturbed(150, 15)
		})
	}
}

// Redis refuses every write until the lease of a run has ended, while object jobs are under way. The API goes on
// reading. When Redis takes writes again, the run and every job end well, and nothing is done twice.
func TestRedisRefusesWrites(t *testing.T) {
	t.Parallel()
	for why, commands := range map[string][2]string{
		"out of memory":     {"CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"},
		"read-only replica": {"REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"},
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{slapd: small(), workers: 2, env: []string{"ROLLCALL_OBJECT_WAIT=1ms"}})
			id, jobs, goOn := w.underway()
			w.command(commands[0])
			goOn()
			testclock.Eventually(t, 3*time.Minute, "is_running is false", func() bool { return !w.status(google).IsRunning })
			w.get(google+"sync/held/", &struct{}{})
			if code, data := w.call(http.MethodPost, google+"sync/", ""); code != http.StatusServiceUnavailable ||
				!strings.Contains(string(data), why) {
				t.Errorf("a start is answered with %d %s, want 503 and %q", code, data, why)
			}
			w.command(commands[1])
			if r := w.wait(google, id); r.Status != "successful" || r.Resumes != 1 {
				t.Errorf("the run is %s (%s) after %d resumes: %s", r.State, r.Status, r.Resumes, r.Reason)
			}
			w.ended(jobs, "updated", "unchanged")
			w.undisturbed(150, 15)
		})
	}
}

// underway syncs everything, changes half of the people, starts a provider sync that stands still after its tenth
// write, and posts the sync of twenty others. goOn lets the tenant answer.
func (w *world) underway() (run string, jobs []string, goOn func()) {
	w.Helper()
	const people = 150
	w.both()
	e := w.editor()
	for n := range people / 2 {
		e.set(slapdtest.UserDN(n), "title", "Director")
	}
	w.sync(corp)
	var writes atomic.Int64
	released := make(chan struct{})
	w.onRequest(func(method string) {
		if writing(method) && writes.Add(1) > 10 {
			<-released
		}
	})
	run = w.start(google).ID
	testclock.Eventually(w, 3*time.Minute, "the run writes", func() bool { return writes.Load() > 10 })
	for n := people - 20; n < people; n++ {
		e.set(slapdtest.UserDN(n), "title", "Chief")
		jobs = append(jobs, w.post(slapdtest.UUID(n)))
	}
	return run, jobs, func() { close(released) }
}

// The master of a Redis with a sentinel dies in the middle of a run and of object jobs. The programs find the new
// master, and everything that the old one had replicated ends well.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	sentinel, kill := redistest.Failover(t)
	w := newWorld(t, options{slapd: small(), workers: 2, env: []string{"ROLLCALL_OBJECT_WAIT=1ms"},
		redisURL: func() (string, redis.UniversalClient) {
			return "redis-sentinel://" + sentinel + "?master_name=" + redistest.Master, redis.NewFailoverClient(
				&redis.FailoverOptions{MasterName: redistest.Master, SentinelAddrs: []string{sentinel}})
		}})
	id, jobs, goOn := w.underway()
	if n, err := w.redis.Do(t.Context(), "WAIT", 1, 10_000).Int(); n != 1 || err != nil {
		t.Fatalf("the replica has not what the master has: %d, %v", n, err)
	}
	kill()
	goOn()
	w.over(id, jobs)
}

// over waits for the end of a run and of object jobs, and fails the test unless all is as if nothing had happened.
func (w *world) over(run string, jobs []string) {
	w.Helper()
	if r := w.wait(google, run); r.State != "completed" {
		w.Errorf("the run is %s after %d resumes: %s", r.State, r.Resumes, r.Reason)
	}
	w.ended(jobs, "updated", "unchanged")
	w.onRequest(nil)
	w.both()
	w.undisturbed(150, 15)
}

// command sends Redis a command.
func (w *world) command(text string) {
	w.Helper()
	var args []any
	for word := range strings.FieldsSeq(text) {
		args = append(args, word)
	}
	if err := w.redis.Do(w.Context(), args...).Err(); err != nil {
		w.Fatalf("%s: %v", text, err)
	}
}

// crashRedis has Redis drop its connections, hang for a while, and start again. It returns when that has begun.
func (w *world) crashRedis(milliseconds int) {
	w.Helper()
	c := redis.NewClient(&redis.Options{Addr: w.addr, MaxRetries: -1, DialTimeout: time.Minute, ReadTimeout: time.Minute})
	defer c.Close()
	// The answer is that the connection dies, which is no redis.Error.
	err := c.Do(w.Context(), "DEBUG", "CRASH-AND-RECOVER", milliseconds).Err()
	if _, refused := errors.AsType[redis.Error](err); refused || err == nil {
		w.Fatalf("crash Redis: %v", err)
	}
}
