package rfctest_test

import (
	"net/http"
	"strings"
	"testing"

	"rollcall/simulator/scim/rfctest"
)

// Every mistake in an answer is found.
func TestCheck(t *testing.T) {
	t.Parallel()
	const user = `"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "id": "1", "userName": "a", ` +
		`"meta": {"resourceType": "User", "location": "x", "created": "2026-11-30T00:00:00Z"}`
	const list = `"schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"]`
	const refusal = `"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "detail": "no"`
	for _, test := range []struct {
		status     int
		body, want string
	}{
		{200, "{" + user + "}", ""},
		{200, "", "no body"},
		{200, "[]", "not an object"},
		{200, `{"id": "1"}`, "no schemas"},
		{200, strings.Replace("{"+user+"}", `"id": "1", `, "", 1), "no id"},
		{200, strings.Replace("{"+user+"}", `"userName"`, `"username"`, 1), "username is in no schema"},
		{200, strings.Replace("{"+user+"}", `"userName": "a", `, "", 1), "userName is required"},
		{200, strings.Replace("{"+user+"}", "T00:00:00Z", "", 1), "dateTime"},
		{200, "{" + user + `, "active": "True"}`, "active is True"},
		{200, "{" + user + `, "emails": {"value": "a"}}`, "emails is no list"},
		{200, "{" + user + `, "emails": [{"primary": true}, {"primary": true}]}`, "several primary"},
		{200, "{" + user + `, "urn:x": {}}`, "urn:x is in no schema"},
		{200, strings.Replace("{"+user+"}", `:User"]`, `:User", "urn:x"]`, 1), "urn:x is unknown"},
		{200, "{" + list + `, "totalResults": 0, "itemsPerPage": 0, "startIndex": 1}`, ""},
		{200, "{" + list + `, "itemsPerPage": 0, "startIndex": 1}`, "no totalResults"},
		{200, "{" + list + `, "totalResults": 0, "itemsPerPage": 1, "Resources": [{` + user + `}]}`, "totalResults 0"},
		{200, "{" + list + `, "totalResults": 1, "itemsPerPage": 1, "Resources": [{}]}`, "no schemas"},
		{404, "{" + refusal + `, "status": "404"}`, ""},
		{404, "{" + refusal + `, "status": 404}`, "says 404"},
		{404, "{" + refusal + `, "status": "404", "scimType": "gone"}`, `"gone"`},
		{404, "{" + user + "}", "a 404 has the schemas"},
		{200, "{" + refusal + `, "status": "200"}`, "a 200 has the schemas"},
		{404, "", "no body"},
	} {
		h := http.Header{"Content-Type": {"application/scim+json"}}
		wrong := strings.Join(rfctest.New().Check(http.MethodGet, test.status, h, []byte(test.body)), "\n")
		if test.want == "" && wrong != "" || !strings.Contains(wrong, test.want) {
			t.Errorf("%d %s: %q, want %q", test.status, test.body, wrong, test.want)
		}
	}
}
