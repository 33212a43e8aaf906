package graph_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/simulator/graph"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{Faults: []graph.Fault{
		{Method: "users.*", Nth: 2, Times: 1, Status: 429, RetryAfter: 2128 * time.Millisecond},
		{Method: "groups.list", Status: 409},
		{Method: "domains.list", Code: "UnknownError", Message: "x"},
	}})
	c.want(200, "GET", "users", nil)
	r := c.refuse(429, "TooManyRequests", "Too Many Requests", "POST", "users", newUser("liz"))
	if r.Header.Get("Retry-After") != "2.128" {
		t.Errorf("Retry-After = %q, want 2.128", r.Header.Get("Retry-After"))
	}
	if n := len(tenant.Users()); n != 0 {
		t.Errorf("a refused call did something: %d users", n)
	}
	c.want(201, "POST", "users", newUser("liz"))
	c.refuse(409, "Directory_ConcurrencyViolation", "Conflict", "GET", "groups", nil)
	c.refuse(503, "UnknownError", "x", "GET", "domains", nil)
	tenant.ClearFaults()
	c.want(200, "GET", "groups", nil)
}

func TestLostConnections(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	tenant.Inject(graph.Fault{Method: "users.create", Times: 1, Effect: graph.Drop},
		graph.Fault{Method: "users.create", Times: 1, Effect: graph.LoseAnswer},
		graph.Fault{Method: "users.list", Times: 1, Effect: graph.TruncateAnswer})
	if r, err := c.try("POST", "users", newUser("liz")); err == nil {
		t.Errorf("dropped: %d %s", r.Status, r.Raw)
	}
	if n := len(tenant.Users()); n != 0 {
		t.Errorf("a dropped call did something: %d users", n)
	}
	if r, err := c.try("POST", "users", newUser("liz")); err == nil {
		t.Errorf("lost: %d %s", r.Status, r.Raw)
	}
	if n := len(tenant.Users()); n != 1 {
		t.Errorf("%d users after a lost answer, want 1", n)
	}
	if r, err := c.try("GET", "users", nil); err == nil {
		t.Errorf("truncated: %d %s", r.Status, r.Raw)
	}
	c.want(200, "GET", "users", nil)
}

func TestFaultsInsideBatches(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	u := c.createUser("liz")
	tenant.Inject(
		graph.Fault{Method: "users.update", Key: u, Scope: graph.InBatch, Times: 1, Status: 429, RetryAfter: time.Second},
		graph.Fault{Method: "users.create", Scope: graph.InBatch, Times: 1, Effect: graph.LoseAnswer},
		graph.Fault{Method: "users.get", Scope: graph.InBatch, Times: 1, Effect: graph.Drop},
	)
	c.want(204, "PATCH", "users/"+u, object{"jobTitle": "alone"}) // out of the fault's scope
	responses := c.batch(
		step("1", "PATCH", "/users/"+u, object{"jobTitle": "x"}), step("2", "POST", "/users", newUser("adele")),
		step("3", "GET", "/users/"+u, nil),
		step("4", "GET", "/groups", nil),
	)
	if diff := cmp.Diff(map[string]int{"1": 429, "2": 504, "3": 503, "4": 200}, statuses(responses)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if h := responses["1"]["headers"].(object); h["Retry-After"] != "1" {
		t.Errorf("headers = %v", h)
	}
	if _, ok := tenant.User("adele@example.com"); !ok {
		t.Error("the answer was lost, and so was the write")
	}
	if got, _ := tenant.User(u); got.JobTitle != "alone" {
		t.Errorf("jobTitle = %q", got.JobTitle)
	}

	tenant.Inject(graph.Fault{Method: "batch", Times: 1, Status: 503},
		graph.Fault{Method: "batch", Nth: 2, Times: 1, Effect: graph.LoseAnswer})
	patch := object{"requests": []object{step("1", "PATCH", "/users/"+u, object{"jobTitle": "y"})}}
	c.refuse(503, "ServiceUnavailable", "", "POST", "$batch", patch)
	if r, err := c.try("POST", "$batch", patch); err == nil {
		t.Errorf("lost: %d %s", r.Status, r.Raw)
	}
	if got, _ := tenant.User(u); got.JobTitle != "y" {
		t.Errorf("jobTitle = %q", got.JobTitle)
	}
}

func TestShortenedLists(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	seedUsers(t, tenant, 10)
	tenant.Inject(graph.Fault{Method: "users.list", Times: 1, Effect: graph.ShortPage},
		graph.Fault{Method: "users.list", Times: 1, Effect: graph.EmptyList})
	r := c.want(200, "GET", "users?$select=id&$top=8", nil)
	if len(r.values()) != 4 || r.Body["@odata.nextLink"] != nil {
		t.Errorf("short page: %d items, next %v", len(r.values()), r.Body["@odata.nextLink"])
	}
	if r := c.want(200, "GET", "users?$select=id&$top=8", nil); len(r.values()) != 0 {
		t.Errorf("empty list: %d items", len(r.values()))
	}
}

func TestDelayAndProbability(t *testing.T) {
	t.Parallel()
	var waited time.Duration
	tenant, c := open(t, graph.Config{Seed: 7, Wait: func(_ context.Context, d time.Duration) { waited += d }})
	tenant.Inject(graph.Fault{Method: "users.list", Effect: graph.Delay, Delay: time.Minute})
	c.want(200, "GET", "users", nil)
	if waited != time.Minute {
		t.Errorf("waited %v", waited)
	}
	run := func() (pattern string) {
		tenant, c := open(t, graph.Config{Seed: 7, Faults: []graph.Fault{{Probability: 0.5}}})
		for range 40 {
			pattern += map[int]string{200: "+", 503: "-"}[c.do("GET", "users", nil).Status]
		}
		if n := tenant.Calls().Refused; n < 8 || n > 32 {
			t.Errorf("%d of 40 refused at a probability of one half", n)
		}
		return pattern
	}
	if a, b := run(), run(); a != b {
		t.Errorf("the same seed strikes differently: %s, %s", a, b)
	}
}

func TestSignInFaults(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	tenant.Inject(graph.Fault{Method: graph.TokenMethod, Times: 1, Status: 503, RetryAfter: time.Second})
	r := c.signIn(tenant.TenantID(), credentials(tenant))
	if r.Status != 503 || r.Body["error"] != "temporarily_unavailable" || r.Header.Get("Retry-After") != "1" {
		t.Errorf("%d %s, Retry-After %q", r.Status, r.Raw, r.Header.Get("Retry-After"))
	}
	if r := c.signIn(tenant.TenantID(), credentials(tenant)); r.Status != 200 {
		t.Errorf("%d %s", r.Status, r.Raw)
	}
}
