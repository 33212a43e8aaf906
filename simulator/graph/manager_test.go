package graph_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/simulator/graph"
)

const levelOne = "$expand=manager($levels=1;$select=id)"

func TestManager(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	ids := seedUsers(t, tenant, 3)
	c.want(404, "GET", "users/"+ids[1]+"/manager", nil)
	c.want(404, "DELETE", "users/"+ids[1]+"/manager/$ref", nil)
	_, link, _ := c.round("users/delta?$select=displayName,manager")
	_, others, _ := c.round("users/delta?$select=displayName")
	manager := func(id string) object { return object{"@odata.type": "#microsoft.graph.user", "id": id} }
	gone := func(id string) object {
		m := manager(id)
		m["@removed"] = object{"reason": "deleted"}
		return m
	}
	put := func(user, id string) {
		t.Helper()
		c.want(204, "PUT", "users/"+user+"/manager/$ref", object{"@odata.id": "https://graph.microsoft.com/v1.0/users/" + id})
	}
	shown := func() any {
		return c.want(200, "GET", "users/"+ids[1]+"?$select=displayName&"+levelOne, nil, "ConsistencyLevel",
			"eventual").Body["manager"]
	}
	changes := func() []any {
		t.Helper()
		items, next, _ := c.round(link)
		link = next
		var out []any
		for _, item := range items {
			out = append(out, item["manager@delta"])
		}
		return out
	}
	put(ids[1], ids[0])
	if diff := cmp.Diff([]any{[]any{manager(ids[0])}}, changes()); diff != "" {
		t.Errorf("delta after the first manager (-want +got):\n%s", diff)
	}
	put(ids[1], ids[2])
	put(ids[0], ids[1])
	put(ids[2], ids[0]) // a circle
	if diff := cmp.Diff([]any{[]any{gone(ids[0]), manager(ids[2])}, []any{manager(ids[1])}, []any{manager(ids[0])}},
		changes()); diff != "" {
		t.Errorf("delta after another manager (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(any(manager(ids[2])), shown()); diff != "" {
		t.Errorf("expanded manager (-want +got):\n%s", diff)
	}
	if items, _, _ := c.round(others); len(items) > 0 {
		t.Errorf("delta without the manager shows %v", items)
	}
	for _, r := range c.want(200, "GET", "users?$select=id&$expand=manager", nil).values() {
		if r["manager"] == nil {
			t.Errorf("the list shows no manager of %v", r["id"])
		}
	}
	noError(t, tenant.Remove(ids[2]))
	if got := shown(); got != nil {
		t.Errorf("a deleted manager is shown: %v", got)
	}
	c.want(204, "DELETE", "users/"+ids[0]+"/manager/$ref", nil)
	c.want(404, "GET", "users/"+ids[0]+"/manager", nil)
}

func TestManagerRefusals(t *testing.T) {
	t.Parallel()
	tenant, c := openWrong(t, graph.Config{})
	ids := seedUsers(t, tenant, 2)
	group, err := tenant.AddGroup(graph.Group{DisplayName: "staff"})
	noError(t, err)
	ref := "users/" + ids[0] + "/manager/$ref"
	to := func(path string) object { return object{"@odata.id": "https://graph.microsoft.com/v1.0/" + path} }
	for name, tc := range map[string]struct {
		status       int
		method, path string
		body         any
	}{
		"no such user":         {404, "PUT", ref, to("users/00000000-0000-4000-8000-000000000000")},
		"a group":              {400, "PUT", ref, to("directoryObjects/" + group.ID)},
		"no reference":         {400, "PUT", ref, object{}},
		"not a reference":      {400, "PUT", ref, object{"@odata.id": ids[1]}},
		"POST":                 {405, "POST", ref, to("users/" + ids[1])},
		"$expand of others":    {400, "GET", "users/" + ids[0] + "?$expand=directReports", nil},
		"$select of one":       {400, "GET", "users/" + ids[0] + "?$select=manager", nil},
		"$select without":      {400, "GET", "users/" + ids[0] + "?$expand=manager($select=id)", nil},
		"$expand in delta":     {400, "GET", "users/delta?$expand=manager", nil},
		"an unknown property":  {400, "GET", "users/" + ids[0] + "?$expand=manager($levels=1;$select=nothing)", nil},
		"$levels by default":   {400, "GET", "users/" + ids[0] + "?" + levelOne, nil},
		"$levels of a list":    {400, "GET", "users?" + levelOne, nil},
		"the manager in PATCH": {400, "PATCH", "users/" + ids[0], object{"manager": ids[1]}},
	} {
		c.want(tc.status, tc.method, tc.path, tc.body)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}
