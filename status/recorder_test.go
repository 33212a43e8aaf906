package status_test

import (
	"context"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/status"
)

// deaf is a way to Redis on which some answers to scripts are lost after they were carried out.
type deaf struct{ lose atomic.Int64 }

func (d *deaf) DialHook(next redis.DialHook) redis.DialHook { return next }
func (d *deaf) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
func (d *deaf) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if err == nil && strings.HasPrefix(cmd.Name(), "eval") && d.lose.Add(-1) >= 0 {
			cmd.SetErr(io.ErrUnexpectedEOF)
			return io.ErrUnexpectedEOF
		}
		return err
	}
}

func TestCountsAreExactWhenAnswersAreLost(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{FlushEvery: time.Hour, LeaseTTL: 3 * time.Hour})
		run := f.start()
		l := f.acquire(run, "w1")
		d := &deaf{}
		rdb.AddHook(d)
		lost := 0
		for range 10 {
			l.Recorder().Succeeded(status.User, status.Update, 3)
			l.Recorder().Log(status.Message{Event: "updated"})
			d.lose.Store(2)
			for l.Recorder().Flush(t.Context()) != nil {
				lost++
			}
		}
		d.lose.Store(0)
		end, err := l.Finish(t.Context(), status.End{State: status.Completed})
		if err != nil || lost < 10 {
			t.Fatalf("Finish() = %v after %d lost answers, want nil after some", err, lost)
		}
		if len(end.Progress) != 1 || end.Progress[0].Succeeded != 30 || end.Messages != 10 {
			t.Errorf("the run has %v and %d messages, want 30 updates and 10", end.Progress, end.Messages)
		}
	})
}

func TestRecorderWritesByItselfAndFromManyGoroutines(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{FlushEvery: 10 * time.Millisecond})
		written := hear(rdb, "evalsha")
		l := f.acquire(f.start(), "w1")
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				for range 50 {
					l.Recorder().Failed(status.Membership, status.Create, 1)
					l.Recorder().Log(status.Message{Event: "refused", Level: status.Warning})
				}
			})
		}
		all.Wait()
		for r := f.get(l.Run().ID); r.FailedChanges != 400 || r.Messages != 400; r = f.get(l.Run().ID) {
			written.next(t)
		}
	})
}

// The plan of a resumed run holds what is left; what is expected in all includes what was done before.
func TestPlanOfAResumedRun(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		expect := func(n int64) status.Planned {
			return status.Planned{Expected: []status.Expectation{{Object: status.User, Change: status.Create, Count: n}}}
		}
		l := f.acquire(f.start(), "w1")
		if err := l.Recorder().Planned(t.Context(), expect(10)); err != nil {
			t.Fatal(err)
		}
		l.Recorder().Succeeded(status.User, status.Create, 4)
		back, err := l.HandBack(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.Advance(time.Minute)
		l = f.acquire(back, "w2")
		if err := l.Recorder().Planned(t.Context(), expect(6)); err != nil {
			t.Fatal(err)
		}
		l.Recorder().Succeeded(status.User, status.Create, 3)
		if err := l.Recorder().Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.Advance(30 * time.Second)
		run := f.get(back.ID)
		if done, expected := run.Done(); done != 7 || expected != 10 {
			t.Errorf("Done() = %d of %d, want 7 of 10", done, expected)
		}
		if got, want := run.EstimatedEnd(f.Now()), f.Now().Add(30*time.Second); !got.Equal(want) {
			t.Errorf("EstimatedEnd() = %v, want %v: 3 in 30 s, 3 left", got, want)
		}
	})
}

