package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/simulator/graph"
)

// step makes a request of a batch.
func step(id, method, url string, body any) object {
	s := object{"id": id, "method": method, "url": url}
	if body != nil {
		s["body"], s["headers"] = body, object{"Content-Type": "application/json"}
	}
	return s
}

// batch sends requests and returns the responses by id.
func (c *client) batch(steps ...object) map[string]object {
	c.t.Helper()
	r := c.want(200, "POST", "$batch", object{"requests": steps})
	byID := map[string]object{}
	for _, item := range r.Body["responses"].([]any) {
		o := item.(object)
		byID[o["id"].(string)] = o
	}
	return byID
}

func statuses(responses map[string]object) map[string]int {
	m := map[string]int{}
	for id, r := range responses {
		m[id] = int(r["status"].(float64))
	}
	return m
}

func TestBatch(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	liz := c.createUser("liz")
	tenant.ResetCalls()
	responses := c.batch(
		step("a", "POST", "/users", newUser("adele")),
		step("b", "PATCH", "users/"+liz, object{"jobTitle": "Lead"}),
		step("c", "GET", "/users?$select=id,jobTitle&$filter=id eq '"+liz+"'", nil),
		step("d", "GET", "/users/nobody@example.com", nil),
		step("e", "POST", "/users", newUser("liz")),
	)
	if diff := cmp.Diff(map[string]int{"a": 201, "b": 204, "c": 200, "d": 404, "e": 400},
		statuses(responses)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if body := responses["a"]["body"].(object); body["userPrincipalName"] != "adele@example.com" {
		t.Errorf("created = %v", body)
	}
	if _, has := responses["b"]["body"]; has {
		t.Errorf("204 with a body: %v", responses["b"])
	}
	wantError(t, responses["d"]["body"].(object), "Request_ResourceNotFound", "nobody@example.com")
	wantError(t, responses["e"]["body"].(object), "Request_BadRequest", "already exists")
	if h := responses["c"]["headers"].(object); h["x-ms-resource-unit"] != "1" {
		t.Errorf("headers = %v", h)
	}
	calls := tenant.Calls()
	if calls.Requests != 1 || calls.BatchItems != 5 || calls.Writes != 3 || calls.Reads != 2 {
		t.Errorf("calls = %+v", calls)
	}
}

func TestBatchAnswersInAnyOrder(t *testing.T) {
	t.Parallel()
	_, c := open(t, graph.Config{})
	var steps []object
	var sent, got string
	for i := range 20 {
		id := fmt.Sprint(i)
		steps = append(steps, step(id, "GET", "/groups", nil))
		sent += id + " "
	}
	r := c.want(200, "POST", "$batch", object{"requests": steps})
	for _, item := range r.Body["responses"].([]any) {
		got += item.(object)["id"].(string) + " "
	}
	if got == sent {
		t.Error("the responses come in the order of the requests, which the documentation does not promise")
	}
}

func TestBatchDependencies(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	liz := c.createUser("liz")
	after := func(s object, ids ...string) object { s["dependsOn"] = ids; return s }
	upsert := step("1", "PATCH", "/groups(uniqueName='x')", newGroup("team"))
	upsert["headers"] = object{"Content-Type": "application/json", "Prefer": "create-if-missing"}
	responses := c.batch(
		after(step("2", "PATCH", "/groups(uniqueName='x')", object{"members@odata.bind": refs(liz)}), "1"),
		upsert,
		step("3", "DELETE", "/users/nobody@example.com", nil),
		after(step("4", "DELETE", "/users/"+liz, nil), "3"),
		after(step("5", "GET", "/users", nil), "4"),
	)
	if diff := cmp.Diff(map[string]int{"1": 201, "2": 204, "3": 404, "4": 424, "5": 424},
		statuses(responses)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
	if got := tenant.Members("x"); !cmp.Equal(got, []string{liz}) {
		t.Errorf("members = %v", got)
	}
}

func TestWrongBatches(t *testing.T) {
	t.Parallel()
	_, c := openWrong(t, graph.Config{})
	get := func(id string) object { return step(id, "GET", "/users", nil) }
	var tooMany []object
	for i := range 21 {
		tooMany = append(tooMany, get(fmt.Sprint(i)))
	}
	circle := []object{get("1"), get("2")}
	circle[0]["dependsOn"], circle[1]["dependsOn"] = []string{"2"}, []string{"1"}
	lost := get("1")
	lost["dependsOn"] = []string{"9"}
	bare := step("1", "POST", "/users", newUser("x"))
	delete(bare, "headers")
	for name, tc := range map[string]struct {
		requests []object
		message  string
	}{
		"too many":        {tooMany, "exceeds the maximum value of 20."},
		"id given twice":  {[]object{get("a"), get("A")}, "unique"},
		"none":            {nil, "Invalid batch payload format."},
		"without url":     {[]object{{"id": "1", "method": "GET"}}, "Invalid batch payload format"},
		"circular":        {circle, "circular"},
		"unknown id":      {[]object{lost}, "unknown id"},
		"no content type": {[]object{bare}, "Content-Type"},
	} {
		r := c.do("POST", "$batch", object{"requests": tc.requests})
		if r.Status != 400 || !strings.Contains(string(r.Raw), tc.message) {
			t.Errorf("%s: %d %s", name, r.Status, r.Raw)
		}
	}
	responses := c.batch(
		step("1", "GET", "/v1.0/users", nil), step("2", "GET", c.server.URL+"/v1.0/users", nil),
		step("3", "POST", "/$batch", object{}), get("4"),
	)
	if diff := cmp.Diff(map[string]int{"1": 400, "2": 400, "3": 400, "4": 200}, statuses(responses)); diff != "" {
		t.Errorf("statuses (-want +got):\n%s", diff)
	}
}
