package main

import (
	"strings"
	"testing"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/plan"
	"rollcall/status"
)

func TestRevert(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var of status.Run
	s.begun = func(run status.Run) { s.finish(s.take(run), work{plan: newcomers, done: 3}); of = run }
	s.do("sync", string(google)).want(t, 0)
	s.do("revert", string(google), of.ID).want(t, codeUsage, "there is no terminal to ask on")
	s.do("revert", string(google), "nonsense", "--yes").want(t, codeFailure, `no run "nonsense"`)
	s.as(person{says: "n\n"}, "revert", string(google), of.ID).want(t, codeHeld, "made 3 changes", "user create: 3",
		"Nothing was undone.")
	mistake := of.ID
	s.as(person{says: "y\n"}, "revert", string(google), mistake, "--watch").want(t, 0, "Take that back, at once?",
		"completed")
	s.do("runs", string(google)).want(t, 0, "undo by")
	s.do("revert", string(google), mistake, "--dry-run").want(t, 0, "rollcall watch")
}

func TestPins(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.do("pins", string(google)).want(t, 0, "nothing is pinned")
	s.do("pins", string(corp)).want(t, codeFailure, "no provider ldap:corp")
	at := s.clock()
	pins := []plan.Pin{
		{
			Ref: directory.Ref{Kind: directory.User, ID: "u-1"}, Label: "ann", Run: "r1", By: "ops", At: at,
			Account: plan.StandsActive, Address: "ann@example.com",
			Fields: directory.Attributes{{Name: "name.givenName", Values: []string{"Ann"}}},
			Groups: []plan.PinnedMembership{{ID: "g-1", Label: "staff", Member: true}, {ID: "g-2"}},
		},
		{Ref: directory.Ref{Kind: directory.User, ID: "u-2"}, Run: "r1", By: "ops", At: at, Account: plan.StandsNone},
	}
	if err := s.decisions.Pin(t.Context(), google, pins, nil); err != nil {
		t.Fatal(err)
	}
	s.do("pins", string(google)).want(t, 0, "ann (u-1)", "account active, address ann@example.com, name.givenName, in "+
		"staff (g-1), not in g-2", "no account", "rollcall lift google_workspace:1")
	s.do("pins", string(google), "--limit", "1").want(t, 0, "and 1 more")
	s.do("lift", string(google)).want(t, codeUsage, "say --yes")
	s.as(person{says: "n\n"}, "lift", string(google)).want(t, codeHeld, "2 pinned objects", "Nothing was lifted.")
	s.do("lift", string(google), "--entry", "u-9", "--yes").want(t, codeFailure, "u-9")
	s.do("lift", string(google), "--entry", "u-2", "--yes").want(t, 0, "1 pin lifted")
	s.as(person{says: "y\n"}, "lift", string(google)).want(t, 0, "1 pin lifted")
}

func TestAdoptDecisions(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.do("adopt-decisions", string(google)).want(t, codeUsage, "say --yes")
	// Redis was lost, and a worker remembers what was there.
	worker := decisions.New(s.rdb, decisions.Config{Now: s.clock, Keys: signingKeys})
	worker.Saw(entra, s.clock().UnixMilli()-1)
	s.do("adopt-decisions", string(entra), "--yes").want(t, 0, "0 decision and pins signed")
	if kept, err := worker.Kept(t.Context(), entra); err != nil || kept.Broken != "" {
		t.Errorf("the worker says %+v, %v, want no doubt", kept, err)
	}
	pin := plan.Pin{Ref: directory.Ref{Kind: directory.User, ID: "u-1"}, Label: "ann\x1b[2J", Run: "r1"}
	earlier := decisions.New(s.rdb, decisions.Config{Now: s.clock})
	if err := earlier.Pin(t.Context(), google, []plan.Pin{pin}, nil); err != nil {
		t.Fatal(err)
	}
	refused := s.as(person{says: "n\n"}, "adopt-decisions", string(google)).want(t, codeHeld, "user/u-1", "is not signed",
		"Nothing was adopted.")
	if strings.Contains(refused.stdout, "\x1b") {
		t.Errorf("a control character reaches the terminal: %q", refused.stdout)
	}
	s.as(person{says: "y\n"}, "adopt-decisions", string(google)).want(t, 0, "1 decision and pin signed")
	s.do("pins", string(google)).want(t, 0, "u-1")
}