func TestMessages(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{MaxMessages: 200})
		l := f.acquire(f.start(), "w1")
		id := l.Run().ID
		log := func(n int, event string) {
			for range n {
				l.Recorder().Log(status.Message{Event: event, Logger: "reconcile", Level: status.Error,
					Attributes: map[string]any{"n": 1.0, "ids": []any{"a"}}})
			}
			if err := l.Recorder().Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		log(5, "first")
		newest, before, err := f.Messages(t.Context(), corp, id, "", 3)
		if err != nil || len(newest) != 3 || before == "" {
			t.Fatalf("Messages() = %d, %q, %v, want 3 and a place", len(newest), before, err)
		}
		m := newest[0]
		if m.Event != "first" || m.Level != status.Error || m.Logger != "reconcile" || !m.Time.Equal(f.Now()) ||
			m.Attributes["n"] != 1.0 {
			t.Errorf("a message = %+v, want it as written", m)
		}
		log(2, "second")
		older, end, err := f.Messages(t.Context(), corp, id, before, 3)
		if err != nil || len(older) != 2 || end != "" || older[0].Event != "first" || older[0].ID >= newest[2].ID {
			t.Errorf("Messages(before) = %+v, %q, %v, want the two oldest", older, end, err)
		}
		later, _, err := f.MessagesAfter(t.Context(), corp, id, newest[0].ID, 10)
		if err != nil || len(later) != 2 || later[0].Event != "second" {
			t.Errorf("MessagesAfter() = %+v, %v, want the two newest", later, err)
		}
		log(1, strings.Repeat("ü", 5000))
		l.Recorder().Log(status.Message{Event: "x", Attributes: map[string]any{"long": strings.Repeat("x", 5000)}})
		l.Recorder().Log(status.Message{Event: "x", Attributes: map[string]any{"no json": func() {}}})
		log(0, "")
		got, _, _ := f.Messages(t.Context(), corp, id, "", 3)
		if len([]rune(got[2].Event)) != status.MaxEvent || got[1].Attributes["omitted"] == nil ||
			got[0].Attributes["omitted"] == nil {
			t.Errorf("long messages are not bounded: %+v", got)
		}
		for range 10 {
			log(150, "flood")
		}
		all, _, err := f.Messages(t.Context(), corp, id, "", 1000)
		if err != nil || len(all) > 320 || len(all) < 200 {
			t.Errorf("the stream keeps %d messages, %v, want about 200", len(all), err)
		}
		if _, err := l.Finish(t.Context(), status.End{State: status.Completed}); err != nil {
			t.Fatal(err)
		}
		if ttl := rdb.PTTL(t.Context(), "rollcall:{ldap:corp}:run:"+id+":log").Val(); ttl < 29*24*time.Hour ||
			ttl > 30*24*time.Hour {
			t.Errorf("the messages of a closed run expire in %v, want 30 days", ttl)
		}
	})
}

// What is kept elsewhere of a run is written with its counts, also when the run is lost.
func TestRecorderBeside(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t), status.Config{FlushEvery: time.Hour})
	l := f.acquire(f.start(), "w1")
	var flushed atomic.Int64
	l.Recorder().Beside(func(context.Context) error { flushed.Add(1); return nil })
	if err := l.Recorder().Flush(t.Context()); err != nil || flushed.Load() != 1 {
		t.Errorf("Flush() = %v after %d calls, want 1", err, flushed.Load())
	}
	f.drop("lease", "run", "open")
	l.Close()
	if flushed.Load() != 2 {
		t.Errorf("%d calls after the run was lost, want 2", flushed.Load())
	}
}

// A run that waits has the estimate of the newest plan that was not carried out, and then that of its own plan.
func TestTheEstimateFromTheQuota(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		takes := func(want time.Duration) status.Run {
			t.Helper()
			run := f.start()
			summary, err := f.Summary(t.Context(), corp)
			if err != nil || run.Takes != want || summary.Takes != want {
				t.Errorf("a queued run takes %v, and what is open %v, %v; want %v", run.Takes, summary.Takes, err, want)
			}
			return run
		}
		plan := func(run status.Run, end status.End) {
			t.Helper()
			l := f.acquire(run, "w1")
			p := status.Planned{Digest: "d", Takes: 21 * time.Minute,
				Expected: []status.Expectation{{Object: status.User, Change: status.Create, Count: 9}}}
			if err := l.Recorder().Planned(t.Context(), p); err != nil {
				t.Fatal(err)
			}
			if got, want := f.get(run.ID).EstimatedEnd(f.Now()), f.Now().Add(p.Takes); !got.Equal(want) {
				t.Errorf("EstimatedEnd() before the first change is %v, want %v", got, want)
			}
			if _, err := l.Finish(t.Context(), end); err != nil {
				t.Fatal(err)
			}
			f.Advance(time.Minute)
		}
		plan(takes(0), status.End{State: status.Completed, Paused: "paused by grace"})
		plan(takes(21*time.Minute), status.End{State: status.Failed})
		plan(takes(21*time.Minute), status.End{State: status.Completed})
		takes(0)
	})
}
