package jobs

import (
	"context"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/source"
	"rollcall/status"
)

// lockedOut is a source that refuses the password.
type lockedOut struct{ polls int }

// Changes implements source.Delta.
func (l *lockedOut) Changes(context.Context, source.Cursor) (source.Changes, error) {
	l.polls++
	return source.Changes{}, fault.Errorf(fault.Denied, "the password is wrong")
}

// Holders implements source.Delta.
func (l *lockedOut) Holders(context.Context, []directory.Entry) ([]directory.Ref, error) {
	return nil, nil
}

// More workers make no more attempts with a password that is refused, because that could lock the account. When the
// worker that polls dies, another one polls soon after.
func TestOneWorkerPolls(t *testing.T) {
	t.Parallel()
	k := newTicker(t, noon)
	feed := &lockedOut{}
	watch := Watch{Source: feed, Every: 2 * time.Second, Cursor: func(context.Context) (source.Cursor, error) {
		return source.Cursor{Scope: "s"}, nil
	}}
	watchers := make([]*watcher, 3)
	for i := range watchers {
		k.clock.Advance(time.Second) // The name of a worker is its start.
		w := k.worker(Container{Name: "ldap:corp", Watch: &watch})
		watchers[i] = &watcher{Worker: w, c: &w.cfg.Containers[0], wait: watch.Every, left: watch.Every}
	}
	// pass lets a time pass for the workers and for the key on Redis.
	pass := func(total time.Duration, alive ...*watcher) {
		t.Helper()
		for step := time.Second; total > 0; total -= step {
			ttl := k.rdb.PTTL(t.Context(), "rollcall:{ldap:corp}:watch").Val()
			if err := k.rdb.PExpire(t.Context(), "rollcall:{ldap:corp}:watch", ttl-step).Err(); err != nil {
				t.Fatal(err)
			}
			for _, p := range alive {
				if err := p.after(t.Context(), step); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if pass(5*time.Minute, watchers...); feed.polls != 1 {
		t.Errorf("three workers made %d attempts in the first five minutes, want 1", feed.polls)
	}
	if pass(watchTTL+watch.Every, watchers[1:]...); feed.polls != 2 {
		t.Errorf("after the death of the worker that polled %d attempts were made, want one more", feed.polls)
	}
}

func TestPollsBeforeTheFirstRun(t *testing.T) {
	t.Parallel()
	k := newTicker(t, noon)
	w := k.worker(Container{Name: "ldap:corp", Watch: &Watch{Source: &lockedOut{}, Every: time.Second,
		Cursor: func(context.Context) (source.Cursor, error) { return source.Cursor{}, nil }}})
	p := &watcher{Worker: w, c: &w.cfg.Containers[0], wait: time.Second}
	says := func(want string) {
		t.Helper()
		if err := p.after(t.Context(), time.Hour); err != nil {
			t.Fatal(err)
		}
		if got, err := k.store.Poll(t.Context(), "ldap:corp"); err != nil || !strings.Contains(got.Reason, want) {
			t.Errorf("Poll() = %+v, %v, want %q", got, err, want)
		}
	}
	says("no full run has completed yet")
	run, err := k.store.Start(t.Context(), status.StartRequest{Container: "ldap:corp"})
	if err != nil {
		t.Fatal(err)
	}
	lease, err := k.store.Acquire(t.Context(), "ldap:corp", run.ID, run.Epoch, "w")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lease.Finish(t.Context(), status.End{State: status.Completed}); err != nil {
		t.Fatal(err)
	}
	says("its messages say why")
}
