package decisions_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/internal/redistest"
	"rollcall/plan"
)

func TestPins(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb)
		pinned := func() []plan.Pin {
			t.Helper()
			pins, err := f.Pins(t.Context(), corp)
			if err != nil {
				t.Fatal(err)
			}
			return pins
		}
		if got := pinned(); len(got) != 0 {
			t.Fatalf("pins of a new container: %v", got)
		}
		want := []plan.Pin{
			{
				Ref: directory.Ref{Kind: directory.User, ID: "a"}, Label: "ann", Run: "r", By: "ops", At: f.Now(), Version: "v",
				Account: plan.StandsSuspended, RemoteID: "1", Deleted: f.Now(),
				Address: "a@x", Fields: directory.Attributes{{Name: "title"}, {Name: "x", Values: []string{"1", "2"}}},
				Groups: []plan.PinnedMembership{{ID: "g", Label: "all", Member: true}, {ID: "h"}},
			},
			{Ref: directory.Ref{Kind: directory.Group, ID: "a"}, Run: "r", At: f.Now(), Address: "g@x"},
		}
		if err := f.Pin(t.Context(), corp, want, nil); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, pinned()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		want[0].Groups = nil
		if err := f.Pin(t.Context(), corp, want[:1], []directory.Ref{want[1].Ref}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[:1], pinned()); diff != "" {
			t.Errorf("after one was changed and one forgotten (-want +got):\n%s", diff)
		}
		lifted := plan.Pin{Ref: directory.Ref{Kind: directory.User, ID: "lifted"}, Account: plan.StandsActive}
		want[0].Address = "other@x"
		if err := f.Repin(t.Context(), corp, []plan.Pin{want[0], lifted}, []directory.Ref{want[1].Ref}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want[:1], pinned()); diff != "" {
			t.Errorf("after a run that had read a pin that was lifted since (-want +got):\n%s", diff)
		}
		if other, err := f.Pins(t.Context(), "google_workspace:7"); err != nil || len(other) != 0 {
			t.Errorf("pins of another container: %v, %v", other, err)
		}
		var many []plan.Pin
		var refs []directory.Ref
		for i := range 2500 {
			ref := directory.Ref{Kind: directory.User, ID: directory.ID(fmt.Sprintf("m%04d", i))}
			many, refs = append(many, plan.Pin{Ref: ref, Run: "r", Account: plan.StandsActive}), append(refs, ref)
		}
		if err := f.Pin(t.Context(), corp, many, nil); err != nil || len(pinned()) != 2501 {
			t.Errorf("%d pins, err %v; want 2501", len(pinned()), err)
		}
		if err := f.Repin(t.Context(), corp, nil, refs); err != nil || len(pinned()) != 1 {
			t.Errorf("%d pins, err %v; want 1", len(pinned()), err)
		}
	})
}
