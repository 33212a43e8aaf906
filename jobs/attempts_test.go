package jobs_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/testclock"
	"rollcall/plan"
	"rollcall/status"
)

// The attempts of runs and object jobs are stored with the entry, whether they succeeded or not. Attempts on the
// local directory are not stored.
func TestWhatWasTriedIsKept(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.remote.before = func(_ context.Context, c plan.Change) error {
		if c.ID == "u003" {
			return fault.Errorf(fault.Conflict, "409: the name is taken")
		}
		return nil
	}
	s.worker("w1")
	s.until(corp, s.start(corp).ID, status.Completed)
	run := s.until(google, s.start(google).ID, status.Completed)
	good, bad := s.tried(google, "user/u001"), s.tried(google, "user/u003")
	if len(good) != 1 || good[0].Op != "create" || good[0].RunID != run.ID || good[0].RemoteID != "r-u001" ||
		good[0].FailKind != "" || good[0].Job {
		t.Errorf("a success is kept as %+v", good)
	}
	if len(bad) != 1 || bad[0].FailKind != "conflict" || bad[0].FailText != "409: the name is taken" {
		t.Errorf("a failure is kept as %+v", bad)
	}
	if first := s.tried(corp, "user/u001"); len(first) != 0 {
		t.Errorf("the local directory keeps %+v", first)
	}
	id, err := s.client.StartObject(t.Context(), google, "corp", directory.Ref{Kind: directory.User, ID: "u003"}, "tester")
	if err != nil {
		t.Fatal(err)
	}
	testclock.Eventually(t, waiting, "the job is done", func() bool {
		job, err := s.status.Job(t.Context(), google, id)
		return err == nil && job.State == status.JobDone
	})
	if bad = s.tried(google, "user/u003"); len(bad) != 2 || !bad[0].Job || bad[0].RunID != id {
		t.Errorf("after an object job it is %+v, want that job's first", bad)
	}
}

// A run that suspends a leaver leaves a receipt, which ends when the person comes back.
func TestARunLeavesTheReceiptOfALeaver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	s.until(google, s.start(google).ID, status.Completed)
	receipts := func() map[string]decisions.Receipt {
		t.Helper()
		got, err := s.decisions.Receipts(t.Context(), google, "user/u003", "user/u004")
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	leave := func(absent map[directory.ID]bool) status.Run {
		s.source.mu.Lock()
		s.source.absent = absent
		s.source.mu.Unlock()
		return s.until(google, s.start(google).ID, status.Completed)
	}
	before := time.Now()
	run := leave(map[directory.ID]bool{"u003": true})
	got, want := receipts(), decisions.Receipt{Op: "suspend", Why: "absent", RunID: run.ID}
	r := got["user/u003"]
	ordered := !r.Seen.Before(before) && !r.Decided.Before(r.Seen) && !r.Confirmed.Before(r.Decided)
	if r.Seen, r.Decided, r.Confirmed = want.Seen, want.Decided, want.Confirmed; len(got) != 1 || !ordered || r != want {
		t.Errorf("the receipts are %+v, want one of %+v with times in order", got, want)
	}
	leave(nil)
	if got := receipts(); len(got) != 0 {
		t.Errorf("the receipt of a person who came back is %+v", got)
	}
}

func (s *site) tried(c container.ID, entry string) []decisions.Attempt {
	s.t.Helper()
	out, err := s.decisions.Attempts(s.t.Context(), c, entry)
	if err != nil {
		s.t.Fatal(err)
	}
	return out
}

// A job for a container that no worker has in its configuration fails after a while, and the message names the cause.
func TestAnObjectJobOfAContainerThatTheWorkerDoesNotKnow(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	const other = container.ID("google_workspace:9")
	id, err := s.client.StartObject(t.Context(), other, "corp", directory.Ref{Kind: directory.User, ID: "u003"}, "tester")
	if err != nil {
		t.Fatal(err)
	}
	s.ahead(11 * time.Minute)
	job, err := s.status.WaitJob(t.Context(), other, id, 3*time.Minute)
	if err != nil || job.State != status.JobDone || job.Outcome != status.OutcomeFailed ||
		!strings.Contains(job.FailReason, "in its configuration") {
		t.Errorf("the job is %+v, %v; want it failed with the reason", job, err)
	}
}
