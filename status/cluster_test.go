package status_test

import (
	"testing"
	"time"

	"rollcall/container"
	"rollcall/internal/redistest"
	"rollcall/status"
)

// TestCluster has every script run on a Redis Cluster, which refuses one that leaves its slot.
func TestCluster(t *testing.T) {
	t.Parallel()
	rdb := redistest.Cluster(t)
	life(t, rdb)
	f := open(t, rdb, status.Config{})
	ctx := t.Context()
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s = %v, want nil", what, err)
		}
	}
	run := f.start()
	bumped, err := f.Bump(ctx, corp, run.ID, run.Epoch)
	check("Bump()", err)
	l := f.acquire(bumped, "w1")
	check("SavePlan()", l.Recorder().SavePlan(ctx, status.PlanHead{}, planned(600, 1)))
	check("Flush()", l.Recorder().Flush(ctx))
	newest, err := f.NewestPlan(ctx, corp)
	check("NewestPlan()", err)
	_, err = f.PlanRows(ctx, newest, 0, 1000)
	check("PlanRows()", err)
	unlock, ok, err := f.Lock(ctx, corp, l.Fence(), "user:1")
	if check("Lock()", err); ok {
		check("Unlock()", unlock(ctx))
	}
	_, err = l.Defer(ctx, f.Now(), "quota", status.Outage{})
	check("Defer()", err)
	if got := f.reap(); got.Action != status.Wake {
		t.Errorf("Reap() = %+v, want the run woken", got)
	}
	_, err = f.Cancel(ctx, corp, "ops")
	check("Cancel()", err)
	_, err = f.Beat(ctx, "w1")
	check("Beat()", err)
	job := f.job()
	for _, id := range []string{job.ID, "other"} {
		_, err = f.Enter(ctx, google, status.User, "u1", id)
		check("Enter()", err)
	}
	turn, err := f.Leave(ctx, google, status.User, "u1", job.ID)
	if check("Leave()", err); !turn.Go {
		t.Errorf("Leave() = %+v, want go", turn)
	}
	_, said, err := f.Follow(ctx, corp, run.ID, "")
	if check("Follow()", err); len(said) > 0 {
		_, _, err = f.RunOfMessage(ctx, corp, said[0].ID, 10)
		check("RunOfMessage()", err)
	}
	_, _, err = f.RunAfter(ctx, corp, 0)
	check("RunAfter()", err)
	done := make(chan error, 1)
	go func() {
		_, err := f.WaitJob(ctx, google, job.ID, 10*time.Second)
		done <- err
	}()
	_, err = f.FinishJob(ctx, google, job.ID, status.Result{Outcome: status.OutcomeUnchanged})
	check("FinishJob()", err)
	check("WaitJob()", <-done)
	if _, err := f.Find(ctx, []container.ID{google, corp}, run.ID); err != nil {
		t.Errorf("Find() = %v, want nil", err)
	}
	runs, _, err := f.List(ctx, corp, 0, 10)
	if check("List()", err); len(runs) != 2 {
		t.Errorf("List() = %d runs, want 2", len(runs))
	}
}
