package googleworkspace_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
	simulator "rollcall/simulator/googleworkspace"
)

// TestObjectJobsListNothing checks that one entry costs a handful of calls, for a tenant and groups of any size.
func TestObjectJobsListNothing(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	w.fill(700, 30)
	var user0, group0 string
	lookup := provider.Lookup{Ref: user("u0"), Address: "user0000@example.com"}
	for _, o := range w.read(provider.Query{}).Objects {
		switch {
		case o.Ref == user("u0"):
			user0 = o.RemoteID
		case o.Ref == group("g0"):
			group0 = o.RemoteID
		}
		if o.Kind == directory.Group {
			lookup.Groups = append(lookup.Groups, provider.GroupRef{ID: o.ID, RemoteID: o.RemoteID})
		}
	}
	lookup.RemoteID = user0
	for _, tc := range []struct {
		lookup provider.Lookup
		want   []string
	}{
		{lookup, []string{"directory.users.get", "directory.groups.list"}},
		// the groups of one user
		{provider.Lookup{Ref: user("u0"), Address: "user0000@example.com"}, []string{"directory.users.list"}}, // a search
		{provider.Lookup{Ref: group("g0"), RemoteID: group0}, []string{"directory.groups.get", "directory.members.list"}},
	} {
		w.tenant.ResetCalls()
		state := w.read(provider.Query{Lookups: []provider.Lookup{tc.lookup}})
		if diff := cmp.Diff(tc.want, w.tenant.Calls().Methods()); diff != "" {
			t.Errorf("calls for %+v (-want +got):\n%s", tc.lookup.Ref, diff)
		}
		if want := 1 + len(tc.lookup.Groups); len(state.Objects) != want {
			t.Errorf("%d objects for %+v, want %d", len(state.Objects), tc.lookup.Ref, want)
		}
	}
}

// TestGroupsOfALookupSayTheirSize checks that lookups return the size of groups, which the guard of members needs.
func TestGroupsOfALookupSayTheirSize(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	liz, bob := w.must(newUser("u1", "liz@example.com")), w.must(newUser("u2", "bob@example.com"))
	sales := w.must(newGroup("g1", "sales@example.com"))
	w.must(membership(plan.AddMember, "g1", sales, user("u1"), liz))
	w.must(membership(plan.AddMember, "g1", sales, user("u2"), bob))
	state := w.read(provider.Query{Lookups: []provider.Lookup{
		{Ref: user("u1"), RemoteID: liz, Groups: []provider.GroupRef{{ID: "g1", RemoteID: sales}}},
	}})
	if o, ok := find(state, sales); !ok || o.Size != 2 || len(o.Members) != 1 {
		t.Errorf("group = %+v, want a size of 2 and the one member that was asked for", o)
	}
}

// TestIDsThatNeedQuotes checks that the search finds only the right anchor when it contains blanks and quotes.
func TestIDsThatNeedQuotes(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	odd := directory.ID(`O'Neil \ Söhne email:x`)
	id := w.must(newUser(odd, "liz@example.com"))
	if _, err := w.tenant.AddUser(simulator.User{
		PrimaryEmail: "thief@example.com", GivenName: "A", FamilyName: "B",
		ExternalIDs: []simulator.ExternalID{{Type: "organization", Value: string(odd)}},
	}); err != nil {
		t.Fatal(err)
	}
	state := w.read(provider.Query{Lookups: []provider.Lookup{{Ref: user(odd)}}})
	if len(state.Objects) != 1 || state.Objects[0].RemoteID != id {
		t.Errorf("found %+v, want the one with the anchor", state.Objects)
	}
}

func TestProtectedGroups(t *testing.T) {
	t.Parallel()
	w := open(t, setup{config: func(c *googleworkspace.Config) { c.Protected = []string{"board@*"} }})
	board := w.must(newGroup("g1", "board@example.com"))
	if o := w.object(board); !strings.Contains(o.Protected, "board@*") {
		t.Errorf("Protected = %q", o.Protected)
	}
	if r := w.do(change(plan.Delete, group("g1"), board)); r.Err == nil || kind(r.Err).String() != "conflict" {
		t.Errorf("deleting a protected group = %v, want a conflict", r.Err)
	}
	// Suspend does nothing to a group.
	if r := w.do(change(plan.Suspend, group("g1"), board)); r.Err != nil || r.Note == "" {
		t.Errorf("suspending a group = %+v, want a note", r)
	}
}
