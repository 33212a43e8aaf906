package e2e

import (
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
)

func (w *world) flush() {
	w.Helper()
	// The id of the data is put back, so that the sources do not start by themselves. The tests decide when they are read.
	const key = "rollcall:{workers}:data"
	id := w.redis.Get(w.Context(), key).Val()
	_, err := w.redis.TxPipelined(w.Context(), func(p redis.Pipeliner) error {
		p.FlushAll(w.Context())
		p.Set(w.Context(), key, id, 0)
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}

// After Redis has lost everything the sources are read by themselves, and the providers follow.
func TestSourcesStartAfterALoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	w.both()
	before := w.accounts()
	if err := w.redis.FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	testclock.Eventually(t, 3*time.Minute, "the source was read by itself", func() bool {
		s := w.status(corp)
		return !s.IsRunning && s.Last == "done"
	})
	w.sync(google)
	w.same(before)
}

// refused runs a provider sync that has to fail for a reason that names the source, without a call that writes.
func (w *world) refused(because ...string) {
	w.Helper()
	w.wasRefused(w.attempted(), because...)
}

// attempted is a provider sync after which the calls of the tenant are those of the sync.
func (w *world) attempted() run {
	w.Helper()
	w.serving.ended(w)
	w.tenant.ResetCalls()
	return w.finish(google)
}

func (w *world) wasRefused(r run, because ...string) {
	w.Helper()
	if r.State != "failed" || r.Status != "error" || !hasAll(r.Reason, because...) {
		w.Errorf("the provider sync is %s (%s): %q, want failed and %q", r.State, r.Status, r.Reason, because)
	}
	if made := w.writes(); len(made) > 0 {
		w.Errorf("it wrote all the same: %v", made)
	}
	w.mentions(google, r.ID, because...)
	if s := w.status(google); s.IsRunning || s.Last != "error" || s.Tasks[0].Status != "error" {
		w.Errorf("the status is %+v, want an error", s)
	}
}

// Redis holds nothing that cannot be had again. Losing it costs a slow run.
func TestFlushAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	w.refused("ldap:corp", "has never completed a sync", "run it first")
	w.both()

	e := w.editor()
	left := map[string]person{}
	for _, n := range []int{3, 4, 5} { // What the ledger knew of them is lost, too.
		left[slapdtest.UUID(n)] = w.directory().People[slapdtest.UUID(n)]
		e.remove(slapdtest.UserDN(n))
	}
	w.both()
	w.converged(left)

	w.flush()
	w.refused("ldap:corp", "has never completed a sync", "run it first")
	w.idleAfterFlush(left)

	// A person comes back whose departure is recorded only by the mark on the account.
	w.flush()
	e.person(3, "")
	delete(left, slapdtest.UUID(3))
	w.sync(corp)
	if r := w.finish(google); r.Status != "warning" || r.Held != 1 || len(r.made()) != 0 {
		t.Errorf("the first run after the loss is %s, held %d and made %v; want the restoration held", r.Status, r.Held,
			r.made())
	}
	w.sync(google)
	w.converged(left)
}

// idleAfterFlush syncs and fails the test if the tenant is written.
func (w *world) idleAfterFlush(left map[string]person) {
	w.Helper()
	w.tenant.ResetCalls()
	w.both()
	if made := w.writes(); len(made) > 0 {
		w.Errorf("after FLUSHALL the tenant was written: %v", made)
	}
	w.converged(left)
	w.idle()
}

// A directory that is half gone is in doubt, although nothing here remembers the other half.
func TestFlushAllAndHalfTheDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	w.both()
	before := w.accounts()
	w.flush()
	w.editor().removeTree(slapdtest.People, "(&(objectClass=inetOrgPerson)(|(uid=u0000*)(uid=u00010*)))")
	w.sync(corp)
	w.tenant.ResetCalls()
	if r := w.finish(google); r.Status != "warning" || r.Held == 0 {
		t.Errorf("the provider sync is %s, held %d, want a warning", r.Status, r.Held)
	}
	if made := w.writes(); len(made) > 0 {
		t.Errorf("it wrote: %v", made)
	}
	w.same(before)
}

// Redis loses everything in the middle of a provider sync. The run stops before its next write.
func TestFlushAllMidSync(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), workers: 2})
	w.sync(corp)
	id, goOn := w.midway(100)
	w.flush()
	goOn()
	testclock.Eventually(t, 3*time.Minute, "is_running is false", func() bool { return !w.status(google).IsRunning })
	if code, _ := w.call(http.MethodGet, google+"sync/runs/"+id+"/", ""); code != http.StatusNotFound {
		t.Errorf("the lost run is answered with %d, want 404", code)
	}
	// Writes that were on their way arrive; nothing follows them.
	testclock.Eventually(t, 3*time.Minute, "the worker lets go of the run", func() bool {
		return slices.ContainsFunc(w.workers, func(p *process) bool {
			return p.find("run handed back") != nil || p.find("run left to others") != nil
		})
	})
	w.onRequest(nil)
	w.refused("ldap:corp", "has never completed a sync")
	w.both()
	w.undisturbed(150, 15)
}

// people is how many make a source run write for long enough to be caught at it.
const people = 2000

// A provider never sees a directory that is being written, or one whose writer died. The source run is resumed.
func TestProviderDuringSourceRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(people, 30, 10)}, workers: 2})
	w.both()
	e := w.editor()
	var before state
	var r run
	var id string
	var has *process
	for attempt := range 5 {
		before = w.accounts()
		for n := range people {
			e.set(slapdtest.UserDN(n), "title", strings.Repeat("Chief ", attempt)+"Director")
		}
		id, has = w.freezeWriting(e)
		if r = w.attempted(); r.State == "failed" || w.run(corp, id).Resumes == 0 {
			break
		}
		has.signal(w, syscall.SIGCONT) // On a busy machine the other worker may have taken the source over before it read it.
		w.wait(corp, id)
	}
	w.wasRefused(r, "ldap:corp", "is being written by run "+id)
	w.same(before)
	has.kill()
	if r := w.wait(corp, id); r.State != "completed" || r.Resumes != 1 {
		t.Errorf("the source run is %s after %d resumes: %s", r.State, r.Resumes, r.Reason)
	}
	w.sync(google)
	w.converged(nil)
	w.idle()
}

// freezeWriting starts a source run and stops its worker from running while it writes.
func (w *world) freezeWriting(e *editor) (id string, has *process) {
	w.Helper()
	mark := func() string {
		run, _ := w.redis.HGet(w.Context(), "rollcall:{ldap:corp}:dir:meta", "run").Result()
		return run
	}
	for attempt := range 10 {
		id = w.start(corp).ID
		has, _ = w.victim(corp, id)
		for n, r := 1, (run{State: "queued"}); mark() != id && r.open(); n++ {
			if n%100 == 0 {
				r = w.run(corp, id)
			}
		}
		has.signal(w, syscall.SIGSTOP)
		if mark() == id {
			return id, has
		}
		has.signal(w, syscall.SIGCONT) // Too late: it was done.
		w.wait(corp, id)
		for n := range people {
			e.set(slapdtest.UserDN(n), "title", strings.Repeat("Vice ", attempt+1)+"Director")
		}
	}
	w.Fatal("a source run is never caught while it writes")
	return "", nil
}
