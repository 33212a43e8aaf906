package entra_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider/entra"
	"rollcall/simulator/graph"
)

// managed is a directory in which person 0 manages 1 and 2, and 3 and 4 manage each other.
func managed(h *hop) {
	for n, boss := range []int{-1, 0, 0, 4, 3} {
		e := person(n)
		e.DN = fmt.Sprintf("cn=%d,dc=example,dc=com", n)
		h.people.entries = append(h.people.entries, e)
		h.reportsTo(n, boss)
	}
}

// reportsTo changes the manager of a person in the directory. A negative number is none.
func (h *hop) reportsTo(n, boss int) {
	dn := []string{}
	if boss >= 0 {
		dn = append(dn, fmt.Sprintf("CN=%d, DC=example,DC=com", boss))
	}
	h.edit(n, "manager", dn...)
}

func (h *hop) edit(n int, name string, values ...string) {
	h.people.mu.Lock()
	defer h.people.mu.Unlock()
	e := &h.people.entries[n]
	e.Attributes = e.Attributes.Clone().Set(name, values...)
}

// managers returns the numbers of the managers in the tenant, "-" for none.
func (h *hop) managers() []string {
	h.t.Helper()
	var out []string
	for n := range h.people.entries {
		upn, err := h.tenant.Manager(h.nameOf(n))
		if err != nil {
			h.t.Fatal(err)
		}
		found := "-"
		for k := range h.people.entries {
			if upn != "" && upn == h.nameOf(k) {
				found = fmt.Sprint(k)
			}
		}
		out = append(out, found)
	}
	return out
}

