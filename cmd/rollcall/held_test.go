package main

import (
	"strings"
	"testing"

	"rollcall/decisions"
	"rollcall/plan"
	"rollcall/status"
)

func leaver(name string) decisions.HeldChange {
	return decisions.HeldChange{
		Fingerprint: "f-" + name, Op: "suspend", Kind: "user", ID: "u-" + name, Label: name, Address: name + "@example.com",
		Why:   "out_of_scope",
		Guard: "limit", Reason: "3 users would go: the limit is 2",
	}
}

func holdAll(s *service) {
	odd := leaver("d")
	odd.Label = "Zoë\t\u202eGnirts\x1b[2J\nsuspend  user  admin"
	s.hold(
		google, "d1", leaver("a"), leaver("b"), odd,
		decisions.HeldChange{Fingerprint: "f-m", Op: "remove_member", Kind: "group", ID: "g-1", Label: "staff",
			Member: "u-a", MemberLabel: "a", Guard: "follows", Reason: "a departure is held"},
		decisions.HeldChange{
			Fingerprint: "f-u", Op: "adopt", Kind: "user", ID: "u-n", Address: "n@example.com", Guard: "approval",
			Reason: "adoptions are asked for",
			Fields: []plan.FieldChange{{Name: "name.givenName", Before: []string{"N"}, After: []string{"Nina"}}},
		},
		decisions.HeldChange{Fingerprint: "f-r", Op: "reanchor", Kind: "user", ID: "u-new", Address: "r@example.com",
			From: "u-old", Guard: "approval", Reason: "adoptions are asked for"},
	)
}

func TestHeld(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.do("held", string(google)).want(t, 0, "nothing waits")
	s.do("held").want(t, 0, "Nothing waits for a decision.")
	holdAll(s)
	s.do("reject", string(google), "--entry", "f-m", "--yes").want(t, 0, "1 change rejected, until 2026-03-04 09:30:00")
	s.do("held", string(google)).want(t, codeHeld).golden(t, "held")
	s.do("held", string(google), "--limit", "4").want(t, codeHeld,
		"and 2 more: rollcall held google_workspace:1 --offset 4")
	s.hold(corp, "d9", leaver("gone"))
	s.do("held").want(t, codeHeld, "google_workspace:1: 6 changes wait", "ldap:corp: 1 change waits", "gone (u-gone)",
		"rollcall approve ldap:corp d9")
	if r := s.do("held", "--json").want(t, codeHeld); !strings.Contains(r.stdout, `"ldap:corp":{"digest":"d9"`) ||
		!strings.Contains(r.stdout, `"google_workspace:1":{"digest":"d1"`) {
		t.Errorf("all as JSON: %s", r.stdout)
	}
	if r := s.do("held", string(google), "--json").want(t, codeHeld); !strings.HasPrefix(r.stdout, `{"digest":"d1"`) {
		t.Errorf("as JSON: %s", r.stdout)
	}
}

func (s *service) verdicts() map[string]string {
	s.t.Helper()
	found, err := s.decisions.Decisions(s.t.Context(), google)
	if err != nil {
		s.t.Fatal(err)
	}
	out := map[string]string{}
	for fingerprint, d := range found {
		out[fingerprint] = d.Verdict
	}
	return out
}

// TestApproveAsks checks that approve shows the changes and requires a yes.
func TestApproveAsks(t *testing.T) {
	t.Parallel()
	s := newService(t)
	ask := func(says string, args ...string) result {
		return s.as(person{says: says}, append([]string{"approve", string(google)}, args...)...)
	}
	ask("y\n").want(t, codeFailure, "nothing waits")
	holdAll(s)
	ask("n\n").want(t, codeHeld).golden(t, "approve")
	for _, no := range []string{"\n", " ", "no\n", "yeah\n"} {
		ask(no).want(t, codeHeld, "Nothing was decided.")
	}
	ask("y\n", "d0").want(t, codeFailure, `no held set "d0"`)
	ask("y\n", "--entry", "u-z").want(t, codeFailure, `"u-z"`)
	if got := s.verdicts(); len(got) > 0 {
		t.Errorf("verdicts = %v, want none yet", got)
	}
	s.begun = func(run status.Run) { s.finish(s.take(run), work{plan: newcomers, done: 3}) }
	ask("y\n", "d1", "--entry", "u-a", "--entry", "f-b", "--watch").want(t, 0, "2 of 6 changes that wait",
		"suspend: 2 users", "2 changes approved, until", "completed")
	if got := s.verdicts(); len(got) != 2 || got["f-a"] != "approved" || got["f-b"] != "approved" {
		t.Errorf("verdicts = %v, want two approvals", got)
	}
}

// TestApproveSuperseded checks that an older digest names those of its changes that wait unchanged, and no others.
func TestApproveSuperseded(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.hold(google, "d1", leaver("a"), leaver("b"))
	s.hold(google, "d2", leaver("b"), leaver("c"))
	for _, verdict := range []string{"approve", "reject"} {
		s.as(person{says: "y\n"}, verdict, string(google), "d1").want(t, 0, "1 of 1 change that waits", "b (u-b)")
		want := map[string]string{"approve": "approved", "reject": "rejected"}[verdict]
		if got := s.verdicts(); len(got) != 1 || got["f-b"] != want {
			t.Errorf("%s: verdicts = %v, want one about f-b", verdict, got)
		}
	}
	s.hold(google, "d3", leaver("c"))
	s.as(person{says: "y\n"}, "reject", string(google), "d1").want(t, codeFailure, "no change of d1 waits any more",
		"rollcall held google_workspace:1")
}

// TestApproveInAScript checks that a script cannot approve changes without naming them.
func TestApproveInAScript(t *testing.T) {
	t.Parallel()
	s := newService(t)
	holdAll(s)
	s.do("approve", string(google)).want(t, codeUsage, "say --yes")
	s.do("approve", string(google), "d1", "--json").want(t, codeUsage, "say --yes")
	s.do("approve", string(google), "--yes").want(t, codeUsage, "rollcall held google_workspace:1")
	s.do("approve", string(google), "d7", "--yes").want(t, codeFailure, `no held set "d7"`)
	s.do("approve", string(google), "d1", "--yes").want(t, 0, "6 changes approved", "is queued; rollcall watch")
	s.do("approve", string(google), "d1", "--yes").want(t, codeLive, "live run already", "by approval by ada")
	s.do("reject", string(google), "--yes").want(t, 0, "6 changes rejected")
	s.hold(google, "d2", leaver("z"))
	s.do("reject", string(google), "d1", "--yes").want(t, codeFailure, "None of these changes waits any more")
	if r := s.do("reject", string(google), "d2", "--yes", "--json").want(t, 0); !strings.HasPrefix(r.stdout,
		`{"verdict":"rejected","count":1`) {
		t.Errorf("as JSON: %s", r.stdout)
	}
}
