//go:build npm

package googleworkspace_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/npmtest"
	"rollcall/simulator/googleworkspace"
	"rollcall/simulator/googleworkspace/discoverytest"
)

// TestJavaScriptClient runs Google's JavaScript client, which is independent of this project, against a tenant. It
// needs node and npm, which fetches the package. Run it with go test -tags npm -run JavaScript
// ./simulator/googleworkspace.
func TestJavaScriptClient(t *testing.T) {
	t.Parallel()
	folder := npmtest.Install(t)

	tenant := googleworkspace.New(googleworkspace.Config{Key: sharedKey()})
	before := len(tenant.Users())
	for i := range 20 {
		_, err := tenant.AddUser(googleworkspace.User{PrimaryEmail: fmt.Sprintf("u%d@example.com", i), GivenName: "Liz",
			FamilyName: "Smith"})
		noError(t, err)
	}
	for i := range 10 {
		_, err := tenant.AddGroup(googleworkspace.Group{Email: fmt.Sprintf("g%d@example.com", i)})
		noError(t, err)
	}
	server := httptest.NewServer(discoverytest.Wrap(t, tenant.Handler()))
	t.Cleanup(server.Close)
	credentials, err := tenant.CredentialsJSON(server.URL)
	noError(t, err)
	folder.Write("credentials.json", credentials)

	var got map[string]any
	noError(t, json.Unmarshal(folder.Run("node", "client.cjs", server.URL, "credentials.json", "admin@example.com"), &got))
	if got["created"] == "" {
		t.Error("the client created no user")
	}
	delete(got, "created")
	want := map[string]any{
		"users": float64(before + 21), "groups": 10.0, "members": []any{"adele@example.com"}, "name": "Smith",
		"refusal": "404 Resource Not Found: userKey",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the client found (-want +got):\n%s", diff)
	}
	if n := len(tenant.Users()); n != before+20 {
		t.Errorf("there are %d users, want %d", n, before+20)
	}
}
