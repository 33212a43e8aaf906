package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
)

// pinned is what an undo keeps.
type pinned struct {
	Count int
	Pins  []struct{ ID, Account, Run, By string }
}

func (w *world) pins(container string) (p pinned) {
	w.Helper()
	w.get(container+"sync/pins/", &p)
	return p
}

// revert undoes a run and returns the run that did so.
func (w *world) revert(container, id, query string) run {
	w.Helper()
	code, data := w.call(http.MethodPost, container+"sync/runs/"+id+"/revert/"+query, "")
	if code != http.StatusAccepted {
		w.Fatalf("revert = %d %s, want 202", code, data)
	}
	var r run
	w.decode(data, &r)
	return w.wait(container, r.ID)
}

// Five hundred people are suspended by an approved mistake. The undo brings all back with their groups, and the next
// sync does not repeat the mistake until the source changes or the pin is lifted.
func TestRevert(t *testing.T) {
	t.Parallel()
	const people, lost = 800, 500
	w := newWorld(t, options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(people, 20, 25)}})
	w.both()
	w.sync(google) // The changed groups are listed once.
	before := w.accounts()
	e := w.editor()
	for n := range lost {
		e.remove(slapdtest.UserDN(n))
	}
	w.finish(corp)
	w.decide(corp, w.held(corp).Digest, "approve")
	w.finish(google)
	mistake := w.decide(google, w.held(google).Digest, "approve")
	if n := mistake.made()["user deactivate"]; n != lost {
		t.Fatalf("the mistake suspended %d, want %d", n, lost)
	}

	w.refusesRevert(mistake.ID)
	if dry := w.revert(google, mistake.ID, "?dry_run=true"); dry.State != "completed" || w.pins(google).Count != 0 {
		t.Errorf("the dry undo is %s and pinned %d entries, want completed and none", dry.State, w.pins(google).Count)
	}
	undo := w.revert(google, mistake.ID, "")
	if n := undo.made()["user activate"]; n != lost || undo.Status != "successful" {
		t.Errorf("the undo is %s (%s) and made %v: %s", undo.State, undo.Status, undo.made(), undo.Reason)
	}
	w.same(before)
	if p := w.pins(google); p.Count != lost || p.Pins[0].Account != "active" || p.Pins[0].Run != mistake.ID ||
		p.Pins[0].By == "" {
		t.Errorf("pinned are %d, the first %+v; want %d active ones of run %s", p.Count, p.Pins[:1], lost, mistake.ID)
	}
	if again := w.sync(google); len(again.made()) != 0 {
		t.Errorf("the next sync made %v", again.made())
	}
	w.same(before)

	// One person comes back to the directory and really leaves, which ends the pin.
	e.person(7, "")
	w.both()
	e.remove(slapdtest.UserDN(7))
	w.sync(corp)
	if r := w.sync(google); r.made()["user deactivate"] != 1 || !w.accounts().People[slapdtest.UUID(7)].Suspended {
		t.Errorf("who left in earnest is not suspended: %v", r.made())
	}

	// One pin is lifted, then all, after which the source decides within the guards.
	one := slapdtest.UUID(8)
	if code, data := w.call(http.MethodPost, google+"sync/pins/lift/", `{"entries": ["`+one+`"]}`); code != http.StatusOK {
		t.Fatalf("lift = %d %s", code, data)
	}
	if r := w.sync(google); r.made()["user deactivate"] != 1 || !w.accounts().People[one].Suspended {
		t.Errorf("whose pin was lifted is not suspended: %v", r.made())
	}
	if code, data := w.call(http.MethodPost, google+"sync/pins/lift/", ""); code != http.StatusOK ||
		!strings.Contains(string(data), "498") {
		t.Fatalf("lift of the rest = %d %s, want 498", code, data)
	}
	if r := w.finish(google); r.made()["user deactivate"] != 0 || r.Held == 0 {
		t.Errorf("after all pins were lifted a sync made %v and holds %d; want the guards to hold the rest", r.made(), r.Held)
	}
}

