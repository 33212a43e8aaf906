package jobs_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/testclock"
	"rollcall/jobs"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/status"
)

func TestWhatCannotBeUndone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	refused := func(what string, c container.ID, id string, want fault.Kind) {
		t.Helper()
		if _, err := s.client.StartRevert(t.Context(), c, id, false, "ops"); err == nil || fault.KindOf(err) != want {
			t.Errorf("StartRevert() of %s = %v, want %v", what, err, want)
		}
	}
	refused("no run", google, "6f2c7d1e-0000-4000-8000-000000000000", fault.NotFound)
	source := s.until(corp, s.start(corp).ID, status.Completed)
	refused("a source's run", corp, source.ID, fault.Conflict)
	dry, err := s.client.StartRun(t.Context(), google, status.Full, true, "tester")
	if err != nil {
		t.Fatal(err)
	}
	s.until(google, dry.ID, status.Completed)
	refused("a dry run", google, dry.ID, fault.Conflict)

	s.until(google, s.start(google).ID, status.Completed)
	idle := s.until(google, s.start(google).ID, status.Completed)
	refused("a run that changed nothing", google, idle.ID, fault.Conflict)

	s.source.mu.Lock()
	s.source.err = fault.Errorf(fault.Denied, "bad password")
	s.source.mu.Unlock()
	failed := s.until(google, s.start(google).ID, status.Failed)
	refused("a run without a plan", google, failed.ID, fault.Conflict)
}

// TestAnUndoKnowsWhatAnEarlierWorkerDid checks that all changes of a run are undone if the run died in the middle and
// was planned again.
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
	testclock.Eventually(t, waiting, "the tenant has the first changes", func() bool { return s.remote.count() >= 10 })
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
		t.Errorf("the undo was started by %+v and holds %d changes, want the 20 that the guards hold", over.Trigger,
			over.Held)
	}
	pins, err := s.decisions.Pins(t.Context(), google)
	if err != nil || len(pins) != 20 {
		t.Errorf("%d entries are pinned, err %v; want all 20", len(pins), err)
	}
}

// The sync of a pinned entry reports the pin.
func TestAnObjectJobNamesThePin(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	s.until(corp, s.start(corp).ID, status.Completed)
	s.until(google, s.start(google).ID, status.Completed)
	ref := directory.Ref{Kind: directory.User, ID: "u004"}
	version, _, err := s.source.Version(t.Context(), "corp", ref)
	if err != nil {
		t.Fatal(err)
	}
	pin := plan.Pin{Ref: ref, Run: "mistake", Version: version, Groups: []plan.PinnedMembership{{ID: "g", Member: true}}}
	if err := s.decisions.Pin(t.Context(), google, []plan.Pin{pin}, nil); err != nil {
		t.Fatal(err)
	}
	job := object(s, ref)
	if !slices.ContainsFunc(job.Messages, func(m status.Message) bool {
		return strings.Contains(m.Event, "pinned") && strings.Contains(m.Event, "mistake")
	}) {
		t.Errorf("the messages do not name the pin: %+v", job.Messages)
	}
}

// TestAnUndoVoidsApprovalsOfSecrets checks that the approval of an undone change is void even though the plan does
// not store its values.
func TestAnUndoVoidsApprovalsOfSecrets(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	s.until(google, s.start(google).ID, status.Completed)
	s.source.mu.Lock()
	s.source.secret, s.source.approval = "hunter2", provider.ApprovalAlways
	s.source.mu.Unlock()
	s.until(google, s.start(google).ID, status.Completed)
	held, err := s.decisions.Held(t.Context(), google)
	if err != nil || len(held.Changes) != 20 {
		t.Fatalf("%d changes are held, err %v; want 20", len(held.Changes), err)
	}
	if text := fmt.Sprint(held); strings.Contains(text, "hunter2") {
		t.Errorf("a secret is kept with what is held: %s", text)
	}
	if _, err := s.decisions.Decide(t.Context(), google, string(plan.Approved), "ops", held.Changes); err != nil {
		t.Fatal(err)
	}
	run, err := s.client.StartApproved(t.Context(), google, "ops")
	if err != nil {
		t.Fatal(err)
	}
	if done := s.until(google, run.ID, status.Completed); done.FailedChanges != 0 || done.Held != 0 {
		t.Fatalf("the approved run failed at %d changes and holds %d, want none", done.FailedChanges, done.Held)
	}
	undo, err := s.client.StartRevert(t.Context(), google, run.ID, false, "ops")
	if err != nil {
		t.Fatal(err)
	}
	s.until(google, undo.ID, status.Completed)
	if left, err := s.decisions.Decisions(t.Context(), google); err != nil || len(left) != 0 {
		t.Errorf("%d approvals of what was undone are left, err %v", len(left), err)
	}

	// The undo waits for approval like every run. It is carried out after the approval, and its effect lasts.
	if held, err = s.decisions.Held(t.Context(), google); err != nil || len(held.Changes) != 20 {
		t.Fatalf("the undo holds %d changes, err %v; want 20", len(held.Changes), err)
	}
	if _, err := s.decisions.Decide(t.Context(), google, string(plan.Approved), "ops", held.Changes); err != nil {
		t.Fatal(err)
	}
	if run, err = s.client.StartApproved(t.Context(), google, "ops"); err != nil {
		t.Fatal(err)
	}
	s.until(google, run.ID, status.Completed)
	s.remote.mu.Lock()
	if f := s.remote.fields[directory.Ref{Kind: directory.User, ID: "u004"}]; len(f) != 0 {
		t.Errorf("after the approved undo u004 has %v", f)
	}
	s.remote.mu.Unlock()
	if next := s.until(google, s.start(google).ID, status.Completed); next.Held != 0 {
		t.Errorf("the next sync holds %d changes, want none", next.Held)
	}
}

