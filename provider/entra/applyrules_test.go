package entra_test

import (
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
	"rollcall/simulator/graph"
)

// TestReadOnlyObjects checks that objects that other systems manage are read and never written.
func TestReadOnlyObjects(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	if _, err := w.tenant.AddUser(graph.User{UserPrincipalName: "admin@example.com"}); err != nil {
		t.Fatal(err)
	}
	synced, err := w.tenant.AddUser(graph.User{UserPrincipalName: "ann@example.com", Synced: true,
		OnPremisesImmutableID: "AAAAAAAAAAAAAAAAAAAAAA=="})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := w.tenant.AddUser(graph.User{UserPrincipalName: "bob@example.com",
		OnPremisesImmutableID: "not base64"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for name, g := range map[string]graph.Group{
		"dynamic": {Dynamic: true}, "synchronised": {Synced: true}, "roles": {RoleAssignable: true},
		"mail": {Unified: true}, "": {},
	} {
		g.DisplayName, g.UniqueName = "Group", "rollcall-"+name
		made, err := w.tenant.AddGroup(g)
		if err != nil {
			t.Fatal(err)
		}
		want[made.ID] = name
	}
	s := w.read(provider.Query{})
	for remote, reason := range want {
		if o, _ := find(s, remote); !strings.Contains(o.ReadOnly, reason) || (o.ReadOnly == "") != (reason == "") {
			t.Errorf("group of kind %q: ReadOnly = %q", reason, o.ReadOnly)
		}
	}
	if o, _ := find(s, synced.ID); o.ReadOnly == "" || !o.Anchored() || o.Unproven == "" {
		t.Errorf("synchronised user = %+v", o)
	}
	if o, _ := find(s, foreign.ID); o.Anchored() || o.Protected == "" {
		t.Errorf("user with an id of another system = %+v, want it foreign and never adopted", o)
	}
	if r := w.do(change(plan.Suspend, user("00000000-0000-0000-0000-000000000000"),
		synced.ID)); kind(r.Err) != fault.Conflict {
		t.Errorf("suspend of a synchronised user = %v", r.Err)
	}
	if r := w.do(change(plan.Adopt, user(id(1)), foreign.ID)); kind(r.Err) != fault.Conflict {
		t.Errorf("adoption of an account with another system's id = %v", r.Err)
	}
}

// TestMembersGoTogether checks that one request adds twenty members, and that the bad one is found where Graph
// refuses them all.
func TestMembersGoTogether(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	ids := w.staff(40)
	g := w.must(newGroup(id(900)))
	add := func(from, to int) []provider.Result {
		var batch []plan.Change
		for i := from; i < to; i++ {
			batch = append(batch, membership(plan.AddMember, id(900), g, user(id(i)), ids[i]))
		}
		w.requests.take()
		w.tenant.ResetCalls()
		return w.Apply(t.Context(), batch)
	}
	for i, r := range add(0, 30) {
		if r.Err != nil {
			t.Errorf("member %d: %v", i, r.Err)
		}
	}
	if got := w.tenant.Calls(); got.Writes != 2 || got.Requests != 1 {
		t.Errorf("30 members took %d writes in %d requests, want 2 in 1", got.Writes, got.Requests)
	}
	// One is a member already and one does not exist. The others are added.
	w.clock.Advance(time.Hour)
	batch := []plan.Change{membership(plan.AddMember, id(900), g, user(id(99)), "5f3a1c9e-7b42-4d60-9e11-999999999999")}
	for i := 29; i < 35; i++ {
		batch = append(batch, membership(plan.AddMember, id(900), g, user(id(i)), ids[i]))
	}
	r := w.Apply(t.Context(), batch)
	if kind(r[0].Err) != fault.NotFound {
		t.Errorf("a member that does not exist = %v, want not found", r[0].Err)
	}
	for i := 1; i < len(r); i++ {
		if r[i].Err != nil {
			t.Errorf("member %d: %v", i, r[i].Err)
		}
	}
	if got, want := w.tenant.Members(g), slices.Sorted(slices.Values(ids[:35])); !slices.Equal(got, want) {
		t.Errorf("%d members, want %d", len(got), len(want))
	}
	// The removal of a member never deletes the account.
	batch = nil
	for i := range 40 {
		batch = append(batch, membership(plan.RemoveMember, id(900), g, user(id(i)), ids[i]))
	}
	for i, r := range w.Apply(t.Context(), batch) {
		if r.Err != nil {
			t.Errorf("removal %d: %v", i, r.Err)
		}
	}
	if left, users := len(w.tenant.Members(g)), len(w.tenant.Users()); left != 0 || users != 40 {
		t.Errorf("%d members and %d users are left, want 0 and 40", left, users)
	}
}

// TestFreshObjectsSettle checks that writes wait for recently created objects.
func TestFreshObjectsSettle(t *testing.T) {
	t.Parallel()
	s := mapUsers("jobTitle")
	s.caller = patient(6)
	s.tenant.Consistency = graph.Consistency{Create: 4 * time.Second, Read: 4 * time.Second}
	w := open(t, s)
	u, g := w.must(newUser(id(1), "liz@example.com")), w.must(newGroup(id(2)))
	w.must(membership(plan.AddMember, id(2), g, user(id(1)), u))
	if got := w.tenant.Members(g); !slices.Equal(got, []string{u}) {
		t.Errorf("members = %v", got)
	}
	w.must(change(plan.Update, user(id(1)), u, "jobTitle", "Captain"))
	w.must(change(plan.Suspend, user(id(1)), u))
	if u, _ := w.tenant.User(u); !u.Disabled || u.JobTitle != "Captain" {
		t.Errorf("user = %+v", u)
	}
}

// TestCreateGroupTwice checks that the same request creates a group and finds it.
func TestCreateGroupTwice(t *testing.T) {
	t.Parallel()
	w := open(t, mapUsers())
	made := w.must(newGroup("it's/a group"))
	if again := w.must(newGroup("it's/a group")); again != made {
		t.Errorf("the second create gave %s, want %s", again, made)
	}
	g, _ := w.tenant.Group(made)
	want := graph.Group{ID: made, UniqueName: "rollcall-it's/a group", DisplayName: "Sales", MailNickname: "Sales"}
	if diff := cmp.Diff(want, g); diff != "" {
		t.Errorf("group (-want +got):\n%s", diff)
	}
	if r := w.do(change(plan.Adopt, group(id(1)), made)); kind(r.Err) != fault.Conflict {
		t.Errorf("adoption of a group = %v, want a conflict", r.Err)
	}
	w.tenant.Inject(graph.Fault{Method: "groups.update", Status: http.StatusConflict, Times: 1})
	if r := w.do(change(plan.Update, group("it's/a group"), made, "description", "x")); kind(r.Err) != fault.Refused {
		t.Errorf("a concurrency violation that repeating does not cure = %v, want it about the group", r.Err)
	}
}

// TestAnotherSystemsAnchors checks that an account with the id of another system's user is not a leaver of ours.
func TestAnotherSystemsAnchors(t *testing.T) {
	t.Parallel()
	h := openHop(t, setup{caller: patient(3)})
	h.people.entries = company(10, 1, 5)
	theirs, err := h.tenant.AddUser(graph.User{UserPrincipalName: "eve@example.com",
		OnPremisesImmutableID: "1234567890abcdefghijkg=="})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		h.must()
		h.clock.Advance(25 * time.Hour)
	}
	if u, there := h.tenant.User(theirs.ID); !there || u.Disabled {
		t.Errorf("the account of another system = %+v, there: %v", u, there)
	}
	// An account is ours when its entry is in the directory, whatever product wrote the id.
	h.people.set(append(h.people.entries, directory.Entry{
		Kind: directory.User, ID: "d76df8e7-aefc-f746-9b71-d79f8218a392", Source: "corp", Active: true,
		Attributes: directory.Attributes{{Name: directory.CommonName, Values: []string{"Eve"}},
			{Name: directory.Mail, Values: []string{"eve@example.com"}}},
	}))
	h.must()
	if u, _ := h.tenant.User(theirs.ID); u.DisplayName != "Eve" {
		t.Errorf("the account whose entry came = %+v, want it updated", u)
	}
}
