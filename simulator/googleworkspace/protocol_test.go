package googleworkspace_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/simulator/googleworkspace"
)

// raw sends one request to a tenant with a good token and returns the answer.
func raw(t *testing.T, tenant *googleworkspace.Tenant, method, target, body string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+tenant.IssueToken())
	w := httptest.NewRecorder()
	tenant.Handler().ServeHTTP(w, r)
	return w.Result()
}

func TestProtocolErrors(t *testing.T) {
	t.Parallel()
	tenant := googleworkspace.New(googleworkspace.Config{})
	const users = "/admin/directory/v1/users"
	for name, tc := range map[string]struct {
		method, target, body string
		code                 int
		reason, message      string
	}{
		"root":         {"GET", "/", "", 404, "notFound", "Not Found"},
		"unknown path": {"GET", "/admin/directory/v1/people", "", 404, "notFound", "Not Found"},
		"no key":       {"GET", users + "/", "", 404, "notFound", "Not Found"},
		"wrong method": {"PATCH", users, "{}", 405, "httpMethodNotAllowed", "HTTP method not allowed."},
		"not served":   {"POST", users + "/1/makeAdmin", `{"status":true}`, 501, "notImplemented", "Not Implemented"},
		"no JSON":      {"POST", users, `{"primaryEmail":`, 400, "parseError", "Parse Error"},
		"an array":     {"POST", users, `[]`, 400, "parseError", "Parse Error"},
		"null":         {"POST", users, `null`, 400, "parseError", "Parse Error"},
		"two values":   {"POST", users, `{}{}`, 400, "parseError", "Parse Error"},
		"unknown field": {"POST", users, `{"mail":"x"}`, 400, "invalid",
			`Invalid JSON payload received. Unknown name "mail" at 'user': Cannot find field.`},
		"unknown in name": {"PUT", users + "/admin@example.com", `{"name":{"first":"x"}}`, 400, "invalid",
			`Invalid JSON payload received. Unknown name "first" at 'user.name': Cannot find field.`},
		"wrong type": {"PUT", users + "/admin@example.com", `{"suspended":"yes"}`, 400, "invalid",
			"Invalid value at 'user.suspended'"},
		"empty body": {"POST", users, "", 400, "invalid", "Invalid Input: primary_user_email"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resp := raw(t, tenant, tc.method, tc.target, tc.body)
			var got any
			noError(t, json.NewDecoder(resp.Body).Decode(&got))
			want := any(map[string]any{"error": map[string]any{
				"code": float64(tc.code), "message": tc.message,
				"errors": []any{map[string]any{"message": tc.message, "domain": "global", "reason": tc.reason}},
			}})
			if diff := cmp.Diff(want, got); diff != "" || resp.StatusCode != tc.code {
				t.Errorf("status %d, body (-want +got):\n%s", resp.StatusCode, diff)
			}
			if tc.code == 405 && resp.Header.Get("Allow") != "GET, POST" {
				t.Errorf("Allow = %q", resp.Header.Get("Allow"))
			}
		})
	}
}

func TestInt64IsAString(t *testing.T) {
	t.Parallel()
	tenant := googleworkspace.New(googleworkspace.Config{})
	_, err := tenant.AddGroup(googleworkspace.Group{Email: "g@example.com"})
	noError(t, err)
	body, err := io.ReadAll(raw(t, tenant, "GET", "/admin/directory/v1/groups/g@example.com", "").Body)
	noError(t, err)
	if !strings.Contains(string(body), `"directMembersCount":"0"`) {
		t.Errorf("group = %s", body)
	}
}

func TestEmptyListHasNoItems(t *testing.T) {
	t.Parallel()
	tenant := googleworkspace.New(googleworkspace.Config{})
	body, err := io.ReadAll(raw(t, tenant, "GET", "/admin/directory/v1/groups?customer=my_customer", "").Body)
	noError(t, err)
	if strings.Contains(string(body), `"groups":`) {
		t.Errorf("empty list = %s", body)
	}
}

func TestDomainsAndOrgUnits(t *testing.T) {
	t.Parallel()
	_, s := open(t, googleworkspace.Config{Domains: []string{"example.com", "example.org"},
		UnverifiedDomains: []string{"soon.example"}})
	domains, err := s.Domains.List("my_customer").Do()
	noError(t, err)
	var got []string
	for _, d := range domains.Domains {
		if d.Verified {
			got = append(got, d.DomainName)
		}
	}
	if !cmp.Equal(got, []string{"example.com", "example.org"}) || len(domains.Domains) != 3 ||
		!domains.Domains[0].IsPrimary {
		t.Errorf("domains = %v of %d", got, len(domains.Domains))
	}
	_, err = s.Domains.Get("my_customer", "none.example").Do()
	wantError(t, err, 404, "notFound", "Domain not found.")

	unit, err := s.Orgunits.Insert("my_customer", &admin.OrgUnit{Name: "corp", ParentOrgUnitPath: "/"}).Do()
	noError(t, err)
	_, err = s.Orgunits.Insert("my_customer", &admin.OrgUnit{Name: "sales", ParentOrgUnitId: unit.OrgUnitId}).Do()
	noError(t, err)
	_, err = s.Orgunits.Insert("my_customer", &admin.OrgUnit{Name: "Sales", ParentOrgUnitPath: "/corp"}).Do()
	wantError(t, err, 400, "invalid", "Invalid Ou Id")
	_, err = s.Orgunits.Insert("my_customer", &admin.OrgUnit{Name: "x", ParentOrgUnitPath: "/none"}).Do()
	wantError(t, err, 400, "invalid", "Invalid Parent Orgunit Id")
	sales, err := s.Orgunits.Get("my_customer", "corp/sales").Do()
	noError(t, err)
	if sales.OrgUnitPath != "/corp/sales" || sales.ParentOrgUnitId != unit.OrgUnitId {
		t.Errorf("unit = %+v", sales)
	}
	for kind, want := range map[string]int{"children": 1, "all": 2, "allIncludingParent": 3} {
		list, err := s.Orgunits.List("my_customer").Type(kind).Do()
		noError(t, err)
		if len(list.OrganizationUnits) != want {
			t.Errorf("%s = %d units, want %d", kind, len(list.OrganizationUnits), want)
		}
	}
	_, err = s.Orgunits.Get("C1", "corp").Do()
	wantError(t, err, 400, "invalid", "Invalid Input: INVALID_CUSTOMER_ID")
}
