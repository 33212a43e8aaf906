package e2e

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
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
			id := w.midway(100)
			w.crashRedis(milliseconds)
			if milliseconds > 10_000 { // The API waits for an answer for a while, but not for this long.
				if code, data := w.call(http.MethodGet, google+"sync/status/", ""); code != http.StatusServiceUnavailable {
					w.Errorf("without Redis the status is answered with %d %s, want 503", code, data)
				}
			}
			eventually(w, time.Minute, "Redis is back", func() bool { return w.redis.Ping(t.Context()).Err() == nil })
			var r run
			eventually(t, time.Minute, "the run is over", func() bool { r = w.look(google, id); return !r.open() })
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

// crashRedis has Redis hang for a while, die, and start again. It returns at once.
func (w *world) crashRedis(milliseconds int) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), time.Second)
	defer cancel()
	// The answer is that the connection dies with the server, which is no redis.Error.
	err := w.redis.Do(ctx, "DEBUG", "CRASH-AND-RECOVER", milliseconds).Err()
	if _, refused := errors.AsType[redis.Error](err); refused || err == nil {
		w.Fatalf("crash Redis: %v", err)
	}
}
