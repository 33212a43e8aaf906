package graph_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/simulator/graph"
)

func TestMembers(t *testing.T) {
	t.Parallel()
	_, c := open(t, graph.Config{})
	g, inner := c.createGroup("team"), c.createGroup("inner")
	liz, adele := c.createUser("liz"), c.createUser("adele")
	members := "groups/" + g + "/members"
	for _, id := range []string{liz, adele, inner} {
		c.want(204, "POST", members+"/$ref", ref(id))
	}
	c.refuse(400, "Request_BadRequest",
		"One or more added object references already exist for the following modified properties: 'members'.", "POST",
		members+"/$ref", ref(liz))
	r := c.want(200, "GET", members+"?$select=id,displayName", nil)
	want := []object{
		{"@odata.type": "#microsoft.graph.user", "id": liz, "displayName": "liz"},
		{"@odata.type": "#microsoft.graph.user", "id": adele, "displayName": "adele"},
		{"@odata.type": "#microsoft.graph.group", "id": inner, "displayName": "inner"},
	}
	if diff := cmp.Diff(want, r.values()); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	cast := c.want(200, "GET", members+"/microsoft.graph.user?$select=id", nil)
	if diff := cmp.Diff([]object{{"id": liz}, {"id": adele}}, cast.values()); diff != "" {
		t.Errorf("members/microsoft.graph.user (-want +got):\n%s", diff)
	}
	if r := c.want(200, "GET", members+"/microsoft.graph.user/$count", nil, "ConsistencyLevel",
		"eventual"); string(r.Raw) != "2" {
		t.Errorf("$count = %s", r.Raw)
	}
	if r := c.want(200, "GET", "users/"+liz+"/memberOf?$select=id", nil); !cmp.Equal(r.field("id"), []string{g}) {
		t.Errorf("memberOf = %s", r.Raw)
	}

	c.want(204, "DELETE", members+"/"+liz+"/$ref", nil)
	c.refuse(404, "Request_ResourceNotFound", "Resource '"+liz+"' does not exist", "DELETE", members+"/"+liz+"/$ref", nil)
	c.refuse(404, "Request_ResourceNotFound", "does not exist", "POST", members+"/$ref",
		ref("11111111-2222-4333-8444-555555555555"))
	c.refuse(404, "Request_ResourceNotFound", "does not exist", "POST", "groups/"+liz+"/members/$ref", ref(liz))
}

func TestMembersComeInPages(t *testing.T) {
	t.Parallel()
	_, c := open(t, graph.Config{})
	g := c.createGroup("team")
	var want []string
	for i := range 7 {
		id := c.createUser(fmt.Sprint("u", i))
		want = append(want, id)
		c.want(204, "POST", "groups/"+g+"/members/$ref", ref(id))
	}
	var got []string
	for next := "groups/" + g + "/members?$select=id&$top=3"; next != ""; {
		r := c.want(200, "GET", next, nil)
		got = append(got, r.field("id")...)
		next, _ = r.Body["@odata.nextLink"].(string)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestTwentyMembersAtOnce(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	g := c.createGroup("team")
	var ids []string
	for i := range 21 {
		ids = append(ids, c.createUser(fmt.Sprint("u", i)))
	}
	c.want(204, "PATCH", "groups/"+g, object{"members@odata.bind": refs(ids[:20]...)})
	want := slices.Sorted(slices.Values(ids[:20]))
	if diff := cmp.Diff(want, tenant.Members(g)); diff != "" {
		t.Fatalf("members (-want +got):\n%s", diff)
	}
	// One existing or unknown member refuses the whole request.
	c.refuse(400, "Request_BadRequest", "already exist", "PATCH", "groups/"+g,
		object{"members@odata.bind": refs(ids[20], ids[0])})
	c.refuse(404, "Request_ResourceNotFound", "does not exist", "PATCH", "groups/"+g,
		object{"displayName": "x", "members@odata.bind": refs(ids[20], "11111111-2222-4333-8444-555555555555")})
	c.refuse(400, "Request_BadRequest", "already exist", "PATCH", "groups/"+g,
		object{"members@odata.bind": refs(ids[20], ids[20])})
	if diff := cmp.Diff(want, tenant.Members(g)); diff != "" {
		t.Errorf("members after refusals (-want +got):\n%s", diff)
	}
	if got, _ := tenant.Group(g); got.DisplayName != "team" {
		t.Errorf("a refused PATCH renamed the group: %v", got)
	}
}

func TestMoreThanTwentyAreRefused(t *testing.T) {
	t.Parallel()
	tenant, c := openWrong(t, graph.Config{})
	g := c.createGroup("team")
	var ids []string
	for i := range 21 {
		ids = append(ids, c.createUser(fmt.Sprint("u", i)))
	}
	c.refuse(400, "Request_BadRequest", "maximum of 20", "PATCH", "groups/"+g, object{"members@odata.bind": refs(ids...)})
	if n := len(tenant.Members(g)); n != 0 {
		t.Errorf("%d members", n)
	}
	c.refuse(400, "Request_BadRequest", "Invalid entity reference", "POST", "groups/"+g+"/members/$ref",
		object{"@odata.id": "users/" + ids[0]})
	c.refuse(400, "Request_BadRequest", "@odata.id", "POST", "groups/"+g+"/members/$ref", object{})
}

// TestDeleteWithoutRefDeletesTheUser checks the trap that the documentation warns of.
func TestDeleteWithoutRefDeletesTheUser(t *testing.T) {
	t.Parallel()
	tenant, c := openWrong(t, graph.Config{})
	g, liz := c.createGroup("team"), c.createUser("liz")
	noError(t, tenant.AddMember(g, liz))
	c.want(204, "DELETE", "groups/"+g+"/members/"+liz, nil)
	if _, ok := tenant.User(liz); ok || len(tenant.DeletedUsers()) != 1 {
		t.Error("the user is still there")
	}
	tenant.SetPermissions("GroupMember.ReadWrite.All")
	c.token = tenant.IssueToken()
	adele, err := tenant.AddUser(graph.User{UserPrincipalName: "adele@example.com"})
	noError(t, err)
	noError(t, tenant.AddMember(g, adele.ID))
	c.refuse(403, "Authorization_RequestDenied", "", "DELETE", "groups/"+g+"/members/"+adele.ID, nil)
	c.want(204, "DELETE", "groups/"+g+"/members/"+adele.ID+"/$ref", nil)
}
