package e2e

import (
	"net/http"
	"testing"
	"time"

	"rollcall/internal/testclock"
	"rollcall/simulator/graph"
)

// The status of an Entra run in its states, as clients of the contract see it. That every answer conforms to the
// contract's schema is checked wherever an answer is read.
func TestEntraContract(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()}})
	if s := w.status(entra); s.IsRunning || len(s.Tasks) != 0 {
		t.Errorf("before the first run the status is %+v", s)
	}
	w.sync(corp)
	hold, release := make(chan struct{}), make(chan struct{})
	w.onGraph(func(method string) {
		if method == "users.create" {
			select {
			case hold <- struct{}{}:
			default:
			}
			<-release
		}
	})
	live := w.start(entra)
	<-hold
	w.shows(entra, true, "unknown", 1)
	w.refusesAnother(entra, live.ID)
	if code, data := w.call(http.MethodPost, entra+"sync/cancel/", ""); code != http.StatusOK {
		t.Errorf("cancel = %d %s, want 200", code, data)
	}
	close(release)
	w.onGraph(nil)
	if r := w.wait(entra, live.ID); r.State != "cancelled" {
		t.Errorf("the run is %s, want cancelled", r.State)
	}
	w.shows(entra, false, "warning", 1)

	// A quota that stays spent defers the run.
	w.graph.Inject(graph.Fault{Status: http.StatusTooManyRequests, RetryAfter: 40 * time.Second})
	deferred := w.start(entra)
	testclock.Eventually(t, 3*time.Minute, "the run is deferred", func() bool {
		return w.run(entra,
			deferred.ID).State == "deferred"
	})
	w.shows(entra, true, "unknown", 2)
	if code, data := w.call(http.MethodPost, entra+"sync/cancel/", ""); code != http.StatusOK {
		t.Errorf("cancel of a deferred run = %d %s, want 200", code, data)
	}
	w.graph.ClearFaults()
}

// An Entra run that ends well, and one that its tenant denies.
func TestEntraContractEnds(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()}})
	w.hop()
	w.shows(entra, false, "successful", 1)
	if s := w.status(entra); s.Tasks[0].UID == "" || s.Last != "done" {
		t.Errorf("the status is %+v", s)
	}
	w.graph.Inject(graph.Fault{Method: "users.delta", Status: http.StatusForbidden, Code: "Authorization_RequestDenied",
		Message: "Insufficient privileges to complete the operation."})
	r := w.finish(entra)
	if r.State != "failed" || r.FailKind != "denied" {
		t.Errorf("the run is %s (%s), want failed (denied)", r.State, r.FailKind)
	}
	w.mentions(entra, r.ID, "error: ", "Insufficient privileges")
	w.shows(entra, false, "error", 2)
	if code, _ := w.call(http.MethodGet, "/providers/microsoft_entra/2/sync/status/", ""); code != http.StatusNotFound {
		t.Errorf("an unknown provider is answered with %d, want 404", code)
	}
	// Each provider knows its own runs alone.
	if s := w.status(google); len(s.Tasks) != 0 {
		t.Errorf("the other provider shows %+v", s.Tasks)
	}
}
