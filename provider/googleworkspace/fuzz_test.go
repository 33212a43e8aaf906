package googleworkspace_test

import (
	"crypto/rand"
	"crypto/rsa"
	"net/http"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
	"rollcall/provider/providertest"
	simulator "rollcall/simulator/googleworkspace"
)

// opOf names a request by its method and the last part of its path that is no key.
func opOf(r *http.Request) string {
	path := strings.TrimPrefix(r.URL.Path, "/admin/directory/v1")
	for key, name := range map[string]string{"u1": "{user}", "u2": "{user}", "g1": "{group}",
		"liz@example.com": "{user}"} {
		path = strings.Replace(path, "/"+key, "/"+name, 1)
	}
	return r.Method + " " + path
}

const (
	goodUser = `{"kind":"admin#directory#user","id":"u1","primaryEmail":"ann@example.com","isAdmin":false,` +
		`"name":{"givenName":"Ann","familyName":"Lee"},"externalIds":[{"type":"custom","customType":"rollcall",` +
		`"value":"e1"}],"aliases":["a@example.com"]}`
	goodGroup = `{"kind":"admin#directory#group","id":"g1","email":"staff@example.com","name":"Staff",` +
		`"directMembersCount":"1","externalIds":[{"id":"rollcall:e2","namespace":"system/external"}]}`
)

// FuzzAnswers replaces one of Google's answers.
func FuzzAnswers(f *testing.F) {
	key, err := rsa.GenerateKey(rand.Reader, 1024) // a small one signs faster
	if err != nil {
		f.Fatal(err)
	}
	const url = "https://google.test"
	credentials, err := simulator.New(simulator.Config{Key: key}).CredentialsJSON(url)
	if err != nil {
		f.Fatal(err)
	}
	a := &providertest.Answers{
		Open: func(rt http.RoundTripper) (provider.Provider, error) {
			cfg := config(url)
			cfg.UserPropertyMappings = map[string]string{"orgUnitPath": `"/"`, "phones.work": `ldap["mail"]`,
				"customSchemas.Staff.badge": `ldap["uid"]`}
			if err := cfg.Validate(); err != nil {
				return nil, err
			}
			return googleworkspace.New(cfg, googleworkspace.Options{Credentials: credentials, Transport: rt})
		},
		Op: opOf,
		Good: map[string]string{
			"POST /token": `{"access_token":"opaque-access-token-of-google","token_type":"Bearer","expires_in":3600}`,
			"GET /customer/my_customer/domains": `{"kind":"admin#directory#domains","domains":[{"domainName":"example.com",` +
				`"verified":true,"isPrimary":true}]}`,
			"GET /customer/my_customer/schemas": `{"kind":"admin#directory#schemas","schemas":[{"schemaName":"Staff",` +
				`"fields":[{"fieldName":"badge","fieldType":"STRING"}]}]}`,
			"GET /customer/my_customer/orgunits": `{"organizationUnits":[{"orgUnitPath":"/Staff"}]}`,
			"GET /users":                         `{"kind":"admin#directory#users","users":[` + goodUser + `]}`,
			"GET /groups":                        `{"kind":"admin#directory#groups","groups":[` + goodGroup + `]}`,
			"GET /groups/{group}/members":        `{"members":[{"id":"u1","email":"ann@example.com"}]}`,
			"GET /users/{user}":                  goodUser, "POST /users": `{"id":"u2"}`, "PUT /users/{user}": `{"id":"u1"}`,
			"GET /groups/{group}": goodGroup, "POST /groups": `{"id":"g2"}`, "DELETE /users/{user}": ``,
			"POST /groups/{group}/members": `{"id":"u1"}`, "DELETE /groups/{group}/members/{user}": ``,
			"POST /users/{user}/signOut": ``, "GET /groups/{group}/members/{user}": `{"id":"u1"}`,
		},
		Listings: []string{"GET /customer/my_customer/domains", "GET /users", "GET /groups", "POST /token"},
		Query:    provider.Query{Groups: map[directory.ID]plan.Confirmed{}},
		Changes: []plan.Change{
			newUser("e3", "liz@example.com"), newGroup("e4", "sales@example.com"),
			change(plan.Update, user("e1"), "u1", "name.givenName", "Anne"), change(plan.Suspend, user("e1"), "u1"),
			membership(plan.AddMember, "e2", "g1", user("e1"), "u1"),
			membership(plan.RemoveMember, "e2", "g1", user("e1"), "u1"), change(plan.Delete, user("e1"), "u1"),
		},
		Seeds: []string{
			`{"error":{"code":400,"message":"no: $TOKEN $SECRET\u001b[2J\u202e","errors":[{"reason":"$TOKEN\n"}]}}`,
			`{"error":{"status":"RESOURCE_EXHAUSTED","details":[{"reason":"\u0007"}]}}`, `{"error":"$SECRET"}`,
			`{"error":"invalid_grant","error_description":"$SECRET"}`, `{"nextPageToken":"again"}`, `null`, `<html>$TOKEN`,
			`{"users":[null,{}],"groups":[null,{}],"members":[null,{}],"domains":[null,{}],"organizationUnits":[null],` +
				`"schemas":[{"schemaName":"Staff","fields":[null]},null]}`,
		},
	}
	a.Fuzz(f)
}
