package jobs_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/testclock"
	"rollcall/jobs"
	"rollcall/plan"
	"rollcall/status"
)

func TestARunIsCarriedOut(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	run := s.until(google, s.start(google).ID, status.Completed)
	if s.remote.count() != 20 {
		t.Errorf("the tenant has %d objects, want 20", s.remote.count())
	}
	done, expected := run.Done()
	if done != 20 || expected != 20 || run.PlanDigest == "" || run.Trigger.By != "tester" {
		t.Errorf("run %+v: done %d of %d", run, done, expected)
	}
	if live, err := s.status.IsRunning(t.Context(), google); live || err != nil {
		t.Errorf("IsRunning() = %v, %v after the end", live, err)
	}
}

func TestASecondStartIsRefusedWithTheLiveRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.start(google)
	_, err := s.client.StartRun(t.Context(), google, status.Full, false, "other")
	live, ok := errors.AsType[*status.LiveError](err)
	if !ok || live.Run.ID != first.ID {
		t.Errorf("StartRun() = %v, want a LiveError with %s", err, first.ID)
	}
	s.worker("w1") // Queued until now: the reaper has kept nothing alive, and the task is there.
	s.until(google, first.ID, status.Completed)
}

func TestEveryKindOfFaultEndsARun(t *testing.T) {
	t.Parallel()
	for _, kind := range fault.Kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.source.err = fault.Errorf(kind, "the reason")
			want := status.Failed
			switch kind {
			case fault.Throttled, fault.Unavailable:
				want = status.Deferred
			case fault.Canceled, fault.Internal, fault.Invalid, fault.NotFound, fault.Conflict, fault.Denied, fault.Unsafe,
				fault.Refused:
			}
			s.worker("w1")
			run := s.start(google)
			got := s.until(google, run.ID, want)
			if want == status.Failed && got.FailKind != kind.String() {
				t.Errorf("fail kind %q, want %q", got.FailKind, kind)
			}
		})
	}
}

func TestAnArchivedTaskThatIsRunAgainStartsANewRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.source.err = fault.Errorf(fault.Denied, "bad password")
	s.worker("w1")
	run := s.until(google, s.start(google).ID, status.Failed)
	insp := asynq.NewInspectorFromRedisClient(s.rdb)
	task := run.ID + ":1"
	testclock.Eventually(t, waiting, "the task is archived", func() bool {
		info, err := insp.GetTaskInfo(jobs.FullQueue, task)
		return err == nil && info.State == asynq.TaskStateArchived
	})
	s.source.mu.Lock()
	s.source.err = nil
	s.source.mu.Unlock()
	if err := insp.RunTask(jobs.FullQueue, task); err != nil {
		t.Fatal(err)
	}
	testclock.Eventually(t, waiting, "the second run is completed", func() bool {
		runs, _, err := s.status.List(t.Context(), google, 0, 10)
		return err == nil && len(runs) == 2 && runs[0].State == status.Completed && runs[0].Trigger.Kind == status.ByRerun
	})
}

