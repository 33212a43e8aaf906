package status_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/status"
)

const google = container.ID("google_workspace:1")

func (f *fixture) job() status.Job {
	f.t.Helper()
	job, err := f.CreateJob(f.t.Context(), status.JobRequest{
		Container: google, Kind: status.User, ObjectID: "u1", Trigger: status.Trigger{Kind: status.ByAPI, By: "ops"},
	})
	if err != nil {
		f.t.Fatalf("CreateJob() = %v, want nil", err)
	}
	return job
}

func TestJobLife(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		begin := f.Now()
		job := f.job()
		f.Advance(time.Second)
		if _, err := f.StartJob(t.Context(), google, job.ID, "w1"); err != nil {
			t.Fatal(err)
		}
		f.Advance(time.Second)
		message := status.Message{Event: "updated", Level: status.Info, Logger: "l",
			Attributes: map[string]any{"field": "title"}}
		if _, err := f.FinishJob(t.Context(), google, job.ID,
			status.Result{Outcome: status.OutcomeUpdated, Messages: []status.Message{message}}); err != nil {
			t.Fatal(err)
		}
		message.Time = f.Now()
		want := status.Job{
			ID: job.ID, Container: google, Kind: status.User, ObjectID: "u1",
			Trigger: status.Trigger{Kind: status.ByAPI, By: "ops"},
			State:   status.JobDone, CreatedAt: begin, StartedAt: begin.Add(time.Second), FinishedAt: begin.Add(2 * time.Second),
			Worker: "w1", Attempts: 1, Outcome: status.OutcomeUpdated, Messages: []status.Message{message}, Cursor: job.Cursor,
		}
		if _, err := f.FinishJob(t.Context(), google, job.ID, status.Result{Outcome: status.OutcomeFailed}); err != nil {
			t.Fatal(err)
		}
		got, err := f.Job(t.Context(), google, job.ID)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("Job() = %v (-want +got):\n%s", err, diff)
		}
		if runs, _, err := f.List(t.Context(), google, 0, 10); err != nil || len(runs) != 0 {
			t.Errorf("List() = %v, %v, want no runs", runs, err)
		}
		if running, err := f.IsRunning(t.Context(), google); err != nil || running {
			t.Errorf("IsRunning() = %v, %v, want false", running, err)
		}
		_, err = f.StartJob(t.Context(), google, "nobody", "w1")
		wantKind(t, "StartJob() of an unknown job", err, fault.NotFound)
		_, err = f.Job(t.Context(), google, "nobody")
		wantKind(t, "Job() of an unknown job", err, fault.NotFound)
	})
}

func TestJobIndexIsBounded(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{MaxJobs: 3})
		var last status.Job
		for range 5 {
			last = f.job()
			f.finish(last)
		}
		last = f.job() // It makes room by number.
		jobs, next, err := f.ListJobs(t.Context(), google, 0, 2)
		if err != nil || len(jobs) != 2 || jobs[0].ID != last.ID || next == 0 {
			t.Fatalf("ListJobs() = %v, %v, %v, want the newest two", jobs, next, err)
		}
		if rest, next, err := f.ListJobs(t.Context(), google, next, 2); err != nil || len(rest) != 2 || next != 0 {
			t.Errorf("ListJobs() = %v, %v, %v, want the third and the fourth", rest, next, err)
		}
	})
}

func (f *fixture) finish(job status.Job) {
	f.t.Helper()
	result := status.Result{Outcome: status.OutcomeUnchanged}
	if _, err := f.FinishJob(f.t.Context(), google, job.ID, result); err != nil {
		f.t.Fatal(err)
	}
}

// A job without an outcome is never trimmed, by age or by number. A bound refuses new ones.
func TestAnOpenJobIsNeverTrimmed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{MaxJobs: 3, MaxOpenJobs: 20, KeepJobs: time.Hour})
		var jobs []status.Job
		for range 20 {
			jobs = append(jobs, f.job())
			f.Advance(10 * time.Minute)
		}
		request := status.JobRequest{Container: google, Kind: status.User, ObjectID: "u1"}
		_, err := f.CreateJob(t.Context(), request)
		if wantKind(t, "CreateJob() beyond the bound", err, fault.Unavailable); fault.RetryAfter(err) == 0 {
			t.Errorf("CreateJob() = %v, want one that says when to try again", err)
		}
		for _, job := range jobs {
			if _, err := f.StartJob(t.Context(), google, job.ID, "w1"); err != nil {
				t.Fatalf("StartJob() = %v, want nil", err)
			}
			f.finish(job)
		}
		if _, err := f.CreateJob(t.Context(), request); err != nil {
			t.Errorf("CreateJob() after jobs have ended = %v, want nil", err)
		}
		if left, _, err := f.ListJobs(t.Context(), google, 0, 100); err != nil || len(left) != 4 {
			t.Errorf("%d jobs are listed, %v; want the newest three that are done and the open one", len(left), err)
		}
	})
}

