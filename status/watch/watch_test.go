package watch_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/status"
	"rollcall/status/watch"
)

const corp = container.ID("ldap:corp")

// fixture is a run that a worker executes.
type fixture struct {
	t     *testing.T
	store *status.Store
	hub   *watch.Hub
	run   status.Run
	lease *status.Lease
}

func open(t *testing.T, rdb redis.UniversalClient, cfg status.Config) *fixture {
	t.Helper()
	f := &fixture{t: t, store: status.New(rdb, cfg)}
	f.hub = watch.New(f.store, time.Millisecond)
	f.begin()
	return f
}

// begin starts a run and has a worker take it.
func (f *fixture) begin() {
	f.t.Helper()
	var err error
	if f.run, err = f.store.Start(f.t.Context(), status.StartRequest{Container: corp}); err != nil {
		f.t.Fatal(err)
	}
	if f.lease, err = f.store.Acquire(context.WithoutCancel(f.t.Context()), corp, f.run.ID, f.run.Epoch, "w"); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(f.lease.Close)
}

// say has the run say something and returns once it is written.
func (f *fixture) say(from, to int) {
	f.t.Helper()
	for i := from; i < to; i++ {
		f.lease.Recorder().Log(status.Message{Event: fmt.Sprint(i)})
	}
	if err := f.lease.Recorder().Flush(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) finish() {
	f.t.Helper()
	if _, err := f.lease.Finish(f.t.Context(), status.End{State: status.Completed}); err != nil {
		f.t.Fatal(err)
	}
}

// heard is what a listener took.
type heard struct {
	events []string
	last   watch.News
	missed bool
}

// hear takes news until enough says so.
func hear(t testing.TB, l *watch.Listener, enough func(heard) bool) heard {
	t.Helper()
	limit := time.After(time.Minute)
	for h := (heard{}); ; {
		news, more, err := l.Take()
		if err != nil {
			t.Errorf("Take() = %v", err)
			return h
		}
		for _, m := range news.Messages {
			h.events = append(h.events, m.Event)
		}
		if h.missed = h.missed || news.Missed; news.Run.ID != "" {
			h.last = news
		}
		if enough(h) {
			return h
		}
		select {
		case <-more:
		case <-limit:
			t.Fatalf("nothing more came after %d messages, the run %s", len(h.events), h.last.Run.State)
		}
	}
}

func over(h heard) bool { return h.last.Over }

func numbers(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

// TestListeners checks that all listeners get every message in order from one reader, whenever they join.
func TestListeners(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t), status.Config{})
	var wg sync.WaitGroup
	listen := func(after string, from int) {
		l := f.hub.Run(corp, f.run.ID, after)
		wg.Go(func() {
			defer l.Close()
			h := hear(t, l, over)
			if want := numbers(from, 500); !slices.Equal(h.events, want) || h.missed {
				t.Errorf("heard %d messages from %d on (missed: %t): %v", len(h.events), from, h.missed, h.events)
			}
			if h.last.Run.State != status.Completed {
				t.Errorf("the last run is %s", h.last.Run.State)
			}
		})
	}
	for range 3 {
		listen("", 0)
	}
	f.say(0, 100)
	_, said, err := f.store.Follow(t.Context(), corp, f.run.ID, "")
	if err != nil || len(said) != 100 {
		t.Fatalf("Follow() = %d messages, %v", len(said), err)
	}
	listen(said[49].ID, 50)
	f.say(100, 499)
	listen("", 0)
	if n := f.hub.Readers(); n != 1 {
		t.Errorf("%d readers for one run", n)
	}
	f.say(499, 500)
	f.finish()
	wg.Wait()
	if n := f.hub.Readers(); n != 0 {
		t.Errorf("%d readers after the last listener left", n)
	}
	late := f.hub.Run(corp, f.run.ID, "")
	defer late.Close()
	if h := hear(t, late, over); len(h.events) != 500 {
		t.Errorf("of a run that is over, %d messages were heard", len(h.events))
	}
}

