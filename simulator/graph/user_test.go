package graph_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/simulator/graph"
)

func TestCreatedUserIsShown(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	body := newUser("AdeleV")
	body["onPremisesImmutableId"] = "aGVsbG8="
	body["businessPhones"] = []string{"+1 425 555 0109"}
	r := c.want(201, "POST", "users", body)
	id := r.id()
	want := object{
		"@odata.context": c.server.URL + "/v1.0/$metadata#users/$entity", "id": id,
		"businessPhones": []any{"+1 425 555 0109"},
		"displayName":    "AdeleV", "givenName": nil, "jobTitle": nil, "mail": nil, "mobilePhone": nil, "officeLocation": nil,
		"preferredLanguage": nil, "surname": nil, "userPrincipalName": "AdeleV@example.com",
	}
	if diff := cmp.Diff(want, r.Body); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if want := "/directoryObjects/" + id +
		"/Microsoft.DirectoryServices.User"; !strings.HasSuffix(r.Header.Get("Location"), want) {
		t.Errorf("Location = %q, want …%s", r.Header.Get("Location"), want)
	}
	for _, key := range []string{id, "adelev@EXAMPLE.com"} {
		const properties = "id,accountEnabled,onPremisesImmutableId,passwordProfile,userType,createdDateTime"
		r := c.want(200, "GET", "users/"+key+"?$select="+properties, nil)
		if r.id() != id || r.Body["accountEnabled"] != true || r.Body["onPremisesImmutableId"] != "aGVsbG8=" ||
			r.Body["userType"] != "Member" {
			t.Errorf("GET users/%s = %v", key, r.Body)
		}
		if r.Body["passwordProfile"] != nil {
			t.Errorf("the password is shown: %v", r.Body["passwordProfile"])
		}
	}
	if u, ok := tenant.User("AdeleV@example.com"); !ok || u.ID != id || u.MailNickname != "AdeleV" {
		t.Errorf("User() = %+v, %v", u, ok)
	}
}

// TestUserRules plants one mistake at a time.
func TestUserRules(t *testing.T) {
	t.Parallel()
	_, c := openWrong(t, graph.Config{Domains: []string{"example.com", "fed.example.com"},
		FederatedDomains: []string{"fed.example.com"}, UnverifiedDomains: []string{"new.example.com"}})
	c.want(201, "POST", "users", newUser("taken"))
	const bad, invalid = "Request_BadRequest", "Invalid value specified for property '"
	for name, tc := range map[string]struct {
		change        object
		code, message string
	}{
		"no accountEnabled": {object{"accountEnabled": nil}, bad, invalid + "accountEnabled' of resource 'User'."},
		"taken name": {object{"userPrincipalName": "TAKEN@example.com"}, bad,
			"Another object with the same value for property userPrincipalName already exists."},
		"foreign domain": {object{"userPrincipalName": "x@other.com"}, bad,
			"The domain portion of the userPrincipalName property is invalid."},
		"unverified domain": {object{"userPrincipalName": "x@new.example.com"}, bad,
			"The domain portion of the userPrincipalName property is invalid."},
		"federated without id": {object{"userPrincipalName": "x@fed.example.com"}, bad,
			"A value is required for property 'onPremisesImmutableId' of resource 'User'."},
		"accent":         {object{"userPrincipalName": "josé@example.com"}, bad, invalid + "userPrincipalName"},
		"dot at the end": {object{"userPrincipalName": "x.@example.com"}, bad, invalid + "userPrincipalName"},
		"long local part": {object{"userPrincipalName": strings.Repeat("x", 65) + "@example.com"}, bad,
			invalid + "userPrincipalName"},
		"nickname": {object{"mailNickname": "a b"}, bad, invalid + "mailNickname"},
		"weak password": {object{"passwordProfile": object{"password": "abcdefgh"}}, bad,
			"does not comply with password complexity requirements"},
		"long name":        {object{"displayName": strings.Repeat("x", 257)}, bad, invalid + "displayName"},
		"empty department": {object{"department": ""}, bad, invalid + "department"},
		"two phones":       {object{"businessPhones": []string{"1", "2"}}, bad, invalid + "businessPhones"},
		"dollar in id":     {object{"onPremisesImmutableId": "a$"}, bad, invalid + "onPremisesImmutableId"},
		"unknown property": {object{"favourite": "x"}, bad, "Invalid property 'favourite'."},
		"read-only": {object{"onPremisesSyncEnabled": true}, bad,
			"Property 'onPremisesSyncEnabled' is read-only and cannot be set."},
		"country":        {object{"usageLocation": "uk"}, bad, invalid + "usageLocation"},
		"type of a flag": {object{"accountEnabled": "yes"}, "BadRequest", "Edm.Boolean"},
		"type of a text": {object{"department": 5}, "BadRequest", "Edm.String"},
		"type of a list": {object{"otherMails": "x"}, "BadRequest", "StartArray"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body := newUser("liz")
			maps.Copy(body, tc.change)
			r := c.do("POST", "users", body)
			if r.Status != 400 {
				t.Fatalf("status %d %s, want 400", r.Status, r.Raw)
			}
			wantError(t, r.Body, tc.code, tc.message)
		})
	}
	for _, name := range []string{"accountEnabled", "displayName", "mailNickname", "passwordProfile",
		"userPrincipalName"} {
		body := newUser("liz")
		delete(body, name)
		c.refuse(400, bad, "A value is required for property '"+name+"'", "POST", "users", body)
	}
}

