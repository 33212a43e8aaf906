package e2e

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/slapdtest"
	simulator "rollcall/simulator/googleworkspace"
)

// update changes an account as an administrator does in the Admin console.
func (w *world) update(key string, fields map[string]any) {
	w.Helper()
	if _, err := w.tenant.UpdateUser(key, fields); err != nil {
		w.Fatal(err)
	}
}

func (w *world) user(key string) simulator.User {
	w.Helper()
	u, ok := w.tenant.User(key)
	if !ok {
		w.Fatalf("there is no account %s", key)
	}
	return u
}

// address returns the address of the nth user.
func address(n int) string { return rdn(slapdtest.UserDN(n))[len("uid="):] + "@" + domain }

// Who was suspended by hand stays so, through changes, departure and return.
func TestForeignSuspension(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	w.both()
	w.update(address(1), map[string]any{"suspended": true})
	w.idle()
	drift := w.sync(google)
	w.mentions(google, drift.ID, "Drift", "suspended in the tenant by others", "u000001")

	e := w.editor()
	e.set(slapdtest.UserDN(1), "title", "Director")
	w.both()
	if u := w.user(address(1)); !u.Suspended || first(u.Resource, "organizations", "title") != "Director" {
		t.Errorf("after a change the account is suspended: %v, title %q", u.Suspended,
			first(u.Resource, "organizations", "title"))
	}
	e.remove(slapdtest.UserDN(1))
	w.both()
	e.person(1, "")
	w.both()
	if !w.user(address(1)).Suspended {
		t.Error("who was suspended by hand was restored by leaving and coming back")
	}
	w.says(modelUser, slapdtest.UUID(1), "")
	if !w.user(address(1)).Suspended {
		t.Error("who was suspended by hand was restored by a single-object sync")
	}
	// In the other order, we suspend, an administrator lifts the suspension, and an administrator suspends again.
	e.set(slapdtest.UserDN(2), "objectClass", "inetOrgPerson", "vendorObject")
	e.set(slapdtest.UserDN(2), "nsAccountLock", "TRUE")
	w.both()
	e.set(slapdtest.UserDN(2), "nsAccountLock")
	w.update(address(2), map[string]any{"suspended": false})
	w.both()
	w.update(address(2), map[string]any{"suspended": true})
	w.both()
	if !w.user(address(2)).Suspended {
		t.Error("a mark of ours that was left over turned somebody else's suspension into ours")
	}
}

// What an administrator added to an account survives every write.
func TestForeignElements(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	w.both()
	u := w.user(address(3))
	phone := map[string]any{"type": "mobile", "value": "+49 170 1234567"}
	badge := map[string]any{"type": "custom", "customType": "badge", "value": "B-17"}
	club := map[string]any{"name": "Chess club", "title": "Treasurer", "type": "custom", "customType": "club"}
	add := func(name string, element map[string]any) []any {
		list, _ := u.Resource[name].([]any)
		return append(slices.Clone(list), element)
	}
	foreign := map[string]any{
		"phones": add("phones", phone), "externalIds": add("externalIds", badge), "organizations": add("organizations", club),
		"notes": map[string]any{"contentType": "text_plain", "value": "keep the corner office"},
	}
	w.update(address(3), foreign)
	survives := func(when string) {
		t.Helper()
		u = w.user("u000003@example.org")
		for name, element := range map[string]map[string]any{"phones": phone, "externalIds": badge, "organizations": club} {
			list, _ := u.Resource[name].([]any)
			if !slices.ContainsFunc(list, func(e any) bool { return cmp.Equal(e, any(element)) }) {
				t.Errorf("after %s %s has %v, want %v among them", when, name, list, element)
			}
		}
		if diff := cmp.Diff(foreign["notes"], u.Resource["notes"]); diff != "" {
			t.Errorf("after %s the notes are changed: %s", when, diff)
		}
	}
	w.idle()
	survives("nothing")

	e := w.editor()
	e.set(slapdtest.UserDN(3), "telephoneNumber", "+1 555 42")
	e.set(slapdtest.UserDN(3), "title", "Director")
	w.both()
	survives("an update of our elements")
	e.set(slapdtest.UserDN(3), "telephoneNumber")
	e.set(slapdtest.UserDN(3), "title")
	w.both()
	survives("the removal of our elements")
	e.remove(slapdtest.UserDN(3))
	w.both()
	survives("a suspension")
	e.person(3, "")
	w.both()
	survives("a return")
	w.idle()
}

