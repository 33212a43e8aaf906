package jobs_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/testclock"
	"rollcall/jobs"
	"rollcall/status"
)

// The actions of asynqmon do no harm, because the state of a run does not depend on the state of its task.

// task returns the id of a run's task.
func task(run status.Run) string { return fmt.Sprintf("%s:%d", run.ID, run.Epoch) }

// queued starts a run that waits in a paused queue.
func (s *site) queued(insp *asynq.Inspector) status.Run {
	s.t.Helper()
	s.listed(insp)
	if err := insp.PauseQueue(jobs.FullQueue); err != nil {
		s.t.Fatal(err)
	}
	run := s.start(google)
	if live, err := s.status.IsRunning(s.t.Context(), google); err != nil || !live {
		s.t.Fatalf("a run in a paused queue is live: %v, %v", live, err)
	}
	return run
}

// listed waits until both queues are known and have no task.
func (s *site) listed(insp *asynq.Inspector) {
	s.t.Helper()
	testclock.Eventually(s.t, waiting, "both queues exist", func() bool {
		queues, err := insp.Queues()
		return err == nil && len(queues) == 2
	})
}

func (s *site) resume(insp *asynq.Inspector) {
	s.t.Helper()
	if err := insp.UnpauseQueue(jobs.FullQueue); err != nil {
		s.t.Fatal(err)
	}
}

// count returns the number of runs of the provider.
func (s *site) count() int {
	s.t.Helper()
	runs, _, err := s.status.List(s.t.Context(), google, 0, 10)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(runs)
}

// empty waits until the queue of full syncs has no task in any state.
func (s *site) empty(insp *asynq.Inspector) {
	s.t.Helper()
	testclock.Eventually(s.t, waiting, "the queue is empty", func() bool {
		info, err := insp.GetQueueInfo(jobs.FullQueue)
		return err == nil && info.Size == 0
	})
}

func TestQueuesAreKnownToTheDashboard(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	insp := asynq.NewInspectorFromRedisClient(s.rdb)
	s.worker("w1")
	s.listed(insp)
	if err := s.rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	s.listed(insp)
	// The worker notices the loss and runs the source.
	testclock.Eventually(t, waiting, "the source runs again", func() bool {
		runs, _, err := s.status.List(t.Context(), corp, 0, 1)
		return err == nil && len(runs) == 1 && runs[0].State == status.Completed
	})
	s.empty(insp)
	if err := insp.DeleteQueue(jobs.FullQueue, false); err != nil {
		t.Fatal(err)
	}
	s.listed(insp)
	s.until(google, s.start(google).ID, status.Completed)
}

func TestADeletedTaskComesBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	insp := asynq.NewInspectorFromRedisClient(s.rdb)
	s.worker("w1")
	run := s.queued(insp)
	if err := insp.DeleteTask(jobs.FullQueue, task(run)); err != nil {
		t.Fatal(err)
	}
	s.resume(insp)
	if got := s.until(google, run.ID, status.Completed); got.Epoch != run.Epoch || s.remote.count() != 20 {
		t.Errorf("epoch %d, %d objects, want %d and 20", got.Epoch, s.remote.count(), run.Epoch)
	}
}

// An archived task blocks its run under the task's epoch. The run goes on under the next epoch. The archived task
// never ran, and does nothing if it runs later.
func TestAnArchivedQueuedTaskComesBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	insp := asynq.NewInspectorFromRedisClient(s.rdb)
	s.worker("w1")
	run := s.queued(insp)
	if err := insp.ArchiveTask(jobs.FullQueue, task(run)); err != nil {
		t.Fatal(err)
	}
	s.resume(insp)
	if got := s.until(google, run.ID, status.Completed); got.Epoch <= run.Epoch {
		t.Errorf("epoch %d, want one after %d", got.Epoch, run.Epoch)
	}
	if err := insp.RunTask(jobs.FullQueue, task(run)); err != nil {
		t.Fatal(err)
	}
	s.empty(insp)
	if n := s.count(); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
}

// asynq's own cancel ends an attempt but not the run. Only the API cancels runs.
func TestACancelledAttemptGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	insp := asynq.NewInspectorFromRedisClient(s.rdb)
	reached, goOn := gated(s)
	defer goOn()
	s.worker("w1")
	run := s.start(google)
	<-reached
	if err := insp.CancelProcessing(task(run)); err != nil {
		t.Fatal(err)
	}
	testclock.Eventually(t, waiting, "the run has a new epoch", func() bool {
		got, err := s.status.Get(t.Context(), google, run.ID)
		return err == nil && got.Epoch > run.Epoch
	})
	goOn()
	if got := s.until(google, run.ID, status.Completed); s.remote.count() != 20 || got.CancelledBy != "" {
		t.Errorf("%d objects, cancelled by %q", s.remote.count(), got.CancelledBy)
	}
	if n := s.count(); n != 1 {
		t.Errorf("%d runs, want 1", n)
	}
}