// A job that no worker will finish ends once, as failed, and makes room for others.
func TestALostJobHasAnOutcome(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{MaxOpenJobs: 1})
		job := f.job()
		if ended, err := f.EndOutlived(t.Context(), google); err != nil || len(ended) != 0 {
			t.Errorf("EndOutlived() = %v, %v, want none", ended, err)
		}
		f.Advance(3 * time.Hour)
		ended, err := f.EndOutlived(t.Context(), google)
		if err != nil || len(ended) != 1 || ended[0].ID != job.ID || ended[0].Outcome != status.OutcomeFailed {
			t.Errorf("EndOutlived() = %v, %v, want the lost job", ended, err)
		}
		if ended, err = f.EndOutlived(t.Context(), google); err != nil || len(ended) != 0 {
			t.Errorf("EndOutlived() again = %v, %v, want none", ended, err)
		}
		f.job()
	})
}

func TestWaitJob(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		job := f.job()
		if got, err := f.WaitJob(t.Context(), google, job.ID, 30*time.Millisecond); err != nil ||
			got.State != status.JobQueued {
			t.Errorf("WaitJob() = %v, %v, want the job as it is", got.State, err)
		}
		var late []time.Duration
		for reads := hear(rdb, "hgetall"); len(late) < 15; job = f.job() {
			late = append(late, f.wakeFive(job.ID, reads)...)
		}
		slices.Sort(late)
		if late[len(late)/2] > time.Second { // The machine may stand still at one end.
			t.Errorf("waiters woke %v after the ends, want at once", late)
		}
		if _, err := f.FinishJob(t.Context(), google, job.ID, status.Result{Outcome: status.OutcomeCreated}); err != nil {
			t.Fatal(err)
		}
		if got, err := f.WaitJob(t.Context(), google, job.ID, time.Minute); err != nil || got.State != status.JobDone {
			t.Errorf("WaitJob() of a job that is over = %v, %v", got.State, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(30*time.Millisecond, cancel)
		_, err := f.WaitJob(ctx, google, f.job().ID, time.Minute)
		wantKind(t, "WaitJob() of a client that went away", err, fault.Canceled)
	})
}

// wakeFive finishes a job with five waiters, and returns how late each of them woke. reads are those of jobs.
func (f *fixture) wakeFive(id string, reads commands) []time.Duration {
	f.t.Helper()
	var all sync.WaitGroup
	woke := make([]time.Time, 5)
	for i := range woke {
		all.Go(func() {
			got, err := f.WaitJob(f.t.Context(), google, id, time.Minute)
			if err != nil || got.Outcome != status.OutcomeCreated {
				f.t.Errorf("WaitJob() = %v, %v, want created", got.Outcome, err)
			}
			woke[i] = time.Now()
		})
	}
	for range woke { // Waiters have read that the job is not done.
		reads.next(f.t)
	}
	finished := time.Now()
	if _, err := f.FinishJob(f.t.Context(), google, id, status.Result{Outcome: status.OutcomeCreated}); err != nil {
		f.t.Fatal(err)
	}
	all.Wait()
	late := make([]time.Duration, len(woke))
	for i, at := range woke {
		late[i] = at.Sub(finished)
	}
	return late
}

func TestJobsForOneEntryCoalesce(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		enter := func(job string, want status.Turn) {
			t.Helper()
			got, err := f.Enter(t.Context(), google, status.User, "u1", job)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("Enter(%s) = %v (-want +got):\n%s", job, err, diff)
			}
		}
		leave := func(job string, want status.Turn) {
			t.Helper()
			got, err := f.Leave(t.Context(), google, status.User, "u1", job)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("Leave(%s) = %v (-want +got):\n%s", job, err, diff)
			}
		}
		none := []string{}
		enter("a", status.Turn{Go: true, For: none})
		enter("b", status.Turn{Holder: "a"})
		enter("b", status.Turn{Holder: "a"}) // delivered twice
		if other, err := f.Enter(t.Context(), google, status.Group, "u1", "x"); err != nil || !other.Go {
			t.Errorf("Enter() of another entry = %+v, %v, want go", other, err)
		}
		leave("a", status.Turn{Go: true, For: []string{"b"}}) // b came after a had read: once more, for b
		enter("c", status.Turn{Holder: "a"})
		enter("a", status.Turn{Go: true, For: []string{"b", "c"}}) // a's worker died and its task came again
		leave("a", status.Turn{For: none})
		_, err := f.Leave(t.Context(), google, status.User, "u1", "a")
		wantStale(t, "a second Leave()", err)

		enter("d", status.Turn{Go: true, For: none})
		enter("e", status.Turn{Holder: "d"})
		if err := f.Abandon(t.Context(), google, status.User, "u1", "d"); err != nil {
			t.Fatal(err)
		}
		enter("f", status.Turn{Go: true, For: []string{"e"}}) // the next one answers for those that waited
		leave("f", status.Turn{For: none})
	})
}
