package googleworkspace_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	simulator "rollcall/simulator/googleworkspace"
)

// TestWritesRightAfterACreate checks that a Caller that waits for Google's few seconds succeeds. A new worker has the
// same result as the one that created the objects.
func TestWritesRightAfterACreate(t *testing.T) {
	t.Parallel()
	for _, restarted := range []bool{false, true} {
		var w *world
		w = open(t, setup{
			tenant: simulator.Config{Consistency: simulator.Consistency{Create: time.Second}},
			caller: again{between: func() { w.clock.Advance(600 * time.Millisecond) }},
		})
		liz, sales := w.must(newUser("u1", "liz@example.com")), w.must(newGroup("g1", "sales@example.com"))
		if restarted {
			w.restart()
		}
		w.must(membership(plan.AddMember, "g1", sales, user("u1"), liz))
		sales = w.must(newGroup("g2", "more-sales@example.com"))
		w.must(change(plan.Update, group("g2"), sales, "name", "All of sales"))
		liz = w.must(newUser("u2", "eliza@example.com"))
		w.must(change(plan.Update, user("u2"), liz, "name.givenName", "Elisabeth"))
	}
}

// TestInvisibleLongerThanACall checks that a write to objects that this process created moments ago stays retryable,
// so that the run repeats it later. A worker that did not create them reports that they are missing.
func TestInvisibleLongerThanACall(t *testing.T) {
	t.Parallel()
	w := open(t, setup{tenant: simulator.Config{Consistency: simulator.Consistency{Create: time.Minute}}})
	liz, sales := w.must(newUser("u1", "liz@example.com")), w.must(newGroup("g1", "sales@example.com"))
	writes := []plan.Change{
		membership(plan.AddMember, "g1", sales, user("u1"), liz),
		change(plan.Update, group("g1"), sales, "name", "All of sales"),
	}
	for _, c := range writes {
		for range 5 {
			if r := w.do(c); r.Err == nil || kind(r.Err) != fault.Unavailable {
				t.Errorf("%s right after the creation = %v, want unavailable", c.Op, r.Err)
			}
		}
	}
	w.restart()
	for _, c := range writes {
		for range 4 { // The first attempts allow for a delay.
			r := w.do(c)
			if r.Err == nil || kind(r.Err) != fault.NotFound && kind(r.Err) != fault.Unavailable {
				t.Errorf("%s of a worker that created nothing = %v, want not found or unavailable", c.Op, r.Err)
			}
		}
	}
	w.clock.Advance(time.Minute)
	for _, c := range writes {
		w.must(c)
	}
}

// TestWritesToWhatIsGone checks that the attempts end and then the object counts as missing.
func TestWritesToWhatIsGone(t *testing.T) {
	t.Parallel()
	w := open(t, setup{caller: again{}})
	liz, sales := w.must(newUser("u1", "liz@example.com")), w.must(newGroup("g1", "sales@example.com"))
	if err := errors.Join(w.tenant.DeleteUser(liz), w.tenant.DeleteGroup(sales)); err != nil {
		t.Fatal(err)
	}
	w.restart()
	for _, c := range []plan.Change{
		membership(plan.AddMember, "g1", sales, user("u1"), liz),
		change(plan.Update, user("u1"), liz, "name.givenName", "Elisabeth"),
		change(plan.Update, group("g1"), sales, "name", "All of sales"),
		change(plan.Suspend, user("u1"), liz),
		change(plan.Restore, user("u1"), liz),
	} {
		if r := w.do(c); r.Err == nil || kind(r.Err) != fault.NotFound {
			t.Errorf("%s of %s, which is gone = %v, want not found", c.Op, c.Ref, r.Err)
		}
	}
	w.must(change(plan.Delete, user("u1"), liz))
	w.must(change(plan.Delete, group("g1"), sales))
	w.must(membership(plan.RemoveMember, "g1", sales, user("u1"), liz))
}

