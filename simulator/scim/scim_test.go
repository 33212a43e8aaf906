package scim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/simulator/scim"
)

func TestLifeOfAUser(t *testing.T) {
	t.Parallel()
	c := serve(t, scim.Config{})
	for _, path := range []string{"/ServiceProviderConfig", "/ResourceTypes", "/Schemas"} {
		c.want(http.StatusOK, "GET", path, nil)
	}
	ann := user("ann@example.com", "externalId", "a1", "name", map[string]any{"givenName": "Ann"},
		"emails", []any{map[string]any{"value": "ann@example.com", "type": "work", "primary": true}},
		scim.EnterpriseSchema, map[string]any{"employeeNumber": "7"})
	ann["schemas"] = []any{scim.UserSchema, scim.EnterpriseSchema}
	id := c.create(ann)
	c.want(http.StatusConflict, "POST", "/Users", user("ANN@example.com"))
	c.want(http.StatusOK, "PATCH", "/Users/"+id, patch(
		op("replace", "active", false),
		op("replace", "name.familyName", "Smith"),
		op("add", "emails", []any{map[string]any{"value": "a@home.example", "type": "home"}}),
		op("replace", `emails[type eq "work"].value`, "ann.smith@example.com"),
		op("replace", scim.EnterpriseSchema+":department", "Sales"),
		op("replace", "", map[string]any{"title": "Boss"}),
	))
	u, _ := c.tenant.User(id)
	name := u.Attributes["name"].(map[string]any)
	mails := u.Attributes["emails"].([]any)
	enterprise := u.Attributes[scim.EnterpriseSchema].(map[string]any)
	if u.Active || name["familyName"] != "Smith" || name["givenName"] != "Ann" || len(mails) != 2 ||
		mails[0].(map[string]any)["value"] != "ann.smith@example.com" || enterprise["department"] != "Sales" ||
		enterprise["employeeNumber"] != "7" || u.Attributes["title"] != "Boss" {
		t.Errorf("the user after the PATCH = %+v", u)
	}
	c.want(http.StatusOK, "PATCH", "/Users/"+id, patch(op("remove", "title", nil),
		op("remove", `emails[type eq "home"]`, nil), op("remove", scim.EnterpriseSchema, nil)))
	u, _ = c.tenant.User(id)
	if u.Attributes["title"] != nil || len(u.Attributes["emails"].([]any)) != 1 ||
		u.Attributes[scim.EnterpriseSchema] != nil {
		t.Errorf("the user after the removals = %+v", u)
	}
	for _, bad := range []map[string]any{
		op("replace", "active", "False"), op("replace", "nothing", "x"), op("remove", "userName", nil),
		op("replace", `emails[type eq "other"].value`, "x"), op("remove", "", nil), op("move", "title", "x"),
		op("replace", "emails[", "x"), op("replace", "urn:x:y", "x"),
	} {
		c.want(http.StatusBadRequest, "PATCH", "/Users/"+id, patch(bad))
	}
	c.want(http.StatusOK, "PUT", "/Users/"+id, user("ann@example.com"))
	if u, _ = c.tenant.User(id); u.ExternalID != "" || !u.Active {
		t.Errorf("the user after the PUT = %+v", u)
	}
	c.header.Set("If-Match", `W/"1"`)
	c.want(http.StatusPreconditionFailed, "PATCH", "/Users/"+id, patch(op("replace", "active", false)))
	c.header.Del("If-Match")
	c.want(http.StatusNoContent, "DELETE", "/Users/"+id, nil)
	c.want(http.StatusNotFound, "DELETE", "/Users/"+id, nil)
	c.want(http.StatusNotFound, "GET", "/Users/"+id, nil)
}

