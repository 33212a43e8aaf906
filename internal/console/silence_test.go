package console_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/container"
	"rollcall/directory"
	"rollcall/internal/console"
	"rollcall/internal/redisfault"
	"rollcall/internal/redistest"
)

// Every page and every action answers in time while Redis is silent, and names it.
func TestEveryPageAnswersWhileRedisIsSilent(t *testing.T) {
	t.Parallel()
	const limit = time.Minute // Without a limit a page would need two, because it asks for each of the 400 providers.
	resources := []api.Resource{{Container: corp}, {Container: google}}
	for i := range 400 {
		resources = append(resources, api.Resource{Container: container.Provider("scim", i+1)})
	}
	h := hallOn(t, redistest.Silent(t), true, resources, func(c *api.Config) { c.RequestTime = 300 * time.Millisecond })
	h.known = map[directory.Ref]console.Known{{Kind: directory.User, ID: "a"}: {Label: "a"}}
	h.search = func(ctx context.Context, _ string, _ int) ([]console.Found, bool, error) {
		return nil, false, redisfault.Of("search", h.rdb.Ping(ctx).Err())
	}
	const run, digest = "/runs/google_workspace/1/0b2c1c1e-4b8e-4f5e-8a53-3a2f0f3a1b11/", "/held/google_workspace/1/d1/"
	for method, paths := range map[string][]string{
		http.MethodGet: {"/", "/held/", "/held/google_workspace/1/", digest + "review?verdict=approved", "/changes/",
			"/people/?q=a", "/people/leave/?id=a", "/leavers/", "/runs/google_workspace/1/", run, run + "plan.csv"},
		http.MethodPost: {digest + "approve", digest + "reject", "/held/google_workspace/1/pins/lift",
			"/runs/google_workspace/1/sync", "/runs/google_workspace/1/cancel", "/runs/google_workspace/1/pause",
			"/runs/google_workspace/1/resume", run + "undo", "/people/sync/google_workspace/1", "/people/leave",
			"/people/stay"},
	} {
		for _, path := range paths {
			t.Run(method+path, func(t *testing.T) {
				t.Parallel()
				token := h.decider
				if strings.HasSuffix(path, "/sync") || strings.Contains(path, "/sync/") ||
					strings.HasSuffix(path, "/cancel") {
					token = h.syncer
				}
				var form url.Values
				if method == http.MethodPost {
					form = url.Values{"id": {"a"}, "entry": {"user"}}
				}
				began := time.Now()
				got := h.as(token, method, path, form)
				if took := time.Since(began); took > limit {
					t.Errorf("it took %s", took)
				}
				if got.StatusCode != http.StatusServiceUnavailable || !strings.Contains(got.body, "Redis does not answer") {
					t.Errorf("the answer is %d: %s", got.StatusCode, got.body)
				}
			})
		}
	}
}

// Without Redis, a page says so and offers to try again. An action of a form offers no such link.
func TestRedisIsAway(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	if err := h.rdb.Close(); err != nil {
		t.Fatal(err)
	}
	got := h.as(h.syncer, http.MethodGet, "/held/?q=ada", nil)
	if got.StatusCode != http.StatusServiceUnavailable || !strings.Contains(got.body, "Redis does not answer") ||
		!strings.Contains(got.body, `<a class="button" href="/held/?q=ada">Try again</a>`) {
		t.Errorf("the page = %d: %s", got.StatusCode, got.body)
	}
	got = h.as(h.syncer, http.MethodPost, "/runs/google_workspace/1/sync", nil)
	if got.StatusCode != http.StatusServiceUnavailable || strings.Contains(got.body, "Try again</a>") {
		t.Errorf("the action = %d: %s", got.StatusCode, got.body)
	}
}
