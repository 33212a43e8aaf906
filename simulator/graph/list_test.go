package graph_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/simulator/graph"
)

// seedUsers adds users a0, a1, … and disables every third one.
func seedUsers(t testing.TB, tenant *graph.Tenant, n int) []string {
	t.Helper()
	var ids []string
	for i := range n {
		u, err := tenant.AddUser(graph.User{
			UserPrincipalName: fmt.Sprintf("a%d@example.com", i), DisplayName: fmt.Sprintf("Adele %d", i), Department: "Sales",
			OnPremisesImmutableID: fmt.Sprintf("id%d==", i), Disabled: i%3 == 0,
		})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, u.ID)
	}
	return ids
}

func TestListsComeInPages(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	ids := seedUsers(t, tenant, 250)
	for top, pages := range map[string]int{"": 3, "&$top=999": 1, "&$top=100": 3, "&$top=7": 36} {
		var got []string
		n := 0
		for next := "users?$select=id" + top; next != ""; n++ {
			r := c.want(200, "GET", next, nil)
			got = append(got, r.field("id")...)
			next, _ = r.Body["@odata.nextLink"].(string)
		}
		if diff := cmp.Diff(ids, got); diff != "" || n != pages {
			t.Errorf("%q: %d pages, want %d; users (-want +got):\n%s", top, n, pages, diff)
		}
	}
}

