package decisions_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
)

// A large set has a first part with the first changes of each rule and the counts of all. A part that is changed,
// unsigned, or of another set, is not trusted.
func TestTheFirstPartOfALargeSet(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := signing(t, rdb, testclock.New(), oldKey)
		large := func(digest string) decisions.HeldSet {
			set := decisions.HeldSet{Digest: digest, RunID: "r"}
			for i := range 6000 {
				guard := map[bool]string{true: "limit", false: "doubt"}[i%2000 > 0]
				set.Changes = append(set.Changes, decisions.HeldChange{Fingerprint: fmt.Sprint(i), Op: "suspend", Kind: "user",
					Guard: guard})
			}
			return set
		}
		first := func(digest string) (n int, by map[string]map[string]int64) {
			got, err := f.HeldFirst(t.Context(), google, digest)
			f.must(err)
			return len(got.Changes), got.By
		}
		f.must(f.SetHeld(t.Context(), google, large("d1")))
		n, by := first("d1")
		want := map[string]map[string]int64{"doubt": {"suspend user": 3}, "limit": {"suspend user": 5997}}
		if diff := cmp.Diff(want, by); n != decisions.MostFirst+3 || diff != "" {
			t.Errorf("the first part has %d changes, and counts (-want +got)\n%s", n, diff)
		}
		key := recordKey + "held:first"
		changed, whole := []byte(rdb.Get(t.Context(), key).Val()), rdb.Get(t.Context(), recordKey+"held:d1").Val()
		changed[3] ^= 1
		plain := open(t, rdb)
		for name, step := range map[string]func(){
			"changed":        func() { f.must(rdb.Set(t.Context(), key, changed, 0).Err()) },
			"of another set": func() { f.must(f.SetHeld(t.Context(), google, large("d2"))) },
			"of a whole set": func() { f.must(rdb.Set(t.Context(), key, whole, 0).Err()) },
			"without a key":  func() { f.must(plain.SetHeld(t.Context(), google, large("d1"))) },
			"of a small set": func() {
				f.must(f.SetHeld(t.Context(), google, decisions.HeldSet{Digest: "d1", Changes: large("").Changes[:9]}))
			},
			"of an empty set":   func() { f.must(f.SetHeld(t.Context(), google, decisions.HeldSet{})) },
			"that is not there": func() { f.must(rdb.Del(t.Context(), key).Err()) },
		} {
			f.must(f.SetHeld(t.Context(), google, large("d1")))
			step()
			if _, by := first("d1"); by != nil {
				t.Errorf("a first part %s is trusted", name)
			}
		}
	})
}
