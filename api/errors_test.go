package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/fault"
)

// Every kind of error has its answer, and only what is about the request itself shows its text.
func TestEveryFaultHasAnAnswer(t *testing.T) {
	t.Parallel()
	want := map[fault.Kind]struct {
		code  int
		shown bool
		retry string
	}{
		fault.Internal:    {code: 500},
		fault.Invalid:     {code: 400, shown: true},
		fault.NotFound:    {code: 404},
		fault.Conflict:    {code: 409, shown: true},
		fault.Denied:      {code: 502},
		fault.Throttled:   {code: 503, retry: "13"},
		fault.Unavailable: {code: 503, retry: "13"},
		fault.Unsafe:      {code: 409, shown: true},
		fault.Canceled:    {code: 503, retry: "5"},
		fault.Refused:     {code: 502},
	}
	for _, kind := range fault.Kinds() {
		w, known := want[kind]
		if !known {
			t.Fatalf("no answer is settled for %v", kind)
		}
		err := &fault.Error{Kind: kind, Op: "op", RetryAfter: 12100 * time.Millisecond, Err: errors.New("the text")}
		code, body, header := api.FaultAnswer(err)
		text, _ := json.Marshal(body)
		if code != w.code || strings.Contains(string(text), "the text") != w.shown || header["Retry-After"] != w.retry {
			t.Errorf("%v: %d %s %v, want %+v", kind, code, text, header, w)
		}
	}
	if code, _, _ := api.FaultAnswer(errors.New("unclassified")); code != 500 {
		t.Errorf("an unclassified error is %d", code)
	}
}

// A panic is a 500 that says nothing. The log says where it was, and not the value, which may be a secret.
func TestPanic(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, func(c *api.Config) {
		c.Authenticate = func(string) (api.Caller, bool) { panic("the hash is not what it seems") }
	})
	h.get("/sources/ldap/").is(http.StatusInternalServerError, `{"detail":"Internal server error."}`)
	log := h.log.String()
	if strings.Contains(log, "not what it seems") || !strings.Contains(log, "errors_test.go") ||
		!strings.Contains(log, "string") {
		t.Errorf("the log has the value or not the place of the panic: %s", log)
	}
}

func TestRequestIDs(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	for given, kept := range map[string]bool{"abc-123": true, "a b": false, strings.Repeat("x", 65): false,
		"x\ny": false} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/livez?token=query-secret", nil)
		r.Header.Set("X-Request-Id", given)
		if got := h.send(r).Header().Get("X-Request-Id"); (got == given) != kept {
			t.Errorf("id %q became %q", given, got)
		}
	}
	if log := h.log.String(); !strings.Contains(log, `"request_id":"abc-123"`) || strings.Contains(log, "query-secret") {
		t.Errorf("log = %s", log)
	}
}

// A client that goes away gets no answer, and the log does not call it a failure.
func TestClientGoesAway(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "/sources/ldap/corp/sync/status/", nil)
	r.Header.Set("Authorization", "Bearer "+readToken)
	h.send(r).want(499)
	if strings.Contains(h.log.String(), "request failed") {
		t.Errorf("log = %s", h.log)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	probe := func(path string) response {
		return h.send(httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	}
	probe("/livez").is(200, `{"status":"ok"}`)
	probe("/readyz").is(200, `{"status":"ok","components":{"redis":"ok","workers":"none"}}`)
	if _, err := h.store.Beat(t.Context(), "worker-1"); err != nil {
		t.Fatal(err)
	}
	probe("/readyz").is(200, `{"status":"ok","components":{"redis":"ok","workers":"ok"}}`)
	if err := h.rdb.Close(); err != nil {
		t.Fatal(err)
	}
	probe("/readyz").is(503, `{"status":"unavailable","components":{"redis":"unavailable"}}`)
	probe("/livez").is(200, `{"status":"ok"}`)
	h.get("/sources/ldap/corp/sync/status/").want(503)
	h.get("/sources/ldap/").want(200)
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	if _, err := api.New(api.Config{}); err == nil {
		t.Error("New() accepts nothing")
	}
	h := newHarness(t, nil, nil)
	_, err := api.NewServer(api.Config{Status: h.store, Decisions: h.decisions, Jobs: h.jobs, Directory: h.directory,
		Resources: []api.Resource{
			{Container: corp}, {Container: corp}, {Container: "ldap:"},
			{Container: google, Fields: map[string]any{"x": func() {}}},
		}})
	for _, want := range []string{"ldap:corp: there are two", `container "ldap:"`, "google_workspace:1: json"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("NewServer() = %v, want %q", err, want)
		}
	}
	srv, err := api.NewServer(api.Config{Status: h.store, Decisions: h.decisions, Jobs: h.jobs, Directory: h.directory})
	if err != nil {
		t.Fatal(err)
	}
	if srv.ReadHeaderTimeout <= 0 || srv.ReadTimeout <= 0 || srv.IdleTimeout <= 0 || srv.MaxHeaderBytes <= 0 ||
		srv.WriteTimeout <= 20*time.Second {
		t.Errorf("limits: %+v", srv)
	}
}
