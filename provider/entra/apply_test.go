package entra_test

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
	"rollcall/simulator/graph"
)

// staff makes so many users of ours in one batch and returns their ids.
func (w *world) staff(n int) []string {
	w.t.Helper()
	var batch []plan.Change
	for i := range n {
		batch = append(batch, newUser(id(i), fmt.Sprintf("person%d@example.com", i)))
	}
	var ids []string
	for _, r := range w.Apply(w.t.Context(), batch) {
		if r.Err != nil {
			w.t.Fatal(r.Err)
		}
		ids = append(ids, r.RemoteID)
	}
	return ids
}

// TestItemsAreRepeatedAlone: an item that is refused for a moment is sent again by itself, after its own time; the others
// are not.
func TestItemsAreRepeatedAlone(t *testing.T) {
	t.Parallel()
	s := mapUsers("jobTitle")
	s.caller = patient(3)
	w := open(t, s)
	ids := w.staff(20)
	w.tenant.ResetCalls()
	w.requests.take()
	w.tenant.Inject(
		graph.Fault{Method: "users.update", Key: ids[3], Times: 1, Status: 429, RetryAfter: 2128 * time.Millisecond},
		graph.Fault{Method: "users.update", Key: ids[7], Times: 2, Status: 429, RetryAfter: 5 * time.Second},
		graph.Fault{Method: "users.update", Key: ids[9], Times: 1, Status: 503},
		graph.Fault{Method: "users.update", Key: ids[11], Status: 400, Code: "Request_BadRequest", Message: "Invalid value."},
	)
	began := w.clock.Now()
	var batch []plan.Change
	for i, remote := range ids {
		batch = append(batch, change(plan.Update, user(id(i)), remote, "jobTitle", "Sailor"))
	}
	for i, r := range w.Apply(t.Context(), batch) {
		if want := i == 11; (r.Err != nil) != want {
			t.Errorf("change %d = %v", i, r.Err)
		}
	}
	if got := w.requests.take(); len(got) != 3 {
		t.Errorf("requests = %q, want three", got)
	}
	counts := map[string]int{}
	for _, c := range w.tenant.Calls().Log {
		counts[c.Path]++
	}
	for i, remote := range ids {
		want := map[int]int{3: 2, 7: 3, 9: 2}[i]
		if got := counts["users/"+remote]; got != max(1, want) {
			t.Errorf("item %d was sent %d times, want %d", i, got, max(1, want))
		}
	}
	if waited := w.clock.Now().Sub(began); waited != 10*time.Second {
		t.Errorf("waited %v, want twice the longest time that was asked for", waited)
	}
}

// TestPatienceEnds: what stays refused keeps what was said of it, and the rest is done.
func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	s := mapUsers("jobTitle")
	s.caller = patient(2)
	w := open(t, s)
	ids := w.staff(3)
	w.tenant.Inject(graph.Fault{Method: "users.update", Key: ids[1], Status: 429, RetryAfter: 1500 * time.Millisecond})
	var batch []plan.Change
	for i, remote := range ids {
		batch = append(batch, change(plan.Update, user(id(i)), remote, "jobTitle", "Sailor"))
	}
	r := w.Apply(t.Context(), batch)
	if r[0].Err != nil || r[2].Err != nil || kind(r[1].Err) != fault.Throttled || fault.RetryAfter(r[1].Err) != 1500*time.Millisecond {
		t.Errorf("results = %v", r)
	}
}

