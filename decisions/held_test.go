package decisions_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/internal/redistest"
)

func TestHeldSets(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb)
		if set, err := f.Held(t.Context(), corp); err != nil || set.Digest != "" || len(set.Changes) > 0 {
			t.Errorf("Held() of nothing = %+v, %v", set, err)
		}
		first := decisions.HeldSet{Digest: "d1", RunID: "r1", At: time.Unix(1, 0).UTC(),
			Changes: []decisions.HeldChange{{Fingerprint: "a", Op: "suspend", Kind: "user", ID: "1", Guard: "limit",
				Reason: "too many"}}}
		second := first
		second.Digest = "d2"
		for _, set := range []decisions.HeldSet{first, second} {
			if err := f.SetHeld(t.Context(), corp, set); err != nil {
				t.Fatal(err)
			}
		}
		for _, want := range []decisions.HeldSet{first, second} {
			got, err := f.HeldBy(t.Context(), corp, want.Digest)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("HeldBy(%s): %v (-want +got):\n%s", want.Digest, err, diff)
			}
		}
		if set, err := f.Held(t.Context(), corp); err != nil || set.Digest != "d2" {
			t.Errorf("Held() = %q, %v, want d2", set.Digest, err)
		}
		if err := f.SetHeld(t.Context(), corp, decisions.HeldSet{}); err != nil {
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
		f := open(t, rdb)
		decide := func(verdict string, prints ...string) {
			t.Helper()
			var changes []decisions.HeldChange
			for _, p := range prints {
				changes = append(changes, decisions.HeldChange{Fingerprint: p, Op: "suspend", ID: "1"})
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
		f.Advance(71 * time.Hour)
		decide("rejected", "b")
		if diff := cmp.Diff(map[string]string{"a": "approved by boss", "b": "rejected by boss"}, verdicts()); diff != "" {
			t.Errorf("Decisions() (-want +got):\n%s", diff)
		}
		f.Advance(time.Hour)
		if diff := cmp.Diff(map[string]string{"b": "rejected by boss"}, verdicts()); diff != "" {
			t.Errorf("Decisions() after 72 hours (-want +got):\n%s", diff)
		}
	})
}

func TestHeldCounts(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb)
		check := func(guards, does map[string]int64) {
			t.Helper()
			got, err := f.HeldCounts(t.Context(), corp)
			f.must(err)
			got.Digest = ""
			if diff := cmp.Diff(decisions.HeldCounts{Guards: guards, Does: does}, got); diff != "" {
				t.Errorf("HeldCounts() (-want +got)\n%s", diff)
			}
		}
		check(nil, nil)
		guards, does := map[string]int64{"limit": 2, "doubt": 1}, map[string]int64{"delete user": 2, "suspend user": 1}
		f.must(f.SetHeld(t.Context(), corp, decisions.HeldSet{Digest: "d", Changes: []decisions.HeldChange{
			{Guard: "limit", Op: "delete", Kind: "user"}, {Guard: "doubt", Op: "delete", Kind: "user"},
			{Guard: "limit", Op: "suspend", Kind: "user"}}}))
		check(guards, does)
		f.must(rdb.Set(t.Context(), "rollcall:{ldap:corp}:held:counts", `{"digest":"d","guards":{"limit":3}}`, 0).Err())
		check(map[string]int64{"limit": 3}, nil)                               // as of an earlier version
		f.must(rdb.Del(t.Context(), "rollcall:{ldap:corp}:held:counts").Err()) // as of one before that
		check(guards, does)
		f.must(f.SetHeld(t.Context(), corp, decisions.HeldSet{}))
		check(nil, nil)
	})
}