func TestStrictBodies(t *testing.T) {
	t.Parallel()
	c := serve(t, scim.Config{})
	for name, body := range map[string]map[string]any{
		"unknown attribute":  user("a", "shoeSize", "42"),
		"text for a boolean": user("a", "active", "True"),
		"one for many":       user("a", "emails", map[string]any{"value": "a@example.com"}),
		"no schemas":         {"userName": "a"},
		"unnamed extension":  user("a", scim.EnterpriseSchema, map[string]any{"department": "x"}),
		"two primary values": user("a", "emails", []any{map[string]any{"value": "1", "primary": true},
			map[string]any{"value": "2", "primary": true}}),
		"no name": {"schemas": []any{scim.UserSchema}},
	} {
		if status, out := c.do("POST", "/Users", body); status != http.StatusBadRequest {
			t.Errorf("%s: %d %v, want 400", name, status, out)
		}
	}
	c.create(user("a", "id", "mine", "meta", map[string]any{"version": "x"})) // RFC 7644 ignores them.
	c.auth = "Bearer wrong"
	c.want(http.StatusUnauthorized, "GET", "/Users", nil)
}

func TestFilters(t *testing.T) {
	t.Parallel()
	c := serve(t, scim.Config{})
	for _, name := range []string{"ann", "bob", "eve"} {
		c.create(user(name, "externalId", "x-"+name, "title", strings.ToUpper(name),
			"emails", []any{map[string]any{"value": name + "@example.com", "type": "work"}}))
	}
	for filter, want := range map[string]int{
		`userName eq "ANN"`:                                     1,
		`externalId eq "X-ann"`:                                 0,
		`externalId eq "x-ann"`:                                 1,
		`userName sw "a" or userName co "v"`:                    2,
		`not (userName eq "ann")`:                               2,
		`title pr and active eq true`:                           3,
		`emails[type eq "work" and value ew "bob@example.com"]`: 1,
		`emails.value eq "eve@example.com"`:                     1,
		`emails eq "eve@example.com"`:                           1,
		scim.UserSchema + `:userName ne "ann"`:                  2,
		scim.EnterpriseSchema + `:department eq "x"`:            0,
		`userName gt "bob"`:                                     1,
	} {
		out := c.want(http.StatusOK, "GET", "/Users?filter="+url.QueryEscape(filter), nil)
		if got := int(out["totalResults"].(float64)); got != want {
			t.Errorf("%s found %d, want %d", filter, got, want)
		}
	}
	for _, filter := range []string{`userName`, `userName eq`, `userName is "a"`, `(userName eq "a"`, `a.b.c eq "x"`} {
		c.want(http.StatusBadRequest, "GET", "/Users?filter="+url.QueryEscape(filter), nil)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	c := serve(t, scim.Config{Behaviours: scim.Behaviours{PageSize: 3}})
	for i := range 8 {
		c.create(user(fmt.Sprint("user", i)))
	}
	var names []string
	for start := 1; start <= 8; start += 3 {
		out := c.want(http.StatusOK, "GET", fmt.Sprintf("/Users?startIndex=%d&count=100", start), nil)
		for _, r := range out["Resources"].([]any) {
			names = append(names, r.(map[string]any)["userName"].(string))
		}
	}
	var again []string
	for cursor, more := "", true; more; {
		out := c.want(http.StatusOK, "GET", "/Users?count=3&cursor="+cursor, nil)
		for _, r := range out["Resources"].([]any) {
			again = append(again, r.(map[string]any)["userName"].(string))
		}
		cursor, more = out["nextCursor"].(string)
	}
	if len(names) != 8 || !slices.Equal(names, again) {
		t.Errorf("by index %v, by cursor %v, want eight users twice", names, again)
	}
	c.want(http.StatusBadRequest, "GET", "/Users?cursor=!!", nil)
}

func TestMembersOfGroups(t *testing.T) {
	t.Parallel()
	c := serve(t, scim.Config{})
	ann, bob, eve := c.create(user("ann")), c.create(user("bob")), c.create(user("eve"))
	staff := c.create(group("Staff", ann))
	board := c.create(group("Board", staff))
	c.want(http.StatusNoContent, "PATCH", "/Groups/"+staff, patch(op("add", "members", refs(bob, ann)),
		op("add", "members", map[string]any{"value": eve}), op("remove", fmt.Sprintf("members[value eq %q]", ann), nil)))
	if got := c.tenant.Members(staff); len(got) != 2 || slices.Contains(got, ann) {
		t.Errorf("members = %v, want bob and eve", got)
	}
	out := c.want(http.StatusOK, "GET", "/Users/"+bob, nil)
	if groups := out["groups"].([]any); groups[0].(map[string]any)["value"] != staff {
		t.Errorf("groups of bob = %v", groups)
	}
	out = c.want(http.StatusOK, "GET", "/Groups?filter="+url.QueryEscape(fmt.Sprintf("members.value eq %q", bob)), nil)
	if out["totalResults"] != 1.0 {
		t.Errorf("groups with bob = %v", out)
	}
	out = c.want(http.StatusOK, "GET", "/Groups/"+staff+"?excludedAttributes=members", nil)
	if out["members"] != nil || out["displayName"] != "Staff" {
		t.Errorf("the group without members = %v", out)
	}
	c.want(http.StatusBadRequest, "PATCH", "/Groups/"+staff, patch(op("add", "members", refs("nobody"))))
	c.want(http.StatusNoContent, "PATCH", "/Groups/"+staff, patch(op("remove", "members", nil)))
	c.want(http.StatusNoContent, "DELETE", "/Groups/"+staff, nil)
	if got := c.tenant.Members(board); len(got) != 0 {
		t.Errorf("members of the outer group = %v, want none", got)
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := serve(t, scim.Config{Now: func() time.Time { return now }})
	get := func(secret string) (int, string) {
		res, err := c.server.Client().PostForm(c.server.URL+"/oauth/token", url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"rollcall"}, "client_secret": {secret}})
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var body struct {
			Token string `json:"access_token"`
		}
		_ = json.NewDecoder(res.Body).Decode(&body)
		return res.StatusCode, body.Token
	}
	if status, _ := get("wrong"); status != http.StatusUnauthorized {
		t.Errorf("a wrong secret = %d, want 401", status)
	}
	status, token := get("simulated-secret")
	if status != http.StatusOK {
		t.Fatalf("token = %d", status)
	}
	c.auth = "Bearer " + token
	c.want(http.StatusOK, "GET", "/Users", nil)
	now = now.Add(2 * time.Hour)
	c.want(http.StatusUnauthorized, "GET", "/Users", nil)
}

