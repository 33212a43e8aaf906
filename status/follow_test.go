package status_test

import (
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/status"
)

func TestFollow(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		run := f.start()
		if got, said, err := f.Follow(t.Context(), corp, run.ID, ""); err != nil || got.State != status.Queued ||
			len(said) != 0 {
			t.Errorf("Follow() of what is queued = %s, %v, %v", got.State, said, err)
		}
		l := f.acquire(run, "w1")
		for _, text := range []string{"a", "b", "c"} {
			l.Recorder().Log(status.Message{Event: text})
		}
		if _, err := l.Finish(t.Context(), status.End{State: status.Completed}); err != nil {
			t.Fatal(err)
		}
		got, all, err := f.Follow(t.Context(), corp, run.ID, "")
		if err != nil || got.State != status.Completed || !slices.Equal(events(all), []string{"a", "b", "c"}) {
			t.Fatalf("Follow() = %s, %v, %v", got.State, events(all), err)
		}
		if _, rest, err := f.Follow(t.Context(), corp, run.ID, all[1].ID); err != nil ||
			!slices.Equal(events(rest), []string{"c"}) {
			t.Errorf("Follow() after b = %v, %v; want c", events(rest), err)
		}
		_, _, err = f.Follow(t.Context(), corp, "00000000-0000-0000-0000-000000000000", "")
		wantKind(t, "Follow() of no run", err, fault.NotFound)
	})
}

func events(all []status.Message) []string {
	var out []string
	for _, m := range all {
		out = append(out, m.Event)
	}
	return out
}

// TestRunAfter: the runs of a container one by one, oldest first, those that are gone left out.
func TestRunAfter(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		var runs []status.Run
		for range 4 { // They write within one millisecond, if the machine is fast.
			run := f.start()
			l := f.acquire(run, "w1")
			l.Recorder().Log(status.Message{Event: run.ID})
			if _, err := l.Finish(t.Context(), status.End{State: status.Completed}); err != nil {
				t.Fatal(err)
			}
			runs = append(runs, run)
			f.Advance(time.Minute)
		}
		f.drop("run:" + runs[1].ID)
		var got []string
		for at := status.Cursor(0); ; {
			run, more, err := f.RunAfter(t.Context(), corp, at)
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
			got, at = append(got, run.ID), run.Cursor
		}
		if want := []string{runs[0].ID, runs[2].ID, runs[3].ID}; !slices.Equal(got, want) {
			t.Errorf("RunAfter() leads through %v, want %v", got, want)
		}
		_, said, err := f.Follow(t.Context(), corp, runs[2].ID, "")
		if err != nil || len(said) != 1 {
			t.Fatalf("Follow() = %v, %v", said, err)
		}
		if run, found, err := f.RunOfMessage(t.Context(), corp, said[0].ID, 10); err != nil || !found ||
			run.ID != runs[2].ID {
			t.Errorf("RunOfMessage() = %s, %t, %v; want %s", run.ID, found, err, runs[2].ID)
		}
		if run, found, err := f.RunOfMessage(t.Context(), corp, "1-1", 10); err != nil || found {
			t.Errorf("RunOfMessage() of nobody's = %s, %t, %v; want none", run.ID, found, err)
		}
	})
}
