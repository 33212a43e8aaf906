package graph_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollcall/simulator/graph"
	"rollcall/simulator/graph/csdltest"
)

const (
	sampleUser    = "6e7b768e-07e2-4810-8459-485f84f8f204"
	sampleGroup   = "02bd9fd6-8f93-4758-87c3-1fb73740a315"
	sampleDeleted = "78bf875b-9343-4edc-9130-0d3958113563"
)

// sampleTenant returns a tenant with the objects of the documentation's examples.
func sampleTenant(t *testing.T) *client {
	t.Helper()
	tenant, c := open(t, graph.Config{Domains: []string{"contoso.com"}})
	_, err := tenant.AddUser(graph.User{ID: sampleUser, UserPrincipalName: "AdeleV@contoso.com",
		DisplayName: "Adele Vance", Mail: "a@contoso.com"})
	noError(t, err)
	for id, name := range map[string]string{sampleGroup: "allcompany", sampleDeleted: "allgone"} {
		_, err := tenant.AddGroup(graph.Group{ID: id, DisplayName: name, Unified: true, MailNickname: name})
		noError(t, err)
		noError(t, tenant.AddMember(id, sampleUser))
	}
	noError(t, tenant.Remove(sampleDeleted))
	return c
}

// sampleURL replaces the placeholders of an example by existing ids.
func sampleURL(s csdltest.Sample) string {
	path := strings.TrimPrefix(s.URL, "https://graph.microsoft.com/v1.0/")
	group := strings.NewReplacer("groups/{id}", "groups/"+sampleGroup, "{group-id}", sampleGroup,
		"{directory-object-id}", sampleUser,
		"{object-id}", sampleDeleted, "{id}", sampleUser)
	return group.Replace(path)
}

// sampleBodies are the requests that belong to the examples' responses.
var sampleBodies = map[string]object{
	"getByIds": {"ids": []string{sampleUser, sampleGroup}},
	"$ref":     nil, // made in the test
	"groups": {
		"description": "Self help community for golf", "displayName": "Golf Assist", "groupTypes": []string{"Unified"},
		"mailEnabled":  true,
		"mailNickname": "golfassist", "securityEnabled": false,
	},
}

// TestDocumentedExamples sends the documentation's requests. The status must be the documented one, and our response
// must have every field of the documented one.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	for _, sample := range csdltest.Samples(t) {
		t.Run(sample.String(), func(t *testing.T) {
			t.Parallel()
			c := sampleTenant(t)
			var header []string
			if strings.Contains(sample.URL, "$count") {
				header = []string{"ConsistencyLevel", "eventual"}
			}
			url, body := sampleURL(sample), any(nil)
			switch {
			case strings.HasSuffix(url, "/$ref") && sample.Method == "POST":
				body = ref(c.want(201, "POST", "users", contoso(newUser("new"))).id())
			case strings.HasSuffix(url, "getByIds"):
				body = sampleBodies["getByIds"]
			case strings.Contains(url, "uniqueName"):
				body, header = sampleBodies["groups"], []string{"Prefer", "create-if-missing"}
			case sample.Method == "PATCH":
				body = object{"description": "x"}
			case sample.Method == "POST" && url == "groups":
				body = sampleBodies["groups"]
			}
			got := c.want(sample.Status, sample.Method, url, body, header...)
			compareShape(t, sample, got)
		})
	}
}

func contoso(user object) object {
	user["userPrincipalName"] = strings.Replace(user["userPrincipalName"].(string), "example.com", "contoso.com", 1)
	return user
}

// compareShape requires each field of the documented response in ours, except links, which depend on the size.
func compareShape(t *testing.T, sample csdltest.Sample, got reply) {
	t.Helper()
	var want object
	if json.Unmarshal(sample.Body, &want) != nil || want == nil {
		return // a number, or nothing
	}
	for name := range want {
		if name == "@odata.nextLink" && got.Body["@odata.deltaLink"] != nil {
			continue
		}
		if _, ok := got.Body[name]; !ok && !optional(sample, name) {
			t.Errorf("the documented answer has %s, ours has not: %.300s", name, got.Raw)
		}
	}
	items, _ := want["value"].([]any)
	if len(items) == 0 {
		return
	}
	if len(got.values()) == 0 {
		t.Fatalf("ours is empty: %s", got.Raw)
	}
	for _, item := range items {
		typ := fmt.Sprint(item.(object)["@odata.type"])
		i := slices.IndexFunc(got.values(), func(o object) bool { return fmt.Sprint(o["@odata.type"]) == typ })
		if i < 0 {
			continue // another kind of object, which the simulator does not have
		}
		for name := range item.(object) {
			if _, ok := got.values()[i][name]; !ok && !optional(sample, name) {
				t.Errorf("a documented item has %s, ours has not: %v", name, got.values()[i])
			}
		}
	}
}

// optional reports whether our response may lack a field of the documented one. The examples of mixed collections
// show properties of other types, and only callers that ask for full metadata get @odata.id.
func optional(sample csdltest.Sample, name string) bool {
	return name == "@odata.id" || strings.HasSuffix(sample.URL, "/members") && name == "mail"
}
