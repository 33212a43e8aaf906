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

func (s *session) suspended(id string, want bool) {
	s.t.Helper()
	if got, exists := s.Admin.Suspended(id); !exists || got != want {
		s.t.Errorf("user %s: suspended = %v, exists = %v; want %v, true", id, got, exists, want)
	}
}

func testLeaverComesBack(t *testing.T, s *session) {
	ref := userRef(anchor(1))
	id := s.user(ref.ID, "ann")
	d := s.desired[ref]
	delete(s.desired, ref)
	s.settled()
	s.suspended(id, true)
	if o := s.object(id); s.provenance(ref, o) != plan.Us {
		t.Errorf("Suspender = %v, want us", o.Suspender)
	}
	s.desired[ref] = d
	s.settled()
	s.suspended(id, false)
	if o := s.object(id); !o.Active {
		t.Errorf("object after its return = %+v, want it active", o)
	}
}

// provenance returns the suspender of the account. Where the provider cannot carry our mark, the ledger decides.
func (s *session) provenance(ref directory.Ref, o plan.Object) plan.Suspender {
	if o.Suspender == plan.Unknown && s.links[ref].Suspended {
		return plan.Us
	}
	return o.Suspender
}

func testLeaverIsDeleted(t *testing.T, s *session) {
	u, g := userRef(anchor(1)), groupRef(anchor(2))
	id, groupID := s.user(u.ID, "ann"), s.group(g.ID, "staff")
	clear(s.desired)
	s.settled()
	s.suspended(id, true)
	s.Advance(25 * time.Hour)
	s.settled()
	if _, exists := s.Admin.Suspended(id); exists {
		t.Error("the user outlived its grace period")
	}
	if s.Admin.Count(directory.Group) != 0 {
		t.Errorf("group %s outlived its grace period", groupID)
	}
}

func testOthersSuspensionStays(t *testing.T, s *session) {
	ref := userRef(anchor(1))
	id := s.user(ref.ID, "ann")
	s.Admin.SetSuspended(t, id, true)
	if o := s.object(id); o.Active || s.provenance(ref, o) == plan.Us {
		t.Errorf("suspended by an administrator: Active = %v, Suspender = %v", o.Active, o.Suspender)
	}
	if p := s.sync(); len(p.Changes) > 0 {
		t.Errorf("an account with a foreign suspension is not left alone:\n%s", ops(p))
	}
	s.refused(change(plan.Restore, ref, id), fault.Conflict)
	// A Suspend of an account that is suspended already succeeds and does not claim the suspension.
	if r := s.apply(change(plan.Suspend, ref, id)); r.Err != nil {
		t.Errorf("suspend of a suspended account = %v, want success", r.Err)
	} else if r.Note == "" {
		t.Error("Suspend of an account with a foreign suspension returns no note")
	}
	s.suspended(id, true)
}

// testLiftedByHand covers an administrator that lifts our suspension and later suspends the account for another
// reason.
func testLiftedByHand(t *testing.T, s *session) {
	ref := userRef(anchor(1))
	id := s.user(ref.ID, "ann")
	s.must(change(plan.Suspend, ref, id))
	s.Admin.SetSuspended(t, id, false)
	s.Advance(time.Hour)
	s.settled()
	s.Advance(time.Hour)
	s.Admin.SetSuspended(t, id, true)
	if o := s.object(id); o.Suspender == plan.Us {
		t.Error("Suspender = us for a suspension that an administrator made after lifting ours")
	}
}

func testWithoutAnchor(t *testing.T, s *session) {
	u, g := userRef(anchor(1)), groupRef(anchor(2))
	id, groupID := s.user(u.ID, "ann"), s.group(g.ID, "staff")
	s.Admin.AddMember(t, groupID, id)
	s.Admin.StripAnchor(t, directory.User, id)
	s.Admin.StripAnchor(t, directory.Group, groupID)
	if o := s.object(id); o.Anchored() {
		t.Errorf("object without its anchor = %+v", o)
	}
	clear(s.desired)
	if p := s.sync(); len(p.Changes) > 0 {
		t.Errorf("objects that lost their anchor are not left alone:\n%s", ops(p))
	}
	s.refused(change(plan.Suspend, u, id), fault.Conflict)
	s.refused(change(plan.Delete, u, id), fault.Conflict)
	s.refused(change(plan.Delete, g, groupID), fault.Conflict)
	s.refused(member(plan.RemoveMember, g.ID, groupID, u, id), fault.Conflict)
	s.refused(change(plan.Restore, u, id), fault.Conflict)
	s.suspended(id, false)
	if got := s.Admin.Members(groupID); len(got) != 1 {
		t.Errorf("members = %v, want one", got)
	}
	// A change of another entry is refused, too.
	other := s.user(anchor(3), "bob")
	s.refused(change(plan.Suspend, u, other), fault.Conflict)
	s.refused(change(plan.Delete, u, other), fault.Conflict)
	s.suspended(other, false)
}

