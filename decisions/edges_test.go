package decisions_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/plan"
)

// A record of more than a megabyte is none of ours. It is not read, and decides nothing.
func TestHugeRecordsDecideNothing(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	f := open(t, rdb)
	f.decided()
	f.must(f.Leave(t.Context(), plan.Order{Ref: annPin.Ref, By: "grace", At: f.Now()}))
	blank := strings.Repeat(" ", 1<<20)
	for key, field := range map[string]string{recordKey + "decisions": goodFinger, recordKey + "pins": "user/ann",
		"rollcall:{orders}:leave": "user/ann"} {
		f.must(rdb.HSet(t.Context(), key, field, rdb.HGet(t.Context(), key, field).Val()+blank).Err())
	}
	if got, want := f.told(google), "bbbb rejected; pin bob; aaaa cannot be read; ann cannot be read"; got != want {
		t.Errorf("Kept() = %s, want %s", got, want)
	}
	if o, err := f.Orders(t.Context()); err != nil || len(o.Leave) > 0 {
		t.Errorf("Orders() = %+v, %v, want none", o, err)
	}
	_, err := f.Pause(t.Context(), google, "boss")
	f.must(err)
	f.must(rdb.Append(t.Context(), recordKey+"pause", blank).Err())
	if p, err := f.PauseOf(t.Context(), google); err != nil || p == nil || !strings.Contains(p.By, "cannot be read") {
		t.Errorf("PauseOf() = %+v, %v, want a pause that cannot be read", p, err)
	}
}

// A process with a wrong clock or an older configuration decides nothing.
func TestAProcessThatStandsAsideDecidesNothing(t *testing.T) {
	t.Parallel()
	rdb, clock := redistest.Start(t), testclock.New()
	key, err := decisions.ParseKeys(oldKey)
	if err != nil {
		t.Fatal(err)
	}
	s := decisions.New(rdb, decisions.Config{Now: clock.Now, Aside: func() string { return "its clock is wrong" },
		Keys: func() ([]decisions.Key, error) { return key, nil }})
	ctx, order := t.Context(), plan.Order{Ref: annPin.Ref, By: "grace", At: clock.Now()}
	for name, write := range map[string]func() error{
		"decide": func() error {
			_, err := s.Decide(ctx, google, "approved", "boss", []decisions.HeldChange{{Fingerprint: goodFinger}})
			return err
		},
		"undecide": func() error { return s.Undecide(ctx, google, []string{goodFinger}) },
		"pin":      func() error { return s.Pin(ctx, google, []plan.Pin{annPin}, nil) },
		"repin":    func() error { return s.Repin(ctx, google, []plan.Pin{annPin}, nil) },
		"adopt":    func() error { _, err := s.Adopt(ctx, google, ""); return err },
		"leave":    func() error { return s.Leave(ctx, order) },
		"agree":    func() error { return s.Agree(ctx, google, order) },
	} {
		if err := write(); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "its clock is wrong") {
			t.Errorf("%s = %v, want that the process stands aside", name, err)
		}
	}
	if keys := rdb.Keys(ctx, "*").Val(); len(keys) > 0 {
		t.Errorf("it wrote %v", keys)
	}
}

// A key that cannot be read is an error, and no reason to trust everything.
func TestAKeyThatCannotBeReadDecidesNothing(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	f := open(t, rdb)
	f.decided()
	_, err := f.Pause(t.Context(), google, "boss")
	f.must(err)
	f.must(f.Leave(t.Context(), plan.Order{Ref: annPin.Ref, By: "grace", At: f.Now()}))
	set := decisions.HeldSet{Digest: "d", Changes: []decisions.HeldChange{{Fingerprint: "a"}}}
	f.must(f.SetHeld(t.Context(), google, set))
	s := decisions.New(rdb, decisions.Config{Now: f.Now,
		Keys: func() ([]decisions.Key, error) { return nil, errors.New("no such file") }})
	ctx := t.Context()
	for name, read := range map[string]func() error{
		"kept":    func() error { _, err := s.Kept(ctx, google); return err },
		"held":    func() error { _, err := s.Held(ctx, google); return err },
		"index":   func() error { _, err := s.HeldIndex(ctx, google); return err },
		"orders":  func() error { _, err := s.Orders(ctx); return err },
		"ordered": func() error { _, err := s.Ordered(ctx, google, annPin.Ref); return err },
		"pause":   func() error { _, err := s.PauseOf(ctx, google); return err },
		"paused":  func() error { return s.Paused(ctx, google) },
		"to pause": func() error {
			_, err := s.Pause(ctx, google, "boss")
			return err
		},
		"set held": func() error { return s.SetHeld(ctx, google, set) },
		"pin":      func() error { return s.Pin(ctx, google, []plan.Pin{annPin}, nil) },
		"leave":    func() error { return s.Leave(ctx, plan.Order{Ref: annPin.Ref}) },
	} {
		if err := read(); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%s = %v, want that the key cannot be read", name, err)
		}
	}
}

