package scim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"rollcall/simulator/scim"
)

// TestBehaviours has one request for each deviation that changes its status.
func TestBehaviours(t *testing.T) {
	t.Parallel()
	filter := "/Users?filter=" + url.QueryEscape(`title eq "x"`)
	mail := func(values ...string) []any {
		var out []any
		for _, v := range values {
			out = append(out, map[string]any{"value": v})
		}
		return out
	}
	for name, tc := range map[string]struct {
		behaviours   scim.Behaviours
		method, path string // with ann, bob and staff in place of ids
		body         map[string]any
		without      int
		with         int
	}{
		"NoConfig":     {scim.Behaviours{NoConfig: true}, "GET", "/ServiceProviderConfig", nil, 200, 404},
		"NoPatch":      {scim.Behaviours{NoPatch: true}, "PATCH", "/Users/ann", patch(op("add", "title", "x")), 200, 501},
		"NoPut":        {scim.Behaviours{NoPut: true}, "PUT", "/Users/ann", user("ann"), 200, 501},
		"NoGroups":     {scim.Behaviours{NoGroups: true}, "GET", "/Groups", nil, 200, 501},
		"Filters":      {scim.Behaviours{Filters: []string{"userName"}}, "GET", filter, nil, 200, 400},
		"NoFilter":     {scim.Behaviours{NoFilter: true}, "GET", filter, nil, 200, 403},
		"RefuseFilter": {scim.Behaviours{RefuseFilter: true}, "GET", filter, nil, 200, 400},
		"StrictIndex":  {scim.Behaviours{StrictIndex: true}, "GET", "/Users?startIndex=9", nil, 200, 400},
		"EmptyPatch": {scim.Behaviours{EmptyPatch: true}, "PATCH", "/Users/ann", patch(op("add", "title", "x")), 200,
			204},
		"Uniqueness":  {scim.Behaviours{Uniqueness400: true}, "POST", "/Users", user("ann"), 409, 400},
		"CursorOnly":  {scim.Behaviours{CursorOnly: true}, "GET", "/Users?startIndex=1", nil, 200, 400},
		"NeedAccept":  {scim.Behaviours{NeedAccept: true}, "GET", "/Users", nil, 200, 406},
		"NoSeats":     {scim.Behaviours{NoSeats: true}, "POST", "/Users", user("new"), 201, 403},
		"MaxBody":     {scim.Behaviours{MaxBody: 10}, "POST", "/Users", user("new"), 201, 413},
		"ReadOnly":    {scim.Behaviours{RefuseReadOnly: true}, "POST", "/Users", user("new", "id", "x"), 201, 400},
		"ExternalID":  {scim.Behaviours{NeedExternalID: true}, "POST", "/Users", user("new"), 201, 400},
		"Duplicates":  {scim.Behaviours{Duplicates: true}, "POST", "/Users", user("ann"), 409, 201},
		"UniqueGroup": {scim.Behaviours{UniqueGroups: true}, "POST", "/Groups", group("Staff"), 201, 409},
		"UniqueID": {scim.Behaviours{UniqueExternalID: true}, "POST", "/Users", user("new", "externalId", "a1"), 201,
			409},
		"SingleValues": {scim.Behaviours{SingleValues: true}, "POST", "/Users", user("new", "emails", mail("1", "2")), 201,
			400},
		"RefuseEmpty": {scim.Behaviours{RefuseEmpty: true}, "POST", "/Users", user("new", "emails", []any{}), 201, 400},
		"ActivePatch": {scim.Behaviours{ActivePatch: true}, "PATCH", "/Users/ann", patch(op("add", "title", "x")), 200,
			400},
		"ObjectPatch": {scim.Behaviours{ObjectPatch: true}, "PATCH", "/Users/ann", patch(op("add", "title", "x")), 200,
			400},
		"MemberChanges": {scim.Behaviours{MemberChanges: 1}, "PATCH", "/Groups/staff",
			patch(op("remove", `members[value eq "ann"]`, nil), op("remove", `members[value eq "bob"]`, nil)), 204, 400},
		"NoMemberReplace": {scim.Behaviours{NoMemberReplace: true}, "PATCH", "/Groups/staff",
			patch(op("remove", "members", nil)), 204, 400},
		"PutMembers501": {scim.Behaviours{PutMembers501: true}, "PUT", "/Groups/staff", group("Staff", "ann"), 200, 501},
		"RemoveByValue": {scim.Behaviours{RemoveByValue: true}, "PATCH", "/Groups/staff",
			patch(op("remove", `members[value eq "ann"]`, nil)), 204, 400},
		"RefuseRef": {scim.Behaviours{RefuseRef: true}, "PATCH", "/Groups/staff",
			patch(op("add", "members", []any{map[string]any{"value": "ann", "$ref": "../Users/ann"}})), 204, 400},
		"DropUnknown": {scim.Behaviours{DropUnknown: true}, "PATCH", "/Groups/staff",
			patch(op("add", "members", refs("nobody"))), 400, 204},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for behaviours, want := range map[*scim.Behaviours]int{{}: tc.without, &tc.behaviours: tc.with} {
				c := serve(t, scim.Config{})
				ann, bob := c.create(user("ann", "externalId", "a1")), c.create(user("bob"))
				ids := strings.NewReplacer(`"ann"`, fmt.Sprintf("%q", ann), `\"ann\"`, `\"`+ann+`\"`,
					`\"bob\"`, `\"`+bob+`\"`, "/ann", "/"+ann, "/staff", "/"+c.create(group("Staff", ann, bob)))
				c.tenant.Behave(*behaviours)
				body := tc.body
				if strings.HasPrefix(tc.path, "/Groups/") {
					body = replaced(t, tc.body, ids)
				}
				c.want(want, tc.method, ids.Replace(tc.path), body)
			}
		})
	}
}