func testAdministrators(t *testing.T, s *session) {
	s.policy.Adoption = plan.AdoptByAddress
	boss := s.Admin.AddUser(t, User{Address: s.address("boss"), Admin: true})
	ref := userRef(anchor(1))
	s.want(ref, "boss")
	if o := s.object(boss); o.Protected == "" {
		t.Error("an administrator is not protected")
	}
	if p := s.sync(); len(p.Changes) > 0 || len(p.Held) != 1 {
		t.Errorf("an administrator is not left alone:\n%s", ops(p))
	}
	s.refused(change(plan.Adopt, ref, boss), fault.Conflict)
	// This account of ours became an administrator's after the plan was made.
	ann := userRef(anchor(2))
	id := s.user(ann.ID, "ann")
	s.Admin.MakeAdmin(t, id)
	s.refused(change(plan.Suspend, ann, id), fault.Conflict)
	s.refused(change(plan.Delete, ann, id), fault.Conflict)
	c := change(plan.Reanchor, userRef(anchor(3)), id)
	c.From = ann.ID
	s.refused(c, fault.Conflict)
	s.suspended(id, false)
	delete(s.desired, ann)
	if p := s.sync(); len(p.Changes) > 0 {
		t.Errorf("an administrator that left is not left alone:\n%s", ops(p))
	}
}

// final reports whether the provider can restore no deleted account.
func (s *session) final() bool { return s.Provider.Capabilities().UndeleteWithin == 0 }

// testUndelete checks that a deleted account can be restored with its id and its state, for as long as the provider
// keeps it.
func testUndelete(t *testing.T, s *session) {
	if s.final() {
		ref := userRef(anchor(1))
		id := s.user(ref.ID, "ann")
		s.must(change(plan.Delete, ref, id))
		c := change(plan.Undelete, ref, id)
		c.Address = s.address("ann")
		s.refused(c, fault.Invalid)
		return
	}
	active, blocked := userRef(anchor(1)), userRef(anchor(2))
	ids := map[directory.Ref]string{
		active:  s.user(active.ID, "ann", one(s.UserField, "Field")),
		blocked: s.user(blocked.ID, "bob", one(s.UserField, "Field")),
	}
	s.must(change(plan.Suspend, blocked, ids[blocked]))
	before := s.Admin.Count(directory.User)
	for _, ref := range []directory.Ref{active, blocked} {
		s.must(change(plan.Delete, ref, ids[ref]))
	}
	s.Advance(time.Hour)
	for _, ref := range []directory.Ref{active, blocked} {
		c := change(plan.Undelete, ref, ids[ref])
		c.Address, c.Inactive = s.desired[ref].Address, ref == blocked
		c.Fields = []plan.FieldChange{{Name: s.UserField, After: []string{"Again"}}}
		if got := s.must(c); got != ids[ref] {
			t.Errorf("%s was undeleted as %q, want %q", ref, got, ids[ref])
		}
		s.want(ref, map[directory.Ref]string{active: "ann", blocked: "bob"}[ref], one(s.UserField, "Again"))
	}
	s.suspended(ids[active], false)
	s.suspended(ids[blocked], true)
	if after := s.Admin.Count(directory.User); after != before {
		t.Errorf("%d users, want %d as before", after, before)
	}
	if o := s.object(ids[blocked]); s.provenance(blocked, o) != plan.Us {
		t.Error("the suspension of the undeleted account is no longer ours")
	}
	if p := s.settled(); len(p.Changes) != 1 || p.Changes[0].Op != plan.Restore {
		t.Errorf("the plan after the undelete is not a single restore:\n%s", ops(p))
	}
	// An account that we had suspended, and that is wanted again, becomes active.
	s.must(change(plan.Suspend, active, ids[active]))
	s.must(change(plan.Delete, active, ids[active]))
	s.Advance(time.Hour)
	again := change(plan.Undelete, active, ids[active])
	again.Address = s.desired[active].Address
	s.must(again)
	s.suspended(ids[active], false)
	if p := s.settled(); len(p.Changes) > 0 {
		t.Errorf("the plan after the undelete of a wanted account is not empty:\n%s", ops(p))
	}
	s.must(change(plan.Delete, active, ids[active]))
	s.Advance(s.Provider.Capabilities().UndeleteWithin + time.Hour)
	c := change(plan.Undelete, active, ids[active])
	c.Address = s.desired[active].Address
	s.refused(c, fault.Invalid)
}

// testDeletedComesBack checks that an entry with a deleted account gets the same account again, for as long as the
// provider keeps it. It does so with and without a ledger, and with a new address. After that the entry gets a new
// account.
func testDeletedComesBack(t *testing.T, s *session) {
	ref, staff := userRef(anchor(1)), groupRef(anchor(2))
	id := s.user(ref.ID, "ann", one(s.UserField, "Field"))
	s.want(staff, "staff").Members = []plan.Member{{Ref: ref}}
	s.settled()
	group := s.links[staff].RemoteID
	returns := []string{"ann", "anna"}
	if s.final() {
		returns = nil
	}
	for _, local := range returns {
		s.Advance(time.Hour)
		s.Admin.Delete(t, directory.User, id)
		s.Advance(time.Hour)
		clear(s.links)
		s.want(ref, local, one(s.UserField, "Again"))
		s.sync()
		s.Advance(time.Hour) // A provider that restores instead of creating may need another run.
		s.settled()
		s.suspended(id, false)
		if o := s.object(id); o.Ref != ref || o.Address != s.address(local) || o.Fields.Get(s.UserField) != "Again" {
			t.Errorf("the restored account = %+v, want the state of the entry", o)
		}
		if got := s.Admin.Members(group); !slices.Equal(got, []string{id}) {
			t.Errorf("members = %v, want %s", got, id)
		}
	}
	s.Admin.Delete(t, directory.User, id)
	s.Advance(s.Provider.Capabilities().UndeleteWithin + time.Hour)
	s.settled()
	if _, exists := s.Admin.Suspended(id); exists {
		t.Error("the account came back after its time")
	}
	if n := s.Admin.Count(directory.User); n != 2 {
		t.Errorf("%d users, want the administrator and the new account", n)
	}
}

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
