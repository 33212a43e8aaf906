package entra_test

import (
	"slices"
	"strings"
	"testing"

	"rollcall/fault"
	"rollcall/provider"
	"rollcall/simulator/graph"
)

// The room is what the organization shows. A tenant that does not show it, or refuses, is no failure.
func TestRoom(t *testing.T) {
	t.Parallel()
	w := open(t, setup{tenant: graph.Config{ObjectQuota: 4}, unchecked: true})
	for _, name := range []string{"a@example.com", "b@example.com", "c@example.com"} {
		if _, err := w.tenant.AddUser(graph.User{UserPrincipalName: name}); err != nil {
			t.Fatal(err)
		}
	}
	used := len(w.tenant.Users()) + len(w.tenant.Groups())
	if room, err := w.Room(t.Context()); err != nil || room != (provider.Room{Used: used, Total: 4}) {
		t.Errorf("Room() = %+v, %v; want %d of 4", room, err, used)
	}
	w.tenant.Inject(graph.Fault{Method: "organization.list", Status: 403, Code: "Authorization_RequestDenied"})
	if room, err := w.Room(t.Context()); err != nil || room != (provider.Room{}) {
		t.Errorf("Room() = %+v, %v, after a refusal; want none", room, err)
	}
	if good, err := w.Check(t.Context()); err != nil || !slices.Contains(good, "the quota of objects is not visible") {
		t.Errorf("Check() = %q, %v, after a refusal", good, err)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	w := open(t, setup{tenant: graph.Config{UnverifiedDomains: []string{"Example.org"}}})
	if _, err := w.tenant.AddUser(graph.User{UserPrincipalName: "admin@example.com"}); err != nil {
		t.Fatal(err)
	}
	good, err := w.Check(t.Context())
	if err != nil || len(good) != 9 || !strings.HasPrefix(good[1], "domains that are not verified: example.org; ") {
		t.Errorf("Check() = %q, %v; want nine lines, with the domain that is not verified", good, err)
	}
	if n := w.tenant.Calls().Writes; n != 0 {
		t.Errorf("Check() wrote %d times", n)
	}
	for permission, says := range map[string]string{
		"Group.ReadWrite.All": "groups.list", "Directory.Read.All": "directoryRoles.list",
	} {
		var rest []string
		for _, p := range []string{"User.ReadWrite.All", "Group.ReadWrite.All", "Directory.Read.All",
			"Domain.Read.All"} {
			if p != permission && (permission != "Group.ReadWrite.All" || p != "Directory.Read.All") {
				rest = append(rest, p)
			}
		}
		w := open(t, setup{tenant: graph.Config{App: graph.App{Permissions: rest}}})
		if _, err := w.Check(t.Context()); err == nil || !strings.Contains(err.Error(), permission) ||
			!strings.Contains(err.Error(), says) {
			t.Errorf("without %s: Check() = %v, want it to say so", permission, err)
		}
	}
	w = open(t, setup{tenant: graph.Config{App: graph.App{Permissions: []string{"User.Read.All", "Group.ReadWrite.All",
		"Directory.Read.All", "Domain.Read.All"}}}})
	good, err = w.Check(t.Context())
	want := "permissions in the access token: Directory.Read.All, Domain.Read.All, Group.ReadWrite.All, User.Read.All; " +
		"needed: User.ReadWrite.All, Group.ReadWrite.All, Directory.Read.All, Domain.Read.All; missing: User.ReadWrite.All"
	if !slices.Contains(good, want) {
		t.Errorf("Check() = %q, want %q", good, want)
	}
	if err == nil || kind(err) != fault.Denied ||
		!strings.Contains(err.Error(), "users.update: the access token does not permit it: grant the app the application "+
			"permission User.ReadWrite.All") || strings.Contains(err.Error(), "Group.") {
		t.Errorf("with permission to read users: Check() = %v, want it to name the one to write them", err)
	}
}
