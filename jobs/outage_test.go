package jobs_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"rollcall/fault"
	"rollcall/internal/testclock"
	"rollcall/plan"
	"rollcall/source"
	"rollcall/status"
)

func (p *people) fails(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = err
}

// An outage defers a run, which finishes by itself soon after it. Only after six hours the run fails.
func TestAnOutageDefersARun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.source.fails(fault.Errorf(fault.Unavailable, "503 backendError"))
	s.worker("w1")
	run := s.until(google, s.start(google).ID, status.Deferred)
	if run.Outage.Times != 1 || run.DeferReason != "google_workspace:1 does not answer" {
		t.Errorf("deferred for %q in the outage %+v, want the first, with the name of the tenant", run.DeferReason,
			run.Outage)
	}
	if wait := run.DeferredUntil.Sub(run.Outage.Since); wait < 14*time.Second || wait > 16*time.Second {
		t.Errorf("deferred for %v, want 15 s", wait)
	}
	s.saidOf(run.ID, "google_workspace:1 does not answer")
	s.ahead(15 * time.Second)
	testclock.Eventually(t, waiting, "the run is deferred twice", func() bool {
		run = s.get(run.ID)
		return run.State == status.Deferred && run.Outage.Times == 2
	})
	s.source.fails(nil)
	s.ahead(30 * time.Second)
	s.until(google, run.ID, status.Completed)

	s.source.fails(fault.Errorf(fault.Unavailable, "503 backendError"))
	run = s.until(google, s.start(google).ID, status.Deferred)
	s.ahead(6*time.Hour + time.Minute)
	if run = s.until(google, run.ID, status.Failed); run.FailKind != "unavailable" {
		t.Errorf("failed as %q, want unavailable", run.FailKind)
	}
}

// If an outage begins between two writes, the open changes do not fail. They are made when it is over.
func TestAnOutageInTheWritesDefersARun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	out := true
	s.remote.before = func(_ context.Context, c plan.Change) error {
		if c.ID > "u016" { // The outage begins when the others are there.
			testclock.Eventually(t, waiting, "the tenant has the first changes", func() bool { return s.remote.count() >= 17 })
		}
		s.source.mu.Lock()
		defer s.source.mu.Unlock()
		if out && c.ID > "u016" { // Fewer than those that stop a run at once.
			return fault.Errorf(fault.Unavailable, "503 backendError")
		}
		return nil
	}
	s.worker("w1")
	run := s.until(google, s.start(google).ID, status.Deferred)
	if run.FailedChanges != 0 || s.remote.count() != 17 {
		t.Errorf("%d changes failed and %d objects are there, want none and 17", run.FailedChanges, s.remote.count())
	}
	s.source.mu.Lock()
	out = false
	s.source.mu.Unlock()
	s.ahead(15 * time.Second)
	if run = s.until(google, run.ID, status.Completed); run.FailedChanges != 0 || s.remote.count() != 20 {
		t.Errorf("%d changes failed and %d objects are there, want none and 20", run.FailedChanges, s.remote.count())
	}
}

// A local directory without a complete sync is not an outage, because its source has to run first.
func TestASourceThatIsNotReadyFailsARun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.source.fails(fault.New(fault.Unavailable, "", source.ErrNotReady))
	s.worker("w1")
	s.until(google, s.start(google).ID, status.Failed)
}

func (s *site) get(id string) status.Run {
	s.t.Helper()
	run, err := s.status.Get(s.t.Context(), google, id)
	if err != nil {
		s.t.Fatal(err)
	}
	return run
}

// saidOf makes sure that a message of the run has the text.
func (s *site) saidOf(id, text string) {
	s.t.Helper()
	_, messages, err := s.status.Follow(s.t.Context(), google, id, "")
	if err != nil {
		s.t.Fatal(err)
	}
	for _, m := range messages {
		if strings.Contains(m.Event, text) {
			return
		}
	}
	s.t.Errorf("no message of %d says %q", len(messages), text)
}
