package status_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/status"
)

// finished starts and cancels a run, so that it is over.
func (f *fixture) finished() status.Run {
	f.t.Helper()
	f.start()
	run, err := f.Cancel(f.t.Context(), corp, "ops")
	if err != nil {
		f.t.Fatal(err)
	}
	return run
}

func ids(runs []status.Run) []string {
	out := []string{}
	for _, r := range runs {
		out = append(out, r.ID)
	}
	return out
}

func TestListPagesStayValidWhileRunsArrive(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		var want []string // all at one moment of the clock, newest first
		for range 7 {
			want = append([]string{f.finished().ID}, want...)
		}
		first, next, err := f.List(t.Context(), corp, 0, 3)
		if err != nil || next == 0 {
			t.Fatalf("List() = %v, %v, want a first page", next, err)
		}
		f.finished()
		f.drop("run:" + want[3]) // a record that expired before its index entry
		rest, end, err := f.List(t.Context(), corp, next, 3)
		if err != nil || end != 0 {
			t.Fatalf("List() = %v, %v, want the last page", end, err)
		}
		got := append(ids(first), ids(rest)...)
		if diff := cmp.Diff(append(want[:3:3], want[4:]...), got); diff != "" {
			t.Errorf("List() (-want +got):\n%s", diff)
		}
		if n := rdb.ZCard(t.Context(), "rollcall:{ldap:corp}:runs").Val(); n != 7 {
			t.Errorf("the index has %d entries, want 7: one was dropped, one arrived", n)
		}
		if none, next, err := f.List(t.Context(), "ldap:other", 0, 3); err != nil || len(none) != 0 || next != 0 {
			t.Errorf("List() of an unknown container = %v, %v, %v, want nothing", none, next, err)
		}
	})
}

func TestIndexIsTrimmed(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{MaxRuns: 3, KeepRuns: time.Hour})
		old := f.finished()
		for range 5 {
			f.finished()
		}
		if runs, _, err := f.List(t.Context(), corp, 0, 10); err != nil || len(runs) != 3 {
			t.Errorf("List() = %d runs, %v, want 3", len(runs), err)
		}
		_, err := f.Get(t.Context(), corp, old.ID)
		wantKind(t, "Get() of a trimmed run", err, fault.NotFound)
		f.Advance(2 * time.Hour)
		last := f.finished()
		if runs, _, err := f.List(t.Context(), corp, 0, 10); err != nil || len(runs) != 1 || runs[0].ID != last.ID {
			t.Errorf("List() after two hours = %v, %v, want the last", ids(runs), err)
		}
	})
}

// counter counts round trips to Redis.
type counter struct{ n atomic.Int64 }

func (c *counter) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *counter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.n.Add(1); return next(ctx, cmd) }
}
func (c *counter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.n.Add(1); return next(ctx, cmds) }
}

// fill puts n closed runs into the index of corp.
func fill(t testing.TB, rdb redis.UniversalClient, n int) {
	const step = 5000
	for from := 0; from < n; from += step {
		_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for i := from; i < min(n, from+step); i++ {
				id := fmt.Sprintf("r%07d", i)
				p.HSet(t.Context(), "rollcall:{ldap:corp}:run:"+id, "id", id, "state", "completed", "seq", i+1)
				p.ZAdd(t.Context(), "rollcall:{ldap:corp}:runs", redis.Z{Score: float64(i + 1), Member: id})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestListCostsTheSameAtAnyLength(t *testing.T) {
	t.Parallel()
	for _, n := range []int{100, 20000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			rdb := redistest.Start(t)
			fill(t, rdb, n)
			f := open(t, rdb, status.Config{})
			trips := &counter{}
			rdb.AddHook(trips)
			_, _, _ = f.List(t.Context(), corp, 0, 1) // connects
			for _, before := range []status.Cursor{0, status.Cursor(n/2 + 1)} {
				trips.n.Store(0)
				runs, next, err := f.List(t.Context(), corp, before, 50)
				if err != nil || len(runs) != 50 || (next == 0) != (before == 51) || trips.n.Load() != 2 {
					t.Errorf("List(%d) = %d runs in %d round trips, %v, want 50 in 2", before, len(runs), trips.n.Load(), err)
				}
			}
		})
	}
}

func BenchmarkList(b *testing.B) {
	for _, n := range []int{100, 100000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rdb := redistest.Start(b)
			fill(b, rdb, n)
			s := status.New(rdb, status.Config{})
			for b.Loop() {
				if _, _, err := s.List(b.Context(), corp, status.Cursor(n/2+30), 50); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestFindAndSummary(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		if s, err := f.Summary(t.Context(), corp); err != nil || s.Live || s.LastStatus != status.TaskUnknown ||
			!s.SuccessfulAt.IsZero() {
			t.Errorf("Summary() before the first run = %+v, %v, want nothing", s, err)
		}
		finish := func(dry bool, failed int, state status.State) string {
			f.Advance(time.Minute)
			run, err := f.Start(t.Context(), status.StartRequest{Container: corp, DryRun: dry})
			if err != nil {
				t.Fatal(err)
			}
			l := f.acquire(run, "w1")
			l.Recorder().Failed(status.User, status.Create, failed)
			if _, err := l.Finish(t.Context(), status.End{State: state, FailKind: "denied", FailReason: "no"}); err != nil {
				t.Fatal(err)
			}
			return run.ID
		}
		clean := finish(false, 0, status.Completed)
		part := finish(false, 1, status.Completed)
		bad := finish(false, 0, status.Failed)
		dry := finish(true, 0, status.Completed)
		s, err := f.Summary(t.Context(), corp)
		at := func(id string) time.Time { return f.get(id).FinishedAt }
		want := status.Summary{
			LastID: bad, LastAt: at(bad), LastState: status.Failed, LastStatus: status.TaskError,
			CompletedID: part, CompletedAt: at(part), SuccessfulID: clean, SuccessfulAt: at(clean),
		}
		if diff := cmp.Diff(want, s); diff != "" || err != nil {
			t.Errorf("Summary() = %v (-want +got):\n%s", err, diff)
		}
		if r := f.get(bad); r.FailKind != "denied" || r.FailReason != "no" {
			t.Errorf("the failed run says %q, %q", r.FailKind, r.FailReason)
		}
		found, err := f.Find(t.Context(), []container.ID{"google_workspace:1", corp}, dry)
		if err != nil || found.ID != dry || found.Container != corp || !found.DryRun {
			t.Errorf("Find() = %+v, %v, want the dry run", found, err)
		}
		_, err = f.Find(t.Context(), []container.ID{"google_workspace:1"}, dry)
		wantKind(t, "Find() elsewhere", err, fault.NotFound)
		if _, live, err := f.Live(t.Context(), corp); live || err != nil {
			t.Errorf("Live() = %v, %v, want none", live, err)
		}
	})
}
