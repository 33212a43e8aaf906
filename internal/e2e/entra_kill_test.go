package e2e

import (
	"testing"
	"time"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
)

// entraKilled kills the worker that has the run with signal 9 and waits until another one has ended it well.
func (w *entraWorld) entraKilled(id string, release func()) {
	w.Helper()
	defer release()
	has, _ := w.victim(entra, id)
	has.kill()
	release()
	w.onGraph(nil)
	testclock.Eventually(w, 3*time.Minute, "another worker has the run",
		func() bool { return w.run(entra, id).Resumes > 0 })
	if r := w.wait(entra, id); r.Status != "successful" || r.Resumes != 1 {
		w.Errorf("the run is %s (%s) after %d resumes: %s", r.State, r.Status, r.Resumes, r.Reason)
	}
}

// A worker that is killed in the middle of an Entra sync loses nothing and doubles nothing, whatever it was at.
func TestEntraKillNineMidSync(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, method string
		at           int64
	}{{"among the users", "users.create", 70}, {"among the groups", "groups.update", 5},
		{"among the memberships", "groups.update", 20}} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := newEntraWorld(t, entraOptions{options: options{slapd: small(), workers: 2}})
			w.sync(corp)
			w.entraKilled(w.at(tc.method, tc.at))
			w.graphConverged(nil, 0)
			made := w.graphWrites()
			if made["users.delete"]+made["groups.delete"]+made["members.remove"] > 0 {
				t.Errorf("something was deleted on the way: %v", made)
			}
			w.graphIdle()
		})
	}
}

// Suspensions that a dead worker made are still known for ours, although no mark is on the accounts.
func TestEntraKillNineWhileSuspending(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(300, 15, 10)},
		workers: 2}})
	w.hop()
	before := w.entraState()
	e, left := w.editor(), map[string]person{}
	for n := range 7 {
		left[slapdtest.UUID(n)] = before.People[slapdtest.UUID(n)]
		e.remove(slapdtest.UserDN(n))
	}
	w.sync(corp)
	w.entraKilled(w.at("users.update", 3))
	w.graphConverged(left, 0)
	for n := range 7 {
		e.person(n, "")
	}
	w.hop()
	w.graphSame(before)
	w.graphIdle()
}
