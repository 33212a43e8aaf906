package reconcile_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/fault"
	"rollcall/reconcile"
)

// settling is a tenant with a view that takes long to keep.
type settling struct {
	*tenantFake

	facts func() (run string)
	err   error
	// bounded are whether each call had to end soon, and after are the runs whose facts were stored by then.
	bounded []bool
	after   []string
}

func (s *settling) Settle(ctx context.Context) error {
	_, bounded := ctx.Deadline()
	s.bounded, s.after = append(s.bounded, bounded), append(s.after, s.facts())
	return s.err
}

// A provider has the time that it needs to keep its view of a large tenant, because the run is recorded by then.
func TestTheViewOfATenantIsKeptAfterTheRunIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	s := &settling{tenantFake: w.tenant, facts: func() string {
		f, err := w.ledger.Facts(t.Context())
		if err != nil {
			t.Error(err)
		}
		return f.LastRun
	}}
	w.provider = s
	execute := func(id string, scope reconcile.Scope) {
		t.Helper()
		if _, err := w.engine().Execute(t.Context(), w.runOf(id, scope)); err != nil {
			t.Errorf("Execute() of %s = %v", id, err)
		}
	}
	execute("first", reconcile.Full())
	execute("one entry", reconcile.Entries(ref(1)))
	s.err = errors.New("no answer")
	execute("second", reconcile.Full())
	if diff := cmp.Diff([]string{"first", "second"}, s.after); diff != "" || slices.Contains(s.bounded, true) {
		t.Errorf("the view was kept with a deadline: %v, after the records of (-want +got):\n%s", s.bounded, diff)
	}
	const warning = "The view of the tenant was not kept; the next run reads more: no answer"
	if !slices.Contains(w.said.messages, warning) {
		t.Errorf("the messages are %q, want %q", w.said.messages, warning)
	}
	w.tenant.refuses = fault.Errorf(fault.Unavailable, "503")
	if _, err := w.run(t.Context()); err == nil || len(s.after) != 2 {
		t.Errorf("Execute() without the tenant = %v, and the view was kept %d times, want 2", err, len(s.after))
	}
}
