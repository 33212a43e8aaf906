package e2e

import (
	"testing"

	"rollcall/internal/slapdtest"
	"rollcall/simulator/graph"
)

// No account loses anything when half of the directory is missing as Redis is lost. An onPremisesImmutableId whose
// entry is not recorded here may be another system's, and the run says so.
func TestEntraFlushAllAndHalfTheDirectory(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()}})
	w.hop()
	before := w.entraState()
	w.flush()
	w.editor().removeTree(slapdtest.People, "(&(objectClass=inetOrgPerson)(|(uid=u0000*)(uid=u00010*)))")
	w.sync(corp)
	w.graph.ResetCalls()
	r := w.finish(entra)
	w.mentions(entra, r.ID, "110 active accounts", "no entry that is known", "left alone")
	if made := w.graphWrites(); len(made) > 0 {
		t.Errorf("it wrote: %v", made)
	}
	w.graphSame(before)
}

// Adoption is for accounts that carry no anchor and share the address, by policy; administrators, protected accounts
// and those of another directory are not among them.
func TestEntraAdoption(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()},
		lines: []string{"adoption: by_address", `protected: ["` + address(6) + `"]`}})
	ids := map[int]string{}
	for n := 4; n <= 9; n++ {
		u := graph.User{UserPrincipalName: address(n), DisplayName: "Old Name", GivenName: "Old", Disabled: n == 5,
			Synced: n == 8}
		if n == 9 {
			u.OnPremisesImmutableID = "c29tZWJvZHkgZWxzZQ" // no base64 of ours: another system's
		}
		ids[n] = w.seed(u).ID
	}
	if err := w.graph.SetAdmin(address(7), graph.UserAdministrator); err != nil {
		t.Fatal(err)
	}
	w.sync(corp)
	r := w.finish(entra)
	if r.Held != 4 || r.Failed != 0 {
		t.Errorf("%d are held and %d failed, want 4 and none: %v", r.Held, r.Failed, w.said(entra, r.ID))
	}
	for n, why := range map[int]string{6: "protected", 7: "administrator", 8: "onPremisesSyncEnabled",
		9: "another system"} {
		w.mentions(entra, r.ID, "Held", address(n), why)
		w.unwritten("who must not be adopted", ids[n])
	}
	for n := 4; n <= 5; n++ {
		if got := w.account(n); got.ID != ids[n] || anchorOf(got.OnPremisesImmutableID) != slapdtest.UUID(n) ||
			got.Surname == "" || got.Disabled != (n == 5) {
			t.Errorf("the adopted account of %s is %+v", address(n), got)
		}
	}
	r = w.finish(entra)
	if len(r.made()) != 0 {
		t.Errorf("a second sync made %v", r.made())
	}
}

// A rename keeps the account, a link that Graph forgot costs one full read, and so does the loss of a group's members.
func TestEntraRenamesAndLostLinks(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()}})
	w.hop()
	e, id := w.editor(), w.account(1).ID
	dn := e.rename(slapdtest.UserDN(1), "uid=married", "ou=sales,"+slapdtest.People)
	e.set(dn, "mail", "married@example.org")
	e.set(dn, "sn", "Married")
	_, r := w.hop()
	if u, there := w.graph.User("married@example.org"); !there || u.ID != id || r.made()["user update"] != 1 ||
		len(r.made()) != 1 {
		t.Errorf("the renamed account is %+v (%s before), and the sync made %v", u, id, r.made())
	}
	w.graphConverged(nil, 0)

	w.graph.ExpireDelta()
	w.graph.ResetCalls()
	if r := w.sync(entra); r.planned() != 0 || len(w.graphWrites()) != 0 {
		t.Errorf("after Graph forgot its links a sync planned %d changes and wrote %v", r.planned(), w.graphWrites())
	}
	w.graphIdle()

	// An administrator changes members by hand. Our members come back, and foreign ones stay.
	const group = 2
	key := "rollcall-" + slapdtest.UUID(slapdtest.GroupUUIDs+group)
	lost := w.graph.Members(key)[0]
	if err := w.graph.RemoveMember(key, lost); err != nil {
		t.Fatal(err)
	}
	guest := w.seed(graph.User{UserPrincipalName: "guest@" + domain})
	if err := w.graph.AddMember(key, guest.ID); err != nil {
		t.Fatal(err)
	}
	_, r = w.hop()
	if r.made()["membership create"] != 1 || len(r.made()) != 1 {
		t.Errorf("the sync made %v, want the one membership that was lost", r.made())
	}
	members := w.graph.Members(key)
	if len(members) != 11 {
		t.Errorf("the group has %d members, want its ten and the guest", len(members))
	}
	w.graphIdle()
}
