package graph_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/testclock"
	"rollcall/simulator/graph"
)

func TestDeletedUserComesBack(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	body := newUser("liz")
	body["onPremisesImmutableId"] = "QUJD"
	id := c.want(201, "POST", "users", body).id()
	stays, goes := c.createGroup("stays"), c.createGroup("goes")
	noError(t, tenant.AddMember(stays, id))
	noError(t, tenant.AddMember(goes, id))

	c.want(204, "DELETE", "users/"+id, nil)
	c.refuse(404, "Request_ResourceNotFound", id, "GET", "users/"+id, nil)
	c.refuse(404, "Request_ResourceNotFound", id, "PATCH", "users/"+id, object{"jobTitle": "x"})
	if got := tenant.Members(stays); len(got) != 0 {
		t.Errorf("a deleted user is a member: %v", got)
	}
	c.want(204, "DELETE", "groups/"+goes, nil)

	list := "directory/deletedItems/microsoft.graph.user" +
		"?$select=id,userPrincipalName,onPremisesImmutableId,deletedDateTime"
	for _, filter := range []string{"", "&$filter=onPremisesImmutableId eq 'QUJD'", "&$filter=id in ('" + id + "')"} {
		r := c.want(200, "GET", list+filter, nil)
		if !cmp.Equal(r.field("id"), []string{id}) || r.field("deletedDateTime")[0] == "" {
			t.Errorf("deletedItems%s = %s", filter, r.Raw)
		}
		if want := strings.ReplaceAll(id, "-", "") + "liz@example.com"; r.field("userPrincipalName")[0] != want {
			t.Errorf("name of a deleted user = %s, want %s", r.field("userPrincipalName")[0], want)
		}
	}
	if r := c.want(200, "GET", "directory/deletedItems/"+id, nil); r.Body["@odata.type"] != "#microsoft.graph.user" {
		t.Errorf("deleted item = %s", r.Raw)
	}

	r := c.want(200, "POST", "directory/deletedItems/"+id+"/restore", nil)
	if r.id() != id || r.Body["userPrincipalName"] != "liz@example.com" {
		t.Errorf("restored = %s", r.Raw)
	}
	u := c.want(200, "GET", "users/liz@example.com?$select=id,onPremisesImmutableId,deletedDateTime", nil)
	if u.id() != id || u.Body["onPremisesImmutableId"] != "QUJD" || u.Body["deletedDateTime"] != nil {
		t.Errorf("restored user = %s", u.Raw)
	}
	if got := tenant.Members(stays); !cmp.Equal(got, []string{id}) {
		t.Errorf("members after the restoration = %v, want %s", got, id)
	}
	c.refuse(404, "Request_ResourceNotFound", id, "POST", "directory/deletedItems/"+id+"/restore", nil)
}

func TestRestoreMeetsConflicts(t *testing.T) {
	t.Parallel()
	_, c := open(t, graph.Config{})
	body := newUser("liz")
	body["mail"] = "mail@example.com"
	id := c.want(201, "POST", "users", body).id()
	c.want(204, "DELETE", "users/"+id, nil)
	c.createUser("liz") // has taken the name
	other := newUser("other")
	other["mail"] = "mail@example.com"
	c.want(201, "POST", "users", other)

	path := "directory/deletedItems/" + id + "/restore"
	c.refuse(400, "Request_BadRequest", "userPrincipalName already exists", "POST", path, nil)
	c.refuse(400, "Request_BadRequest", "proxyAddresses already exists", "POST", path,
		object{"newUserPrincipalName": "liz2@example.com"})
	r := c.want(200, "POST", path, object{"newUserPrincipalName": "liz2@example.com", "autoReconcileProxyConflict": true})
	if r.id() != id || r.Body["userPrincipalName"] != "liz2@example.com" {
		t.Errorf("restored = %s", r.Raw)
	}
}

func TestDeletedForGood(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	tenant, c := open(t, graph.Config{Now: clock.Now})
	id, late := c.createUser("liz"), c.createUser("late")
	c.want(204, "DELETE", "users/"+id, nil)
	c.want(204, "DELETE", "directory/deletedItems/"+id, nil)
	c.refuse(404, "Request_ResourceNotFound", id, "DELETE", "directory/deletedItems/"+id, nil)

	c.want(204, "DELETE", "users/"+late, nil)
	clock.Advance(30*24*time.Hour - time.Second)
	c.want(200, "GET", "directory/deletedItems/"+late, nil)
	clock.Advance(time.Second)
	c.refuse(404, "Request_ResourceNotFound", late, "GET", "directory/deletedItems/"+late, nil)
	if n := len(tenant.DeletedUsers()); n != 0 {
		t.Errorf("%d deleted users after 30 days", n)
	}
}

func TestGroupsComeBackOrNot(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	g, u := c.createGroup("team"), c.createUser("liz")
	noError(t, tenant.AddMember(g, u))
	c.want(204, "DELETE", "groups/"+g, nil)
	if r := c.want(200, "GET", "users/"+u+"/memberOf", nil); len(r.values()) != 0 {
		t.Errorf("memberOf shows a deleted group: %s", r.Raw)
	}
	if r := c.want(200, "GET", "directory/deletedItems/microsoft.graph.group?$select=id",
		nil); !cmp.Equal(r.field("id"), []string{g}) {
		t.Errorf("deletedItems = %s", r.Raw)
	}
	c.want(200, "POST", "directory/deletedItems/"+g+"/restore", nil)
	if got := tenant.Members(g); !cmp.Equal(got, []string{u}) {
		t.Errorf("members = %v", got)
	}

	older, c := open(t, graph.Config{HardDeleteGroups: true})
	g = c.createGroup("team")
	c.want(204, "DELETE", "groups/"+g, nil)
	if n := len(older.DeletedGroups()); n != 0 {
		t.Errorf("%d deleted groups, want none", n)
	}
	c.refuse(404, "Request_ResourceNotFound", g, "POST", "directory/deletedItems/"+g+"/restore", nil)
}
