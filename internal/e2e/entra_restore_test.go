package e2e

import (
	"fmt"
	"testing"
	"time"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
	"rollcall/simulator/graph"
)

// A worker that dies while it restores deleted users leaves no account disabled and makes no twin.
func TestEntraKillNineWhileRestoring(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"deletedItems.restore", "users.update"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			const leavers = 3 // Suspended and deleted on one day they count twice, of seven who may go.
			w := newEntraWorld(t, entraOptions{
				options: options{slapd: small(), workers: 2}, lines: []string{"user_delete_action: delete", "delete_after: 1s"},
			})
			w.hop()
			before := w.entraState()
			e := w.editor()
			for n := range leavers {
				e.remove(slapdtest.UserDN(n))
			}
			w.hop()
			testclock.Eventually(t, 3*time.Minute, "the accounts are deleted", func() bool {
				w.sync(entra)
				return len(w.graph.DeletedUsers()) == leavers
			})
			for n := range leavers {
				e.person(n, "")
			}
			w.sync(corp)
			w.entraKilled(w.at(method, 2))
			w.graphSame(before)
			if n := len(w.graph.DeletedUsers()); n > 0 {
				t.Errorf("%d accounts are left among the deleted items", n)
			}
			w.graphConverged(nil, 0)
			w.graphIdle()
		})
	}
}

// Redis loses everything in the middle of an Entra sync. The run stops, and the next one does nothing twice.
func TestEntraFlushAllMidSync(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small(), workers: 2}})
	w.sync(corp)
	_, release := w.at("users.create", 60)
	defer release()
	w.flush()
	release()
	testclock.Eventually(t, 3*time.Minute, "is_running is false", func() bool { return !w.status(entra).IsRunning })
	testclock.Eventually(t, 3*time.Minute, "the worker lets go of the run", func() bool {
		for _, p := range w.workers {
			if p.find("run handed back") != nil || p.find("run left to others") != nil {
				return true
			}
		}
		return false
	})
	w.onGraph(nil)
	w.entraRefused("ldap:corp", "has never completed a sync")
	w.hop()
	w.graphConverged(nil, 0)
	w.graphIdle()
}

// Through errors of every kind at once the tenant becomes what the directory says.
func TestEntraInBadWeather(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()}, graph: graph.Config{Seed: 7}})
	w.sync(corp)
	for _, f := range []graph.Fault{
		{Scope: graph.InBatch, Status: 429, RetryAfter: 50 * time.Millisecond, Probability: 0.1},
		{Scope: graph.Alone, Status: 503, Probability: 0.05, RetryAfter: 50 * time.Millisecond},
		{Method: "batch", Effect: graph.LoseAnswer, Probability: 0.05},
		{Method: "users.create", Effect: graph.LoseAnswer, Probability: 0.05},
	} {
		w.graph.Inject(f)
	}
	w.graph.SetConsistency(graph.Consistency{Create: 300 * time.Millisecond, Read: 300 * time.Millisecond})
	var said string
	for range 3 {
		r := w.finish(entra)
		said = fmt.Sprintf("%s (%s): %s", r.State, r.Status, r.Reason)
		if r.Status == "successful" {
			break
		}
	}
	t.Log("the last run in bad weather is " + said)
	w.graph.ClearFaults()
	w.graph.SetConsistency(graph.Consistency{})
	w.sync(entra)
	w.graphConverged(nil, 0)
	w.graphIdle()
}
