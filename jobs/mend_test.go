package jobs_test

import (
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/internal/metrics"
	"rollcall/internal/testclock"
	"rollcall/jobs"
	"rollcall/status"
)

const (
	pending  = "asynq:{objects}:pending"
	active   = "asynq:{objects}:active"
	leases   = "asynq:{objects}:lease"
	longSoon = time.Minute // longer than an open job may be without a task
)

// synced carries out a first sync, and then has an entry join and no worker left.
func (s *site) synced() {
	s.t.Helper()
	w := s.worker("w0")
	s.until(corp, s.start(corp).ID, status.Completed)
	s.until(google, s.start(google).ID, status.Completed)
	w.Shutdown()
	s.join()
}

// accepted queues an object job for an entry, with no worker to take it.
func (s *site) accepted(id directory.ID) string {
	s.t.Helper()
	job, err := s.client.StartObject(s.t.Context(), google, "corp", directory.Ref{Kind: directory.User, ID: id}, "tester")
	if err != nil {
		s.t.Fatal(err)
	}
	return job
}

// outcome waits until a job has one.
func (s *site) outcome(id string) status.Job {
	s.t.Helper()
	job, err := s.status.WaitJob(s.t.Context(), google, id, 3*time.Minute)
	if err != nil || job.State != status.JobDone {
		s.t.Fatalf("WaitJob() = %+v, %v, want a job that is done", job, err)
	}
	return job
}

// taken moves the task of a job to the active ones, as a worker that dies at once.
func (s *site) taken(id string, lease time.Duration) {
	s.t.Helper()
	if err := s.rdb.LRem(s.t.Context(), pending, 0, id).Err(); err != nil {
		s.t.Fatal(err)
	}
	_, err := s.rdb.Pipelined(s.t.Context(), func(p redis.Pipeliner) error {
		p.LPush(s.t.Context(), active, id)
		p.HSet(s.t.Context(), "asynq:{objects}:t:"+id, "state", "active")
		if lease != 0 {
			p.ZAdd(s.t.Context(), leases, redis.Z{Score: float64(s.now().Add(lease).Unix()), Member: id})
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// Each accepted job has an outcome, whatever became of its task.
func TestAnAcceptedJobIsCarriedOutWhateverBecameOfItsTask(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(*site, *asynq.Inspector, string) error
		lost  int64
	}{
		"it was never enqueued": {spoil: func(_ *site, insp *asynq.Inspector, id string) error {
			return insp.DeleteTask(jobs.ObjectQueue, id)
		}},
		"it was archived": {spoil: func(_ *site, insp *asynq.Inspector, id string) error {
			return insp.ArchiveTask(jobs.ObjectQueue, id)
		}},
		"it is active without a lease": {spoil: func(s *site, _ *asynq.Inspector, id string) error {
			s.taken(id, 0)
			return nil
		}},
		"its lease expired long ago": {spoil: func(s *site, _ *asynq.Inspector, id string) error {
			s.taken(id, -time.Minute)
			return nil
		}},
		"its worker died": {lost: 1, spoil: func(s *site, _ *asynq.Inspector, id string) error {
			s.taken(id, time.Hour)
			_, err := s.status.StartJob(s.t.Context(), google, id, "dead")
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			insp := asynq.NewInspectorFromRedisClient(s.rdb)
			s.synced()
			id := s.accepted("u020")
			if err := tc.spoil(s, insp, id); err != nil {
				t.Fatal(err)
			}
			s.ahead(longSoon)
			s.worker("w1")
			if job := s.outcome(id); job.Outcome != status.OutcomeCreated || job.Lost != tc.lost {
				t.Errorf("the job is %+v, want it created with %d lost workers", job, tc.lost)
			}
		})
	}
}

// A job that waits for another job of its entry is answered, although that job's worker died after its own outcome.
func TestAJobThatWaitsForADeadOne(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.synced()
	first, second := s.accepted("u020"), s.accepted("u020")
	s.taken(first, 0)
	s.taken(second, 0)
	for _, id := range []string{first, second} {
		if _, err := s.status.Enter(t.Context(), google, status.User, "u020", id); err != nil {
			t.Fatal(err)
		}
	}
	if job, err := s.status.Job(t.Context(), google, second); err != nil || job.Waits != first {
		t.Errorf("Job() = %+v, %v, want one that waits for %s", job, err, first)
	}
	if _, err := s.status.FinishJob(t.Context(), google, first,
		status.Result{Outcome: status.OutcomeUpdated}); err != nil {
		t.Fatal(err)
	}
	s.ahead(longSoon)
	s.worker("w1")
	if job := s.outcome(second); job.Outcome != status.OutcomeCreated {
		t.Errorf("the second job is %+v, want it created", job)
	}
}

// A job that kills its workers fails in the end.
func TestAJobThatKillsItsWorkers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id := s.accepted("u003")
	s.taken(id, time.Hour)
	if _, err := s.status.StartJob(t.Context(), google, id, "dead"); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if _, err := s.status.LoseJob(t.Context(), google, id); err != nil {
			t.Fatal(err)
		}
	}
	s.ahead(longSoon)
	s.worker("w1")
	if job := s.outcome(id); job.Outcome != status.OutcomeFailed || job.FailReason != "its worker died 11 times" {
		t.Errorf("the job is %+v, want it failed", job)
	}
}

// A task without a record is counted as lost.
func TestATaskWithoutARecordIsCounted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.work = metrics.NewWork(nil)
	id := s.accepted("u003")
	if err := s.rdb.Del(t.Context(), "rollcall:{google_workspace:1}:job:"+id).Err(); err != nil {
		t.Fatal(err)
	}
	s.worker("w1")
	s.wantCounted(map[string]float64{"object_jobs_total google_workspace:1 lost": 1}, "rollcall_object_jobs_total")
}

// Failures of other systems and workers that stop use up none of the tries of a job.
func TestWhatIsNoFailureOfTheJob(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id := s.accepted("u003")
	for range 5 {
		if _, err := s.status.NoteJob(t.Context(), google, id, nil, false); err != nil {
			t.Fatal(err)
		}
	}
	job, err := s.status.NoteJob(t.Context(), google, id, nil, true)
	if err != nil || job.Failures != 1 {
		t.Errorf("NoteJob() = %+v, %v, want 1 failure", job, err)
	}
}

// The id of a task that is gone, as after a second delivery, does not go round the queue for ever.
func TestTheIDOfATaskThatIsGoneIsRemoved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.taken("gone", 0)
	s.worker("w1")
	testclock.Eventually(t, waiting, "no key names the task", func() bool {
		return s.rdb.Exists(t.Context(), pending, active, leases, "asynq:{objects}:t:gone").Val() == 0
	})
}
