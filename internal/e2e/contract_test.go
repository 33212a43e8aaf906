package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
	simulator "rollcall/simulator/googleworkspace"
)

// The status of a run in each of its states, as clients of the contract see it. That every answer conforms to the
// contract's schema is checked wherever an answer is read.
func TestContract(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), workers: -1})
	if s := w.status(google); s.IsRunning || len(s.Tasks) != 0 {
		t.Errorf("before the first run the status is %+v", s)
	}
	source := w.start(corp)
	w.shows(corp, true, "unknown", 3)
	w.refusesAnother(corp, source.ID)
	worker := w.startWorker()
	w.wait(corp, source.ID)
	w.shows(corp, false, "successful", 3)

	// Running, and cancelled by a person.
	hold, release := make(chan struct{}), make(chan struct{})
	w.onRequest(func(method string) {
		if method == "directory.users.insert" {
			select {
			case hold <- struct{}{}:
			default:
			}
			<-release
		}
	})
	live := w.start(google)
	<-hold
	w.shows(google, true, "unknown", 1)
	w.refusesAnother(google, live.ID)
	code, data := w.call(http.MethodPost, google+"sync/cancel/", "")
	if code != http.StatusOK {
		t.Errorf("cancel = %d %s, want 200", code, data)
	}
	close(release)
	w.onRequest(nil)
	if r := w.wait(google, live.ID); r.State != "cancelled" {
		t.Errorf("the run is %s, want cancelled", r.State)
	}
	w.shows(google, false, "warning", 1)
	w.mentions(google, live.ID, "ancelled", "tester")
	if code, _ := w.call(http.MethodPost, google+"sync/cancel/", ""); code != http.StatusConflict {
		t.Errorf("cancel without a run = %d, want 409", code)
	}

	// Finished.
	w.sync(google)
	w.shows(google, false, "successful", 2)
	w.converged(nil)

	// Failed.
	w.tenant.Inject(simulator.Fault{Method: "directory.domains.list", Effect: simulator.Refuse, Status: 403,
		Code: "forbidden", Message: "Not Authorized to access this resource/api"})
	if r := w.finish(google); r.State != "failed" || r.FailKind != "denied" {
		t.Errorf("the run is %s (%s), want failed (denied)", r.State, r.FailKind)
	}
	w.shows(google, false, "error", 3)
	w.tenant.ClearFaults()

	// Held.
	e := w.editor()
	for n := range 40 {
		e.remove(slapdtest.UserDN(n))
	}
	w.finish(corp)
	w.shows(corp, false, "warning", 6)

	// Only the last ten runs are shown.
	for range 12 {
		w.finish(google)
	}
	w.shows(google, false, "successful", 10)
	worker.stop(t)
}

// shows fails the test unless the sync status shows so many tasks, the newest one in this state.
func (w *world) shows(container string, running bool, status string, tasks int) {
	w.Helper()
	s := w.status(container)
	if s.IsRunning != running || len(s.Tasks) != tasks || s.Tasks[0].Status != status {
		w.Errorf("%s: running %v, %d tasks, the first %+v; want %v, %d and %s", container, s.IsRunning, len(s.Tasks),
			s.Tasks[:min(1, len(s.Tasks))], running, tasks, status)
	}
}

// refusesAnother starts a run while one is live.
func (w *world) refusesAnother(container, live string) {
	w.Helper()
	code, data := w.call(http.MethodPost, container+"sync/", "")
	if code != http.StatusConflict || !strings.Contains(string(data), live) {
		w.Errorf("a second start = %d %s, want 409 with run %s", code, data, live)
	}
}

// A quota that stays spent defers the run, which waits without a worker and is shown as live.
func TestContractDeferred(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	w.sync(corp)
	w.tenant.Inject(simulator.Fault{
		Effect: simulator.Refuse, Status: http.StatusTooManyRequests, Code: "rateLimitExceeded",
		Message: "Rate Limit Exceeded", RetryAfter: 40 * time.Second, Times: 1,
	})
	id := w.start(google).ID
	testclock.Eventually(t, 3*time.Minute, "the run is deferred",
		func() bool { return w.run(google, id).State == "deferred" })
	w.shows(google, true, "unknown", 1)
	w.refusesAnother(google, id)
	if code, data := w.call(http.MethodPost, google+"sync/cancel/", ""); code != http.StatusOK {
		t.Errorf("cancel of a deferred run = %d %s, want 200", code, data)
	}
	w.shows(google, false, "warning", 1)
	if n := len(w.tenant.Users()); n != 1 {
		t.Errorf("the tenant has %d accounts, want the administrator alone", n)
	}
}

// A dry run shows what would be done, and does nothing.
func TestDryRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	w.sync(corp)
	code, data := w.call(http.MethodPost, google+"sync/?dry_run=true", "")
	if code != http.StatusAccepted {
		t.Fatalf("dry run = %d %s", code, data)
	}
	var r run
	w.decode(data, &r)
	if r = w.wait(google, r.ID); r.State != "completed" || r.planned() != 315 || len(r.made()) != 0 {
		t.Errorf("the dry run is %s, planned %d, made %v; want 315 planned and none made", r.State, r.planned(), r.made())
	}
	if made := w.writes(); len(made) > 0 {
		t.Errorf("the dry run wrote: %v", made)
	}
	w.sync(google)
	w.converged(nil)
}
