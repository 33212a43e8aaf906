package reconcile_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

// questioned records which entries it is asked for.
type questioned struct {
	directory.Snapshot
	refs [][]directory.Ref
}

func (a *questioned) Read(_ context.Context, q directory.Query) (directory.Snapshot, error) {
	a.refs = append(a.refs, q.Refs)
	out := directory.Snapshot{Versions: map[directory.Ref]string{}}
	for i := range a.Entries {
		if e := a.Entries[i]; slices.Contains(q.Refs, e.Ref()) {
			out.Entries = append(out.Entries, e)
			out.Versions[e.Ref()] = e.Digest()
		}
	}
	return out, nil
}

// copied is the local directory, with one group as it was.
type copied struct {
	*tenantFake
	group plan.Object
}

func (copied) Capabilities() plan.Capabilities {
	return plan.Capabilities{BatchSize: 10, Concurrency: 1, Mirror: true}
}

func (c copied) Read(context.Context, provider.Query) (plan.State, error) {
	return plan.State{Objects: []plan.Object{c.group}}, nil
}

// A group that is synced alone asks its source for the members that it loses, and not for those that stay.
func TestASingleGroupAsksOnlyForTheMembersThatItLoses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	source := &questioned{}
	for i := range 5 {
		source.Entries = append(source.Entries, person(i))
	}
	was, is := crew(0, 0, 1, 2, 3, 4), crew(0, 0, 1, 2, 3)
	source.Entries = append(source.Entries, is)
	local := copied{w.tenant, plan.Object{Ref: was.Ref(), RemoteID: was.Ref().String(), Active: true, Listed: true}}
	for _, m := range was.Members {
		local.group.Members = append(local.group.Members, m.String())
	}
	engine := reconcile.New(reconcile.Config{Source: source, Provider: local, Desire: desire, Ledger: w.ledger})
	if _, err := engine.Execute(t.Context(), w.runOf("job", reconcile.Entries(was.Ref()).DryRun())); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]directory.Ref{{was.Ref()}, {ref(4)}}, source.refs); diff != "" {
		t.Errorf("the source was asked for (-want +got):\n%s", diff)
	}
}
