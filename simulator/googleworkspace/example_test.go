package googleworkspace_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"golang.org/x/oauth2/google"
	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/option"

	"rollcall/simulator/googleworkspace"
)

// Google's own client signs in to a tenant with a service account key and creates a user.
func Example() {
	tenant := googleworkspace.New(googleworkspace.Config{Domains: []string{"example.com"}})
	server := httptest.NewServer(tenant.Handler())
	defer server.Close()

	ctx := context.Background()
	key, err := tenant.CredentialsJSON(server.URL)
	if err != nil {
		panic(err)
	}
	jwt, err := google.JWTConfigFromJSON(key, admin.AdminDirectoryUserScope)
	if err != nil {
		panic(err)
	}
	jwt.Subject = "admin@example.com" // the administrator that the service account acts as
	client, err := admin.NewService(ctx, option.WithEndpoint(server.URL), option.WithHTTPClient(jwt.Client(ctx)))
	if err != nil {
		panic(err)
	}
	_, err = client.Users.Insert(&admin.User{
		PrimaryEmail: "Liz@example.com", Password: "correct horse",
		Name: &admin.UserName{GivenName: "Liz", FamilyName: "Smith"},
	}).Do()
	if err != nil {
		panic(err)
	}

	for _, u := range tenant.Users() {
		fmt.Println(u.PrimaryEmail, u.IsAdmin)
	}
	fmt.Println(tenant.Calls().Methods())
	// Output:
	// admin@example.com true
	// liz@example.com false
	// [directory.users.insert]
}
