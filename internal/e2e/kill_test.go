package e2e

import (
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
)

// small is a directory with a first provisioning of some hundred writes.
func small() slapdtest.Options { return slapdtest.Options{LDIF: slapdtest.Generate(150, 15, 10)} }

// midway starts a provider sync and returns when the tenant has been asked for its nth write. The tenant carries out
// that one and the later ones after goOn, so that much is left to do however slow the test is.
func (w *world) midway(n int64) (id string, goOn func()) {
	w.Helper()
	reached, free := make(chan struct{}), make(chan struct{})
	goOn = sync.OnceFunc(func() { close(free) })
	w.Cleanup(goOn)
	var count atomic.Int64
	w.onRequest(func(method string) {
		if !writing(method) {
			return
		}
		at := count.Add(1)
		if at == n {
			close(reached)
		}
		if at >= n {
			<-free
		}
	})
	id = w.start(google).ID
	select {
	case <-reached:
	case <-time.After(3 * time.Minute):
		w.Fatalf("the tenant has seen %d writes, want %d", count.Load(), n)
	}
	return id, goOn
}

// victim returns the worker that has the run, and another one, or nil.
func (w *world) victim(container, id string) (has, other *process) {
	w.Helper()
	testclock.Eventually(w, 3*time.Minute, "a worker has the run", func() bool {
		name := w.run(container, id).Worker
		for _, p := range w.workers {
			if name == p.worker(w) {
				has = p
			}
		}
		return has != nil
	})
	for _, p := range w.workers {
		if p != has {
			other = p
		}
	}
	return has, other
}

// undisturbed fails the test unless everything is as if nothing had happened on the way.
func (w *world) undisturbed(users, groups int) {
	w.Helper()
	w.onRequest(nil)
	w.converged(nil)
	made := w.writes()
	if made["directory.users.delete"]+made["directory.groups.delete"]+made["directory.members.delete"] > 0 {
		w.Errorf("something was deleted on the way: %v", made)
	}
	if u, g := len(w.tenant.Users())-1, len(w.tenant.Groups()); u != users || g != groups {
		w.Errorf("the tenant has %d users and %d groups, want %d and %d", u, g, users, groups)
	}
	w.idle()
}

// A worker that is killed in the middle of a provider sync loses and doubles nothing. Another worker has its run
// within 25 seconds.
func TestKillNineMidSync(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		workers int
		at      int64 // which write: 150 users come first, then 15 groups, then 150 memberships
	}{
		{"another worker runs", 2, 100}, {"another worker is started", 1, 100},
		{"at the first write", 2, 1}, {"among the groups", 2, 155}, {"among the memberships", 2, 250},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, options{slapd: small(), workers: tc.workers})
			w.sync(corp)
			w.killed(w.midway(tc.at))
			w.undisturbed(150, 15)
		})
	}
}

// killed kills the worker that has the run with signal 9 and waits until another one has ended it well.
func (w *world) killed(id string, goOn func()) {
	w.Helper()
	has, other := w.victim(google, id)
	has.kill()
	died, next := time.Now(), make(chan time.Time, 1)
	goOn() // What the dead worker asked for is still carried out.
	w.serving.ended(w)
	w.onRequest(func(method string) {
		if !writing(method) {
			return
		}
		select {
		case next <- time.Now():
		default:
		}
	})
	if other == nil {
		w.startWorker()
	}
	testclock.Eventually(w, 25*time.Second, "is_running is false, or another worker has the run", func() bool {
		r := w.run(google, id)
		return !w.status(google).IsRunning || r.Resumes > 0 && r.State == "running" && r.Worker != has.worker(w)
	})
	if r := w.wait(google, id); r.Status != "successful" || r.Resumes != 1 {
		w.Errorf("the run is %s (%s) after %d resumes: %s", r.State, r.Status, r.Resumes, r.Reason)
	}
	select {
	case at := <-next:
		w.Logf("take-over: the next write came %.1f s after the death", at.Sub(died).Seconds())
	default:
		w.Errorf("the worker that took over wrote nothing")
	}
}

// Suspensions that a dead worker made are still known for ours.
func TestKillNineWhileSuspending(t *testing.T) {
	t.Parallel()
	// The daily limit is seven, and seven leave. What the dead worker had begun must not count twice.
	o := options{slapd: small(), workers: 2}
	w := newWorld(t, o)
	w.both()
	before := w.accounts()
	e := w.editor()
	left := map[string]person{}
	for n := range 7 {
		left[slapdtest.UUID(n)] = before.People[slapdtest.UUID(n)]
		e.remove(slapdtest.UserDN(n))
	}
	w.sync(corp)
	w.killed(w.midway(3))
	w.onRequest(nil)
	w.converged(left)
	for n := range 7 {
		e.person(n, "")
	}
	w.both()
	w.same(before)
	w.idle()
}

// With no worker left, is_running becomes false, a new start is accepted and closes what was left open.
func TestKillNineOfTheOnlyWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	w.sync(corp)
	id, goOn := w.midway(50)
	w.workers[0].kill()
	goOn()
	testclock.Eventually(t, 25*time.Second, "is_running is false", func() bool { return !w.status(google).IsRunning })
	second := w.start(google)
	if r := w.run(google, id); r.State != "expired" {
		t.Errorf("the run of the dead worker is %s, want expired", r.State)
	}
	w.startWorker()
	if r := w.wait(google, second.ID); r.Status != "successful" {
		t.Errorf("the next run is %s (%s): %s", r.State, r.Status, r.Reason)
	}
	w.undisturbed(150, 15)
}

// A worker that is told to stop hands its run back at the next safe point, and another one goes on at once.
func TestDrain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), workers: 2})
	w.sync(corp)
	id, goOn := w.midway(100)
	has, _ := w.victim(google, id)
	w.onRequest(func(string) { time.Sleep(20 * time.Millisecond) }) // The signal comes before the end of the run.
	goOn()
	has.stop(t)
	w.onRequest(nil)
	// A run that was found after the end of its lease would be resumed.
	if r := w.wait(google, id); r.Status != "successful" || r.Resumes != 0 {
		t.Errorf("the run is %s (%s) after %d resumes: %s", r.State, r.Status, r.Resumes, r.Reason)
	}
	w.undisturbed(150, 15)
}

// The API is not needed for a run to go on.
func TestKillNineOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	w.sync(corp)
	id, goOn := w.midway(50)
	w.api.kill()
	w.startAPI()
	if s := w.status(google); !s.IsRunning || len(s.Tasks) != 1 || s.Tasks[0].UID != id {
		t.Errorf("after a restart of the API the status is %+v, want run %s", s, id)
	}
	goOn()
	if r := w.wait(google, id); r.Status != "successful" || r.Resumes != 0 {
		t.Errorf("the run is %s (%s) after %d resumes: %s", r.State, r.Status, r.Resumes, r.Reason)
	}
	w.undisturbed(150, 15)
}

// A worker that was frozen past its lease, and thaws while another one works, writes nothing any more.
func TestFrozenWorker(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), workers: 2})
	w.sync(corp)
	id, goOn := w.midway(100)
	has, other := w.victim(google, id)
	has.signal(t, syscall.SIGSTOP)
	goOn()
	testclock.Eventually(t, 3*time.Minute, "the other worker has the run",
		func() bool { return w.run(google, id).Worker == other.worker(t) })
	has.signal(t, syscall.SIGCONT)
	if r := w.wait(google, id); r.Status != "successful" {
		t.Errorf("the run is %s (%s): %s", r.State, r.Status, r.Reason)
	}
	w.undisturbed(150, 15)
}
