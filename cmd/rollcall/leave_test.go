package main

import (
	"testing"

	"rollcall/status"
)

// The command asks first, waits for every tenant, and ends with the gravest outcome.
func TestLeave(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.result = &status.Result{Outcome: status.OutcomeSuspended}
	s.do("leave").want(t, 0, "No order to leave stands.")
	s.do("leave", "ada@example.com").want(t, codeUsage, "say --yes")
	s.as(person{says: "n\n"}, "leave", "ada@example.com").want(t, codeHeld, "Nothing was ordered.")
	s.as(person{says: "y\n"}, "leave", "ada@example.com").want(t, 0, "Suspend ada@example.com everywhere, now?",
		"ada (u-1) has to leave", "google_workspace:1: suspended", "microsoft_entra:2: suspended")
	s.do("leave").want(t, 0, "PERSON", "ada", "u-1", "corp", "2026-03-01 09:30:00",
		"google_workspace:1, microsoft_entra:2")
	s.do("held").want(t, 0, "1 order to leave in force")
	s.do("leave", "--json").want(t, 0, `"orders":[{"id":"u-1"`)
	s.result.Outcome = status.OutcomeHeld
	s.result.Messages = []status.Message{{Level: status.Warning, Event: "Held: user ada: an administrator"}}
	s.do("leave", "ada@example.com", "--yes").want(t, codeHeld, "google_workspace:1: held", "an administrator")
	s.result = &status.Result{Outcome: status.OutcomeFailed, FailKind: "denied", FailReason: "403"}
	s.do("leave", "ada@example.com", "--yes").want(t, codeFailure, "google_workspace:1: failed")
	s.result = &status.Result{Outcome: status.OutcomeRestored}
	s.do("leave", "--lift", "ada@example.com", "--yes").want(t, 0, "no longer under an order",
		"google_workspace:1: restored")
	s.do("leave", "--lift", "ada@example.com", "--yes").want(t, codeFailure, "No order to leave stands for ada.")
	s.do("leave", "zoe@example.com", "--yes").want(t, codeFailure, "No user has the id")
}
