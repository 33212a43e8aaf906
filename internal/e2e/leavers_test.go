package e2e

import (
	"maps"
	"testing"
	"time"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
)

// lock disables an entry, or enables it again, as 389 Directory Server does.
func (e *editor) lock(n int, locked bool) {
	e.Helper()
	if locked {
		e.set(slapdtest.UserDN(n), "objectClass", "inetOrgPerson", "vendorObject")
		e.set(slapdtest.UserDN(n), "nsAccountLock", "TRUE")
		return
	}
	e.set(slapdtest.UserDN(n), "nsAccountLock")
}

// Absent, disabled and out of scope are treated alike and named apart. A person who comes back is as before.
func TestLeaversAreSuspendedAndComeBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), provider: []string{`user_filter: ldap.departmentNumber != "gone"`}})
	w.both()
	before := w.accounts()
	e := w.editor()
	e.remove(slapdtest.UserDN(1))
	e.lock(2, true)
	e.set(slapdtest.UserDN(3), "departmentNumber", "gone")
	w.both()
	got := w.accounts()
	for n := 1; n <= 3; n++ {
		if !got.People[slapdtest.UUID(n)].Suspended {
			t.Errorf("%s is not suspended", address(n))
		}
	}
	if len(got.People) != len(before.People) {
		t.Errorf("there are %d accounts, want %d", len(got.People), len(before.People))
	}
	w.idle()
	w.says(modelUser, slapdtest.UUID(2), "Nothing to change.")
	w.says(modelUser, slapdtest.UUID(3), "out of scope")

	e.person(1, "")
	e.lock(2, false)
	e.set(slapdtest.UserDN(3), "departmentNumber", "back")
	w.both()
	w.same(before)
	w.idle()
}

// With user_delete_action: delete an account is suspended first and deleted after the grace period. A return in time
// cancels the deletion, and a return after it brings the deleted account back.
func TestLeaversAreDeletedAfterTheGracePeriod(t *testing.T) {
	t.Parallel()
	const grace = 4 * time.Second
	w := newWorld(t, options{slapd: small(), provider: []string{"user_delete_action: delete", "delete_after: " +
		grace.String()}})
	w.both()
	e := w.editor()
	left := time.Now() // The source sees it later, and that is when the grace period begins.
	e.remove(slapdtest.UserDN(1))
	e.remove(slapdtest.UserDN(2))
	id := w.user(address(1)).ID
	w.both()
	for n := 1; n <= 2; n++ {
		if !w.user(address(n)).Suspended {
			t.Fatalf("%s is not suspended", address(n))
		}
	}
	e.person(2, "")
	w.both()
	if w.user(address(2)).Suspended {
		t.Errorf("%s came back within the grace period and is suspended", address(2))
	}
	if _, there := w.tenant.User(address(1)); !there && time.Since(left) < grace {
		t.Errorf("%s was deleted within %v after it left, want %v", address(1), time.Since(left), grace)
	}
	testclock.Eventually(t, 3*time.Minute, "the account is deleted", func() bool {
		w.sync(google)
		_, there := w.tenant.User(address(1))
		return !there
	})
	if time.Since(left) < grace {
		t.Errorf("the account was deleted within %v after it left, want %v", time.Since(left), grace)
	}
	w.converged(nil)
	w.idle()

	e.person(1, "")
	w.both()
	if again := w.user(address(1)); again.ID != id || again.Suspended {
		t.Errorf("the account is %s (suspended: %v), want %s again", again.ID, again.Suspended, id)
	}
	w.converged(nil)
}

// A loss that is larger than a day's is held, whole, in the hop where it is seen first; the joiner of the same day
// arrives. Small losses add up within the day.
func TestLossesAreHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), provider: []string{"user_delete_action: delete", "delete_after: 0s"}})
	w.both()
	before := w.accounts()
	e := w.editor()
	people := w.directory().People
	for n := range 45 { // 30 %
		e.remove(slapdtest.UserDN(n))
	}
	e.person(900, "")
	source := w.finish(corp)
	if source.Status != "warning" || source.Held < 45 || source.made()["user delete"] != 0 ||
		source.made()["user create"] != 1 {
		t.Errorf("the source sync is %s, held %d, made %v; want a warning, 45 held and the joiner", source.Status,
			source.Held, source.made())
	}
	w.mentions(corp, source.ID, "45 users would go", "the limit is 7")
	w.sync(google)
	after := w.accounts()
	delete(after.People, slapdtest.UUID(900))
	if !maps.Equal(before.People, after.People) {
		t.Error("accounts changed although the loss was held")
	}
	// All but five come back; then five more leave.
	for n := range 40 {
		e.person(n, "")
	}
	left := map[string]person{}
	for n := 40; n < 45; n++ {
		left[slapdtest.UUID(n)] = people[slapdtest.UUID(n)]
	}
	w.both()
	if n, want := len(w.tenant.Users())-1, 146; n != want {
		t.Errorf("after five left there are %d accounts, want %d", n, want)
	}
	for n := 50; n < 55; n++ {
		e.remove(slapdtest.UserDN(n))
	}
	if again := w.finish(corp); again.Status != "warning" || again.made()["user delete"] != 0 {
		t.Errorf("five more on the same day: the source sync is %s and made %v, want them held", again.Status, again.made())
	}
	w.sync(google)
	if n, want := len(w.tenant.Users())-1, 146; n != want {
		t.Errorf("after the second five there are %d accounts, want %d", n, want)
	}
}
