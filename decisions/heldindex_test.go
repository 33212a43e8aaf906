package decisions_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
)

// The parts of a large set have what the whole set has. Parts that are changed, unsigned, or of another set are not
// read: the whole set takes their place.
func TestThePartsOfALargeSet(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := signing(t, rdb, testclock.New(), oldKey)
		set := decisions.HeldSet{Digest: "d1", RunID: "r"}
		for i := range 6000 {
			guard := map[bool]string{true: "limit", false: "doubt"}[i%2000 > 0]
			set.Changes = append(set.Changes, decisions.HeldChange{Fingerprint: fmt.Sprint("print", i), Op: "suspend",
				Kind: "user", ID: fmt.Sprint("ID-", i), Label: fmt.Sprint("Ada\n", i), Guard: guard, Reason: guard})
		}
		// check compares an index with that of the whole set.
		check := func(what string, stored bool) {
			t.Helper()
			got, err := f.HeldIndex(t.Context(), google)
			f.must(err)
			want := decisions.IndexHeld(set)
			if diff := cmp.Diff(want.Sections, got.Sections); diff != "" || got.Digest != "d1" || got.RunID != "r" {
				t.Errorf("%s: the sections (-want +got)\n%s", what, diff)
			}
			places := []int{0, 2, 3, 499, 500, 1703, 5999}
			rows, err := want.Rows(t.Context(), places)
			f.must(err)
			parts, err := got.Rows(t.Context(), places)
			if diff := cmp.Diff(rows, parts); err != nil || diff != "" {
				t.Errorf("%s: the rows (-want +got), %v\n%s", what, err, diff)
			}
			for text, n := range map[string]int{"ada 5999": 1, "id-59": 111, "print": 0, "": 6000} {
				found, err := got.Find(t.Context(), text, func(l decisions.HeldLine) bool {
					return strings.Contains(l.Names, text)
				})
				if err != nil || len(found) != n {
					t.Errorf("%s: %q is found %d times (%v), want %d", what, text, len(found), err, n)
				}
			}
			f.must(rdb.Del(t.Context(), recordKey+"held:d1").Err())
			if got, err := f.HeldIndex(t.Context(), google); err != nil || (len(got.Sections) > 0) != stored {
				t.Errorf("%s: the parts are read: %v, %v, want %v", what, len(got.Sections) > 0, err, stored)
			}
		}
		key := recordKey + "held:parts"
		f.must(f.SetHeld(t.Context(), google, set))
		check("as stored", true)
		head := rdb.HGet(t.Context(), key, "head").Val()
		plain := open(t, rdb)
		for name, step := range map[string]func(){
			"changed":        func() { f.must(rdb.HSet(t.Context(), key, "head", "x"+head[1:]).Err()) },
			"of another set": func() { f.must(rdb.Rename(t.Context(), recordKey+"other", key).Err()) },
			"of a whole set": func() {
				f.must(rdb.HSet(t.Context(), key, "head", rdb.Get(t.Context(), recordKey+"held:d1").Val()).Err())
			},
			"that is not there": func() { f.must(rdb.Del(t.Context(), key).Err()) },
		} {
			other := set
			other.Digest = "d2"
			f.must(f.SetHeld(t.Context(), google, other))
			f.must(rdb.Rename(t.Context(), key, recordKey+"other").Err())
			f.must(f.SetHeld(t.Context(), google, set))
			step()
			check(name, false)
		}
		f.must(plain.SetHeld(t.Context(), google, set))
		if got, err := f.HeldIndex(t.Context(), google); err != nil || !got.Unsigned {
			t.Errorf("a set without signatures: %v, unsigned %v", err, got.Unsigned)
		}
		f.must(f.SetHeld(t.Context(), google, set))
		old, err := f.HeldIndex(t.Context(), google)
		f.must(err)
		f.must(rdb.HSet(t.Context(), key, "rows3", rdb.HGet(t.Context(), key, "rows2").Val()).Err())
		if _, err := old.Rows(t.Context(), []int{1700}); err == nil {
			t.Error("a chunk in the place of another is read")
		}
		f.must(f.SetHeld(t.Context(), google, decisions.HeldSet{Digest: "d1", Changes: set.Changes[:9]}))
		if _, err := old.Rows(t.Context(), []int{1}); err == nil || rdb.Exists(t.Context(), key).Val() > 0 {
			t.Errorf("the parts of an earlier set are there, or are read: %v", err)
		}
		f.must(f.SetHeld(t.Context(), google, decisions.HeldSet{}))
		if got, err := f.HeldIndex(t.Context(), google); err != nil || len(got.Sections) > 0 {
			t.Errorf("an empty set has the sections %v, %v", got.Sections, err)
		}
	})
}
