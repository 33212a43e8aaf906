package graph_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/simulator/graph"
)

func TestGroupLife(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	body := newGroup("team")
	body["description"] = "The team"
	r := c.want(201, "POST", "groups", body)
	id := r.id()
	if r.Body["description"] != "The team" || r.Body["securityEnabled"] != true || r.Body["uniqueName"] != nil {
		t.Errorf("answer = %s", r.Raw)
	}
	c.want(204, "PATCH", "groups/"+id, object{"displayName": "Team", "description": nil})
	if r := c.want(200, "GET", "groups/"+id, nil); r.Body["displayName"] != "Team" || r.Body["description"] != nil {
		t.Errorf("group = %s", r.Raw)
	}
	c.want(204, "DELETE", "groups/"+id, nil)
	c.refuse(404, "Request_ResourceNotFound", "Resource '"+id+"' does not exist", "GET", "groups/"+id, nil)
	c.refuse(404, "Request_ResourceNotFound", id, "DELETE", "groups/"+id, nil)
	if got := tenant.DeletedGroups(); len(got) != 1 || got[0].ID != id {
		t.Errorf("DeletedGroups() = %v", got)
	}
}

func TestUpsert(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	const path = "groups(uniqueName='rollcall-1')"
	c.refuse(404, "Request_ResourceNotFound", "rollcall-1", "PATCH", path, newGroup("team"))
	user := c.createUser("liz")
	body := newGroup("team")
	body["members@odata.bind"] = refs(user)
	r := c.want(201, "PATCH", path, body, "Prefer", "create-if-missing")
	if r.Body["uniqueName"] != "rollcall-1" {
		t.Errorf("answer = %s", r.Raw)
	}
	if got := tenant.Members("rollcall-1"); !cmp.Equal(got, []string{user}) {
		t.Errorf("Members() = %v", got)
	}
	c.want(204, "PATCH", path, object{"displayName": "Team", "mailEnabled": false, "mailNickname": "team",
		"securityEnabled": true}, "Prefer", "create-if-missing")
	c.want(204, "PATCH", path, object{"description": "x"})
	g := c.want(200, "GET", path+"?$select=id,displayName,description", nil)
	if g.id() != r.id() || g.Body["displayName"] != "Team" || g.Body["description"] != "x" {
		t.Errorf("group = %s", g.Raw)
	}
	if n := len(tenant.Groups()); n != 1 {
		t.Errorf("%d groups, want 1", n)
	}
	c.want(204, "DELETE", path, nil)
	again := c.want(201, "PATCH", path, newGroup("team"), "Prefer", "create-if-missing")
	c.refuse(400, "Request_BadRequest", "uniqueName already exists", "POST",
		"directory/deletedItems/"+r.id()+"/restore", nil)
	if again.id() == r.id() {
		t.Error("the deleted group came back by itself")
	}
}

// TestGroupRules makes one mistake at a time.
func TestGroupRules(t *testing.T) {
	t.Parallel()
	_, c := openWrong(t, graph.Config{})
	const bad, invalid = "Request_BadRequest", "Invalid value specified for property '"
	const mail = "The service does not currently support writes of mail-enabled groups."
	for name, tc := range map[string]struct {
		change  object
		message string
	}{
		"empty description":  {object{"description": ""}, invalid + "description' of resource 'Group'."},
		"long name":          {object{"displayName": strings.Repeat("x", 257)}, invalid + "displayName"},
		"nickname":           {object{"mailNickname": "a@b"}, invalid + "mailNickname"},
		"mail-enabled":       {object{"mailEnabled": true}, mail},
		"neither":            {object{"securityEnabled": false}, mail},
		"unified but silent": {object{"groupTypes": []string{"Unified"}}, mail},
		"unknown type":       {object{"groupTypes": []string{"Team"}}, invalid + "groupTypes"},
		"rule missing":       {object{"groupTypes": []string{"DynamicMembership"}}, "membershipRule"},
		"uniqueName":         {object{"uniqueName": "x"}, "Property 'uniqueName' is read-only"},
		"unknown property":   {object{"foo": 1}, "Invalid property 'foo'."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := newGroup("team")
			maps.Copy(body, tc.change)
			r := c.do("POST", "groups", body)
			if r.Status != 400 {
				t.Fatalf("status %d %s, want 400", r.Status, r.Raw)
			}
			wantError(t, r.Body, bad, tc.message)
		})
	}
	for _, name := range []string{"displayName", "mailEnabled", "mailNickname", "securityEnabled"} {
		body := newGroup("team")
		delete(body, name)
		c.refuse(400, bad, "A value is required for property '"+name+"' of resource 'Group'.", "POST", "groups", body)
	}
	role := newGroup("role")
	role["isAssignableToRole"] = true
	c.refuse(403, "Authorization_RequestDenied", "Insufficient privileges", "POST", "groups", role)
}

func TestMailNicknames(t *testing.T) {
	t.Parallel()
	_, c := open(t, graph.Config{})
	c.createGroup("team")
	c.createGroup("team") // security groups share a nickname
	unified := object{"displayName": "Golf", "mailEnabled": true, "mailNickname": "golf", "securityEnabled": false,
		"groupTypes": []string{"Unified"}}
	r := c.want(201, "POST", "groups", unified)
	if r.Body["mail"] != "golf@example.com" || r.Body["visibility"] != "Public" {
		t.Errorf("answer = %s", r.Raw)
	}
	c.refuse(400, "Request_BadRequest", "mailNickname already exists", "POST", "groups", unified)
}

func TestGroupsThatTakeNoMembers(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	user := c.createUser("liz")
	for name, tc := range map[string]struct {
		group  graph.Group
		status int
		code   string
	}{
		"dynamic":      {graph.Group{DisplayName: "D", Dynamic: true}, 403, "Authorization_RequestDenied"},
		"role":         {graph.Group{DisplayName: "R", RoleAssignable: true}, 403, "Authorization_RequestDenied"},
		"distribution": {graph.Group{DisplayName: "M", Distribution: true, Mail: "m@example.com"}, 400, "Request_BadRequest"},
		"synced":       {graph.Group{DisplayName: "S", Synced: true}, 400, "Request_BadRequest"},
	} {
		g, err := tenant.AddGroup(tc.group)
		noError(t, err)
		noError(t, tenant.AddMember(g.ID, user))
		other := c.createUser("other-" + name)
		c.refuse(tc.status, tc.code, "", "POST", "groups/"+g.ID+"/members/$ref", ref(other))
		c.refuse(tc.status, tc.code, "", "PATCH", "groups/"+g.ID, object{"members@odata.bind": refs(other)})
		c.refuse(tc.status, tc.code, "", "DELETE", "groups/"+g.ID+"/members/"+user+"/$ref", nil)
		if got := tenant.Members(g.ID); !cmp.Equal(got, []string{user}) {
			t.Errorf("%s: Members() = %v", name, got)
		}
	}
}