func TestNothingIsSignedWithoutAKey(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t))
	if _, err := f.Adopt(t.Context(), google, ""); fault.KindOf(err) != fault.Conflict {
		t.Errorf("Adopt() = %v, want a conflict", err)
	}
}

// Decisions that have expired are deleted by the next change.
func TestExpiredDecisionsAreDeleted(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb)
		f.decided()
		if n, err := f.CountPins(t.Context(), google); err != nil || n != 2 {
			t.Errorf("CountPins() = %d, %v, want 2", n, err)
		}
		f.Advance(decisions.DecisionTTL - time.Minute)
		_, err := f.Decide(t.Context(), google, "approved", "boss", []decisions.HeldChange{{Fingerprint: "cccc"}})
		f.must(err)
		if n := rdb.HLen(t.Context(), recordKey+"decisions").Val(); n != 3 {
			t.Errorf("%d decisions are stored, want 3", n)
		}
		f.Advance(time.Minute)
		f.must(f.Undecide(t.Context(), google, []string{"dddd"}))
		if got := rdb.HKeys(t.Context(), recordKey+"decisions").Val(); len(got) != 1 || got[0] != "cccc" {
			t.Errorf("stored are %v, want the one that has not expired", got)
		}
		if got, want := f.told(google), "cccc approved; pin ann; pin bob"; got != want {
			t.Errorf("Kept() = %s, want %s", got, want)
		}
	})
}

// The counts of a set that has expired are those of no set.
func TestHeldCountsOfASetThatExpired(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	f := open(t, rdb)
	f.must(f.SetHeld(t.Context(), corp, decisions.HeldSet{Digest: "d",
		Changes: []decisions.HeldChange{{Guard: "limit", Op: "delete", Kind: "user"}}}))
	f.must(rdb.Del(t.Context(), "rollcall:{ldap:corp}:held:d", "rollcall:{ldap:corp}:held:counts").Err())
	if got, err := f.HeldCounts(t.Context(), corp); err != nil || len(got.Guards) > 0 {
		t.Errorf("HeldCounts() = %+v, %v, want none", got, err)
	}
	if set, err := f.Held(t.Context(), corp); err != nil || set.Digest != "" || len(set.Changes) > 0 {
		t.Errorf("Held() = %+v, %v, want none", set, err)
	}
}

// The pause of one container is none of another, and a pause says how it ends.
func TestAPauseIsThatOfItsContainer(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	f := signing(t, rdb, testclock.New(), oldKey)
	_, err := f.Pause(t.Context(), google, "boss")
	f.must(err)
	plain := open(t, rdb)
	_, err = plain.Pause(t.Context(), corp, "boss")
	f.must(err)
	f.must(rdb.Set(t.Context(), recordKey+"pause", rdb.Get(t.Context(), "rollcall:{ldap:corp}:pause").Val(), 0).Err())
	if p, err := plain.PauseOf(t.Context(), google); err != nil || !strings.Contains(p.By, "was changed by another") {
		t.Errorf("PauseOf() = %+v, %v, want that it was changed", p, err)
	}
	paused, ok := errors.AsType[*decisions.PausedError](plain.Paused(t.Context(), corp))
	if !ok || !strings.Contains(paused.Error(), "paused by boss since ") ||
		!strings.HasSuffix(paused.Error(), "; resume with `rollcall resume ldap:corp`") {
		t.Errorf("Paused() = %v", paused)
	}
}

// While Redis is away, the newest attempts wait. Those that were written are not written again.
func TestAttemptsThatWaitAreBounded(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t))
	trail := f.Trail(google)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for i := range 10_001 {
		trail.Add(fmt.Sprintf("user/%d", i), decisions.Attempt{Op: "update"})
	}
	if err := trail.Flush(gone); err == nil {
		t.Fatal("Flush() = nil without Redis")
	}
	f.must(trail.Flush(t.Context()))
	for entry, want := range map[string]int{"user/0": 0, "user/1": 1, "user/10000": 1} {
		if got := f.attempts(entry); len(got) != want {
			t.Errorf("%s has %d attempts, want %d", entry, len(got), want)
		}
	}
	f.must(trail.Flush(t.Context()))
	if got := f.attempts("user/1"); len(got) != 1 {
		t.Errorf("another Flush() wrote %v", got)
	}
}

