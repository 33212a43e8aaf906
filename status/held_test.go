package status_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/status"
)

func TestHeldSets(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		if set, err := f.Held(t.Context(), corp); err != nil || set.Digest != "" || len(set.Changes) > 0 {
			t.Errorf("Held() of nothing = %+v, %v", set, err)
		}
		first := status.HeldSet{Digest: "d1", RunID: "r1", At: time.Unix(1, 0).UTC(), Changes: []status.HeldChange{{Fingerprint: "a", Op: "suspend", Kind: "user", ID: "1", Guard: "limit", Reason: "too many"}}}
		second := first
		second.Digest = "d2"
		for _, set := range []status.HeldSet{first, second} {
			if err := f.SetHeld(t.Context(), corp, set); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []status.HeldSet{first, second} {
			got, err := f.HeldBy(t.Context(), corp, want.Digest)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("HeldBy(%s): %v (-want +got):\n%s", want.Digest, err, diff)
			}
		}
		if set, err := f.Held(t.Context(), corp); err != nil || set.Digest != "d2" {
			t.Errorf("Held() = %q, %v, want d2", set.Digest, err)
		}
		if err := f.SetHeld(t.Context(), corp, status.HeldSet{}); err != nil {
			t.Fatal(err)
		}
		if set, err := f.Held(t.Context(), corp); err != nil || set.Digest != "" {
			t.Errorf("Held() after all went = %q, %v, want nothing", set.Digest, err)
		}
		if _, err := f.HeldBy(t.Context(), corp, "d9"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("HeldBy() of an unknown digest = %v, want not_found", err)
		}
	})
}

func TestDecisionsExpire(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		decide := func(verdict string, prints ...string) {
			t.Helper()
			var changes []status.HeldChange
			for _, p := range prints {
				changes = append(changes, status.HeldChange{Fingerprint: p, Op: "suspend", ID: "1"})
			}
			if _, err := f.Decide(t.Context(), corp, verdict, "boss", changes); err != nil {
				t.Fatal(err)
			}
		}
		verdicts := func() map[string]string {
			t.Helper()
			all, err := f.Decisions(t.Context(), corp)
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]string{}
			for p, d := range all {
				out[p] = d.Verdict + " by " + d.By
			}
			return out
		}
		decide("approved", "a", "b")
		f.move(71 * time.Hour)
		decide("rejected", "b")
		if diff := cmp.Diff(map[string]string{"a": "approved by boss", "b": "rejected by boss"}, verdicts()); diff != "" {
			t.Errorf("Decisions() (-want +got):\n%s", diff)
		}
		f.move(time.Hour)
		if diff := cmp.Diff(map[string]string{"b": "rejected by boss"}, verdicts()); diff != "" {
			t.Errorf("Decisions() after 72 hours (-want +got):\n%s", diff)
		}
	})
}
