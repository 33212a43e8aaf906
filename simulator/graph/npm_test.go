//go:build npm

package graph_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/npmtest"
	"rollcall/simulator/graph"
	"rollcall/simulator/graph/csdltest"
)

// TestJavaScriptClient runs Microsoft's JavaScript client, which is independent of this project, against a tenant. It
// needs node and npm, which fetches the package. Run it with go test -tags npm -run JavaScript ./simulator/graph.
func TestJavaScriptClient(t *testing.T) {
	t.Parallel()
	folder := npmtest.Install(t)
	authority, err := graph.NewAuthority()
	noError(t, err)
	folder.Write("ca.pem", authority.CA)
	folder.Env = []string{"NODE_EXTRA_CA_CERTS=" + filepath.Join(folder.Dir, "ca.pem")}

	tenant := graph.New(graph.Config{})
	seedUsers(t, tenant, 20)
	for i := range 10 {
		_, err := tenant.AddGroup(graph.Group{DisplayName: fmt.Sprint("Group ", i)})
		noError(t, err)
	}
	server := authority.Start(csdltest.Wrap(t, tenant.Handler()))
	t.Cleanup(server.Close)
	var got map[string]any
	noError(t, json.Unmarshal(folder.Run("node", "client.cjs", server.URL, tenant.TenantID(), tenant.ClientID(),
		tenant.ClientSecret()), &got))
	u, _ := tenant.User("AdeleV@example.com")
	want := map[string]any{
		"created": u.ID, "users": 21.0, "groups": 10.0, "found": []any{u.ID}, "refusal": "404 Request_ResourceNotFound",
		"batch": map[string]any{"1": 200.0, "2": 204.0, "3": 404.0},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the client found (-want +got):\n%s", diff)
	}
	if members := tenant.Members(tenant.Groups()[0].ID); !cmp.Equal(members, []string{u.ID}) {
		t.Errorf("members = %v", members)
	}
}
