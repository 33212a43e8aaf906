package graph_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/simulator/graph"
)

func TestSeeding(t *testing.T) {
	t.Parallel()
	tenant := graph.New(graph.Config{})
	u, err := tenant.AddUser(graph.User{UserPrincipalName: "liz@example.com", Disabled: true,
		Properties: map[string]any{"city": "Oslo"}})
	noError(t, err)
	if got, ok := tenant.User("LIZ@example.com"); !ok || !cmp.Equal(got, u) || got.DisplayName != "liz@example.com" ||
		got.MailNickname != "liz" || got.Properties["city"] != "Oslo" {
		t.Errorf("User() = %+v", got)
	}
	g, err := tenant.AddGroup(graph.Group{DisplayName: "Team", UniqueName: "rollcall-1"})
	noError(t, err)
	noError(t, tenant.AddMember("rollcall-1", "liz@example.com"))
	if got := tenant.Members(g.ID); !cmp.Equal(got, []string{u.ID}) {
		t.Errorf("Members() = %v", got)
	}
	for name, err := range map[string]error{
		"a taken name": second(tenant.AddUser(graph.User{UserPrincipalName: "liz@example.com"})),
		"no name":      second(tenant.AddUser(graph.User{})),
		"unknown property": second(tenant.AddUser(graph.User{UserPrincipalName: "x@example.com",
			Properties: map[string]any{"x": 1}})),
		"taken uniqueName":  second(tenant.AddGroup(graph.Group{DisplayName: "T", UniqueName: "rollcall-1"})),
		"group, no name":    second(tenant.AddGroup(graph.Group{})),
		"malformed id":      second(tenant.AddGroup(graph.Group{DisplayName: "T", ID: "x"})),
		"member twice":      tenant.AddMember(g.ID, u.ID),
		"member of a user":  tenant.AddMember(u.ID, g.ID),
		"nobody":            tenant.AddMember(g.ID, "nobody@example.com"),
		"no member":         tenant.RemoveMember(g.ID, g.ID),
		"set something odd": tenant.Set(u.ID, map[string]any{"x": 1}),
		"set nobody":        tenant.Set("nobody@example.com", nil),
		"remove nobody":     tenant.Remove("nobody@example.com"),
		"admin nobody":      tenant.SetAdmin("nobody@example.com", graph.GlobalAdministrator),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	noError(t, tenant.Set(u.ID, map[string]any{"accountEnabled": true, "onPremisesSyncEnabled": true}))
	if got, _ := tenant.User(u.ID); got.Disabled || !got.Synced {
		t.Errorf("User() after Set = %+v", got)
	}
	noError(t, tenant.Remove(u.ID))
	if len(tenant.Users()) != 0 || len(tenant.DeletedUsers()) != 1 || len(tenant.Members(g.ID)) != 0 {
		t.Error("the removed user is still about")
	}
	noError(t, tenant.Remove("rollcall-1"))
	if _, ok := tenant.Group(g.ID); ok || tenant.Members(g.ID) != nil {
		t.Error("the removed group is still about")
	}
}

func second[T any](_ T, err error) error { return err }

func TestSameSeedSameIDs(t *testing.T) {
	t.Parallel()
	ids := func(seed uint64) []string {
		tenant := graph.New(graph.Config{Seed: seed})
		return append(seedUsers(t, tenant, 3), tenant.TenantID(), tenant.ClientID())
	}
	if !slices.Equal(ids(1), ids(1)) || slices.Equal(ids(1), ids(2)) {
		t.Error("ids do not follow the seed")
	}
}

func TestMethodsAreNamedOnce(t *testing.T) {
	t.Parallel()
	methods := graph.Methods()
	if slices.Contains(methods, "") || len(slices.Compact(slices.Sorted(slices.Values(methods)))) != len(methods) ||
		!slices.Contains(methods, "members.add") {
		t.Errorf("Methods() = %v", methods)
	}
}

func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{CallLog: 2})
	c.createUser("liz")
	c.want(200, "GET", "users", nil)
	c.batch(step("1", "GET", "/users", nil), step("2", "POST", "/users", newUser("adele")))
	calls := tenant.Calls()
	if calls.Requests != 3 || calls.BatchItems != 2 || calls.Reads != 2 || calls.Writes != 2 || calls.Refused != 0 {
		t.Errorf("Calls() = %+v", calls)
	}
	if want := (graph.Count{Granted: 2}); calls.ByMethod["users.create"] != want {
		t.Errorf("ByMethod = %v", calls.ByMethod)
	}
	if got := calls.Methods(); len(got) != 2 || got[1] != "batch" {
		t.Errorf("Methods() = %v, want the newest two", got)
	}
	tenant.ResetCalls()
	if calls := tenant.Calls(); calls.Requests != 0 || len(calls.Log) != 0 {
		t.Errorf("Calls() after a reset = %+v", calls)
	}
}
