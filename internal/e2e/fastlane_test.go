package e2e

import (
	"flag"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/internal/testclock"
	"rollcall/provider/scim/elimitytest"
)

// fastKills is how often TestKillNineBeforeASuspension kills. 30 make it thorough, and bound the time of each:
// go test ./internal/e2e -run TestKillNineBeforeASuspension -timeout 0 -args -fastlane.kills=30.
var fastKills = flag.Int("fastlane.kills", 2, "how many workers TestKillNineBeforeASuspension kills")

// followed is a directory that tells its changes, with limits that allow many leavers.
func followed(provider ...string) options {
	const limits = "limits: {leave: {at_least: 100}}"
	o := options{slapd: small(), source: []string{"delta_every: 2s", limits},
		provider: append([]string{limits}, provider...)}
	o.slapd.SyncProv, o.slapd.SessionLog = true, 1000
	return o
}

// until waits until the nth user is suspended at Google, and returns how long that took.
func (w *world) until(n int, since time.Time) time.Duration {
	w.Helper()
	testclock.Eventually(w, 2*time.Minute, address(n)+" is suspended", func() bool { return w.user(address(n)).Suspended })
	return time.Since(since)
}

// A worker dies after it has noticed a leaver and before the tenant has suspended the account: when the local directory
// has the leaver and the tenant is asked about it, when the leaver was put into the queue, or in the request that
// suspends. That request is carried out, or never arrives. The next worker suspends the account, and nothing is lost.
// No schedule starts a run of the provider.
func TestKillNineBeforeASuspension(t *testing.T) {
	t.Parallel()
	w := newWorld(t, followed())
	e := w.editor()
	w.both()
	var took []time.Duration
	for n := range *fastKills {
		w.startOrKeep()
		reached, free := make(chan struct{}), make(chan struct{})
		var first atomic.Bool
		w.onRequest(func(method string) {
			if (writing(method) || n%4 == 0) && !first.Swap(true) {
				close(reached)
				<-free
			}
		})
		last := w.workers[len(w.workers)-1]
		since := time.Now()
		e.lock(n, true)
		if n%4 == 2 {
			last.says(w, "leaver sent ahead")
		} else {
			select {
			case <-reached:
			case <-time.After(3 * time.Minute):
				t.Fatalf("the tenant is not asked about %s", address(n))
			}
		}
		last.kill()
		w.onRequest(nil)
		w.startWorker()
		if n%4 != 1 { // The request of the dead worker is carried out.
			close(free)
		}
		took = append(took, w.until(n, since))
		if n%4 == 1 {
			close(free)
		}
		w.serving.ended(w)
	}
	slices.Sort(took)
	t.Logf("%d workers were killed; until suspended: median %v, slowest %v", len(took), took[len(took)/2],
		took[len(took)-1])
	if slowest := took[len(took)-1]; *fastKills >= 30 && slowest > 30*time.Second {
		t.Errorf("the slowest leaver was suspended after %v, want 30 s at most", slowest)
	}
	w.sync(google)
	w.idle()
}

// startOrKeep makes sure that a worker lives.
func (w *world) startOrKeep() {
	w.Helper()
	if w.workers[len(w.workers)-1].killed.Load() {
		w.startWorker()
	}
}

// A tenant that accepts connections and never answers delays no other: leavers are out of the live tenant ahead of
// every run. The run of the silent one is deferred, the API answers, and after the silence the leaver is out there,
// too.
func TestASilentTenantBesideALiveOne(t *testing.T) {
	t.Parallel()
	var silent atomic.Bool
	over := make(chan struct{})
	server := elimitytest.Start(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if silent.Load() {
				select {
				case <-over:
				case <-r.Context().Done():
					return
				}
			}
			next.ServeHTTP(rw, r)
		})
	})
	o := followed(toScim(t, server.URL, "token"))
	w := newWorld(t, o)
	e := w.editor()
	w.both()
	w.sync(scim)
	silent.Store(true)
	id := w.start(scim).ID
	since := time.Now()
	e.lock(1, true)
	took := w.until(1, since)
	if r := w.run(scim, id); !r.open() {
		t.Errorf("the run of the silent tenant is %s (%s): %s", r.State, r.Status, r.Reason)
	}
	testclock.Eventually(t, 2*time.Minute, "the run of the silent tenant is deferred",
		func() bool { return w.run(scim, id).State == "deferred" })
	e.lock(2, true)
	again := w.until(2, time.Now())
	for _, c := range []string{scim, google, corp} {
		w.status(c)
	}
	t.Logf("beside a silent tenant, until suspended at the live one: %v and %v", took, again)
	if n := server.Users("active")["false"]; n != 0 {
		t.Fatalf("the silent tenant has %d suspended accounts, want none yet", n)
	}
	silent.Store(false)
	close(over)
	testclock.Eventually(t, 2*time.Minute, "the leavers are out of the tenant that answers again", func() bool {
		return server.Users("active")["false"] == 2
	})
	if u := w.user(address(3)); u.Suspended {
		t.Error(fmt.Sprint(address(3), " is suspended and did not leave"))
	}
}
