package main

import (
	"testing"
	"time"

	"rollcall/status"
)

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, args := range [][]string{{"pause"}, {"pause", string(google), "--all"},
		{"resume", string(google), string(corp)}} {
		s.do(args...).want(t, codeUsage, "give the id of one source or provider, or --all")
	}
	const by = ": paused by ada since 2026-03-01T09:30:00Z; resume with `rollcall resume "
	s.do("pause", string(google)).want(t, 0, "google_workspace:1"+by+"google_workspace:1`")
	s.do("status").want(t, codeHeld, "paused", "google_workspace:1: nothing is written"+by)
	s.do("resume", string(corp)).want(t, codeFailure, "Nothing is paused here.")
	s.do("resume", string(google)).want(t, 0, "google_workspace:1: resumed; run ", " is queued")
	s.do("pause", "--all").want(t, 0, "ldap:corp"+by, "google_workspace:1"+by, "microsoft_entra:2"+by)
	s.do("pause", string(corp), "--json").want(t, 0, `{"paused":true,"by":"ada"`)
	s.do("resume", string(corp)).want(t, 0, "ldap:corp: resumed")
	s.do("resume", "--all").want(t, 0, "google_workspace:1: resumed; the live run goes on", "microsoft_entra:2: resumed")
	s.do("resume", "--all").want(t, 0)
	s.do("pause", "google_workspace:7").want(t, codeFailure, "the API has no google_workspace:7")
}

// A run that a pause ended is no failure, and a person has to act.
func TestARunOfAPausedContainer(t *testing.T) {
	t.Parallel()
	s := newService(t)
	plan := newcomers
	plan.Takes = 21 * time.Minute
	s.ran(google, false, work{plan: plan, end: status.End{State: status.Completed, Paused: "paused by ada"}})
	s.do("watch", string(google)).want(t, codeHeld, "completed, but paused by ada, after ")
	s.do("status", string(google)).want(t, codeHeld, "about 21 minutes")
	s.live(google)
	s.do("status", string(google)).want(t, codeHeld, "queued, about 21 min")
}