func TestCreateUser(t *testing.T) {
	t.Parallel()
	w := open(t, mapUsers("businessPhones", "usageLocation"))
	remote := w.must(newUser(id(1), "liz.smith@example.com", "businessPhones", " +49 30 1 ", "usageLocation", "DE"))
	u, _ := w.tenant.User(remote)
	want := map[string]any{
		"userPrincipalName": "liz.smith@example.com", "accountEnabled": true, "displayName": "Liz Smith", "mailNickname": "liz.smith",
		"usageLocation": "DE", "onPremisesImmutableId": "XzocnntCTWCeEQAAAAAAAQ==",
	}
	for name, value := range want {
		if u.Properties[name] != value {
			t.Errorf("%s = %v, want %v", name, u.Properties[name], value)
		}
	}
	if got := fmt.Sprint(u.Properties["businessPhones"]); got != "[+49 30 1]" {
		t.Errorf("businessPhones = %s", got)
	}
	w.must(change(plan.Update, user(id(1)), remote, "businessPhones", "", "usageLocation", ""))
	if u, _ := w.tenant.User(remote); u.Properties["usageLocation"] != nil || fmt.Sprint(u.Properties["businessPhones"]) != "[]" && u.Properties["businessPhones"] != nil {
		t.Errorf("cleared fields = %v, %v", u.Properties["usageLocation"], u.Properties["businessPhones"])
	}
}