// TestLostCreateIsAwaited covers a create with a lost answer and reads that do not yet show the account.
func TestLostCreateIsAwaited(t *testing.T) {
	t.Parallel()
	var w *world
	w = open(t, setup{
		tenant: simulator.Config{Consistency: simulator.Consistency{Create: time.Second}},
		caller: again{between: func() { w.clock.Advance(400 * time.Millisecond) }},
	})
	for _, c := range []plan.Change{newUser("u1", "liz@example.com"), newGroup("g1", "sales@example.com")} {
		w.tenant.Inject(simulator.Fault{Method: "directory.*.insert", Times: 1, Effect: simulator.LoseAnswer})
		if id := w.must(c); id == "" {
			t.Errorf("create of %s after a lost answer gave no remote id", c.Ref)
		}
	}
	if len(w.tenant.Users()) != 2 || len(w.tenant.Groups()) != 1 {
		t.Errorf("%d users and %d groups, want 2 (with the administrator) and 1: no twins", len(w.tenant.Users()),
			len(w.tenant.Groups()))
	}
}

// TestInvisibleHolder checks that a conflict is returned at once without an earlier attempt that could become
// visible.
func TestInvisibleHolder(t *testing.T) {
	t.Parallel()
	w := open(t, setup{caller: again{}})
	w.tenant.Inject(simulator.Fault{Method: "directory.users.insert", Effect: simulator.Refuse,
		Status: http.StatusConflict, Code: "duplicate", Message: "Entity already exists."})
	r := w.do(newUser("u1", "liz@example.com"))
	if kind(r.Err) != fault.Conflict || !strings.Contains(r.Err.Error(), "is not visible") {
		t.Errorf("create of what nobody can see = %v, want a conflict that says so", r.Err)
	}
	gets := w.tenant.Calls().ByMethod["directory.users.get"]
	if n := gets.Granted + gets.Refused; n != 1 {
		t.Errorf("the address was looked up %d times, want once", n)
	}
}

func TestWritesRightAfterARename(t *testing.T) {
	t.Parallel()
	w := open(t, setup{tenant: simulator.Config{Consistency: simulator.Consistency{Rename: time.Minute}}})
	liz, sales := w.must(newUser("u1", "liz@example.com")), w.must(newGroup("g1", "sales@example.com"))
	w.must(rename(user("u1"), liz, "elisabeth@example.com"))
	w.must(rename(group("g1"), sales, "all-of-sales@example.com"))
	for _, c := range []plan.Change{
		change(plan.Update, user("u1"), liz, "name.givenName", "Elisabeth"),
		change(plan.Update, group("g1"), sales, "name", "All of sales"),
		change(plan.Suspend, user("u1"), liz),
	} {
		if r := w.do(c); r.Err == nil || kind(r.Err) != fault.Unavailable {
			t.Errorf("%s of %s right after a rename = %v, want unavailable", c.Op, c.Ref, r.Err)
		}
	}
	// The repeated rename, as after a lost answer, succeeds.
	w.must(rename(user("u1"), liz, "elisabeth@example.com"))
	w.must(rename(group("g1"), sales, "all-of-sales@example.com"))
	// A rename with further fields has to wait.
	more := rename(user("u1"), liz, "elisabeth@example.com", "name.givenName", "Elisabeth")
	if r := w.do(more); kind(r.Err) != fault.Unavailable {
		t.Errorf("rename with another field while it settles = %v, want unavailable", r.Err)
	}
	// A second rename has to wait, too, and does not stop the others.
	if r := w.do(rename(user("u1"), liz, "eliza@example.com")); r.Err == nil || kind(r.Err) != fault.Conflict {
		t.Errorf("a second rename while the first settles = %v, want a conflict, which holds this entry alone", r.Err)
	}
	w.clock.Advance(time.Minute)
	w.must(rename(user("u1"), liz, "eliza@example.com"))
}

// within makes attempts as a Caller does, with no pause beyond its bound.
type within struct{ attempts int }

