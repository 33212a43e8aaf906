package main

import (
	"testing"

	"rollcall/directory"
	"rollcall/ledger"
)

func TestAcceptServer(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.do("accept-server", string(corp), "--yes").want(t, codeFailure, "No server is in doubt")
	var f ledger.Facts
	f.Positions.Trust(directory.Position{Server: "dc1", Name: "ldap://dc1", Seen: map[string]string{"dc1": "4857"}})
	f.Positions.Doubt(directory.Position{Server: "dc2", Name: "ldap://dc2", Seen: map[string]string{"dc2": "9"}})
	if err := s.facts(corp).SetFacts(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	s.do("accept-server", string(corp)).want(t, codeUsage, "say --yes")
	s.do("status", string(corp)).want(t, 0, "last read from ldap://dc1 (dc1 at 4857)", "rollcall accept-server ldap:corp")
	s.as(person{says: "n\n"}, "accept-server", string(corp)).want(t, codeHeld, "ldap://dc2 (dc2 at 9)",
		"Nothing was accepted.")
	s.as(person{says: "y\n"}, "accept-server", string(corp)).want(t, 0, "accepted ldap://dc2 (dc2 at 9)")
	s.as(person{says: "y\n"}, "accept-server", string(corp)).want(t, codeFailure, "no server is in doubt")
}
