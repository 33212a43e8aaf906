package providertest

import (
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/plan"
)

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
