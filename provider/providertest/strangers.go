package providertest

import (
	"slices"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

func testForeignObjects(t *testing.T, s *session) {
	aliases := []string(nil)
	if s.Aliases {
		aliases = []string{s.address("nick")}
	}
	user := s.Admin.AddUser(t, User{Address: s.address("guest"), Aliases: aliases})
	group := s.Admin.AddGroup(t, s.address("club"))
	state := s.read()
	for id, address := range map[string]string{user: s.address("guest"), group: s.addressOf(directory.Group, "club")} {
		if o := pick(t, state, id); o.Anchored() || o.Address != address || len(o.Members) > 0 {
			t.Errorf("foreign object = %+v, want it with its address and without anchor and members", o)
		}
	}
	if o := pick(t, state, user); s.Aliases && !slices.Contains(o.Aliases, s.address("nick")) {
		t.Errorf("aliases of the foreign user = %v, want nick", o.Aliases)
	}
	// Foreign objects block their names and are not changed.
	names := []string{"guest"}
	if s.Aliases {
		names = append(names, "nick")
	}
	if !s.Unnamed {
		names = append(names, "club")
	}
	before := s.counts()
	for i, local := range names {
		s.refused(s.create(s.want(userRef(anchor(i)), local)), fault.Conflict)
	}
	held := len(names)
	if !s.Unnamed {
		s.refused(s.create(s.want(groupRef(anchor(9)), "club")), fault.Conflict)
		held++
	}
	if p := s.sync(); len(p.Changes) > 0 || len(p.Held) != held {
		t.Errorf("names that foreign objects have are not held:\n%s", ops(p))
	}
	if after := s.counts(); after != before {
		t.Errorf("%v objects, want %v", after, before)
	}
	// A rename to the name of one of them is a conflict, too.
	clear(s.desired)
	id := s.user(anchor(5), "ann")
	s.refused(s.rename(userRef(anchor(5)), id, "guest"), fault.Conflict)
	// An address in another domain is an error of the entry.
	d := s.want(userRef(anchor(6)), "eve")
	d.Address = "eve@elsewhere.invalid"
	s.refused(s.create(d), fault.Invalid)
}

func testAdoption(t *testing.T, s *session) {
	u, g := userRef(anchor(1)), groupRef(anchor(2))
	user := s.Admin.AddUser(t, User{Address: s.address("ann")})
	group := s.Admin.AddGroup(t, s.address("staff"))
	s.want(u, "ann", one(s.UserField, "Ours now"))
	held := 1
	if !s.Unnamed {
		s.want(g, "staff").Members = []plan.Member{{Ref: u}}
		held++
	}
	if p := s.sync(); len(p.Changes) > 0 || len(p.Held) != held {
		t.Errorf("without the policy, foreign objects are not held:\n%s", ops(p))
	}
	s.policy.Adoption = plan.AdoptByAddress
	s.sync()
	s.settled() // The members of a group are read once it is ours.
	if o := s.object(user); o.Ref != u || o.Fields.Get(s.UserField) != "Ours now" {
		t.Errorf("adopted user = %+v", o)
	}
	if o := s.object(group); !s.Unnamed && (o.Ref != g || !slices.Equal(o.Members, []string{user})) {
		t.Errorf("adopted group = %+v", o)
	}
	// An object of ours is not adopted for another entry.
	s.refused(change(plan.Adopt, userRef(anchor(3)), user), fault.Conflict)
	s.refused(change(plan.Adopt, groupRef(anchor(3)), group), fault.Conflict)
}

func testReanchor(t *testing.T, s *session) {
	old, fresh := userRef(anchor(1)), userRef(anchor(2))
	id := s.user(old.ID, "ann")
	delete(s.desired, old)
	s.want(fresh, "ann")
	c := change(plan.Reanchor, fresh, id)
	c.From = anchor(7)
	s.refused(c, fault.Conflict) // The account carries another anchor.
	c.From = old.ID
	s.must(c)
	s.settled()
	if o := s.object(id); o.Ref != fresh {
		t.Errorf("reanchored object = %+v, want %s", o, fresh)
	}
	group := s.group(anchor(3), "staff")
	c = change(plan.Reanchor, groupRef(anchor(4)), group)
	c.From = anchor(3)
	s.must(c)
	if o := s.object(group); o.ID != anchor(4) {
		t.Errorf("reanchored group = %+v, want %s", o, anchor(4))
	}
}

// testLedgerLost checks that the anchor is the truth. Without the ledger a run is slower, and the plan is the same.
func testLedgerLost(t *testing.T, s *session) {
	for i, local := range []string{"ann", "bob", "eve"} {
		s.want(userRef(anchor(i)), local)
	}
	s.want(groupRef(anchor(8)), "staff").Members = []plan.Member{{Ref: userRef(anchor(0))}, {Ref: userRef(anchor(1))}}
	s.settled()
	clear(s.links)
	clear(s.confirmed)
	s.want(userRef(anchor(2)), "eva")
	if p := s.settled(); len(p.Changes) != 1 || p.Changes[0].Op != plan.Update {
		t.Errorf("plan without a ledger:\n%s\nwant a single rename", ops(p))
	}
	if got := s.counts(); got != [2]int{4, 1} {
		t.Errorf("users and groups = %v, want 4 (with the administrator) and 1", got)
	}
}

// testDeletedByHand checks that an object that an administrator deleted is gone, although the ledger has its link.
func testDeletedByHand(t *testing.T, s *session) {
	u, g := userRef(anchor(1)), groupRef(anchor(2))
	user, group := s.user(u.ID, "ann"), s.group(g.ID, "staff")
	s.Advance(time.Hour)
	s.Admin.Delete(t, directory.User, user)
	s.Admin.Delete(t, directory.Group, group)
	for _, o := range s.read().Objects {
		if o.RemoteID == user || o.RemoteID == group {
			t.Errorf("a deleted object is read: %+v", o)
		}
	}
	s.refused(s.update(u, user, s.UserField, "New"), fault.NotFound)
	s.must(change(plan.Delete, u, user))
	s.must(change(plan.Delete, g, group))
}
