package reconcile_test

import (
	"context"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/reconcile"
)

// committed counts how often a local directory was published.
type committed struct {
	localFake

	times *int
}

func (committed) Clock(context.Context) (time.Time, error)       { return time.Time{}, nil }
func (committed) Begin(context.Context, string, time.Time) error { return nil }
func (c committed) Commit(context.Context, string) (bool, error) { *c.times++; return true, nil }

// A local directory that lacks one change is not published (law 1). A person who was created again would be there
// twice, and lose the groups in the tenants.
func TestLaw1ALocalDirectoryThatLacksAChangeIsNotPublished(t *testing.T) {
	t.Parallel()
	w, times := newWorld(t), 0
	w.source.snapshot.Entries = company()
	engine := reconcile.New(reconcile.Config{Source: w.source, Provider: committed{localFake{w.tenant}, &times},
		Desire: desire, Ledger: w.ledger})
	run := w.runOf("run", reconcile.Full())
	if _, err := engine.Execute(t.Context(), run); err != nil || times != 1 {
		t.Fatalf("the first run: %v, published %d times", err, times)
	}
	w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(20), person(21), person(22))
	w.tenant.hook = func(c plan.Change, done bool) error {
		if !done && c.Ref == (directory.Ref{Kind: directory.User, ID: person(20).ID}) {
			return fault.Errorf(fault.Unavailable, "out of memory")
		}
		return nil
	}
	if _, err := engine.Execute(t.Context(), run); fault.KindOf(err) != fault.Unavailable || times != 1 {
		t.Errorf("with one change that Redis does not take: %v, published %d times", err, times)
	}
	w.tenant.hook = nil
	if _, err := engine.Execute(t.Context(), run); err != nil || times != 2 {
		t.Errorf("when Redis takes it: %v, published %d times", err, times)
	}
}