// An attempt of another form is an error. An id that looks like a short one and is none is kept as it is.
func TestAttemptsOfAnotherForm(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	f := open(t, rdb)
	key := recordKey + "tried:user/1"
	for line, want := range map[string]string{"0\t~not base64": "not base64", "0\t~QUJD": "QUJD", "0\tplain": "plain",
		"0" + strings.Repeat("\t", 9): ""} {
		f.must(rdb.Del(t.Context(), key).Err())
		f.must(rdb.LPush(t.Context(), key, line).Err())
		if got := f.attempts("user/1"); len(got) != 1 || got[0].RunID != want {
			t.Errorf("%q: attempts %+v, want the run %q", line, got, want)
		}
	}
	for _, line := range []string{"0" + strings.Repeat("\t", 10), "!"} {
		f.must(rdb.Del(t.Context(), key).Err())
		f.must(rdb.LPush(t.Context(), key, line).Err())
		if got, err := f.Attempts(t.Context(), google, "user/1"); err == nil {
			t.Errorf("%q: attempts %+v, want an error", line, got)
		}
	}
}

// A key signs for one purpose, and its id does not reveal it.
func TestKeysSignForOnePurpose(t *testing.T) {
	t.Parallel()
	keys, err := decisions.ParseKeys(oldKey + "\n" + newKey)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, k := range keys {
		if k.ID() == "" || strings.Contains(oldKey+newKey, k.ID()) {
			t.Errorf("the id is %q", k.ID())
		}
		for _, purpose := range []string{"page", "cookie"} {
			seen[hex.EncodeToString(k.Sign(purpose, []byte("x")))] = true
		}
	}
	if len(seen) != 4 || keys[0].ID() == keys[1].ID() {
		t.Errorf("%d signatures of two keys for two purposes, ids %s and %s", len(seen), keys[0].ID(), keys[1].ID())
	}
}

func TestEndingNoOrders(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t))
	f.must(f.Leave(t.Context(), plan.Order{Ref: annPin.Ref, By: "grace", At: f.Now()}))
	f.must(f.EndLeaves(t.Context()))
	if is, err := f.Ordered(t.Context(), google, annPin.Ref); err != nil || !is {
		t.Errorf("Ordered() = %v, %v, want true", is, err)
	}
	f.must(f.EndLeaves(t.Context(), annPin.Ref, directory.Ref{Kind: directory.User, ID: "none"}))
	if is, err := f.Ordered(t.Context(), google, annPin.Ref); err != nil || is {
		t.Errorf("Ordered() = %v, %v, want false", is, err)
	}
}

// A change counts for a day, and to the end of its minute. The keys outlive the window.
func TestAChangeCountsForAWholeDay(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	f := open(t, rdb)
	_, ok, err := f.Claim(t.Context(), google, decisions.BudgetUsers, "suspend user/1", 1)
	if !ok || err != nil {
		t.Fatalf("Claim() = %v, %v", ok, err)
	}
	for _, name := range []string{"spent", "spent:sums", "spent:totals", "spent:claims"} {
		if left := rdb.PTTL(t.Context(), recordKey+name).Val(); left < 24*time.Hour {
			t.Errorf("%s is kept for %v, want a day at least", name, left)
		}
	}
	f.Advance(24*time.Hour - time.Second)
	_, ok, err = f.Claim(t.Context(), google, decisions.BudgetUsers, "suspend user/2", 1)
	claims, err2 := f.Claims(t.Context(), google)
	if ok || err != nil || err2 != nil || !claims["suspend user/1"] {
		t.Errorf("within a day: Claim() = %v, %v, claims %v, %v; want that the first still counts", ok, err, claims, err2)
	}
}

// A set with as many conflicts as changes is a set.
func TestAHeldSetWithConflicts(t *testing.T) {
	t.Parallel()
	f := open(t, redistest.Start(t))
	f.must(f.SetHeld(t.Context(), google, decisions.HeldSet{Digest: "d",
		Changes:   []decisions.HeldChange{{Fingerprint: "a", Guard: "limit"}},
		Conflicts: []decisions.Conflict{{Kind: "user", ID: "1"}}}))
	if set, err := f.Held(t.Context(), google); err != nil || len(set.Changes) != 1 || len(set.Conflicts) != 1 {
		t.Errorf("Held() = %+v, %v, want the change and the conflict", set, err)
	}
}
