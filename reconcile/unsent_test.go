package reconcile_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/reconcile"
)

// stored is a local directory.
type stored []directory.Entry

// Around implements source.Neighbours.
func (s stored) Around(context.Context, directory.Neighbourhood) (directory.Snapshot, error) {
	return directory.Snapshot{Entries: s}, nil
}

// The leavers that wait to be sent ahead are pending, gone or disabled, and have an account that nothing suspended. If
// everything is pending, the next run finds them.
func TestUnsentLeavers(t *testing.T) {
	t.Parallel()
	links := ledger.NewRedis(redistest.Start(t), "google_workspace:1")
	engine := reconcile.New(reconcile.Config{Ledger: links, Pending: links, Local: stored{
		person(1), {Kind: directory.User, ID: "u002", Source: "corp"},
	}})
	account := plan.Link{RemoteID: "r"}
	of := map[directory.Ref]plan.Link{ref(1): account, ref(2): account, ref(3): account, ref(6): account}
	of[ref(5)] = plan.Link{RemoteID: "r", Suspended: true}
	if err := links.PutLinks(t.Context(), of); err != nil {
		t.Fatal(err)
	}
	pending := []directory.Ref{ref(1), ref(2), ref(3), ref(4), ref(5), {Kind: directory.Group, ID: "g1"}}
	if err := links.Add(t.Context(), pending...); err != nil {
		t.Fatal(err)
	}
	got, err := engine.Unsent(t.Context())
	slices.SortFunc(got, directory.Ref.Compare)
	if diff := cmp.Diff([]directory.Ref{ref(2), ref(3)}, got); err != nil || diff != "" {
		t.Errorf("Unsent() = %v (-want +got):\n%s", err, diff)
	}
	if err := links.Add(t.Context(), ledger.Everything); err != nil {
		t.Fatal(err)
	}
	if got, err := engine.Unsent(t.Context()); err != nil || len(got) > 0 {
		t.Errorf("Unsent() = %v, %v while everything is pending", got, err)
	}
}