func TestConflictNamesTheProperty(t *testing.T) {
	t.Parallel()
	_, c := open(t, graph.Config{})
	c.createUser("liz")
	r := c.do("POST", "users", newUser("liz"), "client-request-id", "e7c0e1f2-0000-4000-8000-000000000001")
	e := r.Body["error"].(object)
	text := "Another object with the same value for property userPrincipalName already exists."
	if diff := cmp.Diff([]any{object{"code": "ObjectConflict", "message": text, "target": "userPrincipalName"}},
		e["details"]); diff != "" {
		t.Errorf("details (-want +got):\n%s", diff)
	}
	inner := e["innerError"].(object)
	if inner["client-request-id"] != "e7c0e1f2-0000-4000-8000-000000000001" ||
		inner["request-id"] != r.Header.Get("request-id") {
		t.Errorf("innerError = %v, headers %v", inner, r.Header)
	}
	if r.Header.Get("client-request-id") != "e7c0e1f2-0000-4000-8000-000000000001" {
		t.Errorf("client-request-id = %q", r.Header.Get("client-request-id"))
	}
}

func TestRenamedUserKeepsItsID(t *testing.T) {
	t.Parallel()
	_, c := open(t, graph.Config{})
	id := c.createUser("liz")
	c.createUser("adele")
	c.want(204, "PATCH", "users/"+id, object{"userPrincipalName": "elizabeth@example.com", "jobTitle": "Designer",
		"mail": "liz@example.com"})
	r := c.want(200, "GET", "users/elizabeth@example.com?$select=id,jobTitle,proxyAddresses", nil)
	if r.id() != id || r.Body["jobTitle"] != "Designer" {
		t.Errorf("renamed user = %v", r.Body)
	}
	if diff := cmp.Diff([]any{"SMTP:liz@example.com"}, r.Body["proxyAddresses"]); diff != "" {
		t.Errorf("proxyAddresses (-want +got):\n%s", diff)
	}
	c.refuse(404, "Request_ResourceNotFound", "Resource 'liz@example.com' does not exist", "GET",
		"users/liz@example.com", nil)
	c.refuse(400, "Request_BadRequest", "userPrincipalName already exists", "PATCH", "users/"+id,
		object{"userPrincipalName": "adele@example.com"})
	c.refuse(400, "Request_BadRequest", "proxyAddresses already exists", "PATCH", "users/adele@example.com",
		object{"mail": "LIZ@example.com"})
	c.want(204, "PATCH", "users/"+id, object{"jobTitle": nil})
	if r := c.want(200, "GET", "users/"+id, nil); r.Body["jobTitle"] != nil {
		t.Errorf("jobTitle = %v, want it cleared", r.Body["jobTitle"])
	}
	c.createUser("liz") // the old name is free
}

