package decisions_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/fault"
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

// hook runs something before each command and each pipeline, by the name of its first command.
type hook func(first redis.Cmder) error

func (h hook) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h hook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := h(cmd); err != nil {
			return err
		}
		return next(ctx, cmd)
	}
}

func (h hook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if err := h(cmds[0]); err != nil {
			return err
		}
		return next(ctx, cmds)
	}
}

// hooked returns another store on the same Redis.
func hooked(t *testing.T, rdb *redis.Client, h hook) *fixture {
	t.Helper()
	other := redis.NewClient(rdb.Options())
	t.Cleanup(func() { _ = other.Close() })
	other.AddHook(h)
	return signing(t, other, testclock.New(), oldKey)
}

// largeSet returns a set that is stored in parts.
func largeSet(guard string) decisions.HeldSet {
	set := decisions.HeldSet{Digest: "d1", RunID: guard}
	for i := range 6000 {
		set.Changes = append(set.Changes, decisions.HeldChange{Fingerprint: fmt.Sprint("print", i), Op: "suspend",
			Kind: "user", ID: fmt.Sprintf("%04d", i), Guard: guard})
	}
	return set
}

// Parts belong to the head that they were written with, also where the sets have the same digest.
func TestPartsOfAnotherWriteAreNotRead(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	f, key := signing(t, rdb, testclock.New(), oldKey), recordKey+"held:parts"
	f.must(f.SetHeld(t.Context(), google, largeSet("limit")))
	earlier := rdb.HGetAll(t.Context(), key).Val()
	f.must(f.SetHeld(t.Context(), google, largeSet("doubt")))
	f.must(rdb.HSet(t.Context(), key, "rows0", earlier["rows0"], "lines0", earlier["lines0"]).Err())
	x, err := f.HeldIndex(t.Context(), google)
	f.must(err)
	if rows, err := x.Rows(t.Context(), []int{0}); err == nil {
		t.Errorf("the rows of another write are read: %+v", rows)
	}
	if found, err := x.Find(t.Context(), "", func(decisions.HeldLine) bool { return true }); err == nil {
		t.Errorf("the lines of another write are read: %d", len(found))
	}
}

// Two workers may write at the same time, and parts that cannot be written leave the set itself.
func TestPartsAreWrittenApart(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	f, key, writes := signing(t, rdb, testclock.New(), oldKey), recordKey+"held:parts", 0
	zombie := hooked(t, rdb, func(first redis.Cmder) error {
		if first.Name() == "hset" || first.Name() == "multi" {
			if writes++; writes == 5 {
				return f.SetHeld(t.Context(), google, largeSet("doubt"))
			}
		}
		return nil
	})
	f.must(zombie.SetHeld(t.Context(), google, largeSet("limit")))
	x, err := f.HeldIndex(t.Context(), google)
	f.must(err)
	if rows, err := x.Rows(t.Context(), []int{0, 5999}); err != nil || rows[0].Guard != "limit" ||
		rows[1].Guard != "limit" || rdb.Exists(t.Context(), key).Val() != 1 {
		t.Errorf("the set of two writers has the rows %+v, %v", rows, err)
	}
	failing := hooked(t, rdb, func(first redis.Cmder) error {
		if first.Name() == "hset" || first.Name() == "multi" {
			return errors.New("no room")
		}
		return nil
	})
	f.must(failing.SetHeld(t.Context(), google, largeSet("brake")))
	x, err = f.HeldIndex(t.Context(), google)
	f.must(err)
	if len(x.Sections) != 1 || x.Sections[0].Guard != "brake" || rdb.Exists(t.Context(), key).Val() > 0 {
		t.Errorf("the set without parts has the sections %+v", x.Sections)
	}
}

// A whole set is read once for all requests at the same time, and a request that ends does not wait for it.
func TestAWholeSetIsReadOnce(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	open(t, rdb).must(open(t, rdb).SetHeld(t.Context(), google, decisions.HeldSet{Digest: "d1",
		Changes: []decisions.HeldChange{{Fingerprint: "a"}}}))
	var reads, asked atomic.Int32
	reading, release, done := make(chan bool), make(chan bool), make(chan error)
	rdb.AddHook(hook(func(first redis.Cmder) error {
		if first.Name() == "get" && first.Args()[1] == recordKey+"held" && reads.Add(1) == 2 { // the first one for the index
			reading <- true
			<-release
		}
		return nil
	}))
	ctx, cancel := context.WithCancel(t.Context())
	s := decisions.New(rdb, decisions.Config{Keys: func() ([]decisions.Key, error) {
		if asked.Add(1) == 2 {
			cancel()
		}
		return nil, nil
	}})
	go func() {
		x, err := s.HeldIndex(t.Context(), google)
		if err == nil && len(x.Sections) != 1 {
			err = fmt.Errorf("the sections are %+v", x.Sections)
		}
		done <- err
	}()
	<-reading
	if _, err := s.HeldIndex(ctx, google); fault.KindOf(err) != fault.Canceled || reads.Load() != 3 {
		t.Errorf("the second request = %v after %d reads", err, reads.Load())
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A search ends with its request, after at most the rest of a chunk.
func TestASearchEndsWithItsRequest(t *testing.T) {
	t.Parallel()
	f := signing(t, redistest.Start(t), testclock.New(), oldKey)
	f.must(f.SetHeld(t.Context(), google, largeSet("limit")))
	parts, err := f.HeldIndex(t.Context(), google)
	f.must(err)
	for name, x := range map[string]decisions.HeldIndex{"parts": parts, "whole": decisions.IndexHeld(largeSet("limit"))} {
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		_, err := x.Find(ctx, "", func(decisions.HeldLine) bool { cancel(); n++; return false })
		if n != 500 || fault.KindOf(err) != fault.Canceled {
			t.Errorf("%s: %v after %d changes", name, err, n)
		}
	}
}

// Ids that are the same in a line are told apart by their rows.
func TestHoldsTellsIdsApart(t *testing.T) {
	t.Parallel()
	f, set := signing(t, redistest.Start(t), testclock.New(), oldKey), largeSet("limit")
	for i, id := range []string{"Ab", "aB", "x\ny", "n\x00a", "lower"} {
		set.Changes[i*1000].ID = id
	}
	f.must(f.SetHeld(t.Context(), google, set))
	parts, err := f.HeldIndex(t.Context(), google)
	f.must(err)
	want := map[string]bool{"Ab": true, "aB": true, "x\ny": true, "n\x00a": true, "lower": true, "0001": true}
	for name, x := range map[string]decisions.HeldIndex{"parts": parts, "whole": decisions.IndexHeld(set)} {
		got, err := x.Holds(t.Context(), "suspend", "user", []string{"Ab", "aB", "ab", "AB", "x\ny", "x y", "X\nY", "n\x00a",
			"n\x00b", "n", "lower", "LOWER", "0001", "none"})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: Holds() = %v (-want +got)\n%s", name, err, diff)
		}
	}
}