// refusesRevert asks for what cannot be undone, and asks with a token that lacks the scope.
func (w *world) refusesRevert(id string) {
	w.Helper()
	w.token, w.reader = w.reader, w.token
	if code, data := w.call(http.MethodPost, google+"sync/runs/"+id+"/revert/", ""); code != http.StatusForbidden {
		w.Errorf("an undo by somebody who may only read = %d %s, want 403", code, data)
	}
	w.token, w.reader = w.reader, w.token
	for path, want := range map[string]int{
		google + "sync/runs/6f2c7d1e-0000-4000-8000-000000000000/revert/": http.StatusNotFound,
		google + "sync/runs/nonsense/revert/":                             http.StatusNotFound,
		corp + "sync/runs/" + id + "/revert/":                             http.StatusNotFound,
		google + "sync/runs/" + id + "/revert/?dryrun=true":               http.StatusBadRequest,
		google + "sync/pins/lift/":                                        http.StatusConflict, // Nothing is pinned.
	} {
		if code, data := w.call(http.MethodPost, path, ""); code != want {
			w.Errorf("POST %s = %d %s, want %d", path, code, data, want)
		}
	}
}

// Deleted people come back from the deleted items. They are first as they were when the run began, suspended. When
// the run that suspended them is undone too, they are active and in their groups.
func TestEntraRevertOfDeletions(t *testing.T) {
	t.Parallel()
	const leavers = 3
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()},
		lines: []string{"user_delete_action: delete", "delete_after: 1s"}})
	w.hop()
	before := w.entraState()
	e := w.editor()
	for n := range leavers {
		e.remove(slapdtest.UserDN(n))
	}
	w.sync(corp)
	suspended := w.sync(entra)
	var deleted run
	testclock.Eventually(t, 3*time.Minute, "the accounts are deleted", func() bool {
		deleted = w.sync(entra)
		return len(w.graph.DeletedUsers()) == leavers
	})
	if r := w.revert(entra, deleted.ID, ""); r.made()["user create"] != leavers || len(w.graph.DeletedUsers()) != 0 {
		t.Errorf("the undo of the deletions made %v; %d are still deleted", r.made(), len(w.graph.DeletedUsers()))
	}
	if r := w.sync(entra); len(r.made()) != 0 {
		t.Errorf("the sync after it made %v", r.made())
	}
	if r := w.revert(entra, suspended.ID, ""); r.made()["user activate"] != leavers || r.Status != "successful" {
		t.Errorf("the undo of the suspensions is %s and made %v: %s", r.Status, r.made(), r.Reason)
	}
	w.graphSame(before)
	if r := w.sync(entra); len(r.made()) != 0 {
		t.Errorf("the next sync made %v", r.made())
	}
	w.graphSame(before)
}

// The directory is mended before the deletions are undone. The earlier accounts come back, active and with their
// groups, and no sync makes new ones.
func TestEntraRevertOfDeletionsThatTheDirectoryRegrets(t *testing.T) {
	t.Parallel()
	const leavers = 3
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()},
		lines: []string{"user_delete_action: delete", "delete_after: 1s"}})
	w.hop()
	before := w.entraState()
	ids := map[int]string{}
	e := w.editor()
	for n := range leavers {
		ids[n] = w.account(n).ID
		e.remove(slapdtest.UserDN(n))
	}
	w.sync(corp)
	w.sync(entra)
	var deleted run
	testclock.Eventually(t, 3*time.Minute, "the accounts are deleted", func() bool {
		deleted = w.sync(entra)
		return len(w.graph.DeletedUsers()) == leavers
	})
	for n := range leavers {
		e.person(n, "")
	}
	w.sync(corp)
	if r := w.revert(entra, deleted.ID, ""); r.made()["user create"] != leavers || r.Status != "successful" {
		t.Errorf("the undo is %s and made %v: %s", r.Status, r.made(), r.Reason)
	}
	w.sync(entra)
	for n, id := range ids {
		if got := w.account(n).ID; got != id {
			t.Errorf("person %d has the account %s, want %s back", n, got, id)
		}
	}
	w.graphSame(before)
	if n := w.pins(entra).Count; n != 0 {
		t.Errorf("%d entries are still pinned, want none: the source has them", n)
	}
}