func TestImmutableIDIsUnique(t *testing.T) {
	t.Parallel()
	_, c := open(t, graph.Config{})
	body := newUser("liz")
	body["onPremisesImmutableId"] = "QUJD"
	c.want(201, "POST", "users", body)
	twin := newUser("twin")
	twin["onPremisesImmutableId"] = "QUJD"
	c.refuse(400, "Request_BadRequest", "onPremisesImmutableId already exists", "POST", "users", twin)
	twin["onPremisesImmutableId"] = "quJD" // case matters
	c.want(201, "POST", "users", twin)

	c.want(204, "DELETE", "users/liz@example.com", nil)
	again := newUser("liz")
	again["onPremisesImmutableId"] = "QUJD"
	c.refuse(400, "Request_BadRequest", "onPremisesImmutableId already exists", "POST", "users", again)
	delete(again, "onPremisesImmutableId")
	c.want(201, "POST", "users", again) // the name is free
}

func TestMasteredObjectsRefuseWrites(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	u, err := tenant.AddUser(graph.User{UserPrincipalName: "liz@example.com", Synced: true, OnPremisesImmutableID: "QUJD"})
	noError(t, err)
	g, err := tenant.AddGroup(graph.Group{DisplayName: "Team", Synced: true})
	noError(t, err)
	const message = "Unable to update the specified properties for on-premises mastered Directory Sync objects or " +
		"objects currently undergoing migration."
	for _, call := range []struct {
		method, path string
		body         any
	}{
		{"PATCH", "users/" + u.ID, object{"onPremisesImmutableId": "REVG"}},
		{"PATCH", "users/" + u.ID, object{"accountEnabled": false}},
		{"DELETE", "users/" + u.ID, nil},
		{"PATCH", "groups/" + g.ID, object{"displayName": "x"}},
		{"POST", "groups/" + g.ID + "/members/$ref", ref(u.ID)},
		{"DELETE", "groups/" + g.ID, nil},
	} {
		c.refuse(400, "Request_BadRequest", message, call.method, call.path, call.body)
	}
	if r := c.want(200, "GET", "users/"+u.ID+"?$select=onPremisesSyncEnabled",
		nil); r.Body["onPremisesSyncEnabled"] != true {
		t.Errorf("onPremisesSyncEnabled = %v", r.Body)
	}
}

func TestAdministratorsAreOutOfReach(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	id := c.createUser("ada")
	noError(t, tenant.SetAdmin(id, graph.UserAdministrator))
	const code, message = "Authorization_RequestDenied", "Insufficient privileges to complete the operation."
	c.refuse(403, code, message, "PATCH", "users/"+id, object{"accountEnabled": false})
	c.refuse(403, code, message, "DELETE", "users/"+id, nil)
	c.want(204, "PATCH", "users/"+id, object{"jobTitle": "Lead"})

	roles := c.want(200, "GET", "directoryRoles", nil)
	if diff := cmp.Diff([]string{"Global Administrator", "User Administrator"}, roles.field("displayName")); diff != "" {
		t.Errorf("activated roles (-want +got):\n%s", diff)
	}
	for _, path := range []string{"directoryRoles/" + roles.field("id")[1],
		"directoryRoles(roleTemplateId='fe930be7-5e62-47db-91af-98c3a49a38b1')"} {
		if r := c.want(200, "GET", path+"/members?$select=id", nil); !cmp.Equal(r.field("id"), []string{id}) {
			t.Errorf("%s/members = %s", path, r.Raw)
		}
	}
	if r := c.want(200, "GET", "users/"+id+"/memberOf", nil); !cmp.Equal(r.field("@odata.type"),
		[]string{"#microsoft.graph.directoryRole"}) {
		t.Errorf("memberOf = %s", r.Raw)
	}
	if got := tenant.Roles()[graph.UserAdministrator]; !cmp.Equal(got, []string{id}) {
		t.Errorf("Roles() = %v", got)
	}
	noError(t, tenant.RemoveMember(roles.field("id")[1], id))
	c.want(204, "DELETE", "users/"+id, nil)
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
