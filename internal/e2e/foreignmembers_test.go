package e2e

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/slapdtest"
	simulator "rollcall/simulator/googleworkspace"
)

// Administrators are updated, and never suspended or deleted.
func TestAdministrators(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), provider: []string{"user_delete_action: delete", "delete_after: 0s"}})
	w.both()
	if err := w.tenant.SetAdmin(address(7), true); err != nil {
		t.Fatal(err)
	}
	e := w.editor()
	e.remove(slapdtest.UserDN(7))
	w.sync(corp)
	r := w.finish(google)
	if u := w.user(address(7)); u.Suspended || !u.Deleted.IsZero() {
		t.Error("an administrator was suspended or deleted")
	}
	if r.Status != "warning" {
		t.Errorf("the sync is %s, want a warning", r.Status)
	}
	w.mentions(google, r.ID, "Held", "u000007", slapdtest.UUID(7), "administrator")
	w.says(modelUser, slapdtest.UUID(8), "Nothing to change.")
}

// A role that an administrator gave to a member stays, also where the member is added again. A foreign member stays
// too.
func TestForeignMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	w.both()
	const group = "g00001@example.org"
	owner := w.tenant.Members(group)[0]
	if err := w.tenant.RemoveMember(group, owner.ID); err != nil {
		t.Fatal(err)
	}
	guest := simulator.Member{Email: "guest@elsewhere.test", Role: "MEMBER"}
	for _, m := range []simulator.Member{{ID: owner.ID, Role: "OWNER"}, guest, {Email: subject, Role: "MANAGER"}} {
		if _, err := w.tenant.AddMember(group, m); err != nil {
			t.Fatal(err)
		}
	}
	kept := func() {
		t.Helper()
		roles := map[string]string{}
		for _, m := range w.tenant.Members(group) {
			roles[m.Email] = m.Role
		}
		if roles[owner.Email] != "OWNER" || roles[guest.Email] != "MEMBER" || roles[subject] != "MANAGER" {
			t.Errorf("the members are %v, want %s as owner, the guest, and the administrator as manager", roles, owner.Email)
		}
	}
	w.both()
	kept()
	e := w.editor()
	dn := e.person(500, "")
	e.member(slapdtest.GroupDN(1), dn, true)
	w.exactlyMade(map[string]int{"user create": 1, "membership create": 1})
	kept()
	e.member(slapdtest.GroupDN(1), dn, false)
	w.exactlyMade(map[string]int{"membership delete": 1})
	kept()
}

// exactlyMade syncs both and compares what the provider run made.
func (w *world) exactlyMade(want map[string]int) {
	w.Helper()
	_, provider := w.both()
	if diff := cmp.Diff(want, provider.made()); diff != "" {
		w.Errorf("changes made (-want +got):\n%s", diff)
	}
}