// gated makes the tenant wait at its first write until the test calls goOn.
func gated(s *site) (reached <-chan struct{}, goOn func()) {
	at, free := make(chan struct{}), make(chan struct{})
	var once sync.Once
	s.remote.before = func(ctx context.Context, _ plan.Change) error {
		once.Do(func() { close(at) })
		select {
		case <-free:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return at, sync.OnceFunc(func() { close(free) })
}

func TestCancel(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	reached, goOn := gated(s)
	defer goOn()
	s.worker("w1")
	run := s.start(google)
	<-reached
	if _, err := s.client.Cancel(t.Context(), google, "boss"); err != nil {
		t.Fatal(err)
	}
	if live, _ := s.status.IsRunning(t.Context(), google); live {
		t.Error("a cancelled run is running")
	}
	got := s.until(google, run.ID, status.Cancelled)
	if got.CancelledBy != "boss" || got.SessionFailReason() != "cancelled by boss" {
		t.Errorf("cancelled by %q, fail reason %q", got.CancelledBy, got.SessionFailReason())
	}
	// The handler lets go without being told by asynq.
	testclock.Eventually(t, waiting, "the queue has no task", func() bool {
		info, err := asynq.NewInspectorFromRedisClient(s.rdb).GetQueueInfo(jobs.FullQueue)
		return err == nil && info.Active == 0 && info.Retry == 0 && info.Archived == 0
	})
	if s.remote.count() != 0 {
		t.Errorf("%d writes after the cancel", s.remote.count())
	}
}

func TestADrainedWorkerHandsItsRunOver(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	reached, goOn := gated(s)
	first := s.worker("w1")
	run := s.start(google)
	<-reached
	done := make(chan struct{})
	go func() { defer close(done); first.Shutdown() }()
	s.worker("w2")
	goOn()
	<-done
	if got := s.until(google, run.ID, status.Completed); got.Worker != "w2" || s.remote.count() != 20 {
		t.Errorf("finished by %q with %d objects, want w2 with 20", got.Worker, s.remote.count())
	}
}

func TestAProviderFollowsItsSource(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.follow = true
	s.worker("w1")
	source := s.start(corp)
	s.until(corp, source.ID, status.Completed)
	testclock.Eventually(t, waiting, "the provider follows", func() bool {
		runs, _, err := s.status.List(t.Context(), google, 0, 10)
		return err == nil && len(runs) == 1 && runs[0].State == status.Completed &&
			runs[0].Trigger == status.Trigger{Kind: status.AfterSource, By: source.ID}
	})
	again := s.start(corp) // Nothing changed, so no provider follows.
	s.until(corp, again.ID, status.Completed)
	if runs, _, err := s.status.List(t.Context(), google, 0, 10); err != nil || len(runs) != 1 {
		t.Errorf("%d runs, err %v; want the one", len(runs), err)
	}
}

func object(s *site, ref directory.Ref) status.Job {
	s.t.Helper()
	id, err := s.client.StartObject(s.t.Context(), google, "corp", ref, "tester")
	if err != nil {
		s.t.Fatal(err)
	}
	job, err := s.status.WaitJob(s.t.Context(), google, id, 3*time.Minute)
	if err != nil || job.State != status.JobDone {
		s.t.Fatalf("job %+v, err %v", job, err)
	}
	return job
}

func TestObjectJobs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	s.until(corp, s.start(corp).ID, status.Completed)
	s.until(google, s.start(google).ID, status.Completed)
	s.source.mu.Lock()
	s.source.n, s.source.absent = 22, map[directory.ID]bool{"u003": true}
	s.source.mu.Unlock()
	for _, tc := range []struct {
		id   directory.ID
		want status.Outcome
	}{
		{"u020", status.OutcomeCreated}, {"u020", status.OutcomeUnchanged}, {"u003", status.OutcomeAbsent},
		{"u004", status.OutcomeUnchanged},
	} {
		job := object(s, directory.Ref{Kind: directory.User, ID: tc.id})
		if job.Outcome != tc.want || len(job.Messages) == 0 {
			t.Errorf("%s: outcome %q with %d messages, want %q", tc.id, job.Outcome, len(job.Messages), tc.want)
		}
	}
	if s.remote.count() != 21 {
		t.Errorf("the tenant has %d objects, want 21: none deleted, one created", s.remote.count())
	}
	runs, _, err := s.status.List(t.Context(), google, 0, 10)
	if err != nil || len(runs) != 1 {
		t.Errorf("object jobs show as %d runs, err %v", len(runs)-1, err)
	}
}

func TestAnObjectJobSaysWhatTheRemoteSideSaid(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	s.until(corp, s.start(corp).ID, status.Completed)
	s.until(google, s.start(google).ID, status.Completed)
	s.source.mu.Lock()
	s.source.n = 21
	s.source.mu.Unlock()
	s.remote.before = func(context.Context, plan.Change) error {
		return fault.Errorf(fault.Denied, "not authorized to access this resource")
	}
	job := object(s, directory.Ref{Kind: directory.User, ID: "u020"})
	if job.Outcome != status.OutcomeFailed || job.FailKind != "denied" ||
		job.Messages[len(job.Messages)-1].Level != status.Error {
		t.Errorf("job %+v", job)
	}
}

// A worker that stops hands its runs back in time, although its tenant does not answer.
func TestAStopInFrontOfASilentTenant(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	reached := make(chan struct{}, 100)
	s.remote.before = func(ctx context.Context, _ plan.Change) error {
		reached <- struct{}{}
		<-ctx.Done()
		return fault.New(fault.KindOf(ctx.Err()), "users.insert", ctx.Err())
	}
	w := s.worker("w1")
	run := s.start(google)
	<-reached
	began := time.Now()
	w.Shutdown()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("Shutdown() took %v, want less than its timeout", took)
	}
	if got := s.until(google, run.ID, status.Queued); got.Epoch <= run.Epoch || got.Resumes != 0 {
		t.Errorf("the run is %+v, want it handed back", got)
	}
}

// When Redis loses its data in the middle of a run, the sources start by themselves and say why. Several workers start
// one run.
func TestRedisIsEmptied(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	s.worker("w2")
	s.until(corp, s.start(corp).ID, status.Completed)
	s.until(google, s.start(google).ID, status.Completed)
	if err := s.rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	var run status.Run
	testclock.Eventually(t, waiting, "the source runs", func() bool {
		runs, _, err := s.status.List(t.Context(), corp, 0, 10)
		if err != nil || len(runs) == 0 {
			return false
		}
		run = runs[0]
		return len(runs) == 1 && run.State == status.Completed
	})
	messages, _, err := s.status.Messages(t.Context(), corp, run.ID, "", 10)
	if err != nil || run.Trigger.Kind != status.ByLoss ||
		!strings.HasPrefix(messages[len(messages)-1].Event, "Redis has lost all its data") {
		t.Errorf("the run is %+v with %v, %v, want one that says what happened", run.Trigger, messages, err)
	}
}
