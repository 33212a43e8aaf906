package reconcile_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/reconcile"
)

// office has people of a second source.
func office(n int) (out []directory.Entry) {
	for i := range n {
		e := person(500 + i)
		e.Source = "other"
		out = append(out, e)
	}
	return out
}

// asks reports how many joiners of the second source wait for a decision after a full run, and how many have accounts.
func (w *world) asks(t *testing.T, scope reconcile.Scope) (waiting, there int) {
	t.Helper()
	r, err := w.engine().Execute(t.Context(), w.runOf("run", scope))
	if err != nil {
		t.Fatal(err)
	}
	w.gate.verdicts = map[string]plan.Verdict{}
	for i := range r.Held.Changes {
		if r.Held.Changes[i].Guard == plan.RuleSource {
			waiting++
		}
	}
	for address := range w.tenant.picture() {
		if strings.HasPrefix(address, "u5") {
			there++
		}
	}
	return waiting, there
}

// decide decides about some of the changes that a dry run holds.
func (w *world) decide(t *testing.T, n int, v plan.Verdict) {
	t.Helper()
	r, err := w.engine().Execute(t.Context(), w.runOf("dry", reconcile.Full().DryRun()))
	if err != nil {
		t.Fatal(err)
	}
	w.gate.verdicts = map[string]plan.Verdict{}
	for i := range r.Held.Changes[:n] {
		w.gate.verdicts[r.Held.Changes[i].Fingerprint()] = v
	}
}

// TestLaw12ASourceAddedLaterAsksOnce adds a source to a tenant that is in step.
func TestLaw12ASourceAddedLaterAsksOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	check := func(what string, scope reconcile.Scope, waiting, there int) {
		t.Helper()
		if n, here := w.asks(t, scope); n != waiting || here != there {
			t.Fatalf("%s: %d wait and %d have accounts, want %d and %d", what, n, here, waiting, there)
		}
	}
	check("the first sync", reconcile.Full(), 0, 0)
	w.source.snapshot.Entries = append(company(), office(20)...)
	check("a source is added", reconcile.Full(), 20, 0)
	check("once more", reconcile.Full(), 20, 0)
	w.decide(t, 20, plan.Rejected)
	check("rejected", reconcile.Full(), 0, 0)
	check("the rejection is over", reconcile.Full(), 20, 0)
	w.decide(t, 5, plan.Approved)
	check("a part is approved", reconcile.Approved(), 15, 5)
	check("the rest still waits", reconcile.Full(), 15, 5)
	w.decide(t, 12, plan.Approved)
	check("but for a few", reconcile.Approved(), 3, 17)
	check("the few still wait", reconcile.Full(), 3, 17)
	w.decide(t, 3, plan.Approved)
	check("all are approved", reconcile.Approved(), 0, 20)
	w.source.snapshot.Entries = company()
	check("a known source is empty", reconcile.Full(), 0, 20)
	w.source.snapshot.Entries = append(company(), office(60)...)
	check("joiners of a known source", reconcile.Full(), 0, 60)
}

// TestLaw4NoRecoveryAsksAboutASource has a tenant of two sources and a ledger that is lost, or of an older version.
func TestLaw4NoRecoveryAsksAboutASource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = append(company(), office(20)...)
	if n, there := w.asks(t, reconcile.Full()); n != 0 || there != 20 {
		t.Fatalf("the first sync: %d wait, %d are there", n, there)
	}
	w.ledger = newLedger(t)
	w.source.snapshot.Entries = append(company(), office(60)...)
	if n, there := w.asks(t, reconcile.Full()); n != 0 || there != 60 {
		t.Errorf("the ledger was lost: %d wait, %d are there", n, there)
	}
	facts, err := w.ledger.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	facts.Sources = nil
	if err := w.ledger.SetFacts(t.Context(), facts); err != nil {
		t.Fatal(err)
	}
	w.source.snapshot.Entries = append(company(), office(90)...)
	if n, there := w.asks(t, reconcile.Full()); n != 0 || there != 90 {
		t.Errorf("a ledger of an older version: %d wait, %d are there", n, there)
	}
	w.ledger = newLedger(t)
	for i := range 30 {
		e := person(900 + i)
		e.Source = "third"
		w.source.snapshot.Entries = append(w.source.snapshot.Entries, e)
	}
	if _, err := w.run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(fmt.Sprint(w.tenant.applied), "create user:u9"); n != 0 {
		t.Errorf("a source that is added while the ledger is lost: %d accounts without a question", n)
	}
}

// TestLaw12AFirstSyncThatDiedAsksNothing stops the first sync of two sources after a few accounts of the first one.
func TestLaw12AFirstSyncThatDiedAsksNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = append(company(), office(20)...)
	died := errors.New("the worker died")
	w.tenant.hook = func(c plan.Change, after bool) error {
		if c.Source == "other" && !after {
			w.gate.err = died
		}
		return w.gate.err
	}
	if _, err := w.run(t.Context()); err == nil {
		t.Fatal("the first run is to die")
	}
	if w.gate.err, w.tenant.hook = nil, nil; len(w.tenant.applied) == 0 {
		t.Fatal("the first run died before its first write")
	}
	if n, there := w.asks(t, reconcile.Full()); n != 0 || there != 20 {
		t.Errorf("%d wait and %d have accounts, want 0 and 20", n, there)
	}
}