// TestSilentBehaviours covers deviations that the status of the answer hides.
func TestSilentBehaviours(t *testing.T) {
	t.Parallel()
	c := serve(t, scim.Config{})
	c.lax = true
	ann, bob := c.create(user("ann")), c.create(user("bob"))
	staff := c.create(group("Staff", ann, bob))
	guest, err := c.tenant.AddUser(map[string]any{"userName": "guest"})
	if err != nil {
		t.Fatal(err)
	}
	total := func() (total, listed int) {
		out := c.want(http.StatusOK, "GET", "/Users", nil)
		list, _ := out["Resources"].([]any)
		n, _ := out["totalResults"].(float64)
		return int(n), len(list)
	}
	off := patch(op("replace", "active", false))

	c.tenant.Behave(scim.Behaviours{SilentPatch: true})
	c.want(http.StatusNoContent, "PATCH", "/Users/"+ann, off)
	c.tenant.Behave(scim.Behaviours{SilentActive: true})
	c.want(http.StatusOK, "PATCH", "/Users/"+ann, off)
	c.tenant.Behave(scim.Behaviours{SilentForeign: true})
	if out := c.want(http.StatusOK, "PATCH", "/Users/"+guest, off); out["active"] != false {
		t.Errorf("the answer about a foreign user = %v, want it to say that the user is inactive", out)
	}
	for _, id := range []string{ann, guest} {
		if u, _ := c.tenant.User(id); !u.Active {
			t.Errorf("user %s was suspended by a change without effect", id)
		}
	}
	c.tenant.Behave(scim.Behaviours{ShortList: true})
	if total, listed := total(); total != 3 || listed != 2 {
		t.Errorf("a short list has %d of %d, want 2 of 3", listed, total)
	}
	c.tenant.Behave(scim.Behaviours{MovingTotal: true})
	if total, listed := total(); total != 4 || listed != 3 {
		t.Errorf("a list with a moving total has %d of %d, want 3 of 4", listed, total)
	}
	c.tenant.Behave(scim.Behaviours{NoTotal: true})
	if total, listed := total(); total != 0 || listed != 3 {
		t.Errorf("a list without a total has %d of %d, want 3 of none", listed, total)
	}
	c.tenant.Behave(scim.Behaviours{HiddenMembers: true})
	out := c.want(http.StatusOK, "GET", "/Groups/"+staff, nil)
	if list, _ := out["members"].([]any); len(list) > 0 {
		t.Errorf("hidden members = %v", list)
	}
	c.tenant.Behave(scim.Behaviours{OmittedMembers: true})
	if out := c.want(http.StatusOK, "GET", "/Groups/"+staff, nil); out["members"] != nil {
		t.Errorf("omitted members = %v", out["members"])
	}
	c.tenant.Behave(scim.Behaviours{TextBooleans: true})
	if out := c.want(http.StatusOK, "GET", "/Users/"+ann, nil); out["active"] != "True" {
		t.Errorf("active = %v, want the text True", out["active"])
	}
	c.tenant.Behave(scim.Behaviours{IgnoreMembers: true})
	if id := c.create(group("Board", ann)); len(c.tenant.Members(id)) > 0 {
		t.Errorf("members of a POST were not ignored: %v", c.tenant.Members(id))
	}
	c.tenant.Behave(scim.Behaviours{DropGroupIDs: true, ReuseGroups: true})
	board := group("Second board")
	board["externalId"] = "g1"
	second := c.create(board)
	if out := c.want(http.StatusOK, "GET", "/Groups/"+second, nil); out["externalId"] != nil {
		t.Errorf("externalId = %v, want none", out["externalId"])
	}
	if id := c.create(board); id != second {
		t.Errorf("a second group of the name is %s, want the first one, %s", id, second)
	}
	c.tenant.Behave(scim.Behaviours{RemoveEmpties: true})
	c.want(http.StatusNoContent, "PATCH", "/Groups/"+staff, patch(op("remove", "members", refs(ann))))
	if got := c.tenant.Members(staff); len(got) != 0 {
		t.Errorf("members = %v, want none after the removal of one", got)
	}
}

