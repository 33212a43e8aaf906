package jobs_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/status"
)

func TestWhatCannotBeUndone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	refused := func(what string, c status.Container, id string, want fault.Kind) {
		t.Helper()
		if _, err := s.client.StartRevert(t.Context(), c, id, false, "ops"); err == nil || fault.KindOf(err) != want {
			t.Errorf("StartRevert() of %s = %v, want %v", what, err, want)
		}
	}
	refused("no run", google, "6f2c7d1e-0000-4000-8000-000000000000", fault.NotFound)
	source := s.until(corp, s.start(corp).ID, status.Completed)
	refused("a source's run", corp, source.ID, fault.Conflict)
	dry, err := s.client.StartFull(t.Context(), google, true, "tester")
	if err != nil {
		t.Fatal(err)
	}
	s.until(google, dry.ID, status.Completed)
	refused("a dry run", google, dry.ID, fault.Conflict)

	s.until(google, s.start(google).ID, status.Completed)
	idle := s.until(google, s.start(google).ID, status.Completed)
	refused("a run that changed nothing", google, idle.ID, fault.Conflict)

	s.source.mu.Lock()
	s.source.err = fault.Errorf(fault.Unavailable, "away")
	s.source.mu.Unlock()
	failed := s.until(google, s.start(google).ID, status.Failed)
	refused("a run without a plan", google, failed.ID, fault.Conflict)
}

// TestAnUndoKnowsWhatAnEarlierWorkerDid: the run died in the middle and was planned again; all of it is undone.
func TestAnUndoKnowsWhatAnEarlierWorkerDid(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var healed atomic.Bool
	s.remote.before = func(ctx context.Context, _ plan.Change) error {
		if !healed.Load() && s.remote.count() >= 10 {
			<-ctx.Done()
			return fault.New(fault.Canceled, "", ctx.Err())
		}
		return nil
	}
	first := s.worker("w1")
	run := s.start(google)
	waitFor(t, func() bool { return s.remote.count() >= 10 })
	healed.Store(true)
	go first.Shutdown()
	s.worker("w2")
	done := s.until(google, run.ID, status.Completed)
	head, err := s.status.Plan(t.Context(), google, run.ID)
	if err != nil || head.Earlier == 0 {
		t.Fatalf("the run has %d plans before its last, err %v: want the first worker's", head.Earlier, err)
	}
	if head.Rows() >= 20 {
		t.Fatalf("the last plan has %d rows: want less than all", head.Rows())
	}
	undo, err := s.client.StartRevert(t.Context(), google, done.ID, false, "ops")
	if err != nil {
		t.Fatal(err)
	}
	over := s.until(google, undo.ID, status.Completed)
	if over.Trigger != (status.Trigger{Kind: status.ByRevert, By: "ops", Of: run.ID}) || over.Held != 20 {
		t.Errorf("the undo was started by %+v and holds %d changes, want the 20 that the guards hold", over.Trigger, over.Held)
	}
	pins, err := s.status.Pins(t.Context(), google)
	if err != nil || len(pins) != 20 {
		t.Errorf("%d entries are pinned, err %v; want all 20", len(pins), err)
	}
}

// Who asks for the sync of somebody who is pinned is told so.
func TestAnObjectJobNamesThePin(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	s.until(corp, s.start(corp).ID, status.Completed)
	s.until(google, s.start(google).ID, status.Completed)
	ref := directory.Ref{Kind: directory.User, ID: "u004"}
	version, _, err := s.source.version(t.Context(), "corp", ref)
	if err != nil {
		t.Fatal(err)
	}
	pin := plan.Pin{Ref: ref, Run: "mistake", Version: version, Groups: []plan.PinnedMembership{{ID: "g", Member: true}}}
	if err := s.status.Pin(t.Context(), google, []plan.Pin{pin}, nil); err != nil {
		t.Fatal(err)
	}
	job := object(s, ref)
	if !slices.ContainsFunc(job.Messages, func(m status.Message) bool {
		return strings.Contains(m.Event, "pinned") && strings.Contains(m.Event, "mistake")
	}) {
		t.Errorf("the messages do not name the pin: %+v", job.Messages)
	}
}
