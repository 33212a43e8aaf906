package jobs_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/internal/metrics"
	"rollcall/internal/testclock"
	"rollcall/jobs"
	"rollcall/status"
)

// configured returns the containers of the site with a digest, as of one file.
func (s *site) file(digest string) []jobs.Container {
	all := s.containers()
	for i := range all {
		all[i].Digest = digest
	}
	return all
}

// While workers with two files live, only those with the newer file execute a container. When they are gone the others
// go on by themselves.
func TestTwoConfigurationsDoNotExecuteAContainerSideBySide(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.work = metrics.NewWork(nil)
	old := s.workerWith("old", s.file("v1")...)
	s.until(corp, s.start(corp).ID, status.Completed)
	newer := s.workerWith("new", s.file("v2")...)
	for range 8 {
		if run := s.until(google, s.start(google).ID, status.Completed); run.Worker != "new" {
			t.Errorf("the run was executed by %s, want new", run.Worker)
		}
	}
	testclock.Eventually(t, waiting, "the old worker is superseded", func() bool {
		why, some := old.Superseded()
		return strings.HasPrefix(why[google], "the worker new has a newer configuration of google_workspace:1") && !some
	})
	for n := range 4 {
		s.join()
		id := s.accepted(directory.ID("u02" + string(rune('0'+n))))
		if job := s.outcome(id); job.Outcome != status.OutcomeCreated || job.Worker != "new" {
			t.Errorf("the object job is %+v, want it created by new", job)
		}
	}
	newer.Shutdown()
	if run := s.until(google, s.start(google).ID, status.Completed); run.Worker != "old" {
		t.Errorf("the run was executed by %s, want old", run.Worker)
	}
}

// A run goes on with the newer configuration as soon as a worker has it.
func TestARunIsHandedToTheNewerConfiguration(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	reached, goOn := gated(s)
	defer goOn()
	old := s.workerWith("old", s.file("v1")...)
	run := s.start(google)
	<-reached
	s.workerWith("new", s.file("v2")...)
	testclock.Eventually(t, waiting, "the old worker is superseded",
		func() bool { why, _ := old.Superseded(); return why[google] != "" })
	goOn()
	if run = s.until(google, run.ID, status.Completed); run.Worker != "new" || run.Resumes != 0 {
		t.Errorf("the run is %+v, want it handed to new", run)
	}
}

// A worker that lacks a provider hands its tasks back. They do not fail, and another worker executes them without a
// long delay.
func TestAWorkerThatLacksAProvider(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	whole := s.file("v1")
	s.workerWith("lacks", whole[0])
	s.workerWith("has", whole...)
	s.until(corp, s.start(corp).ID, status.Completed)
	var took []time.Duration
	for range 6 {
		began := time.Now()
		s.until(google, s.start(google).ID, status.Completed)
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	if took[3] > 5*time.Second { // The machine may stand still in one of them.
		t.Errorf("the runs took %v, want less than 5 s", took)
	}
	for range 8 {
		if job := s.outcome(s.accepted("u003")); job.Outcome != status.OutcomeUnchanged {
			t.Errorf("the object job is %+v, want it unchanged", job)
		}
	}
}

// A run of a container that no worker has fails after a while, and says why.
func TestARunOfAContainerThatNoWorkerHas(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	const other = container.ID("google_workspace:9")
	run := s.start(other)
	s.ahead(11 * time.Minute)
	if run = s.until(other, run.ID, status.Failed); !strings.Contains(run.FailReason, "in its configuration") {
		t.Errorf("the run failed because of %q", run.FailReason)
	}
}

// A task of a kind that this build does not know waits for another build. In the end it is archived.
func TestATaskOfAnUnknownKind(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	insp := asynq.NewInspectorFromRedisClient(s.rdb)
	client := asynq.NewClientFromRedisClient(s.rdb)
	for _, queue := range []string{jobs.FullQueue, jobs.ObjectQueue} {
		if _, err := client.Enqueue(asynq.NewTask("run:v9", []byte("{}")), asynq.Queue(queue),
			asynq.MaxRetry(0)); err != nil {
			t.Fatal(err)
		}
	}
	s.worker("w1")
	listed := func(list func(string, ...asynq.ListOption) ([]*asynq.TaskInfo, error)) func() bool {
		return func() bool {
			for _, queue := range []string{jobs.FullQueue, jobs.ObjectQueue} {
				if tasks, err := list(queue); err != nil || len(tasks) != 1 || string(tasks[0].Payload) != "{}" {
					return false
				}
			}
			return true
		}
	}
	testclock.Eventually(t, waiting, "the task is scheduled", listed(insp.ListScheduledTasks))
	s.ahead(11 * time.Minute)
	testclock.Eventually(t, waiting, "the task is archived", listed(insp.ListArchivedTasks))
}
