package api_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/container"
	"rollcall/internal/tokens"
)

// scopes are the scopes that the operations need, by the end of the path without its parameters. An operation that is
// missing here fails the test of every route.
var scopes = map[string]string{
	"GET /schema/": "",

	"GET /preview/{preview}/": api.ScopeRead, "POST /preview/": api.ScopeSync,

	"GET /explain/": api.ScopeRead, "GET /leave/orders/": api.ScopeRead, "GET ": api.ScopeRead,
	"GET sync/status/": api.ScopeRead, "GET sync/events/": api.ScopeRead, "GET sync/plan/": api.ScopeRead,
	"GET sync/runs/": api.ScopeRead, "GET sync/runs/{run}/": api.ScopeRead, "GET sync/runs/{run}/messages/": api.ScopeRead,
	"GET sync/held/": api.ScopeRead, "GET sync/decisions/": api.ScopeRead, "GET sync/server/": api.ScopeRead,
	"GET sync/held/{digest}/": api.ScopeRead, "GET sync/pins/": api.ScopeRead, "GET sync/pause/": api.ScopeRead,
	"GET sync/objects/": api.ScopeRead, "GET sync/objects/{job}/": api.ScopeRead,

	"POST sync/": api.ScopeSync, "POST sync/cancel/": api.ScopeSync, "POST sync/object/": api.ScopeSync,

	"POST /leave/": api.ScopeApprove, "POST /leave/lift/": api.ScopeApprove, "POST sync/server/accept/": api.ScopeApprove,
	"POST sync/held/{digest}/approve/": api.ScopeApprove, "POST sync/held/{digest}/reject/": api.ScopeApprove,
	"POST sync/decisions/{digest}/adopt/": api.ScopeApprove, "POST sync/pins/lift/": api.ScopeApprove,
	"POST sync/runs/{run}/revert/": api.ScopeApprove, "POST sync/pause/": api.ScopeApprove,
	"POST sync/resume/": api.ScopeApprove,
}

// roles are the holders of tokens, as the tokens file has them.
func roles(t *testing.T) (map[string]string, api.Authenticator) {
	t.Helper()
	out, lines := map[string]string{"nobody": "", "a wrong token": "wrong"}, ""
	for name, end := range map[string]string{
		"read": "", "sync": "", "approve": "", "expired": " expires=2020-01-01", "corp": " only=ldap:corp",
		"google": " only=google_workspace:1", "elsewhere": " only=google_workspace:7",
	} {
		has := []tokens.Scope{tokens.Scope(name)}
		if end != "" {
			has = tokens.Scopes()
		}
		token, line, err := tokens.New(name, has...)
		if err != nil {
			t.Fatal(err)
		}
		out[name], lines = token, lines+line+end+"\n"
	}
	list, err := tokens.Parse([]byte(lines))
	if err != nil {
		t.Fatal(err)
	}
	return out, func(token string) (api.Caller, bool) {
		id, ok := list.Lookup(token, time.Now())
		c := api.Caller{Name: id.Name, Only: id.Only}
		for _, s := range id.Scopes {
			c.Scopes = append(c.Scopes, string(s))
		}
		return c, ok
	}
}

// attempt is one request of one role.
type attempt struct {
	role, method, path string
	allowed            bool
}

// attempts are all requests of all roles: each route of the router, with each container that it can have.
func attempts(t *testing.T, holders map[string]string) (out []attempt) {
	t.Helper()
	routes := api.Routes()
	for _, path := range slices.Sorted(maps.Keys(routes)) {
		for _, method := range routes[path] {
			name := path
			if strings.HasPrefix(path, "/sources/") || strings.HasPrefix(path, "/providers/") {
				_, name, _ = strings.Cut(path, "}/")
			}
			for c, real := range containersOf(path) {
				scope, known := scopes[method+" "+name]
				if !known {
					t.Errorf("%s %s: the test does not know which scope it needs", method, path)
				}
				for role := range holders {
					out = append(out, attempt{role, method, real, allowed(role, scope, name, c)})
				}
			}
		}
	}
	return out
}

// containersOf returns the requests of a route by their container, which is empty for a list.
func containersOf(path string) map[container.ID]string {
	ids := strings.NewReplacer("{run}", "7d444840-9dc0-11d1-b245-5ffdce74fad2", "{job}", "j", "{digest}", "01",
		"{preview}", "7d444840-9dc0-11d1-b245-5ffdce74fad2")
	if !strings.Contains(path, "{slug}") && !strings.Contains(path, "{id}") {
		return map[container.ID]string{"": ids.Replace(path)}
	}
	out := map[container.ID]string{}
	for c, base := range paths {
		family, _, _ := strings.Cut(path, "{")
		if _, below, _ := strings.Cut(path, "}/"); strings.HasPrefix(base, family) {
			out[c] = base + ids.Replace(below)
		}
	}
	return out
}

// allowed reports whether a role may send a request to a container.
func allowed(role, scope, name string, c container.ID) bool {
	if scope == "" {
		return true
	}
	switch role {
	case "read", "sync", "approve":
		return role == scope
	case "corp", "google", "elsewhere":
		mine := map[string]container.ID{"corp": corp, "google": google}[role]
		// What concerns all containers is for no such token. A list has those that the token reaches.
		return c == mine && c != "" || c == "" && name == ""
	}
	return false
}

// Every route refuses every token that does not have its scope or does not reach its container, and a refused request
// changes nothing. The routes are those of the router.
func TestEveryRouteForEveryRole(t *testing.T) {
	t.Parallel()
	holders, authenticate := roles(t)
	h := newHarness(t, nil, func(c *api.Config) {
		c.Authenticate, c.MaxExplanations = authenticate, 1
	})
	all := attempts(t, holders)
	if len(all) < 500 {
		t.Fatalf("%d attempts", len(all))
	}
	slices.SortStableFunc(all, func(a, b attempt) int { // The refused ones first.
		return map[bool]int{false: 0, true: 1}[a.allowed] - map[bool]int{false: 0, true: 1}[b.allowed]
	})
	touched := false
	for i, at := range all {
		if at.allowed && !touched {
			if kept, err := h.rdb.Keys(t.Context(), "*").Result(); err != nil || len(kept) > 0 {
				t.Errorf("refused requests wrote %q, %v", kept, err)
			}
			touched = true
		}
		w := h.try(at, holders[at.role], i)
		if refused := w.Code == http.StatusForbidden; refused == at.allowed || w.Code >= http.StatusInternalServerError &&
			w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s %s with the token %s: %d %s; allowed: %v", at.method, at.path, at.role, w.Code, w.Body, at.allowed)
		}
	}
}

// try sends one request. Each has an address of its own, because wrong tokens of one address wait.
func (h *harness) try(at attempt, token string, n int) response {
	method, body := at.method, ""
	if method == http.MethodPost {
		body = `{}`
	}
	if strings.HasPrefix(at.path, "/leave/") && body != "" {
		body = `{"entry": "u-1"}`
	}
	if strings.HasSuffix(at.path, "/events/") {
		method = http.MethodHead // which has the same scope and does not last
	}
	ctx, cancel := context.WithTimeout(h.t.Context(), time.Minute)
	defer cancel()
	r := newRequest(h.t, method, at.path, body, token).WithContext(ctx)
	if token == "" {
		r.Header.Del("Authorization")
	}
	r.RemoteAddr = fmt.Sprintf("10.%d.%d.%d:4711", n>>16, n>>8&255, n&255)
	w := response{httptest.NewRecorder(), h.t}
	h.api.ServeHTTP(w, r)
	return w
}
