package jobs

import (
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/robfig/cron/v3"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/status"
)

// ticker has workers that are never started and whose clock the test moves: their schedule is asked by hand.
type ticker struct {
	t     *testing.T
	rdb   *redis.Client
	clock *testclock.Clock
	store *status.Store
	runs  int
}

func newTicker(t *testing.T, now time.Time) *ticker {
	clock := testclock.At(now)
	rdb := redistest.Start(t)
	return &ticker{t: t, rdb: rdb, clock: clock, store: status.New(rdb, status.Config{Now: clock.Now})}
}

// worker returns a worker that has just begun.
func (k *ticker) worker(containers ...Container) *Worker {
	k.t.Helper()
	w, err := NewWorker(WorkerConfig{
		Redis: k.rdb, Status: k.store, Decisions: decisions.New(k.rdb, decisions.Config{Now: k.clock.Now}),
		Containers: containers, Name: fmt.Sprint("worker-", k.clock.Now().Unix()), Now: k.clock.Now,
	})
	if err != nil {
		k.t.Fatal(err)
	}
	return w
}

// tick asks the workers and returns how many runs they started. Each of them ends at once.
func (k *ticker) tick(workers ...*Worker) int {
	k.t.Helper()
	for _, w := range workers {
		if err := w.tick(k.t.Context()); err != nil {
			k.t.Fatal(err)
		}
		for _, c := range w.cfg.Containers {
			if _, err := k.store.Cancel(k.t.Context(), c.Name, "test"); err == nil {
				k.runs++
			}
		}
	}
	n := k.runs
	k.runs = 0
	return n
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestEveryComesOncePerInterval(t *testing.T) {
	t.Parallel()
	k := newTicker(t, noon)
	every := Container{Name: "ldap:corp", Schedule: "@every 20s"}
	workers := []*Worker{k.worker(every)}
	total := 0
	for second := range 130 {
		if second == 13 {
			workers = append(workers, k.worker(every))
		}
		if second%17 == 16 { // A deploy replaces a worker more often than the interval.
			workers[0] = k.worker(every)
		}
		total += k.tick(workers...)
		k.clock.Advance(time.Second)
	}
	if total != 6 {
		t.Errorf("%d runs in 130 s of @every 20s, want 6", total)
	}
}

func TestAMissedTickIsMadeUpOnce(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"* * * * *", "@daily", "@every 1m", "30 2 * * *"} {
		t.Run(spec, func(t *testing.T) {
			t.Parallel()
			k := newTicker(t, noon)
			c := Container{Name: "ldap:corp", Schedule: spec}
			if n := k.tick(k.worker(c)); n != 0 {
				t.Errorf("a new schedule started %d runs at once", n)
			}
			k.clock.Advance(3*24*time.Hour + 2*time.Second) // No worker lives.
			if n := k.tick(k.worker(c), k.worker(c), k.worker(c)); n != 1 {
				t.Errorf("%d runs after the workers came back, want 1", n)
			}
			runs, _, err := k.store.List(t.Context(), c.Name, 0, 1)
			if err != nil || runs[0].Trigger != (status.Trigger{Kind: status.BySchedule, By: spec}) {
				t.Errorf("run = %+v, %v, want it triggered by the schedule", runs, err)
			}
		})
	}
}

// A worker that dies between the start of a run and the note of its firing leaves the tick to another worker. That one
// finds the same run, even if it has ended.
func TestAFiringThatWasNotNotedStartsNoSecondRun(t *testing.T) {
	t.Parallel()
	k := newTicker(t, noon)
	c := Container{Name: "ldap:corp", Schedule: "@every 1m"}
	k.tick(k.worker(c))
	before, err := k.store.Marked(t.Context(), c.Name, status.Fired)
	if err != nil {
		t.Fatal(err)
	}
	k.clock.Advance(time.Minute)
	if n := k.tick(k.worker(c)); n != 1 {
		t.Fatalf("the tick started %d runs, want 1", n)
	}
	if err := k.store.SetMark(t.Context(), c.Name, status.Fired, before); err != nil {
		t.Fatal(err)
	}
	if n := k.tick(k.worker(c)); n != 0 {
		t.Errorf("the same tick started %d more runs, want none", n)
	}
}

