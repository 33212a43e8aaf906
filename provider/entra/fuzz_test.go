package entra_test

import (
	"net/http"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/entra"
	"rollcall/provider/providertest"
	"rollcall/provider/remote"
)

// The ids of objects in the good answers.
const (
	fuzzTenant = "c0ffee00-0000-4000-8000-000000000001"
	fuzzUser   = "aaaaaaaa-0000-4000-8000-000000000001"
	fuzzGroup  = "bbbbbbbb-0000-4000-8000-000000000002"
)

// opOf names a request by its method and path, with names for the ids.
func opOf(r *http.Request) string {
	path := strings.NewReplacer("/v1.0", "", fuzzUser, "{user}", fuzzGroup, "{group}", fuzzTenant,
		"{tenant}").Replace(r.URL.Path)
	return r.Method + " " + path
}

// FuzzAnswers replaces one of the answers of Graph, or of the sign-in service.
func FuzzAnswers(f *testing.F) {
	const url = "https://graph.test"
	e1 := "ABEiM0RVZneImaq7zN3u/w==" // the anchor of the entry 00112233-…
	entry := directory.ID("00112233-4455-6677-8899-aabbccddeeff")
	goodUser := `{"id":"` + fuzzUser + `","userPrincipalName":"ann@example.com","accountEnabled":true,` +
		`"onPremisesImmutableId":"` + e1 + `","displayName":"Ann Lee","businessPhones":["1"]}`
	goodGroup := `{"id":"` + fuzzGroup + `","uniqueName":"rollcall-e2","displayName":"Staff","groupTypes":[],` +
		`"members@delta":[{"id":"` + fuzzUser + `","@odata.type":"#microsoft.graph.user"}]}`
	end := `,"@odata.deltaLink":"` + url + `/v1.0/users/delta?token=1"}`
	a := &providertest.Answers{
		Open: func(rt http.RoundTripper) (provider.Provider, error) {
			cfg := config(url, fuzzTenant, "c0ffee00-0000-4000-8000-000000000002")
			cfg.UserPropertyMappings = map[string]string{"businessPhones": `ldap["mail"]`, "manager": `ldap["manager"]`}
			return entra.New(cfg, entra.Options{Secret: "a-client-secret~of.the_app",
				Options: remote.Options{Transport: rt}, Cache: new(blobs)})
		},
		Op: opOf,
		Good: map[string]string{
			"GET /{tenant}/v2.0/.well-known/openid-configuration": `{"token_endpoint":"` + url + `/` + fuzzTenant +
				`/oauth2/v2.0/token","authorization_endpoint":"` + url + `/authorize","issuer":"` + url + `/` +
				fuzzTenant + `/v2.0"}`,
			"POST /{tenant}/oauth2/v2.0/token": `{"access_token":"opaque-access-token-of-graph","token_type":"Bearer",` +
				`"expires_in":3600}`,
			"POST /$batch": `{"responses":[{"id":"1","status":200,"body":{"value":[` + goodUser + `]}},` +
				`{"id":"2","status":200,"body":{"value":[]}}]}`,
			"GET /groups":                                      `{"value":[` + goodGroup + `]}`,
			"GET /directoryRoles":                              `{"value":[{"id":"r1","roleTemplateId":"t1"}]}`,
			"GET /groups(uniqueName='rollcall-e4')":            goodGroup,
			"PATCH /groups(uniqueName='rollcall-e4')":          goodGroup,
			"POST /users":                                      goodUser,
			"PATCH /users/{user}":                              ``,
			"DELETE /users/{user}":                             ``,
			"GET /users/{user}":                                goodUser,
			"POST /groups/{group}/members/$ref":                ``,
			"DELETE /groups/{group}/members/{user}/$ref":       ``,
			"GET /directory/deletedItems/microsoft.graph.user": `{"value":[]}`,
			"POST /users/{user}/revokeSignInSessions":          `{"value":true}`,
			"GET /domains":                                     `{"value":[{"id":"example.com","isVerified":true}]}`,
			"GET /users/delta":                                 `{"value":[` + goodUser + `]` + end,
			"GET /groups/delta":                                `{"value":[` + goodGroup + `]` + end,
		},
		Listings: []string{"GET /users/delta", "GET /groups/delta", "GET /domains"},
		Query:    provider.Query{Groups: map[directory.ID]plan.Confirmed{}},
		Changes: []plan.Change{
			newUser("e3", "liz@example.com"), newGroup("e4"),
			change(plan.Update, user(entry), fuzzUser, "displayName", "Anne"), change(plan.Suspend, user(entry), fuzzUser),
			membership(plan.AddMember, "e2", fuzzGroup, user(entry), fuzzUser),
			membership(plan.RemoveMember, "e2", fuzzGroup, user(entry), fuzzUser),
			change(plan.Delete, user(entry), fuzzUser),
		},
		Seeds: []string{
			`{"error":{"code":"$TOKEN\u001b[2J","message":"no: Bearer $TOKEN; $TOKEN $SECRET\u202e",` +
				`"details":[{"code":"ObjectConflict","target":"\u0007"}],"innerError":{"request-id":"$TOKEN"}}}`,
			`{"error":"invalid_client","error_description":"AADSTS7000215: $SECRET\r\n"}`, `null`, `[]`, `<html>$TOKEN`,
			`{"value":[null,{}]}`, `{"value":[],"@odata.nextLink":"` + url + `/v1.0/again"}`,
			`{"value":[{"id":"x","members@delta":[null,{"id":1},{"id":"y","@removed":{}}],"manager@delta":[null,{}]}]` + end,
			`{"responses":[null,{"id":"1","status":200,"headers":{"Retry-After":7},"body":null},{"id":"1"}]}`,
		},
	}
	a.Fuzz(f)
}
