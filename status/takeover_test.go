package status_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/status"
)

// TestALockOfADeadWorkerIsTakenOver: the run's next worker need not wait for locks that the last one left.
func TestALockOfADeadWorkerIsTakenOver(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		first := f.acquire(f.start(), "w1")
		stale, ok, err := f.Lock(t.Context(), corp, first.Fence(), "user:1")
		if err != nil || !ok {
			t.Fatalf("Lock() = %v, %v, want true", ok, err)
		}
		if _, ok, err := f.Lock(t.Context(), corp, status.Fence{}, "user:2"); err != nil || !ok {
			t.Fatalf("Lock() by an object job = %v, %v, want true", ok, err)
		}
		run, err := first.HandBack(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		second := f.acquire(run, "w2")
		unlock, ok, err := f.Lock(t.Context(), corp, second.Fence(), "user:1")
		if err != nil || !ok {
			t.Fatalf("Lock() by the next worker = %v, %v, want true", ok, err)
		}
		wantStale(t, "Unlock() by the first worker", stale(t.Context()))
		if err := unlock(t.Context()); err != nil {
			t.Errorf("Unlock() = %v, want nil", err)
		}
		if _, ok, err := f.Lock(t.Context(), corp, second.Fence(), "user:2"); ok || err != nil {
			t.Errorf("Lock() of an object job's entry = %v, %v, want false", ok, err)
		}
	})
}

// A task that was delivered twice gives a run two holders of one epoch, one after the other. When the lease of the
// second one has expired too, as while Redis does not answer, the first one still has no right to the run.
func TestOnlyTheLastHolderMayActAfterItsLease(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		run := f.start()
		first := f.acquire(run, "w1")
		f.kill(first)
		second := f.acquire(run, "w2")
		f.kill(second)
		_, err := first.Finish(t.Context(), status.End{State: status.Completed})
		wantStale(t, "Finish() by the first worker", err)
		if done, err := second.Finish(t.Context(), status.End{State: status.Completed}); err != nil ||
			done.State != status.Completed {
			t.Errorf("Finish() by the second worker = %s, %v, want completed", done.State, err)
		}
	})
}

// TestAJobThatNobodyFinished is shown as failed when its time is over, not as running for days.
func TestAJobThatNobodyFinished(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		job, err := f.CreateJob(t.Context(), status.JobRequest{Container: corp, Kind: status.User, ObjectID: "1"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.StartJob(t.Context(), corp, job.ID, "w1"); err != nil {
			t.Fatal(err)
		}
		f.Advance(time.Hour)
		if got, err := f.Job(t.Context(), corp, job.ID); err != nil || got.State != status.JobRunning {
			t.Errorf("after an hour the job is %s, %v; want running", got.State, err)
		}
		f.Advance(time.Hour)
		jobs, _, err := f.ListJobs(t.Context(), corp, 0, 10)
		if err != nil || len(jobs) != 1 || jobs[0].State != status.JobDone || jobs[0].Outcome != status.OutcomeFailed ||
			jobs[0].FailReason == "" {
			t.Errorf("after two hours the jobs are %+v, %v; want one that failed", jobs, err)
		}
	})
}
