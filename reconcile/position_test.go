package reconcile_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/reconcile"
)

// inventory is a local directory that lists its former entries.
type inventory struct {
	localFake
	had []directory.Ref
}

func (i inventory) Known(context.Context) ([]directory.Ref, error) { return i.had, nil }

func positionOf(server string, usn int) directory.Position {
	return directory.Position{Server: server, Name: "ldap://" + server, Seen: map[string]string{server: fmt.Sprint(usn)}}
}

// TestAnOlderServerFailsTheRun checks that the error names both positions and the remedy. The next run is clean once
// the server has caught up.
func TestAnOlderServerFailsTheRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	engine := func() *reconcile.Engine {
		return reconcile.New(reconcile.Config{Source: w.source, Provider: localFake{w.tenant}, Desire: desire,
			Ledger: w.ledger, Container: "ldap:corp"})
	}
	execute := func(scope reconcile.Scope) (reconcile.Report, error) {
		return engine().Execute(t.Context(), w.runOf("run", scope))
	}
	w.source.snapshot.Entries, w.source.snapshot.Position = company(), positionOf("dc1", 4857)
	if _, err := execute(reconcile.Full()); err != nil {
		t.Fatal(err)
	}
	before := len(w.tenant.applied)
	w.source.snapshot.Entries, w.source.snapshot.Position = company()[1:], positionOf("dc1", 4854)
	for _, scope := range []reconcile.Scope{reconcile.Full(), reconcile.Full().DryRun(), reconcile.Entries(ref(0))} {
		_, err := execute(scope)
		for _, want := range []string{"read from an older server", "dc1 at 4854", "dc1 at 4857",
			"rollcall accept-server ldap:corp"} {
			if fault.KindOf(err) != fault.Unsafe || !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("Execute() = %v, want it to say %q", err, want)
			}
		}
	}
	if len(w.tenant.applied) != before {
		t.Errorf("wrote %v after a read from an older server", w.tenant.applied[before:])
	}
	w.source.snapshot.Position = positionOf("dc1", 4858)
	if r, err := execute(reconcile.Full()); err != nil || len(r.Held.Changes) > 0 {
		t.Errorf("Execute() after the server has caught up: held %v, error %v", r.Held.Changes, err)
	}
}

// TestAServerThatCannotBeComparedIsDoubted checks that only new entries and memberships are carried out. Departures,
// updates and entries that come back wait until the server is accepted.
func TestAServerThatCannotBeComparedIsDoubted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	local := inventory{localFake{w.tenant}, []directory.Ref{ref(20)}}
	execute := func() reconcile.Report {
		t.Helper()
		engine := reconcile.New(reconcile.Config{Source: w.source, Provider: local, Desire: desire, Ledger: w.ledger,
			Container: "ldap:corp"})
		r, err := engine.Execute(t.Context(), w.runOf("run", reconcile.Full()))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	w.source.snapshot.Entries, w.source.snapshot.Position = company(), positionOf("dc1", 4857)
	execute()
	entries := append(company()[1:], person(20), person(21)) // 0 left, 20 comes back, 21 is new
	entries[0].Attributes = entries[0].Attributes.Set(directory.CommonName, "Renamed")
	w.source.snapshot.Entries, w.source.snapshot.Position = entries, positionOf("dc2", 9)
	r := execute()
	for _, c := range r.Apply.Changes {
		if c.Op != plan.AddMember && (c.Op != plan.Create || c.Ref != ref(21)) {
			t.Errorf("applied %v of %v, want the new entry and memberships alone", c.Op, c.Ref)
		}
	}
	held := map[directory.Ref]bool{}
	for _, c := range r.Held.Changes {
		held[c.Ref] = true
		if !strings.Contains(c.Held, "rollcall accept-server ldap:corp") {
			t.Errorf("%v is held by %q, want the doubt and the way out", c.Ref, c.Held)
		}
	}
	if !held[ref(0)] || !held[ref(1)] || !held[ref(20)] {
		t.Errorf("held %v, want the departure, the update and the return", held)
	}
	if r = execute(); len(r.Held.Changes) == 0 {
		t.Error("the second read from the other server is trusted")
	}
	facts, err := w.ledger.Facts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := facts.Positions.Accept(); !ok {
		t.Fatal("there is no server to accept")
	}
	if err := w.ledger.SetFacts(t.Context(), facts); err != nil {
		t.Fatal(err)
	}
	if r = execute(); len(r.Held.Changes) > 0 {
		t.Errorf("held %v after the server was accepted", r.Held.Changes)
	}
}

// asking is a source that calls Query.Known.
type asking struct {
	*sourceFake
	known []directory.Ref
}

func (a *asking) Read(ctx context.Context, q directory.Query) (directory.Snapshot, error) {
	refs, err := q.Known(ctx)
	if err != nil {
		return directory.Snapshot{}, err
	}
	a.known = refs
	return a.sourceFake.Read(ctx, q)
}

// TestASourceCanAskForTheKnownEntries checks that an ID in another letter case remains the same entry.
func TestASourceCanAskForTheKnownEntries(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	source := &asking{sourceFake: w.source}
	local := inventory{localFake{w.tenant}, []directory.Ref{ref(3)}}
	engine := reconcile.New(reconcile.Config{Source: source, Provider: local, Desire: desire, Ledger: w.ledger})
	for _, scope := range []reconcile.Scope{reconcile.Full(), reconcile.Entries(ref(3))} {
		source.known = nil
		if _, err := engine.Execute(t.Context(), w.runOf("run", scope)); err != nil || len(source.known) != 1 {
			t.Errorf("Execute() = %v, the source knows of %v, want one entry", err, source.known)
		}
	}
}
