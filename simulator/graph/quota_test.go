package graph_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/testclock"
	"rollcall/simulator/graph"
)

func TestCosts(t *testing.T) {
	t.Parallel()
	_, c := open(t, graph.Config{})
	g, u := c.createGroup("team"), c.createUser("liz")
	for path, want := range map[string]string{
		"users": "2", "users?$select=id": "1", "users?$top=5": "1", "users?$select=id&$top=5": "1", "users?$top=20": "2",
		"users/" + u: "1", "groups": "1", "groups/" + g + "/members": "3", "groups/" + g + "/members?$select=id": "2",
		"groups/" + g + "/members?$select=id&$top=1": "1", "users/delta": "1", "users/" + u + "/memberOf": "2",
	} {
		if got := c.want(200, "GET", path, nil).Header.Get("x-ms-resource-unit"); got != want {
			t.Errorf("%s costs %s, want %s", path, got, want)
		}
	}
	if got := c.want(200, "POST", "directoryObjects/getByIds",
		object{"ids": []string{u}}).Header.Get("x-ms-resource-unit"); got != "3" {
		t.Errorf("getByIds costs %s, want 3", got)
	}
	if got := c.want(204, "PATCH", "users/"+u, object{"jobTitle": "x"}).Header.Get("x-ms-resource-unit"); got != "1" {
		t.Errorf("a write costs %s, want 1", got)
	}
}

func TestResourceUnitsRunOut(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	tenant, c := open(t, graph.Config{Now: clock.Now, Quota: graph.Quota{ResourceUnits: 100, Fractional: true}})
	for range 39 {
		if r := c.want(200, "GET", "users", nil); r.Header.Get("x-ms-throttle-limit-percentage") != "" {
			t.Fatalf("a percentage below 0.8: %s", r.Header.Get("x-ms-throttle-limit-percentage"))
		}
	}
	if r := c.want(200, "GET", "users", nil); r.Header.Get("x-ms-throttle-limit-percentage") != "0.80" {
		t.Errorf("percentage = %q, want 0.80", r.Header.Get("x-ms-throttle-limit-percentage"))
	}
	for range 10 {
		c.want(200, "GET", "users", nil)
	}
	r := c.refuse(429, "TooManyRequests", "Too many requests.", "GET", "users", nil)
	want := map[string]string{
		"Retry-After": "0.4", "X-Ms-Throttle-Limit-Percentage": "1.02",
		"X-Ms-Throttle-Information": "ResourceUnitLimitExceeded",
		"X-Ms-Throttle-Scope":       "Tenant_Application/ReadWrite/" + tenant.ClientID() + "/" + tenant.TenantID(),
	}
	for name, value := range want {
		if got := r.Header.Get(name); got != value {
			t.Errorf("%s = %q, want %q", name, got, value)
		}
	}
	clock.Advance(399 * time.Millisecond)
	c.want(429, "GET", "users", nil) // what is refused counts as well
	clock.Advance(600 * time.Millisecond)
	c.want(200, "GET", "users", nil)
	if calls := tenant.Calls(); calls.Refused != 2 || calls.Reads != 51 {
		t.Errorf("calls: %d refused, %d reads", calls.Refused, calls.Reads)
	}
}

func TestWritesRunOut(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	tenant, c := open(t, graph.Config{Now: clock.Now})
	u := c.createUser("liz")
	tenant.SetQuota(graph.Quota{Writes: 3})
	patch := func(id string) object { return step(id, "PATCH", "/users/"+u, object{"jobTitle": id}) }
	responses := c.batch(patch("1"), patch("2"), patch("3"), patch("4"), step("5", "GET", "/users", nil))
	count := map[int]int{}
	for id, status := range statuses(responses) {
		count[status]++
		if status == 429 {
			h := responses[id]["headers"].(object)
			if h["Retry-After"] != "100" || h["x-ms-throttle-information"] != "WriteLimitExceeded" {
				t.Errorf("headers of the refused item = %v", h)
			}
		}
	}
	if diff := cmp.Diff(map[int]int{200: 1, 204: 3, 429: 1}, count); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	c.want(200, "GET", "users", nil)
	clock.Advance(100 * time.Second)
	c.want(204, "PATCH", "users/"+u, object{"jobTitle": "again"})
}

func TestDocumentedQuota(t *testing.T) {
	t.Parallel()
	for users, want := range map[int]int{10: 3500, 50: 5000, 500: 5000, 501: 8000} {
		if q := graph.DocumentedQuota(users); q.ResourceUnits != want || q.Writes != 3000 {
			t.Errorf("DocumentedQuota(%d) = %+v, want %d units", users, q, want)
		}
	}
}