// A schedule that was edited begins anew, and one whose last firing lies ahead does not wait for it.
func TestAChangedScheduleAndAWrongClock(t *testing.T) {
	t.Parallel()
	k := newTicker(t, noon)
	k.tick(k.worker(Container{Name: "ldap:corp", Schedule: "@every 1m"}))
	k.clock.Advance(time.Hour)
	hourly := k.worker(Container{Name: "ldap:corp", Schedule: "30 * * * *"})
	if n := k.tick(hourly); n != 0 {
		t.Errorf("a changed schedule started %d runs at once", n)
	}
	ahead := hourly.schedule[0].firing(k.clock.Now().AddDate(0, 1, 0))
	if err := k.store.SetMark(t.Context(), "ldap:corp", status.Fired, ahead); err != nil {
		t.Fatal(err)
	}
	k.tick(hourly)
	k.clock.Advance(31 * time.Minute)
	if n := k.tick(hourly); n != 1 {
		t.Errorf("%d runs half an hour after a firing that lay ahead, want 1", n)
	}
}

// A dry run that is live at the tick does not stand for the run; a full run does.
func TestARunThatIsLiveAtTheTick(t *testing.T) {
	t.Parallel()
	for dry, want := range map[bool]int{true: 1, false: 0} {
		k := newTicker(t, noon)
		c := Container{Name: "ldap:corp", Schedule: "* * * * *"}
		w := k.worker(c)
		k.tick(w)
		if _, err := k.store.Start(t.Context(), status.StartRequest{Container: c.Name, DryRun: dry}); err != nil {
			t.Fatal(err)
		}
		k.clock.Advance(time.Minute)
		k.tick(w) // It ends the live run.
		if n := k.tick(w); n != want {
			t.Errorf("dry run %v: %d runs after it ended, want %d", dry, n, want)
		}
	}
}

// A worker that died between the end of a source run and the start of its provider's loses nothing. The run noted that
// a provider has to follow when it planned changes, or only at its end, such as for leavers that were sent ahead.
func TestAFollowingRunIsMadeUp(t *testing.T) {
	t.Parallel()
	for name, planned := range map[string]bool{"changes were planned": true, "noted at the end": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newTicker(t, noon)
			source, provider := Container{Name: "ldap:corp"}, Container{Name: "google_workspace:1",
				Sources: []string{"corp"}, Schedule: AfterSource}
			ctx := t.Context()
			run, err := k.store.Start(ctx, status.StartRequest{Container: source.Name})
			if err != nil {
				t.Fatal(err)
			}
			lease, err := k.store.Acquire(ctx, source.Name, run.ID, run.Epoch, "worker-1")
			if err != nil {
				t.Fatal(err)
			}
			if planned {
				if err := k.store.SetMark(ctx, source.Name, status.Follow, run.ID); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := lease.Finish(ctx, status.End{State: status.Completed, Changed: true}); err != nil {
				t.Fatal(err)
			}
			k.clock.Advance(6 * time.Second)
			w := k.worker(source, provider)
			if n := k.tick(w); n != 1 {
				t.Fatalf("%d runs, want the provider's", n)
			}
			runs, _, err := k.store.List(ctx, provider.Name, 0, 1)
			if err != nil || len(runs) != 1 || runs[0].Trigger != (status.Trigger{Kind: status.AfterSource, By: run.ID}) {
				t.Errorf("runs = %+v, %v, want one after %s", runs, err, run.ID)
			}
			if n := k.tick(w); n != 0 {
				t.Errorf("it was started %d times more", n)
			}
		})
	}
}

// What docs/configuration.md says of daylight saving time.
func TestDaylightSavingTime(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := cron.ParseStandard("30 2 * * *")
	if err != nil {
		t.Fatal(err)
	}
	s := scheduled{name: container.ID("ldap:corp"), cron: parsed}
	for name, tt := range map[string]struct {
		from time.Time
		want []string
	}{
		"spring": {time.Date(2026, 3, 28, 12, 0, 0, 0, berlin),
			[]string{"2026-03-30T02:30:00+02:00", "2026-03-31T02:30:00+02:00"}},
		"autumn": {time.Date(2026, 10, 24, 12, 0, 0, 0, berlin),
			[]string{"2026-10-25T02:30:00+02:00", "2026-10-25T02:30:00+01:00"}},
	} {
		last, got := tt.from, []string(nil)
		for now := tt.from; len(got) < len(tt.want) && now.Before(tt.from.AddDate(0, 0, 7)); now = now.Add(10 * time.Minute) {
			if at := s.due(last, now); !at.IsZero() {
				got, last = append(got, at.Format(time.RFC3339)), at
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(tt.want) {
			t.Errorf("%s: ticks at %v, want %v", name, got, tt.want)
		}
	}
}

// The thirtieth of February never comes: it must not come at once, and every hour.
func TestACronThatNeverComesIsNeverDue(t *testing.T) {
	t.Parallel()
	k := newTicker(t, noon)
	w := k.worker(Container{Name: "ldap:corp", Schedule: "0 0 30 2 *"})
	k.tick(w)
	k.clock.Advance(48 * time.Hour)
	if n := k.tick(w); n != 0 {
		t.Errorf("%d runs, want none", n)
	}
}
