package jobs

import (
	"context"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/reconcile"
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

// quiet is a source without changes.
type quiet struct {
	lockedOut

	err error
}

// Changes implements source.Delta.
func (q *quiet) Changes(context.Context, source.Cursor) (source.Changes, error) {
	q.polls++
	return source.Changes{Next: source.Cursor{Scope: "s"}}, q.err
}

// unread is a local directory with a source that was never synced.
type unread struct{ reads chan struct{} }

// Around implements source.Neighbours.
func (u unread) Around(context.Context, directory.Neighbourhood) (directory.Snapshot, error) {
	select {
	case u.reads <- struct{}{}:
	default:
	}
	return directory.Snapshot{}, fault.New(fault.Unavailable, "read", source.ErrNotReady)
}

// A worker that does not poll sends the leavers itself that one of its single syncs could not send.
func TestAWorkerThatDoesNotPollSendsItsLeaversAgain(t *testing.T) {
	t.Parallel()
	k, feed, asked := newTicker(t, noon), &quiet{}, make(chan struct{}, 1)
	links := ledger.NewRedis(k.rdb, "google_workspace:1")
	ref := directory.Ref{Kind: directory.User, ID: "u1"}
	if err := links.PutLinks(t.Context(), map[directory.Ref]plan.Link{ref: {RemoteID: "r1"}}); err != nil {
		t.Fatal(err)
	}
	if err := links.Add(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	engine := reconcile.New(reconcile.Config{Ledger: links, Pending: links, Local: unread{asked}})
	w := k.worker(Container{Name: "ldap:corp", Watch: &Watch{Source: feed, Every: 2 * time.Second, Cursor: cursor}},
		Container{Name: "google_workspace:1", Sources: []string{"corp"},
			Engine: func() *reconcile.Engine { return engine }})
	if _, err := k.store.Watch(t.Context(), "ldap:corp", "another", time.Hour); err != nil {
		t.Fatal(err)
	}
	w.outboxes["google_workspace:1"].unsent.Store(true)
	p := &watcher{Worker: w, c: &w.cfg.Containers[0], wait: 2 * time.Second, left: 2 * time.Second}
	for range 2 {
		if err := p.after(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-asked:
	case <-time.After(time.Minute):
		t.Error("the leavers that wait were not sent again")
	}
	if close(w.drain); feed.polls > 0 {
		t.Errorf("%d polls without the right to poll", feed.polls)
	}
	w.loops.Wait()
}

// A source is polled although one of its providers cannot tell which leavers wait for it.
func TestAProviderThatCannotBeReadStopsNoPoll(t *testing.T) {
	t.Parallel()
	k, feed := newTicker(t, noon), &quiet{}
	links := ledger.NewRedis(k.rdb, "google_workspace:1")
	ref := directory.Ref{Kind: directory.User, ID: "u1"}
	if err := links.PutLinks(t.Context(), map[directory.Ref]plan.Link{ref: {RemoteID: "r1"}}); err != nil {
		t.Fatal(err)
	}
	if err := links.Add(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	engine := reconcile.New(reconcile.Config{Ledger: links, Pending: links, Local: unread{}})
	w := k.worker(Container{Name: "ldap:corp", Watch: &Watch{Source: feed, Every: 2 * time.Second, Cursor: cursor}},
		Container{Name: "google_workspace:1", Sources: []string{"corp", "lab"},
			Engine: func() *reconcile.Engine { return engine }})
	p := &watcher{Worker: w, c: &w.cfg.Containers[0], wait: 2 * time.Second, left: 2 * time.Second}
	for range 600 {
		if err := p.after(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	if feed.polls < 300 || !w.outboxes["google_workspace:1"].unsent.Load() {
		t.Errorf("%d polls in ten minutes, want 300 with leavers that still wait", feed.polls)
	}
	close(w.drain)
	w.loops.Wait()
}

// A worker that gets the right to poll polls at once, and from the position of the last run, however long it waited
// after failures of its own.
func TestTheRightToPollIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	k, feed := newTicker(t, noon), &quiet{err: fault.Errorf(fault.Unavailable, "no answer")}
	w := k.worker(Container{Name: "ldap:corp", Watch: &Watch{Source: feed, Every: 2 * time.Second, Cursor: cursor}})
	p := &watcher{Worker: w, c: &w.cfg.Containers[0], wait: 2 * time.Second, left: 2 * time.Second}
	after := func() {
		t.Helper()
		if err := p.after(t.Context(), time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for range 600 {
		after()
	}
	if err := k.rdb.Del(t.Context(), "rollcall:{ldap:corp}:watch").Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := k.store.Watch(t.Context(), "ldap:corp", "another", watchTTL); err != nil {
		t.Fatal(err)
	}
	after()
	if err := k.rdb.Del(t.Context(), "rollcall:{ldap:corp}:watch").Err(); err != nil {
		t.Fatal(err)
	}
	before := feed.polls
	if after(); feed.polls != before+1 || p.wait > 4*time.Second {
		t.Errorf("%d polls with the new right, and the next in %s", feed.polls-before, p.wait)
	}
}

func cursor(context.Context) (source.Cursor, error) { return source.Cursor{Scope: "s"}, nil }