// TestWhoListensSlowly finds the newest state and what is kept, and learns what is not.
func TestWhoListensSlowly(t *testing.T) {
	t.Parallel()
	const keep = 100
	f := open(t, redistest.Start(t), status.Config{MaxMessages: keep})
	slow, fast := f.hub.Run(corp, f.run.ID, ""), f.hub.Run(corp, f.run.ID, "")
	defer fast.Close()
	said := func(n int) func(heard) bool { return func(h heard) bool { return len(h.events) >= n } }
	f.say(0, 10)
	hear(t, slow, said(10))
	for i := range 10 {
		f.say(10+i*50, 60+i*50)
		if h := hear(t, fast, said(50)); i > 0 && (h.missed || !slices.Equal(h.events, numbers(10+i*50, 60+i*50))) {
			t.Errorf("who kept pace heard %v (missed: %t)", h.events, h.missed)
		}
	}
	h := hear(t, slow, said(keep))
	if want := numbers(410, 510); !slices.Equal(h.events, want) || !h.missed {
		t.Errorf("who slept heard %v (missed: %t), want the last %d", h.events, h.missed, keep)
	}
	slow.Close()
	slow.Close() // twice is once
	if n := f.hub.Readers(); n != 1 {
		t.Errorf("%d readers while one listens", n)
	}
}

// TestMissed checks that a listener is told of messages that are no longer kept, and only of those.
func TestMissed(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	f := open(t, rdb, status.Config{})
	f.say(0, 10)
	_, said, err := f.store.Follow(t.Context(), corp, f.run.ID, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := rdb.XTrimMaxLen(t.Context(), "rollcall:{ldap:corp}:run:"+f.run.ID+":log", 5).Err(); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[string]bool{"": true, said[2].ID: true, said[5].ID: false, said[9].ID: false} {
		l := f.hub.Run(corp, f.run.ID, at)
		h := hear(t, l, func(h heard) bool { return h.last.Run.ID != "" })
		if h.missed != want {
			t.Errorf("after %q: missed = %t, want %t", at, h.missed, want)
		}
		l.Close()
	}
}

// TestCancelled checks that the reports of a worker after a cancellation are heard.
func TestCancelled(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t), status.Config{})
	f.hub = watch.New(f.store, 300*time.Millisecond) // Time enough for what follows.
	l := f.hub.Run(corp, f.run.ID, "")
	defer l.Close()
	if _, err := f.store.Cancel(t.Context(), corp, "ada"); err != nil {
		t.Fatal(err)
	}
	hear(t, l, func(h heard) bool { return h.last.Run.State == status.Cancelled })
	f.lease.Recorder().Log(status.Message{Event: "late"})
	f.lease.Close()
	if h := hear(t, l, over); !slices.Contains(h.events, "late") {
		t.Errorf("heard %v, want what came late", h.events)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t), status.Config{})
	l := f.hub.Head(corp)
	newest := func(want status.Cursor) {
		t.Helper()
		for limit := time.After(time.Minute); ; {
			got, more, err := l.Newest()
			if err != nil || got == want {
				return
			}
			select {
			case <-more:
			case <-limit:
				t.Fatalf("Newest() = %d, want %d", got, want)
			}
		}
	}
	first := f.run
	newest(first.Cursor)
	f.finish()
	f.begin()
	newest(f.run.Cursor)
	run, found, err := f.store.RunAfter(t.Context(), corp, first.Cursor)
	if err != nil || !found || run.ID != f.run.ID {
		t.Errorf("RunAfter() = %s, %t, %v; want %s", run.ID, found, err, f.run.ID)
	}
	if run, found, err = f.store.RunAfter(t.Context(), corp, f.run.Cursor); err != nil || found {
		t.Errorf("RunAfter() the newest = %s, %t, %v; want none", run.ID, found, err)
	}
	l.Close()
	if n := f.hub.Readers(); n != 0 {
		t.Errorf("%d readers after the last listener left", n)
	}
}

func TestRunIsGone(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	f := open(t, rdb, status.Config{})
	l := f.hub.Run(corp, f.run.ID, "")
	defer l.Close()
	hear(t, l, func(h heard) bool { return h.last.Run.ID != "" })
	if err := rdb.FlushDB(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	for limit := time.After(time.Minute); ; {
		_, more, err := l.Take()
		if err != nil {
			if fault.KindOf(err) != fault.NotFound {
				t.Errorf("Take() = %v, want fault.NotFound", err)
			}
			return
		}
		select {
		case <-more:
		case <-limit:
			t.Fatal("nobody noticed")
		}
	}
}