// An account that is not ours may block an address. It is named, and nothing else happens to it.
func TestForeignAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	foreign, err := w.tenant.AddUser(simulator.User{PrimaryEmail: address(4), GivenName: "Some", FamilyName: "Body",
		Aliases: []string{address(5)}})
	if err != nil {
		t.Fatal(err)
	}
	group, err := w.tenant.AddGroup(simulator.Group{Email: "g00003@example.org", Name: "Somebody's"})
	if err != nil {
		t.Fatal(err)
	}
	w.sync(corp)
	before := foreign.Resource["etag"]
	for range 2 {
		r := w.finish(google)
		if r.Status != "warning" || r.Held != 3 || r.Failed != 0 {
			t.Errorf("the sync is %s, held %d, failed %d; want a warning and 3 held", r.Status, r.Held, r.Failed)
		}
		w.mentions(google, r.ID, "warning: Held", address(4), foreign.ID, "is not ours")
		w.mentions(google, r.ID, "warning: Held", address(5), "as an alias of", foreign.ID)
		w.mentions(google, r.ID, "warning: Held", "g00003@example.org", group.ID)
	}
	for _, c := range w.tenant.Calls().Log {
		if writing(c.Method) && (hasAll(c.Path, foreign.ID) || hasAll(c.Path, group.ID)) {
			t.Errorf("a foreign object was written: %s %s", c.Method, c.Path)
		}
	}
	if u := w.user(foreign.ID); u.Resource["etag"] != before || u.Suspended {
		t.Error("the foreign account was changed")
	}
	w.says(modelUser, slapdtest.UUID(4), "is not ours")
	if _, blocked := w.accounts().People[slapdtest.UUID(4)]; blocked {
		t.Error("there is an account for who should be held")
	}
	// The blocker goes away, and the person arrives, with the groups.
	if err := w.tenant.DeleteUser(foreign.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.tenant.DeleteGroup(group.ID); err != nil {
		t.Fatal(err)
	}
	w.both()
	w.converged(nil)
	w.idle()
}

// Adoption is for accounts that carry no anchor and share the address, by policy; what they had stays.
func TestAdoption(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), provider: []string{"adoption: by_address", `protected: ["` + address(6) +
		`"]`}})
	ids := map[string]bool{}
	for n := 4; n <= 6; n++ {
		u, err := w.tenant.AddUser(simulator.User{PrimaryEmail: address(n), GivenName: "Old", FamilyName: "Name",
			Suspended: n == 5})
		if err != nil {
			t.Fatal(err)
		}
		ids[u.ID] = true
	}
	w.sync(corp)
	r := w.finish(google)
	if r.Held == 0 {
		t.Error("a protected account was not held")
	}
	w.mentions(google, r.ID, "Held", address(6), "protected")
	if got := w.user(address(4)); !ids[got.ID] || got.GivenName != "First4" {
		t.Errorf("the account is %s %s, want the adopted one with its new name", got.ID, got.GivenName)
	}
	if got := w.user(address(5)); !ids[got.ID] || !got.Suspended {
		t.Errorf("an adopted account that somebody had suspended is suspended: %v", got.Suspended)
	}
	if got := w.user(address(6)); got.GivenName != "Old" || len(got.ExternalIDs) > 0 {
		t.Errorf("a protected account was changed: %+v", got)
	}
}
