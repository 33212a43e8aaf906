package entra_test

import (
	"slices"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/simulator/graph"
)

// company returns the given numbers of persons and groups. each is the number of persons in a group.
func company(persons, groups, each int) []directory.Entry {
	var all []directory.Entry
	for n := range persons {
		all = append(all, person(n))
	}
	for g := range groups {
		var members []int
		for k := range each {
			members = append(members, (g*each*7+k*3)%persons)
		}
		slices.Sort(members)
		all = append(all, crew(g, slices.Compact(members)...))
	}
	return all
}

// TestBudget counts the requests of a first provisioning, of a run without changes, and of a run with a hundredth
// changed.
func TestBudget(t *testing.T) {
	t.Parallel()
	h := openHop(t, setup{caller: patient(5), unchecked: true}) // Other tests check the requests.
	boss, err := h.tenant.AddUser(graph.User{UserPrincipalName: "admin@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.tenant.SetAdmin(boss.ID, graph.GlobalAdministrator); err != nil {
		t.Fatal(err)
	}
	h.people.entries = company(2000, 200, 100)
	memberships := 0
	for i := range h.people.entries {
		memberships += len(h.people.entries[i].Members)
	}
	r := h.must()
	calls := h.tenant.Calls()
	requests := len(h.requests.take())
	if changes := 2200 + memberships; r.Applied != changes {
		t.Errorf("applied %d changes, want %d", r.Applied, changes)
	}
	if graphWrites := int(calls.Writes); requests*15 > graphWrites {
		t.Errorf("%d requests for %d writes (%d changes), want one for fifteen at most", requests, graphWrites,
			r.Applied)
	}
	t.Logf("first: %d requests, %d writes, %d changes", requests, calls.Writes, r.Applied)

	h.clock.Advance(time.Hour)
	r = h.must()
	if again := h.requests.take(); r.Applied != 0 || len(again) > 6 {
		t.Errorf("a run that finds nothing to do applied %d changes and made %d requests: %q", r.Applied, len(again),
			again)
	}
	h.clock.Advance(time.Hour)
	h.restart()
	h.must()
	if again := h.requests.take(); len(again) > 6 {
		t.Errorf("the same in another process made %d requests: %q", len(again), again)
	}
	changeAHundredth(h)
	h.clock.Advance(time.Hour)
	r = h.must()
	made := h.requests.take()
	t.Logf("a hundredth: %d requests for %d changes: %q", len(made), r.Applied, made)
	delta := 4
	if r.Applied < 200 || (len(made)-delta)*10 > r.Applied {
		t.Errorf("%d changes took %d requests, want one for ten at most", r.Applied, len(made))
	}
	h.clock.Advance(time.Hour)
	r = h.must()
	if again := h.requests.take(); r.Applied != 0 || len(again) > 6 {
		t.Errorf("the run after that applied %d changes and made %d requests: %q", r.Applied, len(again), again)
	}
}

// changeAHundredth renames, retires and moves people.
func changeAHundredth(h *hop) {
	h.people.mu.Lock()
	defer h.people.mu.Unlock()
	for i := range h.people.entries {
		e := &h.people.entries[i]
		switch {
		case e.Kind == directory.User && i%200 == 3:
			e.Active = false
		case e.Kind == directory.User && i%200 == 5:
			e.Attributes = e.Attributes.Clone().Set(directory.FamilyName, "Jones")
		case e.Kind == directory.Group && i%2 == 0:
			e.Members = append(slices.Clone(e.Members[2:]), user(id(i%1000+2)))
			slices.SortFunc(e.Members, directory.Ref.Compare)
			e.Members = slices.Compact(e.Members)
		}
	}
}
