package api_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/api"
	"rollcall/internal/redistest"
	"rollcall/status"
)

// TestEventsOfTheEnded: the stream of a run that is over shows it and ends.
func TestEventsOfTheEnded(t *testing.T) {
	t.Parallel()
	s := newStreaming(t, nil, nil).serve()
	run := s.start(google)
	s.finish(run, status.End{State: status.Failed, FailKind: "denied", FailReason: "no"}, func(r *status.Recorder) {
		r.Log(status.Message{Event: "one"})
	})
	l := s.listen(google, "?run="+run.ID, "")
	all := l.until(named("end"))
	if l.ended(); len(all) != 3 || all[0].run.State != status.Failed || all[1].text != "one" ||
		all[2].run.FailReason != "no" {
		t.Errorf("events: %+v", all)
	}
	again := s.listen(google, "?run="+run.ID, all[1].id)
	if got := texts(again.until(named("end"))); got != nil {
		t.Errorf("who had the message hears %v", got)
	}
}

// TestEventsOfAContainer: the stream of a container goes from run to run, also for who was cut meanwhile.
func TestEventsOfAContainer(t *testing.T) {
	t.Parallel()
	s := newStreaming(t, nil, nil).serve()
	s.finish(s.start(google), status.End{State: status.Completed}, nil)
	s.clock.Advance(time.Minute)
	l := s.listen(google, "", "") // Nothing is live.
	first := s.start(google)
	lease := s.acquire(first)
	say(t, lease, 0, 2)
	all := l.until(func(e event) bool { return e.text == "0" })
	if all[0].name != "run" || all[0].run.ID != first.ID {
		t.Errorf("the first event is %+v, want run %s", all[0], first.ID)
	}
	l.leave() // It misses message 1, the end, a whole run and the start of another.
	complete(t, lease)
	s.clock.Advance(time.Minute)
	second := s.start(google)
	s.finish(second, status.End{State: status.Completed}, func(r *status.Recorder) { r.Log(status.Message{Event: "2"}) })
	s.clock.Advance(time.Minute)
	third := s.start(google)
	lease = s.acquire(third)
	say(t, lease, 3, 4)

	l = s.listen(google, "", all[len(all)-1].id)
	var got []string
	for range 3 {
		e := l.until(named("end"))
		got = append(got, texts(e)...)
		if got = append(got, e[len(e)-1].run.ID); len(got) == 4 {
			complete(t, lease)
		}
	}
	if want := []string{"1", first.ID, "2", second.ID, "3", third.ID}; !slices.Equal(got, want) {
		t.Errorf("heard %v, want %v", got, want)
	}
}

// TestEventsWithoutRedis: a stream that learns nothing any more says so and ends.
func TestEventsWithoutRedis(t *testing.T) {
	t.Parallel()
	addr, kill := redistest.TCP(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = rdb.Close() })
	s := newStreaming(t, rdb, nil).serve()
	run := s.start(google)
	one, two := s.listen(google, "?run="+run.ID, ""), s.listen(corp, "", "")
	one.next()
	kill()
	for _, l := range []*listener{one, two} {
		all := l.until(named("closing"))
		if l.ended(); !strings.Contains(all[len(all)-1].text, "unavailable") {
			t.Errorf("the last event is %+v", all)
		}
	}
	s.get("/api/v3" + paths[google] + "sync/events/").want(http.StatusServiceUnavailable)
}