// TestForms covers answers in forms that the RFCs allow, or that a client can read all the same.
func TestForms(t *testing.T) {
	t.Parallel()
	tenant := scim.New(scim.Config{Behaviours: scim.Behaviours{OddIDs: true}})
	send := func(b scim.Behaviours, method, path, body string) *httptest.ResponseRecorder {
		b.OddIDs = true
		tenant.Behave(b)
		r := httptest.NewRequestWithContext(t.Context(), method, "/scim/v2/Users"+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+tenant.Token())
		r.Header.Set("Content-Type", "application/scim+json")
		res := httptest.NewRecorder()
		tenant.Handler().ServeHTTP(res, r)
		return res
	}
	ann := `{"schemas":["` + scim.UserSchema + `"],"userName":"ann"}`
	res := send(scim.Behaviours{EmptyCreate: true, OtherHost: true}, http.MethodPost, "", ann)
	to, elsewhere := strings.CutPrefix(res.Header().Get("Location"), "https://scim.internal.example/scim/v2/Users")
	if res.Code != http.StatusCreated || res.Body.Len() > 0 || !elsewhere || !strings.Contains(to, "%2F") {
		t.Errorf("a creation = %d, %q, Location %q, want an id with a slash on another host alone", res.Code, res.Body, to)
	}
	for _, tc := range []struct {
		behaviours   scim.Behaviours
		has, hasNone string
	}{
		{scim.Behaviours{}, `"meta":`, `"UserName":`},
		{scim.Behaviours{OtherCase: true}, `"UserName":"ann"`, `"userName":`},
		{scim.Behaviours{OtherCase: true}, strings.ToUpper(scim.UserSchema), scim.UserSchema},
		{scim.Behaviours{NoMeta: true}, `"userName":"ann"`, `"meta":`},
	} {
		text := send(tc.behaviours, http.MethodGet, to, "").Body.String()
		if !strings.Contains(text, tc.has) || strings.Contains(text, tc.hasNone) {
			t.Errorf("%+v: the answer is %s, want %s and no %s", tc.behaviours, text, tc.has, tc.hasNone)
		}
	}
}

func TestProfiles(t *testing.T) {
	t.Parallel()
	for _, name := range scim.Profiles() {
		cfg, err := scim.Profile(name)
		if err != nil {
			t.Fatal(err)
		}
		c := serve(t, cfg)
		c.header.Set("User-Agent", "test")
		c.create(user("ann", "externalId", "a1"))
	}
	if _, err := scim.Profile("nothing"); err == nil || !strings.Contains(err.Error(), "aws") {
		t.Errorf("an unknown profile = %v, want an error that names those that exist", err)
	}
}
