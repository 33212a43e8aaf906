package googleworkspace_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
	simulator "rollcall/simulator/googleworkspace"
)

// fill creates users and groups of ours, with the first user in each group.
func (w *world) fill(users, groups int) {
	w.t.Helper()
	var first string
	for i := range users {
		u, err := w.tenant.AddUser(simulator.User{
			PrimaryEmail: fmt.Sprintf("user%04d@example.com", i), GivenName: "Some", FamilyName: "Body",
			ExternalIDs: []simulator.ExternalID{{Type: "custom", CustomType: "rollcall", Value: fmt.Sprint("u", i)}},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		if i == 0 {
			first = u.ID
		}
	}
	for i := range groups {
		g, err := w.tenant.AddGroup(simulator.Group{
			Email: fmt.Sprintf("group%04d@example.com", i), Name: "Group",
			ExternalIDs: []simulator.GroupExternalID{{Namespace: "system/external", ID: fmt.Sprint("rollcall:g", i)}},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := w.tenant.AddMember(g.ID, simulator.Member{ID: first}); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestUnchangedTenantCostsItsPages checks that a run without changes costs the pages of the lists and one call for
// the domains.
func TestUnchangedTenantCostsItsPages(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	w.fill(1100, 450)
	first := w.read(provider.Query{})
	if n := w.tenant.Calls().ByMethod["directory.members.list"].Granted; n != 450 {
		t.Errorf("the first read listed the members of %d groups, want 450", n)
	}
	q := provider.Query{Known: map[directory.Ref]plan.Link{}, Groups: map[directory.ID]plan.Confirmed{},
		Now: w.clock.Now()}
	for _, o := range first.Objects {
		if o.Anchored() {
			q.Known[o.Ref] = plan.Link{RemoteID: o.RemoteID}
		}
		if o.Kind == directory.Group {
			q.Groups[o.ID] = plan.Confirmed{Witness: o.Witness, Members: o.Members, VerifyBy: q.Now.Add(time.Hour)}
		}
	}
	w.tenant.ResetCalls()
	again := w.read(q)
	methods := w.tenant.Calls().Methods()
	slices.Sort(methods)
	want := slices.Concat([]string{"directory.domains.list"},
		slices.Repeat([]string{"directory.groups.list"}, 3),
		slices.Repeat([]string{"directory.users.list"}, 3))
	if diff := cmp.Diff(want, methods); diff != "" {
		t.Errorf("calls of an unchanged tenant (-want +got):\n%s", diff)
	}
	for i := range first.Objects {
		first.Objects[i].Listed = false
	}
	byID := func(a, b plan.Object) int { return strings.Compare(a.RemoteID, b.RemoteID) }
	slices.SortFunc(first.Objects, byID)
	slices.SortFunc(again.Objects, byID)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("the second read differs (-first +second):\n%s", diff)
	}
}

// TestForeignGroupsAreNotAskedForMembers checks that the members of foreign groups are not read.
func TestForeignGroupsAreNotAskedForMembers(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	if _, err := w.tenant.AddGroup(simulator.Group{Email: "club@example.com"}); err != nil {
		t.Fatal(err)
	}
	w.read(provider.Query{})
	if n := w.tenant.Calls().ByMethod["directory.members.list"]; n.Granted+n.Refused > 0 {
		t.Errorf("members.list was called %d times for a foreign group", n.Granted)
	}
}

func TestWhatUsersLookLike(t *testing.T) {
	t.Parallel()
	w := open(t, setup{
		tenant: simulator.Config{Domains: []string{"example.com", "example.net"},
			UnverifiedDomains: []string{"soon.example"}},
		config: func(c *googleworkspace.Config) { c.Protected = []string{"Boss@*", "*@example.net"} },
	})
	mark := func(kind, value string) simulator.ExternalID {
		return simulator.ExternalID{Type: "custom", CustomType: kind, Value: value}
	}
	now := w.clock.Now().Format(time.RFC3339)
	for _, tc := range []struct {
		user simulator.User
		want plan.Object
	}{
		{simulator.User{PrimaryEmail: "guest@example.com"}, plan.Object{Active: true}},
		{simulator.User{PrimaryEmail: "ann@example.com", ExternalIDs: []simulator.ExternalID{mark("rollcall", "u1")}},
			plan.Object{Ref: user("u1"), Active: true}},
		{simulator.User{PrimaryEmail: "out@example.com", Suspended: true,
			ExternalIDs: []simulator.ExternalID{mark("rollcall", "u2"), mark("rollcall_suspended", now)}},
			plan.Object{Ref: user("u2"), Suspender: plan.Us}},
		{simulator.User{PrimaryEmail: "else@example.com", Suspended: true,
			ExternalIDs: []simulator.ExternalID{mark("rollcall", "u3")}},
			plan.Object{Ref: user("u3"), Suspender: plan.Else}},
		{simulator.User{PrimaryEmail: "kept@example.com", Archived: true,
			ExternalIDs: []simulator.ExternalID{mark("rollcall", "u4"), mark("rollcall_suspended", now)}},
			plan.Object{Ref: user("u4"), Suspender: plan.Else}},
		{simulator.User{PrimaryEmail: "two@example.com",
			ExternalIDs: []simulator.ExternalID{mark("rollcall", "a"), mark("rollcall", "b")}},
			plan.Object{Active: true, ReadOnly: "it carries several Rollcall anchors (a, b); remove all but one"}},
		{simulator.User{PrimaryEmail: "chief@example.com", IsAdmin: true},
			plan.Object{Active: true, Protected: "administrator"}},
		{simulator.User{PrimaryEmail: "boss@example.com"},
			plan.Object{Active: true, Protected: "protected by the configuration (Boss@*)"}},
		{simulator.User{PrimaryEmail: "vip@example.com", Aliases: []string{"vip@example.net"}},
			plan.Object{Active: true, Protected: "protected by the configuration (*@example.net)"}},
	} {
		tc.user.GivenName, tc.user.FamilyName = "Some", "Body"
		made, err := w.tenant.AddUser(tc.user)
		if err != nil {
			t.Fatal(err)
		}
		got := w.object(made.ID)
		tc.want.Kind, tc.want.RemoteID, tc.want.Address = directory.User, made.ID, tc.user.PrimaryEmail
		tc.want.Aliases, tc.want.Fields = got.Aliases, got.Fields
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.user.PrimaryEmail, diff)
		}
		if len(tc.user.Aliases) > 0 && !slices.Contains(got.Aliases, tc.user.Aliases[0]) {
			t.Errorf("aliases of %s = %v, want %v among them", tc.user.PrimaryEmail, got.Aliases, tc.user.Aliases)
		}
	}
	state := w.read(provider.Query{})
	if diff := cmp.Diff([]string{"example.com", "example.net"}, state.Domains); diff != "" {
		t.Errorf("domains (-want +got):\n%s", diff)
	}
	i := slices.IndexFunc(state.Objects, func(o plan.Object) bool { return o.Address == "admin@example.com" })
	if got := state.Objects[i].Protected; got != "the administrator in whose name we act" {
		t.Errorf("the delegated subject is protected as %q", got)
	}
}

// TestKnownObjectsAreLookedUp checks that an object is not gone only because a list lags behind a write or is
// truncated.
func TestKnownObjectsAreLookedUp(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	old, lost := w.must(newUser("u1", "old@example.com")), w.must(newGroup("g1", "old-group@example.com"))
	created := w.clock.Now()
	w.clock.Advance(time.Hour)
	w.tenant.SetConsistency(simulator.Consistency{Create: 10 * time.Minute})
	fresh := w.must(newUser("u2", "fresh@example.com"))
	known := map[directory.Ref]plan.Link{
		user("u1"): {RemoteID: old, Created: created}, group("g1"): {RemoteID: lost, Created: created},
		user("u2"): {RemoteID: fresh, Created: w.clock.Now()}, user("u3"): {RemoteID: "999", Created: created},
	}
	w.tenant.Inject(simulator.Fault{Method: "directory.groups.list", Effect: simulator.EmptyList})
	state := w.read(provider.Query{Known: known})
	if _, ok := find(state, lost); !ok {
		t.Error("a group that the list left out was not looked up")
	}
	if diff := cmp.Diff([]directory.Ref{user("u2")}, state.Unsettled); diff != "" {
		t.Errorf("unsettled (-want +got):\n%s", diff)
	}
	w.clock.Advance(11 * time.Minute)
	state = w.read(provider.Query{Known: known})
	if _, ok := find(state, fresh); !ok || len(state.Unsettled) > 0 {
		t.Errorf("after it settled, the new user is there = %v, unsettled = %v", ok, state.Unsettled)
	}
}

func TestIncompleteReads(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	w.fill(600, 1)
	for _, f := range []simulator.Fault{
		{Method: "directory.domains.list", Effect: simulator.Drop},
		{Method: "directory.users.list", Nth: 2, Effect: simulator.TruncateAnswer},
		{Method: "directory.users.list", Nth: 2, Effect: simulator.Refuse},
		{Method: "directory.groups.list", Effect: simulator.LoseAnswer},
		{Method: "directory.members.list", Effect: simulator.TruncateAnswer},
	} {
		w.tenant.ClearFaults()
		w.tenant.Inject(f)
		state, err := w.Read(t.Context(), provider.Query{Now: w.clock.Now()})
		if err == nil || kind(err) != fault.Unavailable || len(state.Objects) > 0 {
			t.Errorf("Read() with %+v = %d objects, %v; want none, unavailable", f, len(state.Objects), err)
		}
	}
}

// TestExpiredPageTokens checks that a list begins again when Google refuses one of its page tokens. A list with tokens
// that are always refused fails the read, or makes one group unreadable.
func TestExpiredPageTokens(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusGone} {
		w := open(t, setup{})
		w.fill(600, 250)
		for i := range 250 {
			if _, err := w.tenant.AddMember("group0000@example.com",
				simulator.Member{Email: fmt.Sprintf("user%04d@example.com", i+1)}); err != nil {
				t.Fatal(err)
			}
		}
		want := w.read(provider.Query{})
		refusal := simulator.Fault{Nth: 2, Times: 1, Status: status, Code: "invalid", Message: "Invalid Input: pageToken"}
		users, groups, members := refusal, refusal, refusal
		users.Method, groups.Method = "directory.users.list", "directory.groups.list"
		members.Method = "directory.members.list"
		members.Key = must(w.tenant.Group("group0000@example.com")).ID
		w.tenant.Inject(users, groups, members)
		got := w.read(provider.Query{})
		byID := func(a, b plan.Object) int { return strings.Compare(a.RemoteID, b.RemoteID) }
		slices.SortFunc(want.Objects, byID)
		slices.SortFunc(got.Objects, byID)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d for a page token changes what is read (-want +got):\n%s", status, diff)
		}
		w.tenant.ClearFaults()
		members.Times = 0
		w.tenant.Inject(members)
		if o := w.object(members.Key); !o.Unreadable || o.Listed {
			t.Errorf("a group with tokens that are always refused (%d) is %+v, want it unreadable", status, o.ReadOnly)
		}
		w.tenant.ClearFaults()
		users.Times = 0
		w.tenant.Inject(users)
		if _, err := w.Read(t.Context(), provider.Query{Now: w.clock.Now()}); err == nil ||
			!strings.Contains(err.Error(), "users.list") {
			t.Errorf("Read() with tokens that are always refused (%d) = %v, want an error", status, err)
		}
	}
}

func must[T any](value T, ok bool) T {
	if !ok {
		panic("it does not exist")
	}
	return value
}

// TestListsThatLeaveOut checks that a list that ends early without notice omits no object that is in the ledger.
func TestListsThatLeaveOut(t *testing.T) {
	t.Parallel()
	for _, effect := range []simulator.Effect{simulator.EmptyList, simulator.ShortPage} {
		w := open(t, setup{})
		known := map[directory.Ref]plan.Link{user("u1"): {RemoteID: w.must(newUser("u1", "zzz@example.com"))}}
		w.tenant.Inject(simulator.Fault{Method: "directory.users.list", Effect: effect})
		if state := w.read(provider.Query{Known: known}); !slices.ContainsFunc(state.Objects,
			func(o plan.Object) bool { return o.Ref == user("u1") }) {
			t.Errorf("effect %v: the user is not in the state", effect)
		}
	}
}

// TestFewerMembersThanCounted checks that such a list is used, but not kept in the ledger.
func TestFewerMembersThanCounted(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	w.fill(1, 1)
	w.tenant.Inject(simulator.Fault{Method: "directory.members.list", Effect: simulator.EmptyList})
	for _, o := range w.read(provider.Query{}).Objects {
		if o.Kind == directory.Group && (o.Witness != "" || !o.Listed) {
			t.Errorf("group with a short list of members = %+v, want it listed and without witness", o)
		}
	}
}
