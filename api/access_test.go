package api_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/audit"
	"rollcall/container"
)

// journal keeps audit records in memory.
type journal struct {
	mu      sync.Mutex
	records []audit.Record
	err     error
}

func (j *journal) write(_ context.Context, r audit.Record, durable bool) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.err != nil {
		return 0, j.err
	}
	details := map[string]string{"durable": fmt.Sprint(durable)}
	maps.Copy(details, r.Details)
	r.Details = details
	j.records = append(j.records, r)
	return int64(len(j.records)), nil
}

// Each action has a record before it and one after it. Reading has none.
func TestActionsAreAudited(t *testing.T) {
	t.Parallel()
	j := &journal{}
	h := newHarness(t, nil, func(c *api.Config) { c.Audit = j.write })
	h.get("/api/v3/sources/ldap/corp/sync/status/").want(http.StatusOK)
	if len(j.records) > 0 {
		t.Errorf("a status is recorded: %+v", j.records)
	}
	for _, test := range []struct {
		path, event string
		status      int
		outcome     audit.Outcome
		durable     bool
	}{
		{"/api/v3/sources/ldap/corp/sync/", "sync", 202, audit.Done, false},
		{"/sources/ldap/corp/sync/", "sync", 409, audit.Refused, false},
		{"/api/v3/sources/ldap/corp/sync/cancel/", "sync/cancel", 200, audit.Done, false},
		{"/api/v3/sources/ldap/corp/sync/held/0123/approve/", "sync/held/{digest}/approve", 409, audit.Refused, true},
	} {
		j.records = nil
		w := h.do(http.MethodPost, test.path, "")
		if len(j.records) != 2 {
			t.Fatalf("%s: %d %s, and %d records; want 2", test.path, w.Code, w.Body, len(j.records))
		}
		before, after := j.records[0], j.records[1]
		if before.Outcome != audit.Begun || after.Outcome != test.outcome || after.Of != 1 ||
			after.Details["status"] != fmt.Sprint(w.Code) {
			t.Errorf("%s: records %+v and %+v after status %d", test.path, before, after, w.Code)
		}
		for _, r := range j.records {
			if r.Event != test.event || r.Actor != "ops@example.com" || r.Container != "ldap:corp" || r.From == "" ||
				r.Details["durable"] != fmt.Sprint(test.durable) {
				t.Errorf("%s: record %+v", test.path, r)
			}
		}
	}
}

func TestWhatCannotBeRecordedIsNotDone(t *testing.T) {
	t.Parallel()
	j := &journal{err: errors.New("the disk is full")}
	h := newHarness(t, nil, func(c *api.Config) { c.Audit = j.write })
	h.do(http.MethodPost, "/api/v3/sources/ldap/corp/sync/", "").want(http.StatusServiceUnavailable)
	if runs, _, err := h.store.List(t.Context(), corp, 0, 1); err != nil || len(runs) > 0 {
		t.Errorf("runs %v, err %v; want none", runs, err)
	}
	h.get("/api/v3/sources/ldap/corp/sync/status/").want(http.StatusOK)
}

// A token for one source reaches it alone, on every route.
func TestATokenOfOneContainer(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, func(c *api.Config) {
		c.Authenticate = func(string) (api.Caller, bool) {
			return api.Caller{Name: "corp", Scopes: []string{api.ScopeRead, api.ScopeSync, api.ScopeApprove},
				Only: []container.ID{corp}}, true
		}
	})
	run := h.start(google)
	for c, path := range paths {
		want := http.StatusForbidden
		if c == corp {
			want = http.StatusOK
		}
		for _, below := range []string{"", "sync/status/", "sync/plan/", "sync/held/", "sync/runs/"} {
			if w := h.get("/api/v3" + path + below); w.Code != want && (c != corp || w.Code != http.StatusNotFound) {
				t.Errorf("GET %s%s: %d, want %d", path, below, w.Code, want)
			}
		}
		if c != corp {
			for _, below := range []string{"sync/", "sync/cancel/", "sync/held/01/approve/", "sync/held/01/reject/"} {
				h.do(http.MethodPost, "/api/v3"+path+below, "").want(http.StatusForbidden)
			}
		}
	}
	if body := h.get("/api/v3/providers/google_workspace/").want(http.StatusOK).Body.String(); strings.Contains(body,
		"Workspace\"") {
		t.Errorf("the list has %s", body)
	}
	if body := h.get("/api/v3/sources/ldap/").want(http.StatusOK).Body.String(); !strings.Contains(body, "corp") {
		t.Errorf("the list has %s", body)
	}
	h.get("/api/v3/explain/?id=u-1").want(http.StatusForbidden)
	sessions := "/organization-manager/v1/idp/synchronization-sessions"
	h.get(sessions + "?subjectContainerId=" + string(corp)).want(http.StatusOK)
	h.get(sessions + "?subjectContainerId=" + string(google)).want(http.StatusNotFound)
	h.get(sessions + "/" + run.ID).want(http.StatusNotFound)
}

