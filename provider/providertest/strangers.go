package providertest

import (
	"slices"
	"strings"
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

// testHandedOn checks that addresses are handed on in one plan where the last of the entries takes a free one.
func testHandedOn(t *testing.T, s *session) {
	ids := map[string]string{
		"anna": s.user(anchor(1), "ann"), "ann": s.user(anchor(2), "bob"), "bob": s.user(anchor(3), "cid"),
		"team": s.group(anchor(4), "staff"), "staff": s.group(anchor(5), "board"),
	}
	users := s.Admin.Count(directory.User)
	for n, local := range []string{"anna", "ann", "bob"} {
		s.want(userRef(anchor(n+1)), local)
	}
	s.want(groupRef(anchor(4)), "team")
	s.want(groupRef(anchor(5)), "staff")
	s.want(userRef(anchor(6)), "cid")
	if p := s.settled(); len(p.Held) > 0 {
		t.Fatalf("held %+v, want nothing", p.Held)
	}
	for local, id := range ids {
		o := s.object(id)
		if want := s.addressOf(o.Kind, local); o.Address != want {
			t.Errorf("%s has the address %s, want %s", o.Ref, o.Address, want)
		}
	}
	if n := s.Admin.Count(directory.User); n != users+1 {
		t.Errorf("%d users, want %d", n, users+1)
	}
}

// testRing checks that entries which want each other's addresses are held with the names of all, and that the advice
// in the message helps.
func testRing(t *testing.T, s *session) {
	ann := s.user(anchor(1), "ann")
	s.user(anchor(2), "bob")
	s.user(anchor(3), "cid")
	s.want(userRef(anchor(1)), "bob")
	s.want(userRef(anchor(2)), "cid")
	s.want(userRef(anchor(3)), "ann")
	p := s.settled()
	if len(p.Changes) > 0 || len(p.Held) != 3 {
		t.Fatalf("a ring: %d changes and %d held, want 0 and 3", len(p.Changes), len(p.Held))
	}
	for _, h := range p.Held {
		for _, local := range []string{"ann", "bob", "cid"} {
			if h.Reason != plan.AddressKept || !strings.Contains(h.Detail, s.address(local)) {
				t.Errorf("held %s: %q, which does not name %s", h.Reason, h.Detail, s.address(local))
			}
		}
	}
	s.Admin.GiveAddress(t, ann, s.address("free"))
	if p := s.settled(); len(p.Changes) != 3 || len(p.Held) > 0 {
		t.Errorf("after one of them has a free address: %s and %d held, want three updates", ops(p), len(p.Held))
	}
}

// testRecreated gives people and groups new ids in the directory, and lets a person approve all or a part of it. No
// membership that is wanted before and after is absent at any moment, and everything is in step at the end.
func testRecreated(t *testing.T, s *session) {
	const people = 4
	ids := map[directory.Ref]string{}
	local := func(n int) string { return string(rune('a'+n)) + "nn" }
	for n := range people {
		ids[userRef(anchor(n))] = s.user(anchor(n), local(n))
	}
	members := func(ns ...int) (out []plan.Member) {
		for _, n := range ns {
			out = append(out, plan.Member{Ref: userRef(anchor(n))})
		}
		slices.SortFunc(out, func(a, b plan.Member) int { return a.Ref.Compare(b.Ref) })
		return out
	}
	staff, board := s.want(groupRef(anchor(10)), "staff"), s.want(groupRef(anchor(11)), "board")
	staff.Members, board.Members = members(0, 1, 2), members(1, 3)
	s.settled()
	groups := map[string][]string{
		s.links[staff.Ref].RemoteID: {ids[userRef(anchor(0))], ids[userRef(anchor(1))]}, // the third one leaves the group
		s.links[board.Ref].RemoteID: {ids[userRef(anchor(1))], ids[userRef(anchor(3))]},
	}
	// Two people and the group staff get new ids. The third person leaves the group at the same time.
	renew := func(old, fresh directory.Ref) {
		d := *s.desired[old]
		d.Ref = fresh
		delete(s.desired, old)
		s.desired[fresh] = &d
	}
	renew(userRef(anchor(1)), userRef(anchor(21)))
	renew(userRef(anchor(3)), userRef(anchor(23)))
	renew(groupRef(anchor(10)), groupRef(anchor(30)))
	s.desired[groupRef(anchor(30))].Members, s.desired[groupRef(anchor(11))].Members = members(0, 21), members(21, 23)
	approved := map[string]plan.Verdict{}
	for _, part := range [][]directory.Ref{nil, {userRef(anchor(21))}, {groupRef(anchor(30))}, {userRef(anchor(23))}} {
		for _, c := range s.compute().Changes {
			if slices.Contains(part, c.Ref) {
				approved[c.Fingerprint()] = plan.Approved
			}
		}
		apply, held := s.compute().Guard(plan.Limits{Verdicts: approved}, plan.Budget{})
		for _, c := range apply.Changes {
			s.must(c)
			for group, want := range groups {
				got := s.Admin.Members(group)
				for _, id := range want {
					if !slices.Contains(got, id) {
						t.Fatalf("after %s, %s is no member of %s", name(c), id, group)
					}
				}
			}
		}
		reanchors := func(c plan.Change) bool { return c.Op == plan.Reanchor }
		if reanchored := slices.ContainsFunc(apply.Changes, reanchors); reanchored != (part != nil) {
			t.Errorf("approved %v: re-anchored %v, %d held", part, reanchored, len(held.Changes))
		}
	}
	p := s.settled()
	if len(p.Held) > 0 {
		t.Errorf("held at the end: %+v", p.Held)
	}
	if got := s.Admin.Members(s.links[groupRef(anchor(30))].RemoteID); len(got) != 2 {
		t.Errorf("members of the re-created group = %v, want the two that should be", got)
	}
}