// TestConflictsNameWhatIsInTheWay: also where only the anchor is.
func TestConflictsNameWhatIsInTheWay(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	taken, err := w.tenant.AddUser(graph.User{UserPrincipalName: "taken@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	r := w.do(newUser(id(1), "taken@example.com"))
	if kind(r.Err) != fault.Conflict || !strings.Contains(r.Err.Error(), taken.ID) {
		t.Errorf("create = %v, want a conflict that names %s", r.Err, taken.ID)
	}
	// Ours is there under another name: it is found, not made again.
	remote := w.must(newUser(id(2), "old@example.com"))
	if again := w.must(newUser(id(2), "new@example.com")); again != remote {
		t.Errorf("create gave %s, want %s, which carries the anchor", again, remote)
	}
	r = w.do(rename(user(id(2)), remote, "taken@example.com"))
	if kind(r.Err) != fault.Conflict || !strings.Contains(r.Err.Error(), taken.ID) {
		t.Errorf("rename = %v, want a conflict that names %s", r.Err, taken.ID)
	}
	if r := w.do(newUser(id(3), "x@elsewhere.example")); kind(r.Err) != fault.Invalid || !strings.Contains(r.Err.Error(), "verified domain") {
		t.Errorf("create in another domain = %v", r.Err)
	}
}

// TestRestoreDeleted: who comes back gets their account back, under their new name.
func TestRestoreDeleted(t *testing.T) {
	t.Parallel()
	w := open(t, mapUsers("jobTitle"))
	ids := w.staff(3)
	g := w.must(newGroup(id(9)))
	w.must(membership(plan.AddMember, id(9), g, user(id(0)), ids[0]))
	for i := range 3 {
		w.must(change(plan.Suspend, user(id(i)), ids[i]))
		w.must(change(plan.Delete, user(id(i)), ids[i]))
	}
	other, err := w.tenant.AddUser(graph.User{UserPrincipalName: "person1@example.com"}) // Somebody has the old name.
	if err != nil {
		t.Fatal(err)
	}
	w.read(provider.Query{})
	batch := []plan.Change{
		newUser(id(0), "anna@example.com", "jobTitle", "Captain"), newUser(id(1), "person1@example.com"), newUser(id(4), "new@example.com"),
	}
	r := w.Apply(t.Context(), batch)
	if r[0].Err != nil || r[0].RemoteID != ids[0] || !strings.Contains(r[0].Note, "restored") {
		t.Errorf("the first = %+v, want %s restored", r[0], ids[0])
	}
	u, _ := w.tenant.User(ids[0])
	if u.UserPrincipalName != "anna@example.com" || u.JobTitle != "Captain" || u.Disabled {
		t.Errorf("restored account = %+v", u)
	}
	if kind(r[1].Err) != fault.Conflict {
		t.Errorf("the second = %v, want a conflict with %s", r[1].Err, other.ID)
	}
	if r[2].Err != nil || r[2].RemoteID == ids[2] {
		t.Errorf("the third = %+v, want a new account", r[2])
	}
	// After thirty days it is gone for good.
	w.clock.Advance(31 * 24 * time.Hour)
	w.read(provider.Query{})
	if again := w.must(newUser(id(2), "person2@example.com")); again == ids[2] {
		t.Error("an account that was gone for good came back")
	}
}

// TestHalfRestored: the account came back and its activation was lost. It is ours to activate, also for another process.
func TestHalfRestored(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	ids := w.staff(2)
	w.must(change(plan.Suspend, user(id(0)), ids[0]))
	w.must(change(plan.Delete, user(id(0)), ids[0]))
	w.read(provider.Query{})
	w.tenant.Inject(graph.Fault{Method: "users.update", Effect: graph.Drop})
	if r := w.do(newUser(id(0), "person0@example.com")); kind(r.Err) != fault.Unavailable {
		t.Fatalf("create = %v, want unavailable", r.Err)
	}
	w.tenant.ClearFaults()
	w.restart()
	if o := w.object(ids[0]); o.Active || o.Suspender != plan.Us {
		t.Errorf("half restored = %+v, want it suspended by us", o)
	}
	w.must(change(plan.Restore, user(id(0)), ids[0]))
	if u, _ := w.tenant.User(ids[0]); u.Disabled {
		t.Error("the account is still blocked")
	}
	// From now on a suspension is somebody else's.
	if err := w.tenant.Set(ids[0], map[string]any{"accountEnabled": false}); err != nil {
		t.Fatal(err)
	}
	if o, _ := find(w.read(provider.Query{Known: map[directory.Ref]plan.Link{user(id(0)): {RemoteID: ids[0]}}}), ids[0]); o.Suspender != plan.Else {
		t.Errorf("suspended later = %v, want somebody else", o.Suspender)
	}
}

// TestForeignSuspension says whose a suspension is that was there already.
func TestForeignSuspension(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	ids := w.staff(2)
	if err := w.tenant.Set(ids[0], map[string]any{"accountEnabled": false}); err != nil {
		t.Fatal(err)
	}
	if r := w.do(change(plan.Suspend, user(id(0)), ids[0])); r.Err != nil || !r.Foreign || r.Note == "" {
		t.Errorf("suspend of a suspended account = %+v, want it foreign", r)
	}
	// One whose answer got lost is ours.
	w.tenant.Inject(graph.Fault{Method: "users.update", Effect: graph.LoseAnswer, Times: 1})
	if r := w.do(change(plan.Suspend, user(id(1)), ids[1])); kind(r.Err) != fault.Unavailable {
		t.Fatalf("suspend = %v", r.Err)
	}
	if r := w.do(change(plan.Suspend, user(id(1)), ids[1])); r.Err != nil || r.Foreign {
		t.Errorf("suspend again = %+v, want ours", r)
	}
}

// TestAdministratorsByGroup: who has a role through a group has it.
func TestAdministratorsByGroup(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	ids := w.staff(2)
	admins, err := w.tenant.AddGroup(graph.Group{DisplayName: "Admins", RoleAssignable: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.tenant.SetAdmin(admins.ID, graph.UserAdministrator); err != nil {
		t.Fatal(err)
	}
	if err := w.tenant.AddMember(admins.ID, ids[0]); err != nil {
		t.Fatal(err)
	}
	if r := w.do(change(plan.Delete, user(id(0)), ids[0])); kind(r.Err) != fault.Conflict || !strings.Contains(r.Err.Error(), "administrator") {
		t.Errorf("delete of an administrator = %v", r.Err)
	}
	s := w.read(provider.Query{})
	if o, _ := find(s, ids[0]); o.Protected != "administrator" {
		t.Errorf("administrator = %+v", o)
	}
	if o, _ := find(s, admins.ID); o.ReadOnly == "" {
		t.Errorf("a group that can have roles = %+v, want it read-only", o)
	}
	// An update that Graph refuses is about the administrator, not about the app.
	if err := w.tenant.SetAdmin(ids[1], graph.UserAdministrator); err != nil {
		t.Fatal(err)
	}
	if r := w.do(rename(user(id(1)), ids[1], "other@example.com")); kind(r.Err) != fault.Conflict {
		t.Errorf("rename of an administrator = %v (%v), want a conflict", r.Err, kind(r.Err))
	}
	// An app that may not write at all is denied.
	w.tenant.SetPermissions("User.Read.All", "Group.Read.All", "Directory.Read.All", "Domain.Read.All")
	w.restart()
	if r := w.do(newUser(id(5), "x@example.com")); kind(r.Err) != fault.Denied || !strings.Contains(r.Err.Error(), "User.ReadWrite.All") {
		t.Errorf("create by an app that may only read = %v, want denied", r.Err)
	}
}

// TestReadOnlyObjects: what others manage is read and never written.
func TestReadOnlyObjects(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	if _, err := w.tenant.AddUser(graph.User{UserPrincipalName: "admin@example.com"}); err != nil {
		t.Fatal(err)
	}
	synced, err := w.tenant.AddUser(graph.User{UserPrincipalName: "ann@example.com", Synced: true, OnPremisesImmutableID: "AAAAAAAAAAAAAAAAAAAAAA=="})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := w.tenant.AddUser(graph.User{UserPrincipalName: "bob@example.com", OnPremisesImmutableID: "not base64"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for name, g := range map[string]graph.Group{
		"dynamic": {Dynamic: true}, "synchronised": {Synced: true}, "roles": {RoleAssignable: true}, "mail": {Unified: true}, "": {},
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
	if r := w.do(change(plan.Suspend, user("00000000-0000-0000-0000-000000000000"), synced.ID)); kind(r.Err) != fault.Conflict {
		t.Errorf("suspend of a synchronised user = %v", r.Err)
	}
	if r := w.do(change(plan.Adopt, user(id(1)), foreign.ID)); kind(r.Err) != fault.Conflict {
		t.Errorf("adoption of an account with another system's id = %v", r.Err)
	}
}

// TestMembersGoTogether: twenty in a request; where Graph refuses them all, the bad one is found.
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
	// One is a member already, one does not exist: the others join.
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
	// Removing somebody never deletes them.
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

// TestFreshObjectsSettle: what was created a moment ago is waited for.
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

// TestCreateGroupTwice: the same request makes a group and finds it.
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
	for _, op := range []plan.Op{plan.Adopt, plan.Reanchor} {
		if r := w.do(change(op, group(id(1)), made)); kind(r.Err) != fault.Conflict {
			t.Errorf("%s of a group = %v, want a conflict", op, r.Err)
		}
	}
	w.tenant.Inject(graph.Fault{Method: "groups.update", Status: http.StatusConflict, Times: 1})
	if r := w.do(change(plan.Update, group("it's/a group"), made, "description", "x")); kind(r.Err) != fault.Unavailable {
		t.Errorf("a concurrency violation = %v, want unavailable", r.Err)
	}
}

// TestAnotherSystemsAnchors: an account that carries the id of some other system's user is not a leaver of ours.
func TestAnotherSystemsAnchors(t *testing.T) {
	t.Parallel()
	h := openHop(t, setup{caller: patient(3)})
	h.people.entries = company(10, 1, 5)
	theirs, err := h.tenant.AddUser(graph.User{UserPrincipalName: "eve@example.com", OnPremisesImmutableID: "1234567890abcdefghijkg=="})
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
	// One whose entry is in the directory is ours, whoever wrote the id.
	h.people.set(append(h.people.entries, directory.Entry{
		Kind: directory.User, ID: "d76df8e7-aefc-f746-9b71-d79f8218a392", Source: "corp", Active: true,
		Attributes: directory.Attributes{{Name: directory.CommonName, Values: []string{"Eve"}}, {Name: directory.Mail, Values: []string{"eve@example.com"}}},
	}))
	h.must()
	if u, _ := h.tenant.User(theirs.ID); u.DisplayName != "Eve" {
		t.Errorf("the account whose entry came = %+v, want it updated", u)
	}
}
