package jobs_test

import (
	"testing"
	"time"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/plan"
	"rollcall/status"
)

// object carries out a single sync and returns the finished job.
func (s *site) object(ref directory.Ref) status.Job {
	s.t.Helper()
	id, err := s.client.StartObject(s.t.Context(), google, "corp", ref, "tester")
	if err != nil {
		s.t.Fatal(err)
	}
	job, err := s.status.WaitJob(s.t.Context(), google, id, time.Minute)
	if err != nil || job.State != status.JobDone {
		s.t.Fatalf("the job is %+v, %v", job, err)
	}
	return job
}

func (s *site) suspended(ref directory.Ref) bool {
	s.remote.mu.Lock()
	defer s.remote.mu.Unlock()
	return s.remote.out[ref]
}

// An order to leave suspends at once and without the source, with a receipt. No run lifts the suspension. The order
// ends at each provider when the source says the same, and after a lift the source decides.
func TestAnOrderToLeave(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	s.until(google, s.start(google).ID, status.Completed)
	ada, ben := directory.Ref{Kind: directory.User, ID: "u003"}, directory.Ref{Kind: directory.User, ID: "u004"}
	order := func(ref directory.Ref) {
		t.Helper()
		if err := s.decisions.Leave(t.Context(), plan.Order{Ref: ref, By: "grace", At: time.Now(),
			Providers: []container.ID{google, "microsoft_entra:2"}}); err != nil {
			t.Fatal(err)
		}
	}
	standing := func(at container.ID, want ...directory.Ref) {
		t.Helper()
		all, err := s.decisions.Orders(t.Context())
		orders := all.At(at).Leave
		if err != nil || len(orders) != len(want) {
			t.Fatalf("the orders are %+v, %v, want %v", orders, err, want)
		}
		for i := range want {
			if orders[i].Ref != want[i] || orders[i].By != "grace" {
				t.Errorf("order %d is %+v, want one for %v", i, orders[i], want[i])
			}
		}
	}
	order(ada)
	order(ben)
	for _, ref := range []directory.Ref{ada, ben} {
		if job := s.object(ref); job.Outcome != status.OutcomeSuspended || !s.suspended(ref) {
			t.Fatalf("the job of an ordered leaver is %+v", job)
		}
	}
	got, err := s.decisions.Receipts(t.Context(), google, ada.String())
	if r := got[ada.String()]; err != nil || r.Op != "suspend" || r.Why != string(plan.Ordered) || !r.Job {
		t.Errorf("the receipt is %+v, %v", r, err)
	}
	s.until(google, s.start(google).ID, status.Completed)
	if standing(google, ada, ben); !s.suspended(ada) || !s.suspended(ben) {
		t.Error("a run lifted the suspension although the order stands")
	}
	s.source.mu.Lock()
	s.source.absent = map[directory.ID]bool{ada.ID: true}
	s.source.mu.Unlock()
	s.until(google, s.start(google).ID, status.Completed)
	standing("microsoft_entra:2", ada, ben)
	if standing(google, ben); !s.suspended(ada) {
		t.Error("the account is active although its entry left")
	}
	if err := s.decisions.EndLeaves(t.Context(), ben); err != nil {
		t.Fatal(err)
	}
	if job := s.object(ben); job.Outcome != status.OutcomeRestored || s.suspended(ben) {
		t.Errorf("after the lift the job is %+v", job)
	}
}