func (c *within) Call(ctx context.Context, _ string, fn func(context.Context) error) (err error) {
	for range 6 {
		c.attempts++
		if err = fn(ctx); err == nil || !kind(err).Retryable() || fault.RetryAfter(err) > 30*time.Second {
			return err
		}
	}
	return err
}

// TestAnObjectThatSettlesHoldsUpNoOther checks that a write is left to the end of the run after a few attempts, where
// the caller makes them all.
func TestAnObjectThatSettlesHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	caller := &within{}
	w := open(t, setup{caller: caller,
		tenant: simulator.Config{Consistency: simulator.Consistency{Create: time.Minute, Rename: time.Hour}}})
	liz, sales := w.must(newUser("u1", "liz@example.com")), w.must(newGroup("g1", "sales@example.com"))
	check := func(what string, c plan.Change, ctx context.Context, most int) {
		t.Helper()
		caller.attempts = 0
		r := w.Apply(ctx, []plan.Change{c})[0]
		if kind(r.Err) != fault.Unavailable || !provider.IsSettling(r.Err) || caller.attempts != most {
			t.Errorf("%s = %v after %d attempts, want it to settle after %d", what, r.Err, caller.attempts, most)
		}
	}
	patient := provider.Patient(t.Context())
	add := membership(plan.AddMember, "g1", sales, user("u1"), liz)
	check("a member of a new group", add, t.Context(), 3)
	check("the same at the end of the run", add, patient, 6)
	update := change(plan.Update, user("u1"), liz, "name.givenName", "Elisabeth")
	check("an update of a new account", update, t.Context(), 3)
	w.clock.Advance(time.Minute)
	w.must(rename(user("u1"), liz, "elisabeth@example.com"))
	check("an update after a rename", update, t.Context(), 3)
	check("the same at the end of the run", update, patient, 6)
}

// TestRenameAnswered409ThoughDone covers googleapis/google-api-go-client#556.
func TestRenameAnswered409ThoughDone(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	id := w.must(newUser("u1", "liz@example.com"))
	if _, err := w.tenant.UpdateUser(id, map[string]any{"primaryEmail": "elisabeth@example.com"}); err != nil {
		t.Fatal(err)
	}
	w.tenant.Inject(simulator.Fault{
		Method: "directory.users.update", Times: 1, Effect: simulator.Refuse, Status: http.StatusConflict,
		Code: "duplicate", Message: "Entity already exists.",
	})
	w.must(rename(user("u1"), id, "elisabeth@example.com", "name.givenName", "Elisabeth"))
	if got := w.object(id); got.Address != "elisabeth@example.com" || got.Fields.Get("name.givenName") != "Elisabeth" {
		t.Errorf("after the rename: %+v", got)
	}
}

// TestOwnAliasBecomesTheAddress checks that the alias is removed first where Google treats it as a conflict.
func TestOwnAliasBecomesTheAddress(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	liz, sales := w.must(newUser("u1", "liz@example.com")), w.must(newGroup("g1", "sales@example.com"))
	w.must(rename(user("u1"), liz, "elisabeth@example.com"))
	w.must(rename(group("g1"), sales, "all@example.com"))
	w.tenant.Inject(
		simulator.Fault{Method: "directory.users.update", Times: 1, Effect: simulator.Refuse, Status: http.StatusConflict,
			Code: "duplicate"},
		simulator.Fault{Method: "directory.groups.patch", Times: 1, Effect: simulator.Refuse, Status: http.StatusConflict,
			Code: "duplicate"})
	w.must(rename(user("u1"), liz, "liz@example.com"))
	w.must(rename(group("g1"), sales, "sales@example.com"))
	for id, want := range map[string]string{liz: "liz@example.com", sales: "sales@example.com"} {
		if got := w.object(id).Address; got != want {
			t.Errorf("address = %s, want %s", got, want)
		}
	}
	for _, method := range []string{"directory.users.aliases.delete", "directory.groups.aliases.delete"} {
		if w.tenant.Calls().ByMethod[method].Granted != 1 {
			t.Errorf("%s was not called", method)
		}
	}
}