// TestNotesThatWereCutDoNotKeepARunFromBeingUndone checks that a run with truncated notes can be undone, because
// notes concern unchanged entries.
func TestNotesThatWereCutDoNotKeepARunFromBeingUndone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.status = status.New(s.rdb, status.Config{MaxPlanRows: 10})
	s.client = jobs.NewClient(s.rdb, s.status)
	s.source.n = 5
	s.source.idle = 15
	s.worker("w1")
	run := s.until(google, s.start(google).ID, status.Completed)
	if head, err := s.status.Plan(t.Context(), google, run.ID); err != nil || head.Complete() {
		t.Fatalf("the plan %+v is whole, err %v; want one with truncated notes", head, err)
	}
	undo, err := s.client.StartRevert(t.Context(), google, run.ID, true, "ops")
	if err != nil {
		t.Fatalf("StartRevert() = %v, want a run", err)
	}
	s.until(google, undo.ID, status.Completed)
	s.source.mu.Lock()
	s.source.n = 25
	s.source.mu.Unlock()
	long := s.until(google, s.start(google).ID, status.Completed)
	if _, err := s.client.StartRevert(t.Context(), google, long.ID, true, "ops"); fault.KindOf(err) != fault.Conflict {
		t.Errorf("StartRevert() of a run with truncated changes = %v, want a conflict", err)
	}
}

// A pin that another program removes is no reason to do again what was undone. The entry waits, by name, until a
// person confirms the loss.
func TestAPinThatAnotherProgramRemoves(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	ref := directory.Ref{Kind: directory.User, ID: "u004"}
	synced := func(source, want string) {
		t.Helper()
		s.source.mu.Lock()
		s.source.secret = source
		s.source.mu.Unlock()
		s.until(google, s.start(google).ID, status.Completed)
		s.remote.mu.Lock()
		defer s.remote.mu.Unlock()
		if got := s.remote.fields[ref].Values("wifi_password"); !slices.Equal(got, []string{want}) {
			t.Errorf("with %q in the source, %s has %q, want %q", source, ref, got, want)
		}
	}
	synced("first", "first")
	version, _, err := s.source.Version(t.Context(), "corp", ref)
	if err != nil {
		t.Fatal(err)
	}
	pin := plan.Pin{Ref: ref, Run: "mistake", Version: version,
		Fields: directory.Attributes{{Name: "wifi_password", Values: []string{"first"}}}}
	if err := s.decisions.Pin(t.Context(), google, []plan.Pin{pin}, nil); err != nil {
		t.Fatal(err)
	}
	synced("second", "first")
	if err := s.rdb.Del(t.Context(), "rollcall:{google_workspace:1}:pins").Err(); err != nil {
		t.Fatal(err)
	}
	synced("third", "first")
	held, err := s.decisions.Held(t.Context(), google)
	if err != nil || len(held.Conflicts) != 1 || held.Conflicts[0].ID != "u004" ||
		!strings.Contains(held.Conflicts[0].Detail, "rollcall adopt-decisions google_workspace:1") {
		t.Errorf("the conflicts are %+v, %v, want u004 and what to do", held.Conflicts, err)
	}
	kept, err := s.decisions.Kept(t.Context(), google)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.decisions.Adopt(t.Context(), google, kept.Digest); err != nil {
		t.Fatal(err)
	}
	synced("third", "third")
}
