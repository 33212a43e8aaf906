package entra_test

import (
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/simulator/graph"
)

// TestEmptyPages checks that every list is read to its end, also where its first page is empty.
func TestEmptyPages(t *testing.T) {
	t.Parallel()
	s := mapUsers("manager")
	s.tenant, s.unchecked = graph.Config{EmptyPages: true}, true // Its links have no $skiptoken.
	h := openHop(t, s)
	if _, err := h.tenant.AddUser(graph.User{UserPrincipalName: "admin@example.com"}); err != nil {
		t.Fatal(err)
	}
	h.people.entries = company(6, 1, 3)
	h.must()
	h.must(user(id(1)))
	for _, err := range []error{h.tenant.SetAdmin(mailOf(0), graph.UserAdministrator), h.tenant.Remove(mailOf(2))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	h.clock.Advance(25 * time.Hour)
	if r := h.must(); len(r.Apply.Changes) != 1 || r.Apply.Changes[0].Op != plan.Undelete {
		t.Errorf("after a deletion by hand the run plans %+v, want it undone", r.Apply.Changes)
	}
	h.people.mu.Lock()
	h.people.entries[0].Active, h.people.entries[1].Active = false, false
	h.people.mu.Unlock()
	h.must()
	if h.disabled(0) || !h.disabled(1) {
		t.Errorf("disabled: the administrator %v, a leaver %v", h.disabled(0), h.disabled(1))
	}
}

// TestUselessLinks checks that a query begins again where Graph refuses its stored link, in any form.
func TestUselessLinks(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]graph.Fault{
		"gone":            {Status: 410},
		"not found":       {Status: 404, Code: "UnknownError"},
		"badly formed":    {Status: 400, Code: "Request_BadRequest", Message: "Badly formed token."},
		"state not found": {Status: 400, Code: "syncStateNotFound"},
		"state unknown":   {Status: 404, Code: "SyncStateNotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, setup{})
			w.fill(10, 2)
			w.read(provider.Query{})
			f.Times = 1
			for _, method := range []string{"users.delta", "groups.delta"} {
				f.Method = method
				w.tenant.Inject(f)
			}
			s := w.read(provider.Query{})
			if u, g := count(s, anchored(directory.User)), count(s, anchored(directory.Group)); u != 10 || g != 2 {
				t.Errorf("%d users and %d groups, want 10 and 2", u, g)
			}
		})
	}
}