// nameOf returns the userPrincipalName that a person has in the tenant.
func (h *hop) nameOf(n int) string {
	links, err := h.ledger.Links(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	u, ok := h.tenant.User(links[user(id(n))].RemoteID)
	if !ok {
		h.t.Fatalf("person %d has no account", n)
	}
	return u.UserPrincipalName
}

func openManaged(t *testing.T) *hop {
	t.Helper()
	s := mapUsers()
	with := s.config
	s.config = func(c *entra.Config) {
		with(c)
		c.UserPropertyMappings["manager"] = "address_of(ldap.manager)"
	}
	h := openHop(t, s)
	if _, err := h.tenant.AddUser(graph.User{UserPrincipalName: "admin@example.com"}); err != nil {
		t.Fatal(err)
	}
	managed(h)
	return h
}

// TestManagersOfARun creates accounts with their managers in one run, circles included, and follows every change.
func TestManagersOfARun(t *testing.T) {
	t.Parallel()
	h := openManaged(t)
	steps := []struct {
		name    string
		edit    func()
		want    []string
		changes int
	}{
		{"first run", func() {}, []string{"-", "0", "0", "4", "3"}, 9},
		{"another manager", func() { h.reportsTo(1, 2) }, []string{"-", "2", "0", "4", "3"}, 1},
		{"no manager", func() { h.reportsTo(2, -1) }, []string{"-", "2", "-", "4", "3"}, 1},
		{"the manager is renamed", func() { h.edit(4, directory.Mail, "boss@example.com") },
			[]string{"-", "2", "-", "4", "3"}, 1},
		{"a manager and a name", func() { h.reportsTo(2, 0); h.edit(2, directory.GivenName, "Zoe") },
			[]string{"-", "2", "0", "4", "3"}, 2},
		{"changed by hand", func() {
			if err := h.tenant.SetManager(h.nameOf(2), h.nameOf(3)); err != nil {
				t.Fatal(err)
			}
		}, []string{"-", "2", "0", "4", "3"}, 1},
		{"a new person and a new manager", func() {
			e := person(5)
			e.DN = "cn=5,dc=example,dc=com"
			h.people.entries = append(h.people.entries, e)
			h.reportsTo(0, 5)
		}, []string{"5", "2", "0", "4", "3", "-"}, 2},
		{"the manager is not in scope", func() { h.edit(0, "manager", "cn=elsewhere,dc=example,dc=com") },
			[]string{"-", "2", "0", "4", "3", "-"}, 1},
	}
	for _, s := range steps {
		s.edit()
		if r := h.must(); len(r.Apply.Changes) != s.changes {
			t.Errorf("%s: %d changes, want %d: %v", s.name, len(r.Apply.Changes), s.changes, r.Apply.Changes)
		}
		if got := h.managers(); !slices.Equal(got, s.want) {
			t.Errorf("%s: managers %v, want %v", s.name, got, s.want)
		}
		if r := h.must(); len(r.Apply.Changes) != 0 {
			t.Errorf("%s: the next run plans %v, want nothing", s.name, r.Apply.Changes)
		}
		h.restart()
		if r := h.must(user(id(1))); len(r.Apply.Changes) != 0 {
			t.Errorf("%s: the sync of one person plans %v, want nothing", s.name, r.Apply.Changes)
		}
	}
}

// TestManagerWithoutAnAccount leaves the field of a report alone until the manager has an account, and names no
// person with a good account as failed.
func TestManagerWithoutAnAccount(t *testing.T) {
	t.Parallel()
	h := openManaged(t)
	taken := "person00000@example.com"
	if _, err := h.tenant.AddUser(graph.User{UserPrincipalName: taken}); err != nil {
		t.Fatal(err)
	}
	if r := h.must(); len(r.Apply.Held) != 1 || r.Apply.Held[0].Reason != plan.AddressTaken {
		t.Fatalf("held = %v, want the manager", r.Apply.Held)
	}
	if upn, err := h.tenant.Manager(h.nameOf(1)); upn != "" || err != nil {
		t.Errorf("manager = %q, %v, want none", upn, err)
	}
	h.must(user(id(1)))
	if upn, err := h.tenant.Manager(h.nameOf(1)); upn != "" || err != nil {
		t.Errorf("manager after the sync of the report = %q, %v, want none", upn, err)
	}
	if err := h.tenant.Remove(taken); err != nil {
		t.Fatal(err)
	}
	h.must()
	if got := h.managers(); !slices.Equal(got, []string{"-", "0", "0", "4", "3"}) {
		t.Errorf("managers %v after the manager got an account", got)
	}
}

// TestManagerRefused checks that a refused account of a manager fails alone. Its reports get their manager when it has
// an account.
func TestManagerRefused(t *testing.T) {
	t.Parallel()
	h := openManaged(t)
	h.tenant.Inject(graph.Fault{Method: "users.create", Body: "person00000@", Status: 403,
		Code: "Authorization_RequestDenied"})
	for range 2 {
		r, err := h.run()
		if err != nil || r.Failed != 1 {
			t.Fatalf("run = %v, %d failed, want the manager alone: %q", err, r.Failed, h.said.errors)
		}
		for _, n := range []int{1, 2} {
			if upn, err := h.tenant.Manager(h.nameOf(n)); upn != "" || err != nil {
				t.Errorf("manager of %d = %q, %v, want none", n, upn, err)
			}
		}
	}
	h.tenant.ClearFaults()
	h.must()
	if got := h.managers(); !slices.Equal(got, []string{"-", "0", "0", "4", "3"}) {
		t.Errorf("managers %v after the manager got an account", got)
	}
}

// TestManagerLeaves follows a manager who is disabled and then leaves. Its reports lose it with its entry.
func TestManagerLeaves(t *testing.T) {
	t.Parallel()
	h := openManaged(t)
	h.must()
	boss := h.nameOf(0)
	steps := []struct {
		name string
		do   func()
		want string
	}{
		{"disabled", func() { h.people.entries[0].Active = false }, boss},
		{"gone", func() { h.people.entries = h.people.entries[1:] }, ""},
		{"deleted", func() { h.clock.Advance(25 * time.Hour) }, ""},
	}
	for _, s := range steps {
		s.do()
		h.must()
		for _, n := range []int{1, 2} {
			if upn, err := h.tenant.Manager(h.nameOf(n)); upn != s.want || err != nil {
				t.Errorf("%s: manager of %d = %q, %v, want %q", s.name, n, upn, err, s.want)
			}
		}
		if r := h.must(); len(r.Apply.Changes) > 0 {
			t.Errorf("%s: the next run plans %v", s.name, r.Apply.Changes)
		}
	}
}
