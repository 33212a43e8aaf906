package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/source"
)

// crowdFake has pending entries, or fails.
type crowdFake struct {
	refs []directory.Ref
	err  error
}

func (p *crowdFake) Pending(context.Context) (ledger.Pending, error) {
	out := ledger.Pending{}
	for _, ref := range p.refs {
		out[ref] = 1
	}
	return out, p.err
}

func (*crowdFake) Add(context.Context, ...directory.Ref) error { return nil }

func (*crowdFake) Done(context.Context, ledger.Pending) error { return nil }

// readLinks counts the reads of links.
type readLinks struct {
	reconcile.Ledger
	all, some int
}

func (r *readLinks) Links(ctx context.Context) (map[directory.Ref]plan.Link, error) {
	r.all++
	return r.Ledger.Links(ctx)
}

func (r *readLinks) LinksOf(ctx context.Context, refs ...directory.Ref) (map[directory.Ref]plan.Link, error) {
	r.some++
	return r.Ledger.LinksOf(ctx, refs...)
}

// An explanation that cannot count the other entries has the plan for its own one, and says so.
func TestExplainWithoutTheOtherEntries(t *testing.T) {
	t.Parallel()
	away := errors.New("the ledger is away")
	var crowd []directory.Ref
	for i := range source.MostChanges + 1 {
		crowd = append(crowd, directory.Ref{Kind: directory.User, ID: directory.ID(fmt.Sprint("c", i))})
	}
	for name, tc := range map[string]struct {
		pending   crowdFake
		held      []directory.Ref
		uncounted string
		read      int // of the links of some entries
	}{
		"some":       {crowdFake{refs: []directory.Ref{ref(1)}}, nil, "", 1},
		"most":       {crowdFake{refs: crowd[1:]}, nil, "", 1},
		"many":       {crowdFake{refs: crowd}, nil, "too many of them have changed or wait", 0},
		"everything": {crowdFake{refs: []directory.Ref{ledger.Everything}}, nil, "too many of them have changed or wait", 0},
		"many held":  {crowdFake{}, crowd, "too many of them have changed or wait", 1},
		"not read":   {crowdFake{err: away}, nil, away.Error(), 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.source.snapshot.Entries = company()
			mustRun(t, w)
			w.source.snapshot.Entries = slices.Delete(company(), 5, 6)
			links := &readLinks{Ledger: w.ledger}
			waits := reconcile.Waiting{Held: map[directory.Ref]plan.Brake{}}
			for _, ref := range tc.held {
				waits.Held[ref] = plan.BrakeLeave
			}
			x := reconcile.New(reconcile.Config{Source: w.source, Provider: w.tenant, Desire: w.desire, Ledger: links,
				Policy: w.policy, Pending: &tc.pending, Now: func() time.Time { return w.now }}).
				Explain(t.Context(), ref(5), w.gate, time.Minute, waits)
			if x.SourceErr != nil || x.RemoteErr != nil || !slices.Equal(ops(x.Apply, ref(5)), []plan.Op{plan.Suspend}) &&
				!slices.Equal(ops(x.Held, ref(5)), []plan.Op{plan.Suspend}) {
				t.Errorf("planned %v, held %v, %v, %v", x.Apply.Changes, x.Held.Changes, x.SourceErr, x.RemoteErr)
			}
			if got := fmt.Sprint(x.Uncounted); got != tc.uncounted && (tc.uncounted != "" || x.Uncounted != nil) {
				t.Errorf("Uncounted = %s, want %q", got, tc.uncounted)
			}
			if links.all != 1 || links.some != tc.read { // All links belong to the plan for the entry.
				t.Errorf("read all links %d times and some %d times, want 1 and %d", links.all, links.some, tc.read)
			}
		})
	}
}
