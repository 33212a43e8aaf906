package providertest

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

func testCreateIsReadBack(t *testing.T, s *session) {
	for ref, id := range map[directory.Ref]string{
		userRef(anchor(1)):  s.user(anchor(1), "ann", one(s.UserField, "First")),
		groupRef(anchor(2)): s.group(anchor(2), "staff", one(s.GroupField, "First")),
	} {
		o, d := s.object(id), s.desired[ref]
		if o.Ref != ref || o.Address != d.Address || !o.Active || o.Protected != "" || o.ReadOnly != "" {
			t.Errorf("read back %+v, want %+v", o, d)
		}
		if diff := cmp.Diff(d.Fields, o.Fields); diff != "" {
			t.Errorf("fields of %s (-want +got):\n%s", ref, diff)
		}
	}
}

func testPlanAfterApplyIsEmpty(t *testing.T, s *session) {
	s.want(userRef(anchor(1)), "ann", one(s.UserField, " Blanks  inside and out "))
	s.want(userRef(anchor(2)), "bob", one(s.UserField, "Jürgen Öztürk-Łukasiewicz"))
	staff := s.want(groupRef(anchor(3)), "staff", one(s.GroupField, " Blanks "))
	staff.Members = []plan.Member{{Ref: userRef(anchor(1))}, {Ref: userRef(anchor(2))}}
	s.want(groupRef(anchor(4)), "board")
	if p := s.settled(); len(p.Changes) != 6 || len(p.Held) > 0 {
		t.Errorf("the first plan does not have 4 objects and 2 memberships:\n%s", ops(p))
	}
	s.want(userRef(anchor(1)), "ann", one(s.UserField, "Changed"))
	s.want(userRef(anchor(2)), "bob", directory.Attribute{Name: s.UserField}) // clears the field
	s.want(groupRef(anchor(4)), "board", one(s.GroupField, "Changed"))
	if p := s.settled(); len(p.Changes) != 3 {
		t.Errorf("the second plan does not have three updates:\n%s", ops(p))
	}
	s.want(groupRef(anchor(4)), "board", directory.Attribute{Name: s.GroupField})
	s.settled()
}

// steps returns a sequence that contains every operation once.
func (s *session) steps() []func() plan.Change {
	u, g, h := userRef(anchor(1)), groupRef(anchor(2)), userRef(anchor(3))
	var user, group string
	renamed := func() plan.Change { return s.rename(g, group, "team") }
	if s.Unnamed {
		renamed = func() plan.Change { return s.update(g, group, s.GroupField, "Newer") }
	}
	steps := []func() plan.Change{
		func() plan.Change { return s.create(s.want(u, "ann")) },
		func() plan.Change { return s.create(s.want(g, "staff")) },
		func() plan.Change {
			user, group = s.links[u].RemoteID, s.links[g].RemoteID
			return s.update(u, user, s.UserField, "New")
		},
		func() plan.Change { return s.update(g, group, s.GroupField, "New") },
		func() plan.Change { return s.rename(u, user, "anna") },
		renamed,
		func() plan.Change { return member(plan.AddMember, g.ID, group, u, user) },
		func() plan.Change { return member(plan.RemoveMember, g.ID, group, u, user) },
		func() plan.Change { return change(plan.Suspend, u, user) },
		func() plan.Change { return change(plan.Restore, u, user) },
		func() plan.Change {
			c := change(plan.Reanchor, userRef(anchor(9)), user)
			c.From = u.ID
			return c
		},
		func() plan.Change {
			return change(plan.Adopt, h, s.Admin.AddUser(s.t, User{Address: s.address("guest")}))
		},
		func() plan.Change { return change(plan.Delete, userRef(anchor(9)), user) },
		func() plan.Change { return change(plan.Delete, g, group) },
	}
	if s.final() {
		return steps
	}
	return append(steps,
		func() plan.Change {
			c := change(plan.Undelete, userRef(anchor(9)), user)
			c.Address = s.address("anna")
			return c
		},
		func() plan.Change { return change(plan.Delete, userRef(anchor(9)), user) })
}

func (s *session) rename(ref directory.Ref, remoteID, local string) plan.Change {
	d := s.want(ref, local)
	c := change(plan.Update, ref, remoteID)
	c.Address, c.Fields = d.Address, []plan.FieldChange{{Name: plan.AddressField, After: []string{d.Address}}}
	return c
}

