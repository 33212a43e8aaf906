package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"rollcall/simulator/graph"
)

// A client signs in with the app's secret and lists the users, over TLS with a private authority.
func Example() {
	tenant := graph.New(graph.Config{Domains: []string{"example.com"}})
	if _, err := tenant.AddUser(graph.User{UserPrincipalName: "liz@example.com"}); err != nil {
		panic(err)
	}
	authority, err := graph.NewAuthority()
	if err != nil {
		panic(err)
	}
	server := authority.Start(tenant.Handler()) // authority.CA goes to clients that are not this one
	defer server.Close()

	r, err := server.Client().PostForm(server.URL+"/"+tenant.TenantID()+"/oauth2/v2.0/token", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {tenant.ClientID()}, "client_secret": {tenant.ClientSecret()},
		"scope": {"https://graph.microsoft.com/.default"},
	})
	if err != nil {
		panic(err)
	}
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(r.Body).Decode(&token); err != nil {
		panic(err)
	}
	_ = r.Body.Close()

	request, err := http.NewRequest("GET", server.URL+"/v1.0/users?$select=userPrincipalName", nil)
	if err != nil {
		panic(err)
	}
	request.Header.Set("Authorization", "Bearer "+token.AccessToken)
	r, err = server.Client().Do(request)
	if err != nil {
		panic(err)
	}
	defer func() { _ = r.Body.Close() }()
	var page struct{ Value []map[string]any }
	if err := json.NewDecoder(r.Body).Decode(&page); err != nil {
		panic(err)
	}
	fmt.Println(r.Status, page.Value)
	fmt.Println(strings.Join(tenant.Calls().Methods(), " "))
	// Output:
	// 200 OK [map[userPrincipalName:liz@example.com]]
	// users.list
}
