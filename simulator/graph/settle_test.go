package graph_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/testclock"
	"rollcall/simulator/graph"
)

const unsettledText = "The source resource object or one of the objects being referenced do not exist."

func TestNewObjectsAreOutOfSight(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	tenant, c := open(t, graph.Config{Now: clock.Now})
	old, oldGroup := c.createUser("old"), c.createGroup("old")
	_, link, _ := c.round("users/delta?$select=displayName")
	clock.Advance(time.Hour)
	tenant.SetConsistency(graph.Consistency{Create: 10 * time.Second})
	u := c.createUser("liz")
	g := c.want(201, "PATCH", "groups(uniqueName='x')", newGroup("team"), "Prefer", "create-if-missing").id()

	const code = "Request_ResourceNotFound"
	c.refuse(404, code, "Resource '"+u+"' does not exist or one of its queried reference-property objects are not "+
		"present.", "GET", "users/"+u, nil)
	c.refuse(404, code, "", "GET", "users/liz@example.com", nil)
	c.refuse(404, code, "", "PATCH", "users/"+u, object{"jobTitle": "x"})
	c.refuse(404, code, "", "GET", "groups/"+g, nil)
	c.refuse(404, code, "", "GET", "groups/"+g+"/members", nil)
	c.refuse(400, "Request_BadRequest", unsettledText, "POST", "groups/"+g+"/members/$ref", ref(old))
	c.refuse(400, "Request_BadRequest", unsettledText, "POST", "groups/"+oldGroup+"/members/$ref", ref(u))
	c.refuse(400, "Request_BadRequest", unsettledText, "PATCH", "groups/"+g, object{"members@odata.bind": refs(old)})
	c.refuse(400, "Request_BadRequest", unsettledText, "PATCH", "groups/"+oldGroup,
		object{"members@odata.bind": refs(old, u)})
	if r := c.want(200, "GET", "users?$filter=id in ('"+u+"')", nil); len(r.values()) != 0 {
		t.Errorf("a list shows the new user: %s", r.Raw)
	}
	if items, _, _ := c.round(link); len(items) != 0 {
		t.Errorf("delta shows the new user: %v", items)
	}
	// The names are taken at once, and the upsert is idempotent at once.
	c.refuse(400, "Request_BadRequest", "userPrincipalName already exists", "POST", "users", newUser("liz"))
	c.want(204, "PATCH", "groups(uniqueName='x')", newGroup("team"), "Prefer", "create-if-missing")
	if n := len(tenant.Groups()); n != 2 {
		t.Errorf("%d groups, want 2", n)
	}

	clock.Advance(10 * time.Second)
	c.want(200, "GET", "users/"+u, nil)
	c.want(204, "PATCH", "groups/"+g, object{"members@odata.bind": refs(old, u)})
	if items, _, _ := c.round(link); len(items) != 1 || items[0]["id"] != u {
		t.Errorf("delta = %v", items)
	}
}

func TestReadsTrailWrites(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	tenant, c := open(t, graph.Config{Now: clock.Now})
	u, other, g := c.createUser("liz"), c.createUser("other"), c.createGroup("team")
	noError(t, tenant.AddMember(g, other))
	_, link, _ := c.round("users/delta?$select=jobTitle")
	_, groupLink, _ := c.round("groups/delta?$select=displayName,members")
	tenant.SetConsistency(graph.Consistency{Read: time.Minute})

	c.want(204, "PATCH", "users/"+u, object{"jobTitle": "Lead"})
	c.want(204, "POST", "groups/"+g+"/members/$ref", ref(u))
	c.refuse(400, "Request_BadRequest", "already exist", "POST", "groups/"+g+"/members/$ref",
		ref(u)) // writes see the present
	c.want(204, "DELETE", "groups/"+g+"/members/"+other+"/$ref", nil)
	check := func(title any, members []string, changes int) {
		t.Helper()
		if r := c.want(200, "GET", "users/"+u, nil); r.Body["jobTitle"] != title {
			t.Errorf("jobTitle = %v, want %v", r.Body["jobTitle"], title)
		}
		if r := c.want(200, "GET", "groups/"+g+"/members?$select=id", nil); !cmp.Equal(r.field("id"), members) {
			t.Errorf("members = %v, want %v", r.field("id"), members)
		}
		items, _, _ := c.round(link)
		groups, _, _ := c.round(groupLink)
		if len(items) != changes || len(groups) != changes {
			t.Errorf("delta shows %d users and %d groups, want %d", len(items), len(groups), changes)
		}
	}
	check(nil, []string{other}, 0)
	clock.Advance(59 * time.Second)
	check(nil, []string{other}, 0)
	clock.Advance(time.Second)
	check("Lead", []string{u}, 1)

	c.want(204, "DELETE", "users/"+u, nil)
	c.want(200, "GET", "users/"+u, nil)
	c.refuse(404, "Request_ResourceNotFound", "", "PATCH", "users/"+u, object{"jobTitle": "x"})
	if r := c.want(200, "GET", "users?$select=id", nil); len(r.values()) != 2 {
		t.Errorf("users = %s", r.Raw)
	}
	clock.Advance(time.Minute)
	c.refuse(404, "Request_ResourceNotFound", "", "GET", "users/"+u, nil)
	if r := c.want(200, "GET", "directory/deletedItems/microsoft.graph.user?$select=id",
		nil); !cmp.Equal(r.field("id"), []string{u}) {
		t.Errorf("deletedItems = %s", r.Raw)
	}
}
