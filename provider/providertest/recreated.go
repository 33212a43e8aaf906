package providertest

import (
	"slices"
	"testing"

	"rollcall/directory"
	"rollcall/plan"
)

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
