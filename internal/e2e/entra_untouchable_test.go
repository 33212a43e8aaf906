package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/slapdtest"
	"rollcall/simulator/graph"
)

// unwritten fails the test if the tenant was asked to write an object, whether or not it did so.
func (w *entraWorld) unwritten(what string, names ...string) {
	w.Helper()
	for _, c := range w.graph.Calls().Log {
		for _, name := range names {
			if c.Write && strings.Contains(c.Path, name) {
				w.Errorf("%s was written: %s %s", what, c.Method, c.Path)
			}
		}
	}
}

func (w *entraWorld) seed(u graph.User) graph.User {
	w.Helper()
	made, err := w.graph.AddUser(u)
	if err != nil {
		w.Fatal(err)
	}
	return made
}

// An account that is not ours may block a principal name. It is named, and nothing else happens to it.
func TestEntraForeignAccount(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()}})
	plain := w.seed(graph.User{UserPrincipalName: address(4), DisplayName: "Some Body"})
	synced := w.seed(graph.User{UserPrincipalName: address(5), Synced: true,
		OnPremisesImmutableID: "AAECAwQFBgcICQoLDA0ODw=="})
	other, err := w.graph.AddGroup(graph.Group{DisplayName: "g00003"})
	if err != nil {
		t.Fatal(err)
	}
	w.sync(corp)
	for range 2 {
		r := w.finish(entra)
		if r.Status != "warning" || r.Held != 2 || r.Failed != 0 {
			t.Errorf("the sync is %s, held %d, failed %d; want a warning and 2 held", r.Status, r.Held, r.Failed)
		}
		w.mentions(entra, r.ID, "warning: Held", address(4), plain.ID, "is not ours")
		w.mentions(entra, r.ID, "warning: Held", address(5), synced.ID)
	}
	w.unwritten("a foreign object", plain.ID, address(4), synced.ID, address(5), other.ID)
	w.entraSays(modelUser, slapdtest.UUID(4), "is not ours")
	if _, blocked := w.entraState().People[slapdtest.UUID(4)]; blocked {
		t.Error("there is an account for who should be held")
	}
	// The blocker goes away, and the person arrives, with the groups.
	for _, id := range []string{plain.ID, synced.ID} {
		if err := w.graph.Remove(id); err != nil {
			t.Fatal(err)
		}
	}
	w.hop()
	w.graphConverged(nil, 0)
	w.graphIdle()
	if !slices.ContainsFunc(w.graph.Groups(), func(g graph.Group) bool { return g.ID == other.ID && g.UniqueName == "" }) {
		t.Error("a group of the same name that is not ours was taken")
	}
}

// An object that another system manages is read and named, and never written, although it carries our anchor.
func TestEntraReadOnlyObjects(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()}})
	w.hop()
	group := func(n int) graph.Group {
		g, ok := w.graph.Group("rollcall-" + slapdtest.UUID(slapdtest.GroupUUIDs+n))
		if !ok {
			t.Fatalf("there is no group %d", n)
		}
		return g
	}
	set := func(key string, properties map[string]any) {
		t.Helper()
		if err := w.graph.Set(key, properties); err != nil {
			t.Fatal(err)
		}
	}
	synced, dynamic, roles, mine := w.account(1), group(1), group(2), group(3)
	set(synced.ID, map[string]any{"onPremisesSyncEnabled": true})
	set(dynamic.ID, map[string]any{"groupTypes": []string{"DynamicMembership"},
		"membershipRule": "(user.accountEnabled -eq true)", "membershipRuleProcessingState": "On"})
	set(roles.ID, map[string]any{"isAssignableToRole": true})
	set(mine.ID, map[string]any{"onPremisesSyncEnabled": true})
	untouchable := []string{synced.ID, dynamic.ID, roles.ID, mine.ID, dynamic.UniqueName, roles.UniqueName,
		mine.UniqueName}
	before := w.entraState()

	e := w.editor()
	dn := e.person(500, "")
	e.set(slapdtest.UserDN(1), "title", "Director")
	for n := 1; n <= 3; n++ {
		e.member(slapdtest.GroupDN(n), dn, true)
		e.rename(slapdtest.GroupDN(n), fmt.Sprint("cn=renamed", n), "")
	}
	w.sync(corp)
	w.graph.ResetCalls()
	r := w.finish(entra)
	if r.Status != "warning" || r.Failed != 0 || r.made()["user create"] != 1 {
		t.Errorf("the sync is %s, failed %d, made %v; want a warning and the joiner", r.Status, r.Failed, r.made())
	}
	w.mentions(entra, r.ID, "Held", "u000001", "onPremisesSyncEnabled")
	for n, why := range []string{"", "dynamic membership", "isAssignableToRole", "onPremisesSyncEnabled"} {
		if n > 0 {
			w.mentions(entra, r.ID, "Held", slapdtest.UUID(slapdtest.GroupUUIDs+n), why)
		}
	}
	w.unwritten("what somebody else manages", untouchable...)
	w.entraSays(modelUser, slapdtest.UUID(1), "onPremisesSyncEnabled")
	w.entraSays(modelGroup, slapdtest.UUID(slapdtest.GroupUUIDs+1), "dynamic membership")
	w.entraSays(modelGroup, slapdtest.UUID(slapdtest.GroupUUIDs+2), "isAssignableToRole")

	// Nor does a departure touch them.
	e.remove(slapdtest.UserDN(1))
	w.sync(corp)
	r = w.finish(entra)
	w.mentions(entra, r.ID, "Held", "u000001", "onPremisesSyncEnabled")
	w.unwritten("what somebody else manages", untouchable...)
	got := w.entraState()
	delete(got.People, slapdtest.UUID(500))
	if diff := cmp.Diff(before, got); diff != "" {
		t.Errorf("what somebody else manages changed (-before +after):\n%s", diff)
	}
}

// Administrators keep their accounts, whatever role they have and however they came by it.
func TestEntraAdministrators(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()},
		lines: []string{"user_delete_action: delete", "delete_after: 0s"}})
	w.hop()
	group, err := w.graph.AddGroup(graph.Group{DisplayName: "Help desk", RoleAssignable: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.graph.AddMember(group.ID, address(8)); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{address(7), group.ID} {
		if err := w.graph.SetAdmin(key, graph.UserAdministrator); err != nil {
			t.Fatal(err)
		}
	}
	e := w.editor()
	e.remove(slapdtest.UserDN(7))
	e.remove(slapdtest.UserDN(8))
	w.sync(corp)
	w.graph.ResetCalls()
	r := w.finish(entra)
	if r.Status != "warning" {
		t.Errorf("the sync is %s, want a warning", r.Status)
	}
	for n := 7; n <= 8; n++ {
		if w.account(n).Disabled {
			t.Errorf("%s, an administrator, was disabled", address(n))
		}
		for _, c := range w.graph.Calls().Log {
			if c.Write && strings.HasPrefix(c.Path, "users/"+w.account(n).ID) {
				t.Errorf("an administrator was written: %s %s", c.Method, c.Path)
			}
		}
		w.mentions(entra, r.ID, slapdtest.UUID(n), "administrator")
	}
	// An account without an administrator role is treated as usual.
	e.remove(slapdtest.UserDN(9))
	w.sync(corp)
	w.finish(entra)
	w.finish(entra)
	if _, there := w.graph.User(address(9)); there {
		t.Error("somebody who left and is no administrator is still there")
	}
}
