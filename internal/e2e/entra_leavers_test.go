package e2e

import (
	"testing"

	"rollcall/internal/slapdtest"
)

// An entry that is disabled in LDAP is disabled in both tenants, an entry that left is suspended in both, and the way
// back undoes both.
func TestBothTenants(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()}})
	w.all()
	w.converged(nil)
	w.graphConverged(nil, 0)
	inGoogle, inEntra := w.accounts(), w.entraState()
	e := w.editor()
	// An administrator of each tenant blocks one person by hand.
	w.update(address(5), map[string]any{"suspended": true})
	w.block(6)
	e.lock(1, true)
	e.remove(slapdtest.UserDN(2))
	w.all()
	for n := 1; n <= 2; n++ {
		if g, m := w.user(address(n)).Suspended, w.account(n).Disabled; !g || !m {
			t.Errorf("%s is suspended at Google: %v, disabled in Entra: %v; want both", address(n), g, m)
		}
	}
	w.graphIdle()
	w.idle()
	w.entraSays(modelUser, slapdtest.UUID(1), "Nothing to change.")

	e.lock(1, false)
	e.person(2, "")
	w.all()
	for n, want := range map[int][2]bool{1: {}, 2: {}, 5: {true, false}, 6: {false, true}} {
		if g, m := w.user(address(n)).Suspended, w.account(n).Disabled; g != want[0] || m != want[1] {
			t.Errorf("%s is suspended at Google: %v, disabled in Entra: %v; want %v", address(n), g, m, want)
		}
	}
	five, six := slapdtest.UUID(5), slapdtest.UUID(6)
	p := inGoogle.People[five]
	p.Suspended = true
	inGoogle.People[five] = p
	p = inEntra.People[six]
	p.Suspended = true
	inEntra.People[six] = p
	w.same(inGoogle)
	w.graphSame(inEntra)
	w.graphIdle()
	w.idle()
}

// block disables the account of the nth user as an administrator does.
func (w *entraWorld) block(n int) {
	w.Helper()
	if err := w.graph.Set(address(n), map[string]any{"accountEnabled": false}); err != nil {
		w.Fatal(err)
	}
}

// Who was disabled by hand stays so, through changes, departure and return, and is named.
func TestEntraForeignSuspension(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()}})
	w.hop()
	w.block(1)
	w.sync(corp)
	drift := w.sync(entra)
	w.mentions(entra, drift.ID, "Drift", "suspended in the tenant by others", "u000001")
	w.graphIdle()

	e := w.editor()
	e.set(slapdtest.UserDN(1), "title", "Director")
	w.hop()
	if u := w.account(1); !u.Disabled || u.JobTitle != "Director" {
		t.Errorf("after a change the account is disabled: %v, title %q", u.Disabled, u.JobTitle)
	}
	e.remove(slapdtest.UserDN(1))
	w.hop()
	e.person(1, "")
	w.hop()
	if !w.account(1).Disabled {
		t.Error("who was disabled by hand was enabled by leaving and coming back")
	}
	w.entraSays(modelUser, slapdtest.UUID(1), "")
	if !w.account(1).Disabled {
		t.Error("who was disabled by hand was enabled by a single-object sync")
	}
	// In the other order, we suspend, an administrator lifts the suspension, and an administrator suspends again.
	e.lock(2, true)
	w.hop()
	e.lock(2, false)
	if err := w.graph.Set(address(2), map[string]any{"accountEnabled": true}); err != nil {
		t.Fatal(err)
	}
	w.hop()
	w.block(2)
	w.hop()
	if !w.account(2).Disabled {
		t.Error("a mark of ours that was left over turned somebody else's suspension into ours")
	}
}
