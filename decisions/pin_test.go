package decisions_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
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
		// Without a key, too, a pin stays lifted that a person lifts while a run changes it.
		hooked := redis.NewClient(rdb.Options())
		defer hooked.Close()
		hooked.AddHook(beforeScript(func() { f.must(f.Pin(t.Context(), corp, nil, []directory.Ref{want[0].Ref})) }))
		if err := decisions.New(hooked, decisions.Config{}).Repin(t.Context(), corp, want[:1], nil); err != nil ||
			len(pinned()) != 0 {
			t.Errorf("a pin that was lifted meanwhile is back: %v, %v", pinned(), err)
		}
		f.must(f.Pin(t.Context(), corp, want[:1], nil))
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

// beforeScript is a hook that does something before each script.
type beforeScript func()

func (beforeScript) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b beforeScript) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if strings.HasPrefix(cmd.Name(), "eval") {
			b()
		}
		return next(ctx, cmd)
	}
}

func (beforeScript) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