// TestEventsRefused: what is wrong is said before the stream begins, in the form of every other answer.
func TestEventsRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	run := h.start(google)
	url := "/api/v3" + paths[google] + "sync/events/"
	h.get("/api/v3/providers/google_workspace/77/sync/events/").is(http.StatusNotFound, `{"detail":"Not found."}`)
	h.get(url+"?run=f47ac10b-58cc-4372-a567-0e02b2c3d479").is(http.StatusNotFound, `{"detail":"Not found."}`)
	h.get("/api/v3"+paths[corp]+"sync/events/?run="+run.ID).is(http.StatusNotFound, `{"detail":"Not found."}`)
	h.get(url+"?run=x").is(http.StatusBadRequest, `{"run":["Must be a valid UUID."]}`)
	h.get(url+"?run=").is(http.StatusBadRequest, `{"run":["Must be a valid UUID."]}`)
	h.get(strings.TrimSuffix(url, "/")).want(http.StatusNotFound)
	h.do(http.MethodPost, url, "").want(http.StatusMethodNotAllowed)
	if w := h.do(http.MethodHead, url, "").want(http.StatusOK); w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("HEAD: %v", w.Header())
	}
	for token, code := range map[string]int{"": http.StatusForbidden, syncToken: http.StatusForbidden,
		readToken: http.StatusBadRequest} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		r.Header.Set("Last-Event-ID", "x")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		h.send(r).want(code)
	}
}

// TestEventsEndWithTheirToken: a stream does not outlive the token, or the scope, with which it was opened.
func TestEventsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	var now atomic.Pointer[api.Caller]
	s := newStreaming(t, nil, func(c *api.Config) {
		c.Authenticate = func(string) (api.Caller, bool) {
			caller := now.Load()
			return *caller, caller.Name != ""
		}
	})
	api.SetEventTimes(s.api, 5*time.Millisecond, 10*time.Second)
	reader := &api.Caller{Name: "reader", Scopes: []string{api.ScopeRead}}
	now.Store(reader)
	s.serve()
	run := s.start(google)
	for what, after := range map[string]*api.Caller{"no token": {},
		"no scope": {Name: "reader", Scopes: []string{api.ScopeSync}}} {
		now.Store(reader)
		one, following := s.listen(google, "?run="+run.ID, ""), s.listen(corp, "", "")
		for following.beats < 3 && following.lines.Scan() { // A stream that may stay open stays open.
			if strings.HasPrefix(following.lines.Text(), ":") {
				following.beats++
			}
		}
		now.Store(after)
		for _, l := range []*listener{one, following} {
			all := l.until(named("closing"))
			if text := all[len(all)-1].text; !strings.Contains(text, "token is not valid any more") {
				t.Errorf("%s: the stream ends with %q", what, text)
			}
			l.ended()
		}
	}
}

// TestNoNewsAfterTheToken: a stream with news sends none after its token is gone, and does not wait for the heartbeat.
func TestNoNewsAfterTheToken(t *testing.T) {
	t.Parallel()
	var gone atomic.Bool
	s := newStreaming(t, nil, func(c *api.Config) {
		c.Authenticate = func(string) (api.Caller, bool) {
			return api.Caller{Name: "reader", Scopes: []string{api.ScopeRead}}, !gone.Load()
		}
	})
	s.serve()
	lease := s.acquire(s.start(google))
	l := s.listen(google, "", "")
	say(t, lease, 0, 1)
	l.until(func(e event) bool { return e.text == "0" })
	gone.Store(true)
	say(t, lease, 1, 2)
	for _, e := range l.until(named("closing")) {
		if e.name == "message" {
			t.Errorf("the message %q came after the end of the token", e.text)
		}
	}
	l.ended()
}

// TestAnIdleStreamEndsWithItsToken: a change of the tokens ends a stream without news before its next heartbeat.
func TestAnIdleStreamEndsWithItsToken(t *testing.T) {
	t.Parallel()
	var gone atomic.Bool
	changed := make(chan struct{})
	s := newStreaming(t, nil, func(c *api.Config) {
		c.Authenticate = func(string) (api.Caller, bool) {
			return api.Caller{Name: "reader", Scopes: []string{api.ScopeRead}}, !gone.Load()
		}
		c.TokensChanged = func() <-chan struct{} { return changed }
	})
	api.SetEventTimes(s.api, time.Hour, 10*time.Second)
	s.serve()
	idle := s.listen(corp, "", "")
	gone.Store(true)
	close(changed)
	idle.until(named("closing"))
	idle.ended()
}