// A paused queue keeps its runs waiting for any time. They can be cancelled, and leave nothing behind.
func TestAPausedQueueKeepsItsRuns(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.status = status.New(s.rdb, status.Config{Now: s.now, RunTTL: 10 * time.Second, RequeueAfter: 300 * time.Millisecond})
	s.client = jobs.NewClient(s.rdb, s.status)
	insp := asynq.NewInspectorFromRedisClient(s.rdb)
	s.worker("w1")
	run := s.queued(insp)
	// It would have expired without the reaper, which also has it enqueued again and again.
	testclock.Eventually(t, waiting, "the run expires later", func() bool {
		got, err := s.status.Get(t.Context(), google, run.ID)
		return err == nil && got.ExpiresAt.After(run.ExpiresAt.Add(s.status.Config().RunTTL))
	})
	info, err := insp.GetQueueInfo(jobs.FullQueue)
	if err != nil || info.Pending != 1 {
		t.Errorf("%+v, %v, want one task", info, err)
	}
	if _, err := s.client.Cancel(t.Context(), google, "boss"); err != nil {
		t.Fatal(err)
	}
	s.resume(insp)
	s.empty(insp)
	if n := s.count(); n != 1 || s.remote.count() != 0 {
		t.Errorf("%d runs and %d objects, want 1 and none", n, s.remote.count())
	}
}

// "Run all" over the archive starts at most one run of a container, and none beside a live one.
func TestRunningTheWholeArchiveStartsOneRun(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	insp := asynq.NewInspectorFromRedisClient(s.rdb)
	s.source.err = fault.Errorf(fault.Denied, "bad password")
	s.worker("w1")
	for n := range 3 {
		s.until(google, s.start(google).ID, status.Failed)
		testclock.Eventually(t, waiting, "the task is archived", func() bool {
			info, err := insp.GetQueueInfo(jobs.FullQueue)
			return err == nil && info.Archived == n+1
		})
	}
	s.source.mu.Lock()
	s.source.err = nil
	s.source.mu.Unlock()
	reached, goOn := gated(s)
	if _, err := insp.RunAllArchivedTasks(jobs.FullQueue); err != nil {
		t.Fatal(err)
	}
	<-reached
	testclock.Eventually(t, waiting, "one task is active", func() bool {
		info, err := insp.GetQueueInfo(jobs.FullQueue)
		return err == nil && info.Size == 1 && info.Active == 1
	})
	goOn()
	s.empty(insp)
	if n := s.count(); n != 4 || s.remote.count() != 20 {
		t.Errorf("%d runs and %d objects, want 4 and 20", n, s.remote.count())
	}
}

// An object job with a deleted task is not carried out. It blocks no other job of its entry.
func TestADeletedObjectTaskBlocksNoOther(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	insp := asynq.NewInspectorFromRedisClient(s.rdb)
	s.worker("w1")
	s.until(corp, s.start(corp).ID, status.Completed)
	s.until(google, s.start(google).ID, status.Completed)
	s.join()
	ref := directory.Ref{Kind: directory.User, ID: "u020"}
	if err := insp.PauseQueue(jobs.ObjectQueue); err != nil {
		t.Fatal(err)
	}
	lost, err := s.client.StartObject(t.Context(), google, "corp", ref, "tester")
	if err != nil {
		t.Fatal(err)
	}
	if err := insp.DeleteTask(jobs.ObjectQueue, lost); err != nil {
		t.Fatal(err)
	}
	next, err := s.client.StartObject(t.Context(), google, "corp", ref, "tester")
	if err != nil {
		t.Fatal(err)
	}
	if err := insp.UnpauseQueue(jobs.ObjectQueue); err != nil {
		t.Fatal(err)
	}
	testclock.Eventually(t, waiting, "the next job creates the object", func() bool {
		job, err := s.status.Job(t.Context(), google, next)
		return err == nil && job.State == status.JobDone && job.Outcome == status.OutcomeCreated
	})
	if job, err := s.status.Job(t.Context(), google, lost); err != nil || job.State == status.JobDone {
		t.Errorf("the job with the deleted task is %+v, %v", job, err)
	}
}
