package providertest

import (
	"slices"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// testRefusedObjects checks that a write that the tenant refuses for one object fails only this object. The operation
// and the provider's earlier writes make no difference. Meanwhile another object is written. The refused write
// succeeds once the tenant allows it.
func testRefusedObjects(t *testing.T, s *session) {
	other := s.user(anchor(20), "other")
	values := []string{"One", "Two"}
	for i, step := range s.steps() {
		c := step()
		text := c.RemoteID
		switch {
		case c.Op == plan.Create && c.Kind == directory.User:
			text = c.Address
		case c.Op == plan.Create:
			text = string(c.ID)
		}
		s.Admin.Refuse(text)
		before := s.counts()
		r := s.apply(c)
		if kind := fault.KindOf(r.Err); r.Err == nil || kind != fault.Refused && kind != fault.Conflict {
			t.Errorf("%s, refused = %v (%v), want a failure of this object", name(c), r.Err, fault.KindOf(r.Err))
		}
		if after := s.counts(); after != before {
			t.Errorf("%s, refused, changed the number of objects from %v to %v", name(c), before, after)
		}
		s.must(s.update(userRef(anchor(20)), other, s.UserField, values[i%2]))
		s.Admin.Mend()
		s.must(c)
	}
}

// testUnreadableGroup checks that a group with hidden members is neither empty nor absent. It is held while all other
// groups are updated. It is updated when its members are shown again.
func testUnreadableGroup(t *testing.T, s *session) {
	ann, bob := userRef(anchor(1)), userRef(anchor(2))
	s.want(ann, "ann")
	s.want(bob, "bob")
	hidden, open := s.want(groupRef(anchor(3)), "hidden"), s.want(groupRef(anchor(4)), "open")
	hidden.Members, open.Members = []plan.Member{{Ref: ann}}, []plan.Member{{Ref: ann}}
	s.settled()
	annID, bobID, hiddenID := s.links[ann].RemoteID, s.links[bob].RemoteID, s.links[hidden.Ref].RemoteID
	clear(s.confirmed)
	// A provider that lists members only when their count changes lists them now.
	s.Admin.AddMember(t, hiddenID, bobID)
	if !s.Admin.HideMembers(hiddenID) {
		return
	}
	hidden.Members, open.Members = nil, []plan.Member{{Ref: bob}}
	p := s.sync()
	if len(p.Held) != 1 || p.Held[0].Ref != hidden.Ref || p.Held[0].Reason != plan.Unreadable {
		t.Errorf("with a group with hidden members, held = %+v, want this group as unreadable", p.Held)
	}
	for _, c := range p.Changes {
		if c.Ref == hidden.Ref {
			t.Errorf("a group with hidden members is changed: %s", name(c))
		}
	}
	if got := s.Admin.Members(s.links[open.Ref].RemoteID); !slices.Equal(got, []string{bobID}) {
		t.Errorf("members of the other group = %v, want %s", got, bobID)
	}
	if got := s.Admin.Members(hiddenID); !slices.Contains(got, annID) {
		t.Errorf("members of the group = %v, want %s among them", got, annID)
	}
	s.Admin.Mend()
	s.settled()
	if got := s.Admin.Members(hiddenID); len(got) != 0 {
		t.Errorf("members of the group that is shown again = %v, want none", got)
	}
}

// testReadByID checks that single accounts can be read by their ids while the tenant refuses every list. An account
// that was deleted is left out, and an administrator is protected.
func testReadByID(t *testing.T, s *session) {
	ids := []string{s.user(anchor(1), "ann"), s.user(anchor(2), "bob"), s.user(anchor(3), "cid")}
	s.Admin.MakeAdmin(t, ids[1])
	s.read() // This read learns the administrators.
	s.Admin.Delete(t, directory.User, ids[2])
	s.Admin.RefuseLists()
	if _, err := s.Provider.Read(t.Context(), provider.Query{Now: s.Now()}); fault.KindOf(err) != fault.Denied {
		t.Fatalf("Read() without lists = %v, want denied", err)
	}
	q := provider.Query{ByID: true, Known: s.links, Now: s.Now()}
	for n, id := range ids {
		q.Lookups = append(q.Lookups, provider.Lookup{Ref: userRef(anchor(n + 1)), RemoteID: id})
	}
	state, err := s.Provider.Read(t.Context(), q)
	if err != nil || len(state.Objects) != 2 {
		t.Fatalf("Read() by id gave %d objects, %v; want 2", len(state.Objects), err)
	}
	ann, bob := pick(t, state, ids[0]), pick(t, state, ids[1])
	if ann.Ref != userRef(anchor(1)) || !ann.Active || ann.Protected != "" || bob.Protected == "" {
		t.Errorf("Read() by id = %+v and %+v, want our active account and a protected administrator", ann, bob)
	}
}