// Wrong tokens are counted by address. After the first ones the responses wait, and a right token never does.
func TestWrongTokensWait(t *testing.T) {
	t.Parallel()
	j := &journal{}
	var refused atomic.Int64
	h := newHarness(t, nil, func(c *api.Config) {
		c.Audit, c.Refused = j.write, func() { refused.Add(1) }
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	})
	present := func(token, from string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v3/sources/ldap/", nil)
		r.Header.Set("Authorization", "Bearer "+token)
		r.Header.Set("X-Forwarded-For", "203.0.113.9, "+from)
		return h.send(r).ResponseRecorder
	}
	for range 10 {
		present("wrong", "198.51.100.1")
	}
	if len(j.records) != 2 || j.records[1].Details["count"] != "10" || j.records[0].From != "198.51.100.1" ||
		refused.Load() != 10 {
		t.Errorf("%d refusals, records %+v; want one for the first and one for the tenth", refused.Load(), j.records)
	}
	began := time.Now()
	if w := present("wrong", "198.51.100.1"); w.Code != http.StatusForbidden || time.Since(began) < 900*time.Millisecond {
		t.Errorf("the eleventh wrong token: %d after %v; want 403 after a second", w.Code, time.Since(began))
	}
	fastest := time.Hour // The machine may stand still in some of them.
	for range 5 {
		began = time.Now()
		if w := present(bothToken, "198.51.100.1"); w.Code != http.StatusOK {
			t.Errorf("a right token: %d, want 200", w.Code)
		}
		fastest = min(fastest, time.Since(began))
	}
	if fastest > 900*time.Millisecond {
		t.Errorf("a right token waits for %v, want an answer at once", fastest)
	}
	var codes []int
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			code := present("wrong", "198.51.100.1").Code
			mu.Lock()
			defer mu.Unlock()
			codes = append(codes, code)
		})
	}
	all.Wait()
	if n := len(codes) - len(slices.DeleteFunc(codes,
		func(c int) bool { return c == http.StatusTooManyRequests })); n == 0 {
		t.Error("none of 100 wrong tokens at once was refused without a wait")
	}
}

// An address that the client can choose decides neither about waiting nor what the audit log says.
func TestTheAddressOfAClientIsNotForged(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::1/128")}
	for name, test := range map[string]struct {
		peer      string
		forwarded []string
		want      string
	}{
		"a client":                    {"198.51.100.7:4711", nil, "198.51.100.7"},
		"a client that names another": {"198.51.100.7:4711", []string{"203.0.113.9"}, "198.51.100.7"},
		"a client that names a proxy": {"198.51.100.7:4711", []string{"203.0.113.9, 10.0.0.1"}, "198.51.100.7"},
		"a proxy":                     {"10.0.0.1:4711", []string{"203.0.113.9, 198.51.100.7"}, "198.51.100.7"},
		"a proxy that adds a line":    {"10.0.0.1:4711", []string{"203.0.113.9", "198.51.100.7"}, "198.51.100.7"},
		"two proxies":                 {"10.0.0.1:4711", []string{"203.0.113.9, 198.51.100.7, 10.2.3.4"}, "198.51.100.7"},
		"a proxy of IPv6":             {"[2001:db8::1]:4711", []string{"2001:db8::7"}, "2001:db8::7"},
		"an address of IPv4 in IPv6":  {"[::ffff:10.0.0.1]:4711", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		"a proxy without the header":  {"10.0.0.1:4711", nil, "10.0.0.1"},
		"a proxy with nonsense":       {"10.0.0.1:4711", []string{"198.51.100.7, \x1b[31m"}, "10.0.0.1"},
		"only proxies":                {"10.0.0.1:4711", []string{"10.9.9.9, 10.2.3.4"}, "10.9.9.9"},
	} {
		j := &journal{}
		h := newHarness(t, nil, func(c *api.Config) { c.Audit, c.TrustedProxies = j.write, trusted })
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v3/sources/ldap/", nil)
		r.RemoteAddr, r.Header["X-Forwarded-For"] = test.peer, test.forwarded
		r.Header.Set("Authorization", "Bearer wrong")
		h.send(r)
		if len(j.records) != 1 || j.records[0].From != test.want {
			t.Errorf("%s: records %+v, want one from %s", name, j.records, test.want)
		}
	}
}

// Without tokens a page of another site could have its name resolve to this machine, so the Host header is checked.
func TestWithoutTokensOnlyLocalhostIsServed(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, func(c *api.Config) { c.Authenticate = nil })
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8080": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "127.8.8.8": 200,
		"evil.example": 403, "evil.example:8080": 403, "192.0.2.1": 403, "localhost.evil.example": 403, "": 403,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v3/sources/ldap/", nil)
		r.Host = host
		if w := h.send(r); w.Code != want {
			t.Errorf("Host %q: %d, want %d", host, w.Code, want)
		}
	}
}
