package entra_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/simulator/graph"
)

// staff creates n users of ours in one batch and returns their ids.
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

// TestItemsAreRepeatedAlone checks that a temporarily refused item is sent again alone, after its own Retry-After,
// and the others are not.
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
		graph.Fault{Method: "users.update", Key: ids[11], Status: 400, Code: "Request_BadRequest",
			Message: "Invalid value."},
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

// TestPatienceEnds checks that an item that stays refused keeps its error, and that all others succeed.
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
	if r[0].Err != nil || r[2].Err != nil || kind(r[1].Err) != fault.Throttled ||
		fault.RetryAfter(r[1].Err) != 1500*time.Millisecond {
		t.Errorf("results = %v", r)
	}
}

// TestExtensionAttributes: parts of a property are written and read alone, and those of others stay. A country code is
// written in upper case.
func TestExtensionAttributes(t *testing.T) {
	t.Parallel()
	const one, two = "onPremisesExtensionAttributes.extensionAttribute1",
		"onPremisesExtensionAttributes.extensionAttribute12"
	w := open(t, mapUsers(one, two, "usageLocation"))
	remote := w.must(newUser(id(1), "liz.smith@example.com", one, "A-1", two, "B-12", "usageLocation", "ch"))
	o := w.object(remote)
	if got := []string{o.Fields.Get(one), o.Fields.Get(two), o.Fields.Get("usageLocation")}; !slices.Equal(got,
		[]string{"A-1", "B-12", "CH"}) {
		t.Errorf("fields after the creation = %q", got)
	}
	w.must(change(plan.Update, user(id(1)), remote, one, "", two, "B-13"))
	if o = w.object(remote); o.Fields.Get(one) != "" || o.Fields.Get(two) != "B-13" {
		t.Errorf("fields after the update = %v", o.Fields)
	}
}

func TestCreateUser(t *testing.T) {
	t.Parallel()
	w := open(t, mapUsers("businessPhones", "usageLocation"))
	remote := w.must(newUser(id(1), "liz.smith@example.com", "businessPhones", " +49 30 1 ", "usageLocation", "DE"))
	u, _ := w.tenant.User(remote)
	want := map[string]any{
		"userPrincipalName": "liz.smith@example.com", "accountEnabled": true, "displayName": "Liz " +
			"Smith", "mailNickname": "liz.smith",
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
	if u, _ := w.tenant.User(remote); u.Properties["usageLocation"] != "DE" ||
		fmt.Sprint(u.Properties["businessPhones"]) != "[]" && u.Properties["businessPhones"] != nil {
		t.Errorf("fields = %v, %v; want a location, which is not nullable, and no number",
			u.Properties["usageLocation"], u.Properties["businessPhones"])
	}
}

// TestConflictsNameWhatIsInTheWay checks that an error names the conflicting object, also where only its anchor
// conflicts.
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
	// Our account exists under another name. It is found, and no second one is created.
	remote := w.must(newUser(id(2), "old@example.com"))
	if again := w.must(newUser(id(2), "new@example.com")); again != remote {
		t.Errorf("create gave %s, want %s, which carries the anchor", again, remote)
	}
	r = w.do(rename(user(id(2)), remote, "taken@example.com"))
	if kind(r.Err) != fault.Conflict || !strings.Contains(r.Err.Error(), taken.ID) {
		t.Errorf("rename = %v, want a conflict that names %s", r.Err, taken.ID)
	}
	if r := w.do(newUser(id(3), "x@elsewhere.example")); kind(r.Err) != fault.Invalid ||
		!strings.Contains(r.Err.Error(), "verified domain") {
		t.Errorf("create in another domain = %v", r.Err)
	}
}

// TestRestoreDeleted checks that a returning entry gets its deleted account back, under its new name.
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
	// Another user takes the old name.
	other, err := w.tenant.AddUser(graph.User{UserPrincipalName: "person1@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	w.read(provider.Query{})
	batch := []plan.Change{
		newUser(id(0), "anna@example.com", "jobTitle", "Captain"), newUser(id(1),
			"person1@example.com"), newUser(id(4), "new@example.com"),
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
	// After thirty days the account cannot be restored.
	w.clock.Advance(31 * 24 * time.Hour)
	w.read(provider.Query{})
	if again := w.must(newUser(id(2), "person2@example.com")); again == ids[2] {
		t.Error("an account was restored after thirty days")
	}
}

// TestHalfRestored covers a restored account with a lost activation. Rollcall has to activate it, also from another
// process.
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
	// From now on a suspension is foreign.
	if err := w.tenant.Set(ids[0], map[string]any{"accountEnabled": false}); err != nil {
		t.Fatal(err)
	}
	if o, _ := find(w.read(provider.Query{Known: map[directory.Ref]plan.Link{user(id(0)): {RemoteID: ids[0]}}}),
		ids[0]); o.Suspender != plan.Else {
		t.Errorf("suspended later = %v, want somebody else", o.Suspender)
	}
}

// TestForeignSuspension checks that an existing suspension is not ours.
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
	// A suspension with a lost answer is ours.
	w.tenant.Inject(graph.Fault{Method: "users.update", Effect: graph.LoseAnswer, Times: 1})
	if r := w.do(change(plan.Suspend, user(id(1)), ids[1])); kind(r.Err) != fault.Unavailable {
		t.Fatalf("suspend = %v", r.Err)
	}
	if r := w.do(change(plan.Suspend, user(id(1)), ids[1])); r.Err != nil || r.Foreign {
		t.Errorf("suspend again = %+v, want ours", r)
	}
}

// TestAdministratorsByGroup checks that a role that a user has through a group counts.
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
	if r := w.do(change(plan.Delete, user(id(0)), ids[0])); kind(r.Err) != fault.Conflict ||
		!strings.Contains(r.Err.Error(), "administrator") {
		t.Errorf("delete of an administrator = %v", r.Err)
	}
	s := w.read(provider.Query{})
	if o, _ := find(s, ids[0]); o.Protected != "administrator" {
		t.Errorf("administrator = %+v", o)
	}
	if o, _ := find(s, admins.ID); o.ReadOnly == "" {
		t.Errorf("a group that can have roles = %+v, want it read-only", o)
	}
	// A refused update concerns the administrator, not the app.
	if err := w.tenant.SetAdmin(ids[1], graph.UserAdministrator); err != nil {
		t.Fatal(err)
	}
	if r := w.do(rename(user(id(1)), ids[1], "other@example.com")); kind(r.Err) != fault.Refused {
		t.Errorf("rename of an administrator = %v (%v), want it refused", r.Err, kind(r.Err))
	}
	// An app without any write permission is denied.
	w.tenant.SetPermissions("User.Read.All", "Group.Read.All", "Directory.Read.All", "Domain.Read.All")
	w.restart()
	if r := w.do(newUser(id(5), "x@example.com")); kind(r.Err) != fault.Denied ||
		!strings.Contains(r.Err.Error(), "User.ReadWrite.All") {
		t.Errorf("create by an app that may only read = %v, want denied", r.Err)
	}
}
