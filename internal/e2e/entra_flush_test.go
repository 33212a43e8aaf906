package e2e

import (
	"testing"
	"time"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
)

// entraRefused runs an Entra sync that has to fail for a reason that names the source, without a call that writes.
func (w *entraWorld) entraRefused(because ...string) {
	w.Helper()
	w.graphServing.ended(w)
	w.graph.ResetCalls()
	r := w.finish(entra)
	if r.State != "failed" || r.Status != "error" || !hasAll(r.Reason, because...) {
		w.Errorf("the Entra sync is %s (%s): %q, want failed and %q", r.State, r.Status, r.Reason, because)
	}
	if made := w.graphWrites(); len(made) > 0 {
		w.Errorf("it wrote all the same: %v", made)
	}
}

// Everything that Redis holds of an Entra tenant can be learnt again by a slow run, except who suspended an account.
// Those accounts stay suspended, and a message names them.
func TestEntraFlushAll(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()}})
	w.entraRefused("ldap:corp", "has never completed a sync", "run it first")
	w.hop()
	e, left, before := w.editor(), map[string]person{}, w.wanted()
	for _, n := range []int{3, 4} {
		left[slapdtest.UUID(n)] = before.People[slapdtest.UUID(n)]
		e.remove(slapdtest.UserDN(n))
	}
	w.hop()
	w.graphConverged(left, 0)

	w.flush()
	w.entraRefused("ldap:corp", "has never completed a sync", "run it first")
	w.graph.ResetCalls()
	w.hop()
	if made := w.graphWrites(); len(made) > 0 {
		t.Errorf("after FLUSHALL the Entra tenant was written: %v", made)
	}
	w.graphConverged(left, 0)
	w.graphIdle()

	// Only the ledger recorded that the suspension was ours. Without it the suspension is not lifted.
	e.person(3, "")
	w.sync(corp)
	w.graph.ResetCalls()
	r := w.finish(entra)
	if r.Status != "warning" || r.Held != 1 {
		t.Errorf("the sync is %s, held %d; want a warning and the return held", r.Status, r.Held)
	}
	w.mentions(entra, r.ID, "Held", "u000003", "suspended")
	if u := w.account(3); !u.Disabled {
		t.Error("a suspension of which nobody knows whose it is was lifted")
	}
	// An administrator may.
	if err := w.graph.Set(address(3), map[string]any{"accountEnabled": true}); err != nil {
		t.Fatal(err)
	}
	delete(left, slapdtest.UUID(3))
	w.hop()
	w.graphConverged(left, 0)
	w.graphIdle()
}

// A person who comes back after the deletion of the account gets that account back, and no twin.
func TestEntraRestoresDeletedAccounts(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()},
		lines: []string{"user_delete_action: delete", "delete_after: 1s"}})
	w.hop()
	before, id := w.entraState(), w.account(1).ID
	e := w.editor()
	e.remove(slapdtest.UserDN(1))
	e.remove(slapdtest.UserDN(2))
	w.hop()
	if !w.account(1).Disabled {
		t.Error("the leaver is not suspended first")
	}
	testclock.Eventually(t, 3*time.Minute, "both accounts are deleted", func() bool {
		w.sync(entra)
		return len(w.graph.DeletedUsers()) == 2
	})
	w.graphConverged(nil, 0)
	w.graphIdle()

	// One comes back under the old name. After FLUSHALL the first run holds that, and the next one does it.
	w.flush()
	w.graph.ResetCalls()
	e.person(1, "")
	w.sync(corp)
	if r := w.finish(entra); r.Status != "warning" || r.Held == 0 {
		t.Errorf("the first run after the loss is %s and held %d; want the restoration held", r.Status, r.Held)
	}
	w.sync(entra)
	if made := w.graphWrites(); made["deletedItems.restore"] != 1 || made["users.create"] != 0 {
		t.Errorf("writes = %v, want one restoration and no creation", made)
	}
	if u := w.account(1); u.ID != id || u.Disabled {
		t.Errorf("the account is %s (disabled: %v), want %s", u.ID, u.Disabled, id)
	}
	w.graphConverged(nil, 0)
	w.graphIdle()

	// The other one does so under another name, by a single-object sync.
	dn := e.person(2, "")
	e.set(e.rename(dn, "uid=married", ""), "mail", "married@example.org")
	w.sync(corp)
	w.entraSays(modelUser, slapdtest.UUID(2), "married@example.org")
	w.hop()
	w.graphConverged(nil, 0)
	if len(w.graph.DeletedUsers()) != 0 || len(w.entraState().People) != len(before.People) {
		t.Errorf("%d deleted, %d accounts; want none and %d", len(w.graph.DeletedUsers()), len(w.entraState().People),
			len(before.People))
	}
	w.graphIdle()
}
