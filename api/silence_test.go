package api_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/api"
	"rollcall/container"
	"rollcall/internal/redistest"
)

// Every route answers in time while Redis is silent: with 503, Retry-After and the name of Redis, or without Redis.
func TestEveryRouteAnswersWhileRedisIsSilent(t *testing.T) {
	t.Parallel()
	const bound = 4 * time.Second // A request that waits for an object job or an explanation would need 20.
	rdb := redistest.Silent(t)
	names := strings.NewReplacer("{slug}", "corp", "{run}", "0b2c1c1e-4b8e-4f5e-8a53-3a2f0f3a1b11", "{job}",
		"0b2c1c1e-4b8e-4f5e-8a53-3a2f0f3a1b11", "{digest}", "d", "{id}", "1")
	routes := api.Routes()
	routes["/readyz"], routes["/organization-manager/v1/sessions"] = []string{http.MethodGet}, []string{http.MethodGet}
	for path, methods := range routes {
		for _, method := range methods {
			t.Run(method+path, func(t *testing.T) {
				t.Parallel()
				h := newHarness(t, rdb, func(c *api.Config) {
					c.RequestTime, c.ObjectWait = 300*time.Millisecond, 20*time.Second
					oneOfEachType(c)
				})
				where, body := names.Replace(path), ""
				if strings.HasSuffix(path, "sync/object/") {
					body = `{"sync_object_model":"authentik.core.models.User","sync_object_id":"u-1"}`
				}
				r := httptest.NewRequestWithContext(t.Context(), method, where, strings.NewReader(body))
				r.Header.Set("Authorization", "Bearer "+bothToken)
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				began := time.Now()
				h.api.ServeHTTP(w, r)
				if took := time.Since(began); took > bound {
					t.Errorf("it took %s", took)
				}
				switch {
				case w.Code == http.StatusServiceUnavailable && path == "/readyz":
				case w.Code == http.StatusServiceUnavailable:
					if w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "Redis does not answer") {
						t.Errorf("answer %d %v %s, want Retry-After and Redis named", w.Code, w.Header(), w.Body)
					}
				case strings.Contains(path, "/sync/") && !strings.Contains(path, "/server/"): // There are no servers here.
					t.Errorf("answer %d %s, want 503", w.Code, w.Body)
				}
			})
		}
	}
}

// oneOfEachType configures the provider 1 of each type that has none.
func oneOfEachType(c *api.Config) {
	for i := range c.Types {
		id := container.Provider(c.Types[i].Name, 1)
		if !slices.ContainsFunc(c.Resources, func(r api.Resource) bool { return r.Container == id }) {
			c.Resources = append(c.Resources, api.Resource{Container: id, Name: c.Types[i].Title})
		}
	}
}

// A wait for an object job ends when Redis falls silent in the middle.
func TestAWaitEndsWhenRedisFallsSilent(t *testing.T) {
	t.Parallel()
	addr, _ := redistest.TCP(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true, ReadTimeout: time.Second})
	defer rdb.Close()
	h := newHarness(t, rdb, func(c *api.Config) { c.RequestTime, c.ObjectWait = time.Second, 20*time.Second })
	const body = `{"sync_object_model":"authentik.core.models.User","sync_object_id":"u-1"}`
	answered := make(chan response, 1)
	go func() {
		answered <- h.do(http.MethodPost, paths[google]+"sync/object/", body)
	}()
	for { // The wait subscribes after the job is there.
		if found, err := rdb.PubSubChannels(t.Context(), "*:done").Result(); err != nil || len(found) > 0 {
			break
		}
	}
	if err := rdb.Do(t.Context(), "CLIENT", "PAUSE", "60000", "ALL").Err(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	w := <-answered
	took, again := time.Since(began), w.Header().Get("Retry-After")
	if took > 5*time.Second || w.Code != http.StatusServiceUnavailable || again == "" {
		t.Errorf("answer %d %s after %s, want 503 within 5 s", w.Code, w.Body, took)
	}
}

// The API is not ready while Redis refuses writes, says why, and is ready again by itself.
func TestReadinessIncludesAWrite(t *testing.T) {
	t.Parallel()
	addr, _ := redistest.TCP(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1})
	defer rdb.Close()
	h := newHarness(t, rdb, nil)
	ready := func() response {
		return h.send(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/readyz", nil))
	}
	for _, tt := range []struct{ why, breaks, mends string }{
		{"out of memory", "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"},
		{"read-only replica", "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"},
		{"too few replicas", "CONFIG SET min-replicas-to-write 1", "CONFIG SET min-replicas-to-write 0"},
		{"the user has no right to write", "ACL SETUSER default -set", "ACL SETUSER default +set"},
	} {
		ready().want(http.StatusOK)
		run := func(command string) {
			t.Helper()
			var args []any
			for word := range strings.FieldsSeq(command) {
				args = append(args, word)
			}
			if err := rdb.Do(t.Context(), args...).Err(); err != nil {
				t.Fatalf("%s: %v", command, err)
			}
		}
		run(tt.breaks)
		ready().is(http.StatusServiceUnavailable, `{"status":"unavailable","components":{"redis":"`+tt.why+`"}}`)
		run(tt.mends)
		ready().want(http.StatusOK)
	}
}

// The default leaves time for the answer itself.
func TestRequestsEndWithinFiveSeconds(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	if got := api.RequestTime(h.api); got >= 5*time.Second {
		t.Errorf("a request may take %s, want less than 5 s", got)
	}
}