// TestConflictsNameTheHolder checks that the error of a held entry names the object in conflict.
func TestConflictsNameTheHolder(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	foreign, err := w.tenant.AddUser(simulator.User{PrimaryEmail: "guest@example.com", GivenName: "A", FamilyName: "B",
		Aliases: []string{"nick@example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	club, err := w.tenant.AddGroup(simulator.Group{Email: "club@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	id := w.must(newUser("u1", "liz@example.com"))
	for address, want := range map[string]string{
		"guest@example.com": "user guest@example.com (" + foreign.ID + ") has the address guest@example.com",
		"nick@example.com":  "user guest@example.com (" + foreign.ID + "), as an alias, has the address nick@example.com",
		"club@example.com":  "group club@example.com (" + club.ID + ") has the address club@example.com",
	} {
		for _, c := range []plan.Change{newUser("u2", address), newGroup("g2", address), rename(user("u1"), id, address)} {
			if r := w.do(c); kind(r.Err) != fault.Conflict || r.Err.Error() != want {
				t.Errorf("%s of %s: %v, want %q", c.Op, c.Ref, r.Err, want)
			}
		}
	}
}

// TestMembersOfAnyRole checks that an owner stays an owner.
func TestMembersOfAnyRole(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	liz, sales := w.must(newUser("u1", "liz@example.com")), w.must(newGroup("g1", "sales@example.com"))
	if _, err := w.tenant.AddMember(sales, simulator.Member{ID: liz, Role: "OWNER"}); err != nil {
		t.Fatal(err)
	}
	w.must(membership(plan.AddMember, "g1", sales, user("u1"), liz))
	if m := w.tenant.Members(sales); len(m) != 1 || m[0].Role != "OWNER" {
		t.Errorf("members = %+v, want the owner", m)
	}
}

// TestMemberByAddress checks that the address is looked up if Google requires it.
func TestMemberByAddress(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	liz, sales := w.must(newUser("u1", "liz@example.com")), w.must(newGroup("g1", "sales@example.com"))
	w.tenant.Inject(simulator.Fault{
		Method: "directory.members.insert", Times: 1, Effect: simulator.Refuse, Status: http.StatusBadRequest,
		Code: "required", Message: "Missing required field: email",
	})
	w.must(membership(plan.AddMember, "g1", sales, user("u1"), liz))
	if m := w.tenant.Members(sales); len(m) != 1 || m[0].ID != liz {
		t.Errorf("members = %+v, want liz", m)
	}
}

func TestCyclesAreHeld(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	a, b := w.must(newGroup("g1", "a@example.com")), w.must(newGroup("g2", "b@example.com"))
	w.must(membership(plan.AddMember, "g1", a, group("g2"), b))
	if r := w.do(membership(plan.AddMember, "g2", b, group("g1"), a)); r.Err == nil || kind(r.Err) != fault.Conflict {
		t.Errorf("a cycle = %v, want a conflict", r.Err)
	}
}

func TestForeignExternalIDsOfGroupsSurvive(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	other := simulator.GroupExternalID{Namespace: "system/external", ID: "other-tool:7"}
	g, err := w.tenant.AddGroup(simulator.Group{Email: "club@example.com",
		ExternalIDs: []simulator.GroupExternalID{other}})
	if err != nil {
		t.Fatal(err)
	}
	w.must(change(plan.Adopt, group("g1"), g.ID, "description", "Ours"))
	got, _ := w.tenant.Group(g.ID)
	if len(got.ExternalIDs) != 2 || got.ExternalIDs[0] != other || got.ExternalIDs[1].ID != "rollcall:g1" {
		t.Errorf("externalIds = %+v, want the other tool's and ours", got.ExternalIDs)
	}
	if o := w.object(g.ID); o.Ref != (directory.Ref{Kind: directory.Group, ID: "g1"}) {
		t.Errorf("adopted group = %+v", o)
	}
}
