package jobs_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/internal/testclock"
	"rollcall/plan"
	"rollcall/status"
)

func (s *site) pause(c container.ID) {
	s.t.Helper()
	if _, err := s.decisions.Pause(s.t.Context(), c, "grace"); err != nil {
		s.t.Error(err)
	}
	testclock.Eventually(s.t, waiting, "the pause is noticed", func() bool {
		return s.decisions.Paused(s.t.Context(), c) != nil
	})
}

func (s *site) unpause(c container.ID) {
	s.t.Helper()
	if was, err := s.decisions.Resume(s.t.Context(), c); err != nil || !was {
		s.t.Errorf("Resume() = %v, %v", was, err)
	}
}

// afterPause ends a pause and returns the run after it. The run that the pause ended may have started it already.
func (s *site) afterPause(c container.ID) status.Run {
	s.t.Helper()
	s.unpause(c)
	run, err := s.client.StartRun(s.t.Context(), c, status.Full, false, "tester")
	if live, is := errors.AsType[*status.LiveError](err); is {
		run, err = live.Run, nil
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return s.until(c, run.ID, status.Completed)
}

// warned fails unless a run of a paused container ended without an error and with the message that says why.
func (s *site) warned(run status.Run) {
	s.t.Helper()
	summary, err := s.status.Summary(s.t.Context(), run.Container)
	last := summary.LastID != run.ID || summary.LastStatus == status.TaskWarning
	if err != nil || run.TaskStatus() != status.TaskWarning || run.SessionStatus() != status.SessionCompleted ||
		run.SessionFailReason() != "" || run.FailedChanges > 0 || !last || summary.CompletedID == run.ID {
		s.t.Errorf("the run is %+v, the summary %+v, %v", run, summary, err)
	}
	said, _, err := s.status.Messages(s.t.Context(), run.Container, run.ID, "", 100)
	for _, m := range said {
		if m.Level == status.Warning && strings.Contains(m.Event, "paused by grace since ") &&
			strings.HasSuffix(m.Event, "; resume with `rollcall resume "+string(run.Container)+"`") {
			return
		}
	}
	s.t.Errorf("no message says who paused the container: %+v, %v", said, err)
}

// Runs of every kind and single jobs of a paused container publish their plans and write nothing, on any worker and
// after a restart. After the pause a run does what is left.
func TestNothingIsWrittenToAPausedContainer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.follow = true
	w1 := s.worker("w1")
	s.until(google, s.start(google).ID, status.Completed)
	s.source.mu.Lock()
	s.source.n = 30
	s.source.mu.Unlock()
	s.pause(google)
	first := s.until(google, s.start(google).ID, status.Completed)
	s.warned(first)
	if _, err := s.status.Plan(t.Context(), google, first.ID); err != nil {
		t.Errorf("the plan of the run is not published: %v", err)
	}
	w1.Shutdown()
	s.worker("w2")
	s.worker("w3")
	ada := directory.Ref{Kind: directory.User, ID: "u025"}
	job := s.object(ada)
	if job.Outcome != status.OutcomeHeld || !strings.Contains(job.Messages[len(job.Messages)-1].Event,
		"Nothing is sent: paused by grace since ") {
		t.Errorf("the job is %+v", job)
	}
	if err := s.decisions.Leave(t.Context(), plan.Order{Ref: ada, By: "grace", At: s.now()}); err != nil {
		t.Fatal(err)
	}
	if job := s.object(ada); job.Outcome != status.OutcomeHeld {
		t.Errorf("the job of an order to leave is %+v", job)
	}
	for range 2 {
		s.warned(s.until(google, s.start(google).ID, status.Completed))
	}
	if n := s.remote.count(); n != 20 {
		t.Errorf("a paused tenant has %d objects, want the 20 of before", n)
	}
	if run := s.afterPause(google); run.Paused != "" || s.remote.count() != 29 {
		t.Errorf("after the pause the tenant has %d objects, want all but the leaver; the run is %+v", s.remote.count(), run)
	}
	s.pause(corp)
	before := s.local.count()
	s.warned(s.until(corp, s.start(corp).ID, status.Completed))
	if s.local.count() != before {
		t.Error("the local copy of a paused source was written")
	}
	runs, _, err := s.status.List(t.Context(), google, 0, 100)
	if err != nil || slices.ContainsFunc(runs, func(r status.Run) bool { return r.Trigger.Kind == status.AfterSource }) {
		t.Errorf("the run of a paused source started one of %+v, %v", runs, err)
	}
}

// A pause in the middle of a run ends the run before further writes.
func TestAPauseEndsARunThatWrites(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var once sync.Once
	s.remote.before = func(context.Context, plan.Change) error {
		once.Do(func() { s.pause(google) })
		return nil
	}
	s.worker("w1")
	run := s.until(google, s.start(google).ID, status.Completed)
	s.warned(run)
	if n := s.remote.count(); n == 20 {
		t.Error("the run wrote everything although its container was paused")
	}
	if run = s.afterPause(google); s.remote.count() != 20 || run.Paused != "" {
		t.Errorf("after the pause the tenant has %d objects, want 20", s.remote.count())
	}
}

// A source that is paused while its copy is written has a whole copy, and its provider follows after the pause.
func TestAPauseWhileASourceWrites(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.follow = true
	var once sync.Once
	s.local.before = func(context.Context, plan.Change) error {
		once.Do(func() { s.pause(corp) })
		return nil
	}
	s.worker("w1")
	run := s.until(corp, s.start(corp).ID, status.Completed)
	s.warned(run)
	if n := s.local.count(); n != 20 {
		t.Errorf("the copy has %d entries, want all 20", n)
	}
	followed := func() bool {
		runs, _, err := s.status.List(t.Context(), google, 0, 100)
		return err == nil && slices.ContainsFunc(runs,
			func(r status.Run) bool { return r.Trigger.Kind == status.AfterSource })
	}
	if followed() {
		t.Error("the provider follows a paused source")
	}
	if run := s.afterPause(corp); run.Paused != "" {
		t.Errorf("the run after the pause is %+v", run)
	}
	testclock.Eventually(t, waiting, "the provider follows", followed)
}

// unpaused ends a pause as soon as it was read once.
type unpaused struct{ rdb redis.UniversalClient }

func (unpaused) DialHook(next redis.DialHook) redis.DialHook { return next }

func (u unpaused) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if args := cmd.Args(); err == nil && cmd.Name() == "get" && strings.HasSuffix(args[1].(string), ":pause") {
			err = errors.Join(err, u.rdb.Del(ctx, args[1].(string)).Err())
		}
		return err
	}
}

func (unpaused) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A pause that ends while a run stops because of it fails nothing, and another run follows at once.
func TestAPauseThatEndsAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if _, err := s.decisions.Pause(t.Context(), google, "grace"); err != nil {
		t.Fatal(err)
	}
	hooked := redis.NewClient(s.rdb.(*redis.Client).Options())
	defer hooked.Close()
	hooked.AddHook(unpaused{s.rdb})
	s.decisions = decisions.New(hooked, decisions.Config{Keys: keys})
	s.worker("w1")
	s.warned(s.until(google, s.start(google).ID, status.Completed))
	testclock.Eventually(t, waiting, "the second run is completed", func() bool {
		runs, _, err := s.status.List(t.Context(), google, 0, 10)
		return err == nil && len(runs) == 2 && runs[0].State == status.Completed && runs[0].Paused == ""
	})
	if n := s.remote.count(); n != 20 {
		t.Errorf("the tenant has %d objects, want 20", n)
	}
}
