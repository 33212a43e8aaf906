package e2e

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
	"rollcall/provider/scim/elimitytest"
)

// doorman answers the requests of a server that it does not let in.
type doorman struct {
	refuse atomic.Pointer[http.HandlerFunc]
}

func (d *doorman) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if refuse := d.refuse.Load(); refuse != nil {
			(*refuse)(rw, r)
			return
		}
		next.ServeHTTP(rw, r)
	})
}

// only sets the answer to each request, until it is nil.
func (d *doorman) only(answer http.HandlerFunc) {
	d.refuse.Store(nil)
	if answer != nil {
		d.refuse.Store(&answer)
	}
}

// The status of a SCIM run in its states and the sync of single objects, as clients of the contract see them. That
// every answer conforms to the contract's schema is checked wherever an answer is read.
func TestScimContract(t *testing.T) {
	t.Parallel()
	door, gate := &doorman{}, &scimGate{method: http.MethodPost, path: "/Users", nth: 3}
	gate.open(t)
	server := elimitytest.Start(t, func(next http.Handler) http.Handler { return door.wrap(gate.wrap(next)) })
	w := newWorld(t, options{slapd: small(), provider: []string{toScim(t, server.URL, "token")}})
	if s := w.status(scim); s.IsRunning || len(s.Tasks) != 0 {
		t.Errorf("before the first run the status is %+v", s)
	}
	w.sync(corp)
	live := w.start(scim)
	<-gate.reached
	w.shows(scim, true, "unknown", 1)
	w.refusesAnother(scim, live.ID)
	if code, data := w.call(http.MethodPost, scim+"sync/cancel/", ""); code != http.StatusOK {
		t.Errorf("cancel = %d %s, want 200", code, data)
	}
	gate.release()
	if r := w.wait(scim, live.ID); r.State != "cancelled" {
		t.Errorf("the run is %s, want cancelled", r.State)
	}
	w.shows(scim, false, "warning", 1)
	w.sync(scim)
	w.shows(scim, false, "successful", 2)
	provisioned(t, server, 150, 15, 10)
	w.scimObjects()

	// A quota that stays spent defers the run, and a refused list fails it.
	door.only(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Retry-After", "40")
		rw.WriteHeader(http.StatusTooManyRequests)
	})
	deferred := w.start(scim)
	testclock.Eventually(t, 3*time.Minute, "the run is deferred",
		func() bool { return w.run(scim, deferred.ID).State == "deferred" })
	w.shows(scim, true, "unknown", 3)
	if code, data := w.call(http.MethodPost, scim+"sync/cancel/", ""); code != http.StatusOK {
		t.Errorf("cancel of a deferred run = %d %s, want 200", code, data)
	}
	door.only(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusForbidden) })
	if r := w.finish(scim); r.State != "failed" || r.FailKind != "denied" {
		t.Errorf("the run is %s (%s), want failed (denied)", r.State, r.FailKind)
	}
	w.shows(scim, false, "error", 4)
	code, said := w.objectAt(scim, modelUser, slapdtest.UUID(2))
	if code != http.StatusOK || !strings.Contains(said, "error: ") {
		t.Errorf("an object of a server that refuses = %d %q, want 200 and an error", code, said)
	}
	door.only(nil)
	if code, _ := w.call(http.MethodGet, "/providers/scim/2/sync/status/", ""); code != http.StatusNotFound {
		t.Errorf("an unknown provider is answered with %d, want 404", code)
	}
	if s := w.status(google); len(s.Tasks) != 0 {
		t.Errorf("another provider shows %+v", s)
	}
}

// scimObjects syncs single entries: unchanged, changed, renamed, new, gone and back, and several at once.
func (w *world) scimObjects() {
	w.Helper()
	says := func(model, id string, texts ...string) {
		w.Helper()
		if code, said := w.objectAt(scim, model, id); code != http.StatusOK || !hasAll(said, texts...) {
			w.Errorf("sync of %s = %d %q, want 200 and %q", id, code, said, texts)
		}
	}
	e, id, group := w.editor(), slapdtest.UUID(1), slapdtest.UUID(slapdtest.GroupUUIDs+2)
	says(modelUser, id, "Nothing to change.")
	e.set(slapdtest.UserDN(1), "sn", "Smith")
	says(modelUser, id, "info: Updated u000001@example.org.")
	says(modelGroup, group, "Nothing to change.")
	e.member(slapdtest.GroupDN(2), slapdtest.UserDN(5), true)
	says(modelGroup, group, "info: Added u000005 to g00002.")
	e.member(slapdtest.GroupDN(2), slapdtest.UserDN(5), false)
	says(modelGroup, group, "Removed u000005 from g00002.")
	e.set(slapdtest.UserDN(6), "mail", "renamed@"+domain)
	says(modelUser, slapdtest.UUID(6), "Updated renamed@"+domain)
	e.person(150, "")
	says(modelUser, slapdtest.UUID(150), "Created u000150@example.org.")
	says(modelUser, "u000150", "Nothing to change.")
	e.lock(3, true)
	says(modelUser, slapdtest.UUID(3), "Suspended u000003@example.org: the entry is disabled.")
	e.lock(3, false)
	says(modelUser, slapdtest.UUID(3), "Restored u000003@example.org.")
	if code, said := w.objectAt(scim, modelUser, "nobody"); code != http.StatusBadRequest ||
		!strings.Contains(said, "sync_object_id") {
		w.Errorf("an unknown entry = %d %s, want 400 on sync_object_id", code, said)
	}
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() { says(modelUser, slapdtest.UUID(10+n), "Nothing to change.") })
	}
	all.Wait()
}