func TestPagesWithstandChanges(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	ids := seedUsers(t, tenant, 10)
	r := c.want(200, "GET", "users?$select=id&$top=4", nil)
	noError(t, tenant.Remove(ids[1]))
	noError(t, tenant.Remove(ids[3]))
	noError(t, tenant.Remove(ids[6]))
	late, err := tenant.AddUser(graph.User{UserPrincipalName: "late@example.com"})
	noError(t, err)
	r = c.want(200, "GET", r.Body["@odata.nextLink"].(string), nil)
	if diff := cmp.Diff([]string{ids[4], ids[5], ids[7], ids[8]}, r.field("id")); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
	r = c.want(200, "GET", r.Body["@odata.nextLink"].(string), nil)
	if diff := cmp.Diff([]string{ids[9], late.ID}, r.field("id")); diff != "" {
		t.Errorf("third page (-want +got):\n%s", diff)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	ids := seedUsers(t, tenant, 6)
	_, err := tenant.AddUser(graph.User{UserPrincipalName: "o'brien@example.com", DisplayName: "O'Brien", Synced: true})
	noError(t, err)
	for filter, want := range map[string][]string{
		"onPremisesImmutableId eq 'id2=='":                        {"a2"},
		"onPremisesImmutableId eq 'ID2=='":                        {},
		"onPremisesImmutableId in ('id2==','id4==','x')":          {"a2", "a4"},
		"userPrincipalName eq 'A3@example.com'":                   {"a3"},
		"userPrincipalName eq 'o''brien@example.com'":             {"o'brien"},
		"id in ('" + ids[4] + "','" + ids[1] + "')":               {"a1", "a4"},
		"id eq '" + ids[0] + "' or id eq '" + ids[5] + "'":        {"a0", "a5"},
		"accountEnabled eq false":                                 {"a0", "a3"},
		"accountEnabled eq true and startsWith(displayName,'a')":  {"a1", "a2", "a4", "a5"},
		"startswith(userPrincipalName,'A1')":                      {"a1"},
		"(startsWith(displayName,'Adele 1') or id eq 'x')":        {"a1"},
		"onPremisesSyncEnabled eq true":                           {"o'brien"},
		"id eq '" + ids[1] + "' and accountEnabled eq false":      {},
		"accountEnabled eq false and id eq '" + ids[3] + "'":      {"a3"},
		"department eq 'sales' and userPrincipalName eq 'a1@x.y'": {},
	} {
		r := c.want(200, "GET", "users?$select=userPrincipalName&$filter="+filter, nil)
		got := []string{}
		for _, name := range r.field("userPrincipalName") {
			got = append(got, strings.TrimSuffix(name, "@example.com"))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("$filter=%s (-want +got):\n%s", filter, diff)
		}
	}
}

func TestAdvancedQueries(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	seedUsers(t, tenant, 6)
	for _, filter := range []string{
		"accountEnabled ne true", "not(accountEnabled eq true)", "endsWith(userPrincipalName,'0@example.com')",
		"surname eq null",
	} {
		path := "users?$select=id&$filter=" + filter
		c.refuse(400, "Request_UnsupportedQuery", "Unsupported Query.", "GET", path, nil)
		c.refuse(400, "Request_UnsupportedQuery", "Unsupported Query.", "GET", path, nil, "ConsistencyLevel", "eventual")
		r := c.want(200, "GET", path+"&$count=true&$top=1", nil, "ConsistencyLevel", "eventual")
		n, _ := r.Body["@odata.count"].(float64)
		if want := map[string]float64{"e": 1, "s": 6}[filter[:1]]; want != 0 && n != want || n == 0 {
			t.Errorf("%s: count %v", filter, r.Body["@odata.count"])
		}
	}
	if r := c.want(200, "GET", "users?$count=true", nil); r.Body["@odata.count"] != nil {
		t.Error("$count without ConsistencyLevel is answered")
	}
	c.refuse(400, "Request_BadRequest", "$count is not currently supported.", "GET", "users/$count", nil)
	if r := c.want(200, "GET", "users/$count", nil, "ConsistencyLevel", "eventual"); string(r.Raw) != "6" {
		t.Errorf("users/$count = %s", r.Raw)
	}
	r := c.want(200, "GET", "users?$select=displayName&$orderby=displayName desc&$top=2", nil)
	next := c.want(200, "GET", r.Body["@odata.nextLink"].(string), nil)
	if diff := cmp.Diff([]string{"Adele 5", "Adele 4", "Adele 3", "Adele 2"},
		append(r.field("displayName"), next.field("displayName")...)); diff != "" {
		t.Errorf("$orderby (-want +got):\n%s", diff)
	}
}

func TestWrongQueries(t *testing.T) {
	t.Parallel()
	_, c := openWrong(t, graph.Config{})
	many := strings.Repeat("'11111111-2222-4333-8444-555555555555',", 15) + "'x'"
	for path, want := range map[string][2]string{
		"users?$select=id,foo": {"BadRequest",
			"Could not find a property named 'foo' on type 'microsoft.graph.user'."},
		"groups?$select=userPrincipalName": {"BadRequest",
			"Could not find a property named 'userPrincipalName' on type 'microsoft.graph.group'."},
		"users?$top=1000": {"Request_UnsupportedQuery",
			"Invalid page size specified: '1000'. Must be between 1 and 999 inclusive."},
		"users?$top=x":             {"BadRequest", "Invalid value 'x' for $top"},
		"users?$skip=5":            {"Request_UnsupportedQuery", "$skip"},
		"users?$filter=foo eq 'x'": {"BadRequest", "Could not find a property named 'foo'"},
		"users?$filter=officeLocation eq 'x'": {"Request_UnsupportedQuery",
			"clause specified for property 'officeLocation' of resource 'User'."},
		"groups?$filter=uniqueName eq 'x'":           {"Request_UnsupportedQuery", "uniqueName"},
		"users?$filter=accountEnabled":               {"BadRequest", "Syntax error"},
		"users?$filter=displayName eq 'x":            {"BadRequest", "Syntax error"},
		"users?$filter=accountEnabled eq 'x'":        {"Request_UnsupportedQuery", "accountEnabled"},
		"users?$filter=id in (" + many + ")":         {"Request_UnsupportedQuery", "Max allowed: 15."},
		"users?$orderby=department":                  {"Request_UnsupportedQuery", "Unsupported sort property"},
		"users?$skiptoken=nonsense":                  {"Request_BadRequest", "Skiptoken is malformed."},
		"users/delta?$top=5":                         {"Request_UnsupportedQuery", "$top"},
		"users/delta?$deltatoken=nonsense":           {"Request_BadRequest", "Badly formed token."},
		"users/delta?$filter=accountEnabled eq true": {"Request_UnsupportedQuery", "Only filtering by object ID"},
		"nonsense": {"BadRequest", "Resource not found for the segment 'nonsense'."},
	} {
		c.refuse(400, want[0], want[1], "GET", path, nil)
	}
	c.refuse(501, "NotImplemented", "This operation target is not yet supported.", "GET", "users?$select=skills", nil)
	c.refuse(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.", "PUT", "users",
		nil)
}

func TestGetByIDs(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	ids := seedUsers(t, tenant, 3)
	g := c.createGroup("team")
	r := c.want(200, "POST", "directoryObjects/getByIds",
		object{"ids": []string{ids[1], g, "11111111-2222-4333-8444-555555555555"}})
	if diff := cmp.Diff([]string{ids[1], g}, r.field("id")); diff != "" {
		t.Errorf("getByIds (-want +got):\n%s", diff)
	}
	r = c.want(200, "POST", "directoryObjects/getByIds", object{"ids": []string{ids[1], g}, "types": []string{"group"}})
	if diff := cmp.Diff([]string{g}, r.field("id")); diff != "" {
		t.Errorf("getByIds of groups (-want +got):\n%s", diff)
	}
	if r := c.want(200, "GET", "directoryObjects/"+g, nil); r.Body["@odata.type"] != "#microsoft.graph.group" {
		t.Errorf("directoryObjects/{id} = %s", r.Raw)
	}
}

func TestDomainsAndOrganization(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{Domains: []string{"example.com", "fed.example.com"},
		FederatedDomains: []string{"fed.example.com"}, UnverifiedDomains: []string{"new.example.com"}})
	r := c.want(200, "GET", "domains?$select=id,isVerified,isDefault,authenticationType", nil)
	want := []object{
		{"id": "example.com", "isVerified": true, "isDefault": true, "authenticationType": "Managed"},
		{"id": "fed.example.com", "isVerified": true, "isDefault": false, "authenticationType": "Federated"},
		{"id": "new.example.com", "isVerified": false, "isDefault": false, "authenticationType": "Managed"},
	}
	if diff := cmp.Diff(want, r.values()); diff != "" {
		t.Errorf("domains (-want +got):\n%s", diff)
	}
	org := c.want(200, "GET", "organization", nil).values()[0]
	if org["id"] != tenant.TenantID() || len(org["verifiedDomains"].([]any)) != 2 {
		t.Errorf("organization = %v", org)
	}
	c.refuse(404, "Request_ResourceNotFound", "other.com", "GET", "domains/other.com", nil)
}
