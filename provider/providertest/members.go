package providertest

import (
	"slices"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

func testMembers(t *testing.T, s *session) {
	ann, bob := userRef(anchor(1)), userRef(anchor(2))
	annID, bobID := s.user(ann.ID, "ann"), s.user(bob.ID, "bob")
	g := s.want(groupRef(anchor(3)), "staff")
	g.Members = []plan.Member{{Ref: ann}, {Ref: bob}}
	s.settled()
	group := s.links[g.Ref].RemoteID
	// Members that are not ours stay.
	guest := s.Admin.AddUser(t, User{Address: s.address("guest")})
	s.Admin.AddMember(t, group, guest)
	g.Members = []plan.Member{{Ref: bob}}
	s.settled()
	want := []string{bobID, guest}
	slices.Sort(want)
	if got := s.Admin.Members(group); !slices.Equal(got, want) {
		t.Errorf("members = %v, want %v", got, want)
	}
	if o := s.object(group); !o.Listed || !slices.Equal(o.Members, want) {
		t.Errorf("members read = %v (listed %v), want %v", o.Members, o.Listed, want)
	}
	// Groups can be members of groups.
	board := s.want(groupRef(anchor(4)), "board")
	board.Members = []plan.Member{{Ref: ann}, {Ref: g.Ref}}
	s.settled()
	if got := s.Admin.Members(s.links[board.Ref].RemoteID); len(got) != 2 {
		t.Errorf("members of the outer group = %v, want two", got)
	}
	board.Members = []plan.Member{{Ref: ann}}
	s.settled()
	// A missing group or a missing member makes an addition fail.
	s.refused(member(plan.AddMember, g.ID, "no-such-group", ann, annID), fault.NotFound)
	s.refused(member(plan.AddMember, g.ID, group, userRef(anchor(9)), ""), fault.NotFound)
	s.must(member(plan.RemoveMember, g.ID, group, ann, annID)) // It is not a member, so the removal succeeds.
}

func testConfirmedMembers(t *testing.T, s *session) {
	ann := userRef(anchor(1))
	g := s.want(groupRef(anchor(2)), "staff")
	s.want(ann, "ann")
	g.Members = []plan.Member{{Ref: ann}}
	s.settled()
	o := s.object(s.links[g.Ref].RemoteID)
	if !o.Listed {
		t.Fatal("a group without confirmed members was not listed")
	}
	if o.Witness == "" {
		return // The provider has no witness and always lists members.
	}
	kept := []string{"from-the-ledger"}
	s.confirmed[g.ID] = plan.Confirmed{Witness: o.Witness, Members: kept, VerifyBy: plan.VerifyBy(s.Now(), g.ID)}
	if o := s.object(o.RemoteID); o.Listed || !slices.Equal(o.Members, kept) {
		t.Errorf("members = %v (listed %v), want the ledger's", o.Members, o.Listed)
	}
	guest := s.Admin.AddUser(t, User{Address: s.address("guest")})
	s.Admin.AddMember(t, o.RemoteID, guest)
	if o := s.object(o.RemoteID); !o.Listed || !slices.Contains(o.Members, guest) {
		t.Errorf("members after the witness changed = %v (listed %v), want them listed", o.Members, o.Listed)
	}
	confirmed := s.confirmed[g.ID]
	confirmed.Witness, confirmed.VerifyBy = s.object(o.RemoteID).Witness, s.Now()
	s.confirmed[g.ID] = confirmed
	if o := s.object(o.RemoteID); !o.Listed {
		t.Error("members were not listed when their verification was due")
	}
}

func (s *session) lookUp(l provider.Lookup) plan.State {
	s.t.Helper()
	q := provider.Query{Lookups: []provider.Lookup{l}, Known: s.links, Groups: s.confirmed, Now: s.Now()}
	state, err := s.Provider.Read(s.t.Context(), q)
	if err != nil {
		s.t.Fatalf("Read(%+v) = %v", l, err)
	}
	return state
}

func testLookup(t *testing.T, s *session) {
	u, g := userRef(anchor(1)), groupRef(anchor(2))
	user, group := s.user(u.ID, "ann"), s.group(g.ID, "staff")
	s.user(anchor(3), "bob")
	guest := s.Admin.AddUser(t, User{Address: s.address("guest")})
	club := s.Admin.AddGroup(t, s.address("club"))
	userThen, groupThen := []string{user, club}, []string{group, guest} // with the object that has the name
	if s.Unnamed {
		userThen, groupThen = userThen[:1], groupThen[:1]
	}
	for _, tc := range []struct {
		name   string
		lookup provider.Lookup
		want   []string
	}{
		{"user by remote id", provider.Lookup{Ref: u, RemoteID: user}, []string{user}},
		{"user without a ledger", provider.Lookup{Ref: u, Address: s.address("ann")}, []string{user}},
		{"user and the object that has its new name",
			provider.Lookup{Ref: u, RemoteID: user, Address: s.address("guest")}, []string{user, guest}},
		{"user and a group that has its name", provider.Lookup{Ref: u, RemoteID: user, Address: s.address("club")}, userThen},
		{"no object", provider.Lookup{Ref: userRef(anchor(9)), Address: s.address("missing")}, nil},
		{"no object in a foreign domain", provider.Lookup{Ref: userRef(anchor(9)), Address: "x@elsewhere.invalid"}, nil},
		{"group by remote id", provider.Lookup{Ref: g, RemoteID: group}, []string{group}},
		{"group without a ledger", provider.Lookup{Ref: g, Address: s.addressOf(directory.Group, "staff")}, []string{group}},
		{"group and the user that has its name", provider.Lookup{Ref: g, RemoteID: group, Address: s.address("guest")},
			groupThen},
	} {
		var got []string
		for _, o := range s.lookUp(tc.lookup).Objects {
			got = append(got, o.RemoteID)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: found %v, want %v", tc.name, got, tc.want)
		}
	}
	s.Admin.Delete(t, directory.User, user)
	if state := s.lookUp(provider.Lookup{Ref: u, RemoteID: user}); len(state.Objects) > 0 || len(state.Unsettled) != 1 {
		t.Errorf("an invisible account that was created moments ago: %+v, want it unsettled", state)
	}
	s.Advance(time.Hour)
	if state := s.lookUp(provider.Lookup{Ref: u, RemoteID: user}); len(state.Objects) > 0 || len(state.Unsettled) > 0 {
		t.Errorf("an account that is gone: %+v, want nothing", state)
	}
}

func testLookupMemberships(t *testing.T, s *session) {
	ann, bob := userRef(anchor(1)), userRef(anchor(2))
	staff, board := s.want(groupRef(anchor(3)), "staff"), s.want(groupRef(anchor(4)), "board")
	s.want(ann, "ann")
	s.want(bob, "bob")
	staff.Members = []plan.Member{{Ref: ann}, {Ref: bob}}
	s.settled()
	user := s.links[ann].RemoteID
	refs := []provider.GroupRef{
		{ID: staff.ID, RemoteID: s.links[staff.Ref].RemoteID},
		{ID: board.ID, RemoteID: s.links[board.Ref].RemoteID},
	}
	state := s.lookUp(provider.Lookup{Ref: ann, RemoteID: user, Groups: refs})
	if o := pick(t, state, refs[0].RemoteID); o.Ref != staff.Ref || !slices.Equal(o.Members, []string{user}) {
		t.Errorf("a group that the user is in = %+v, want the user as its member", o)
	}
	if o := pick(t, state, refs[1].RemoteID); o.Ref != board.Ref || len(o.Members) > 0 {
		t.Errorf("a group that the user is not in = %+v, want no members", o)
	}
	// The planner can work with this state. The user moves from one group to the other, and no other membership
	// changes.
	staff.Members, board.Members = []plan.Member{{Ref: bob}}, []plan.Member{{Ref: ann}, {Ref: bob}}
	in := plan.Input{
		Desired: []plan.Desired{*s.desired[ann], *s.desired[bob], *staff, *board}, State: state, Links: s.links,
		Only:         []directory.Ref{ann},
		Capabilities: s.Provider.Capabilities(), Policy: s.policy, Now: s.Now(),
	}
	p := plan.Compute(in)
	does := func(op plan.Op) bool {
		return slices.ContainsFunc(p.Changes, func(c plan.Change) bool { return c.Op == op })
	}
	if len(p.Changes) != 2 || !does(plan.AddMember) || !does(plan.RemoveMember) {
		t.Errorf("the plan for one user:\n%s\nwant one membership added and one removed", ops(p))
	}
	// A lookup of a group reads its members.
	state = s.lookUp(provider.Lookup{Ref: staff.Ref, RemoteID: refs[0].RemoteID})
	if o := pick(t, state, refs[0].RemoteID); len(o.Members) != 2 {
		t.Errorf("members of a group that was looked up = %v, want two", o.Members)
	}
}
