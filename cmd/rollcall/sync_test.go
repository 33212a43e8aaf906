package main

import (
	"strings"
	"testing"
	"time"

	"rollcall/internal/client"
	"rollcall/status"
)

// TestSyncEndsAsTheRunDid checks the exit code of a watched run.
func TestSyncEndsAsTheRunDid(t *testing.T) {
	t.Parallel()
	held := newcomers
	held.Held = 2
	for _, tt := range []struct {
		name string
		work work
		code int
		says string
	}{
		{"clean", work{plan: newcomers, done: 3}, 0, "google_workspace:1: completed, after 90 s"},
		{"held", work{plan: held, done: 3}, codeHeld, "2 held or in conflict"},
		{"one change failed", work{plan: held, done: 2, failed: 1}, codeFailure, "completed"},
		{"failed", work{end: status.End{State: status.Failed, FailKind: "denied", FailReason: "denied by the tenant"}},
			codeFailure, "failed: denied by the tenant"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.begun = func(run status.Run) { s.finish(s.take(run), tt.work) }
			s.do("sync", string(google), "--watch").want(t, tt.code, tt.says)
		})
	}
}

func TestSync(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.do("sync", string(corp)).want(t, 0, "is queued; rollcall watch ldap:corp")
	s.do("sync", string(corp)).want(t, codeLive, "ldap:corp has a live run already", "started just now by ada",
		"rollcall cancel ldap:corp")
	if r := s.do("sync", string(corp), "--json").want(t, codeLive); !strings.HasPrefix(r.stdout, `{"detail":`) ||
		!strings.Contains(r.stdout, `"run":{"id":`) {
		t.Errorf("the refusal as JSON is %s", r.stdout)
	}
	s.do("cancel", string(corp)).want(t, 0, "is cancelled; 0 of 0 changes were made and stay")
	s.do("cancel", string(corp)).want(t, codeFailure, "No run is live.")
	s.do("watch", string(corp)).want(t, codeFailure, "cancelled by ada")
	s.do("sync", string(off)).want(t, codeFailure, "is disabled")
	r := s.do("sync", string(google), "--dry-run", "--json").want(t, 0)
	if !strings.HasPrefix(r.stdout, `{"id":"`) || !strings.Contains(r.stdout, `"dry_run":true`) {
		t.Errorf("the answer as JSON is %s", r.stdout)
	}
}

func TestBar(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
	progress := []status.Progress{{Object: status.User, Change: status.Create, Succeeded: 240, Failed: 10, Expected: 1000}}
	b := bar{env: &env{now: func() time.Time { return now }}}
	for _, tt := range []struct {
		want string
		run  client.Run
	}{
		{"waits for a worker", client.Run{Run: status.Run{State: status.Queued}}},
		{"waits until 10:00:00: the quota is spent", client.Run{Run: status.Run{State: status.Deferred,
			DeferredUntil: now.Add(30 * time.Minute), DeferReason: "the quota\nis spent"}}},
		{"reads: 1 user, 0 groups, 0 memberships", client.Run{Run: status.Run{State: status.Running,
			Read: map[status.ObjectType]int64{status.User: 1}}}},
		{"[....................] 0 of 0 changes", client.Run{Run: status.Run{State: status.Running, PlannedAt: now}}},
		{"[#####...............] 250 of 1000 changes (10 failed), ends in about 5 min at 09:35:00", client.Run{
			Run:  status.Run{State: status.Running, PlannedAt: now, Progress: progress, FailedChanges: 10},
			Ends: now.Add(5 * time.Minute),
		}},
		{"[####################] 0 of 0 changes, 0.5 s", client.Run{Run: status.Run{State: status.Completed, PlannedAt: now},
			Seconds: 0.5}},
		{"1000 changes would be made (a dry run), 3 min", client.Run{Run: status.Run{State: status.Completed, DryRun: true,
			Progress: progress}, Seconds: 190}},
	} {
		if got := b.line(tt.run); got != tt.want {
			t.Errorf("line() = %q, want %q", got, tt.want)
		}
	}
}

func TestSpan(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		90 * time.Millisecond: "0.1 s", 59 * time.Second: "59 s", 12 * time.Minute: "12 min", 30 * time.Hour: "30 h",
		72 * time.Hour: "3 d",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%v) = %q, want %q", d, got, want)
		}
	}
}