func testEveryChangeTwice(t *testing.T, s *session) {
	for _, step := range s.steps() {
		c := step()
		first := s.must(c)
		before := s.counts()
		if c.Op == plan.Create {
			c.RemoteID = ""
		}
		if second := s.must(c); second != first {
			t.Errorf("%s again gave remote id %q, want %q", name(c), second, first)
		}
		if after := s.counts(); after != before {
			t.Errorf("%s again changed the number of objects to %v, want %v", name(c), after, before)
		}
	}
}

func (s *session) counts() [2]int {
	return [2]int{s.Admin.Count(directory.User), s.Admin.Count(directory.Group)}
}

// testLostAnswers checks that a write with a lost answer is found done by the next attempt.
func testLostAnswers(t *testing.T, s *session) {
	for _, step := range s.steps() {
		c := step()
		s.Admin.Break(LoseAnswer)
		if r := s.apply(c); r.Err != nil {
			if got := fault.KindOf(r.Err); got != fault.Unavailable {
				t.Errorf("%s with a lost answer = %v (%v), want unavailable", name(c), got, r.Err)
			}
			s.must(c)
		}
	}
	if users, groups := s.Admin.Count(directory.User), s.Admin.Count(directory.Group); users != 2 || groups != 0 {
		t.Errorf("%d users and %d groups are left, want 2 (the administrator, the adopted one) and 0", users, groups)
	}
}

func testFailures(t *testing.T, s *session) {
	id := s.user(anchor(1), "ann")
	c := s.update(userRef(anchor(1)), id, s.UserField, "New")
	s.Admin.Break(Throttle)
	r := s.apply(c)
	if r.Err == nil || fault.KindOf(r.Err) != fault.Throttled || fault.RetryAfter(r.Err) != 3*time.Second {
		t.Errorf("without quota = %v (kind %v, after %v), want throttled for 3s", r.Err, fault.KindOf(r.Err),
			fault.RetryAfter(r.Err))
	}
	s.Admin.Break(Crash)
	s.refused(c, fault.Unavailable)
	s.must(c)
	s.refused(s.update(userRef(anchor(1)), "no-such-id", s.UserField, "New"), fault.NotFound)
}

func testCutReadFails(t *testing.T, s *session) {
	s.user(anchor(1), "ann")
	s.Admin.Break(CutRead)
	state, err := s.Provider.Read(t.Context(), provider.Query{Now: s.Now()})
	if err == nil || fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Read() cut short = %v, want unavailable", err)
	}
	if len(state.Objects) > 0 {
		t.Errorf("Read() cut short gave %d objects, want none", len(state.Objects))
	}
}

func testCanceledApply(t *testing.T, s *session) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	before := s.counts()
	batch := []plan.Change{s.create(s.want(userRef(anchor(1)), "ann")), s.create(s.want(userRef(anchor(2)), "bob"))}
	results := s.Provider.Apply(ctx, batch)
	if len(results) != len(batch) {
		t.Fatalf("Apply() of %d changes gave %d results", len(batch), len(results))
	}
	for _, r := range results {
		if r.Err == nil || fault.KindOf(r.Err) != fault.Canceled {
			t.Errorf("Apply() after a cancel = %v, want canceled", r.Err)
		}
	}
	if after := s.counts(); after != before {
		t.Errorf("Apply() after a cancel wrote: %v objects, want %v", after, before)
	}
	if _, err := s.Provider.Read(ctx, provider.Query{Now: s.Now()}); err == nil || fault.KindOf(err) != fault.Canceled {
		t.Errorf("Read() after a cancel = %v, want canceled", err)
	}
}

func testRename(t *testing.T, s *session) {
	id, groupID := s.user(anchor(1), "ann"), s.group(anchor(2), "staff")
	s.want(userRef(anchor(1)), "anna", one(s.UserField, "And more"))
	s.want(groupRef(anchor(2)), "team")
	s.settled()
	addresses := map[string]string{id: s.address("anna"), groupID: s.addressOf(directory.Group, "team")}
	for remoteID, want := range addresses {
		o := s.object(remoteID)
		if o.Address != want {
			t.Errorf("address after a rename = %s, want %s", o.Address, want)
		}
		kept := slices.ContainsFunc(o.Aliases, func(a string) bool { return strings.HasSuffix(a, "@"+s.Domain) })
		if want != "" && kept != s.Provider.Capabilities().RenameKeepsAddress {
			t.Errorf("aliases after a rename = %v, and RenameKeepsAddress = %v", o.Aliases, !kept)
		}
	}
	// The reverse rename takes the old name, which is the object's own alias where renames keep it.
	s.want(userRef(anchor(1)), "ann")
	s.want(groupRef(anchor(2)), "staff")
	s.settled()
	if n := s.Admin.Count(directory.User); n != 2 {
		t.Errorf("%d users after renames, want 2", n)
	}
}
