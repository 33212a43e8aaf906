package scim_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/internal/secret"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/providertest"
	"rollcall/provider/scim"
)

// FuzzAnswers replaces one of the answers of a SCIM server, or of its token endpoint.
func FuzzAnswers(f *testing.F) {
	const url = "https://scim.test"
	file := filepath.Join(f.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("a-client-secret-of-scim\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	goodUser := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"u1","userName":"ann@example.com",` +
		`"externalId":"e1","active":true,"emails":[{"value":"ann@example.com","type":"work"}],"meta":{"version":"1"}}`
	goodGroup := `{"id":"g1","displayName":"Staff","externalId":"e2","members":[{"value":"u1"}]}`
	list := func(resource string) string {
		return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:ListResponse"],"totalResults":1,"startIndex":1,` +
			`"itemsPerPage":1,"Resources":[` + resource + `]}`
	}
	a := &providertest.Answers{
		Open: func(rt http.RoundTripper) (provider.Provider, error) {
			cfg := scim.Config{Endpoint: url + "/v2", ClientID: "app", ClientSecretFile: secret.File(file),
				TokenURL: url + "/token"}
			cfg.ID, cfg.Name = 1, "SCIM"
			cfg.UserPropertyMappings = map[string]string{badge: "employeeNumber", "emails.work.value": `ldap["mail"]`}
			return scim.New(cfg, scim.Options{Transport: rt})
		},
		Op: func(r *http.Request) string {
			path := strings.NewReplacer("/v2", "", "/u1", "/{user}", "/g1", "/{group}").Replace(r.URL.Path)
			return r.Method + " " + path
		},
		Good: map[string]string{
			"POST /token": `{"access_token":"opaque-access-token-of-scim","token_type":"Bearer","expires_in":"3600"}`,
			"GET /ServiceProviderConfig": `{"patch":{"supported":true},"filter":{"supported":true},` +
				`"etag":{"supported":true}}`,
			"GET /ResourceTypes": `{"Resources":[{"name":"User","endpoint":"/Users"},{"name":"Group"}]}`,
			"GET /Schemas": `{"Resources":[{"id":"urn:ietf:params:scim:schemas:core:2.0:User",` +
				`"attributes":[{"name":"userName","type":"string"}]}]}`,
			"GET /Users": list(goodUser), "GET /Groups": list(goodGroup),
			"GET /Users/{user}": goodUser, "PATCH /Users/{user}": goodUser, "DELETE /Users/{user}": ``,
			"POST /Users":         `{"id":"u1","userName":"liz@example.com","externalId":"e3","active":true}`,
			"POST /Groups":        `{"id":"g1","displayName":"Sales","externalId":"e4"}`,
			"GET /Groups/{group}": goodGroup, "PATCH /Groups/{group}": goodGroup,
		},
		Listings: []string{"GET /Users", "GET /Groups", "POST /token"},
		Query:    provider.Query{Groups: map[directory.ID]plan.Confirmed{}},
		Changes: []plan.Change{
			newUser("e3", "liz@example.com"), newGroup("e4", "Sales"),
			change(plan.Update, userRef("e1"), "u1", field("emails.work.value", "a@example.com")),
			change(plan.Suspend, userRef("e1"), "u1"), member(plan.AddMember, "e2", "g1", "e1", "u1"),
			member(plan.RemoveMember, "e2", "g1", "e1", "u1"), change(plan.Delete, userRef("e1"), "u1"),
		},
		Seeds: []string{
			`{"schemas":["urn:ietf:params:scim:api:messages:2.0:Error"],"scimType":"$TOKEN\u001b[2J",` +
				`"detail":"no: $TOKEN $SECRET a-client-secret-of-scim\u202e","message":"x","status":"400"}`,
			`{"error":"$SECRET a-client-secret-of-scim\r\n"}`, `null`, `[]`, `<html>$TOKEN`, `{"Resources":[null,{}]}`,
			`{"access_token":"a\nb","expires_in":1e300}`, `{"access_token":"opaque-access-token","expires_in":{}}`,
			list(`{"ID":"u1","Id":"u2","iD":"u3","EXTERNALID":"e1","ExternalId":"e2","emails":[null,{"type":{}}]}`),
			`{"totalResults":-1,"Resources":[{"id":7}],"nextCursor":"again"}`, `{"Resources":[],"totalResults":99}`,
			`{"pagination":{"cursor":true,"maxPageSize":-1},"patch":{"supported":false}}`,
		},
	}
	a.Fuzz(f)
}