func TestQuotaAndFaults(t *testing.T) {
	t.Parallel()
	now := time.Now()
	c := serve(t, scim.Config{Quota: scim.Quota{Requests: 2}, Now: func() time.Time { return now }})
	c.want(http.StatusOK, "GET", "/Users", nil)
	c.want(http.StatusOK, "GET", "/Users", nil)
	c.want(http.StatusTooManyRequests, "GET", "/Users", nil)
	now = now.Add(time.Second)
	c.want(http.StatusOK, "GET", "/Users", nil)
	c.tenant.SetQuota(scim.Quota{})
	c.tenant.Inject(scim.Fault{Method: "users.create", Status: http.StatusBadGateway, Times: 1})
	c.want(http.StatusBadGateway, "POST", "/Users", user("ann"))
	c.create(user("ann"))
	c.tenant.Inject(scim.Fault{Method: "users.list", Effect: scim.EmptyList})
	if out := c.want(http.StatusOK, "GET", "/Users", nil); out["Resources"] != nil {
		t.Errorf("an empty list = %v", out)
	}
	if n := c.tenant.Calls(); n.Refused != 2 || n.Writes != 1 || n.ByMethod["users.list"] != 4 {
		t.Errorf("calls = %+v", n)
	}
}

// replaced puts ids into a body.
func replaced(t *testing.T, body map[string]any, ids *strings.Replacer) (out map[string]any) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err == nil {
		err = json.Unmarshal([]byte(ids.Replace(string(raw))), &out)
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}
