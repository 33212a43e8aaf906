package decisions_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/plan"
)

// Two keys as `openssl rand -hex 32` makes them.
var oldKey, newKey = strings.Repeat("0123456789abcdef", 4), strings.Repeat("fedcba9876543210", 4)

// signing opens a store on Redis with keys, one a line. Each call is another process.
func signing(t *testing.T, rdb redis.UniversalClient, clock *testclock.Clock, lines ...string) *fixture {
	t.Helper()
	keys, err := decisions.ParseKeys(strings.Join(lines, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{decisions.New(rdb, decisions.Config{Now: clock.Now,
		Keys: func() ([]decisions.Key, error) { return keys, nil }}), clock, t, rdb}
}

const (
	goodFinger, badFinger = "aaaa", "bbbb"
	recordKey             = "rollcall:{google_workspace:1}:"
)

var (
	annPin = plan.Pin{Ref: directory.Ref{Kind: directory.User, ID: "ann"}, Label: "Ann", Account: plan.StandsActive}
	bobPin = plan.Pin{Ref: directory.Ref{Kind: directory.User, ID: "bob"}, Label: "Bob", Account: plan.StandsActive}
)

// decided stores an approval, a rejection and two pins.
func (f *fixture) decided() {
	f.t.Helper()
	for verdict, print := range map[string]string{"approved": goodFinger, "rejected": badFinger} {
		_, err := f.Decide(f.t.Context(), google, verdict, "boss",
			[]decisions.HeldChange{{Fingerprint: print, Op: "suspend", ID: "1", Label: "Carl"}})
		f.must(err)
	}
	f.must(f.Pin(f.t.Context(), google, []plan.Pin{annPin, bobPin}, nil))
}

// told returns what of the stored records counts, and what is wrong with the others.
func (f *fixture) told(c container.ID) string {
	f.t.Helper()
	k, err := f.Kept(f.t.Context(), c)
	f.must(err)
	var out []string
	for _, print := range slices.Sorted(maps.Keys(k.Decisions)) {
		out = append(out, print+" "+k.Decisions[print].Verdict)
	}
	for _, p := range k.Pins {
		out = append(out, "pin "+string(p.ID))
	}
	for _, u := range k.Untrusted {
		out = append(out, fmt.Sprintf("%s%s %s", u.Pin.ID, u.Decision.Fingerprint, u.Problem))
	}
	if k.Broken != "" {
		out = append(out, "broken")
	}
	return strings.Join(out, "; ")
}

const untouched = "aaaa approved; bbbb rejected; pin ann; pin bob"

// Any record that another program adds, changes, removes or brings back is noticed. No approval of it counts, a
// rejection always does, and adopting the records ends it.
func TestRecordsOfAnotherProgramAreNoticed(t *testing.T) {
	t.Parallel()
	forged := `{"fingerprint":"cccc","verdict":"approved","by":"boss","expires":"2999-01-01T00:00:00Z"}`
	for name, test := range map[string]struct {
		change  func(f *fixture, rdb *redis.Client)
		want    string
		adopted string
	}{
		"nothing": {func(*fixture, *redis.Client) {}, untouched, untouched},
		"an approval is added": {func(f *fixture, rdb *redis.Client) {
			f.must(rdb.HSet(f.t.Context(), recordKey+"decisions", "cccc", forged).Err())
		}, untouched + "; cccc is not signed", "aaaa approved; bbbb rejected; cccc approved; pin ann; pin bob"},
		"an approval becomes that of another change": {func(f *fixture, rdb *redis.Client) {
			text := rdb.HGet(f.t.Context(), recordKey+"decisions", goodFinger).Val()
			f.must(rdb.HSet(f.t.Context(), recordKey+"decisions", "cccc",
				strings.ReplaceAll(text, goodFinger, "cccc")).Err())
		}, untouched + "; cccc is not signed", "aaaa approved; bbbb rejected; cccc approved; pin ann; pin bob"},
		"an approval is kept longer": {func(f *fixture, rdb *redis.Client) {
			text := strings.ReplaceAll(forged, "cccc", goodFinger)
			f.must(rdb.HSet(f.t.Context(), recordKey+"decisions", goodFinger, text).Err())
		}, "bbbb rejected; pin ann; pin bob; aaaa was changed by another program", untouched},
		"a rejection becomes an approval": {func(f *fixture, rdb *redis.Client) {
			text := rdb.HGet(f.t.Context(), recordKey+"decisions", badFinger).Val()
			f.must(rdb.HSet(f.t.Context(), recordKey+"decisions", badFinger,
				strings.ReplaceAll(text, "rejected", "approved")).Err())
		}, untouched + "; bbbb was changed by another program", "aaaa approved; bbbb approved; pin ann; pin bob"},
		"a rejection is removed": {func(f *fixture, rdb *redis.Client) {
			f.must(rdb.HDel(f.t.Context(), recordKey+"decisions", badFinger).Err())
		}, untouched + "; bbbb was removed by another program", "aaaa approved; pin ann; pin bob"},
		"all decisions are removed": {func(f *fixture, rdb *redis.Client) {
			f.must(rdb.Del(f.t.Context(), recordKey+"decisions").Err())
		}, "bbbb rejected; pin ann; pin bob; aaaa was removed by another program; bbbb was removed by another program",
			"pin ann; pin bob"},
		"a pin is removed": {func(f *fixture, rdb *redis.Client) {
			f.must(rdb.HDel(f.t.Context(), recordKey+"pins", "user/ann").Err())
		}, "aaaa approved; bbbb rejected; pin bob; ann was removed by another program",
			"aaaa approved; bbbb rejected; pin bob"},
		"a pin is changed": {func(f *fixture, rdb *redis.Client) {
			text := rdb.HGet(f.t.Context(), recordKey+"pins", "user/ann").Val()
			f.must(rdb.HSet(f.t.Context(), recordKey+"pins", "user/ann",
				strings.ReplaceAll(text, "active", "suspended")).Err())
		}, "aaaa approved; bbbb rejected; pin bob; ann was changed by another program", untouched},
		"a pin becomes nonsense": {func(f *fixture, rdb *redis.Client) {
			f.must(rdb.HSet(f.t.Context(), recordKey+"pins", "user/ann", "{").Err())
		}, "aaaa approved; bbbb rejected; pin bob; ann was changed by another program",
			"aaaa approved; bbbb rejected; pin bob"},
		"the seal is removed": {func(f *fixture, rdb *redis.Client) {
			f.must(rdb.Del(f.t.Context(), recordKey+"seal").Err())
		}, "bbbb rejected; aaaa is not signed; bbbb is not signed; ann is not signed; bob is not signed; broken",
			untouched},
		"the seal is changed": {func(f *fixture, rdb *redis.Client) {
			text := rdb.Get(f.t.Context(), recordKey+"seal").Val()
			f.must(rdb.Set(f.t.Context(), recordKey+"seal", text+" ", 0).Err())
		}, "bbbb rejected; aaaa is not signed; bbbb is not signed; ann is not signed; bob is not signed; broken",
			untouched},
		"the seal is that of another container": {func(f *fixture, rdb *redis.Client) {
			f.must(f.Pin(f.t.Context(), "google_workspace:2", []plan.Pin{annPin}, nil))
			text := rdb.Get(f.t.Context(), "rollcall:{google_workspace:2}:seal").Val()
			f.must(rdb.Set(f.t.Context(), recordKey+"seal", text, 0).Err())
		}, "bbbb rejected; aaaa is not signed; bbbb is not signed; ann is not signed; bob is not signed; broken",
			untouched},
		"an earlier state is brought back": {func(f *fixture, rdb *redis.Client) {
			saved := map[string]string{}
			for _, key := range []string{"seal", "decisions", "pins"} {
				saved[key] = rdb.Dump(f.t.Context(), recordKey+key).Val()
			}
			f.must(f.Undecide(f.t.Context(), google, []string{goodFinger}))
			for key, value := range saved {
				f.must(rdb.RestoreReplace(f.t.Context(), recordKey+key, 0, value).Err())
			}
		}, "bbbb rejected; aaaa is not signed; bbbb is not signed; ann is not signed; bob is not signed; broken",
			untouched},
		"records of others are put in place and the seal is removed": {func(f *fixture, rdb *redis.Client) {
			pin := rdb.HGet(f.t.Context(), recordKey+"pins", "user/ann").Val()
			f.must(rdb.HSet(f.t.Context(), recordKey+"pins", "user/bob", pin).Err())
			f.must(rdb.HSet(f.t.Context(), recordKey+"decisions", goodFinger, forged).Err())
			f.must(rdb.Del(f.t.Context(), recordKey+"seal").Err())
		}, "bbbb rejected; aaaa is not signed; bbbb is not signed; ann is not signed; bob is not signed; broken",
			"bbbb rejected; pin ann"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rdb := redistest.Start(t)
			f := signing(t, rdb, testclock.New(), oldKey)
			f.decided()
			test.change(f, rdb)
			if got := f.told(google); got != test.want {
				t.Errorf("Kept() = %s\nwant     %s", got, test.want)
			}
			k, err := f.Kept(t.Context(), google)
			f.must(err)
			if k.Broken != "" {
				if err := f.Pin(t.Context(), google, nil, []directory.Ref{annPin.Ref}); fault.KindOf(err) != fault.Conflict ||
					!strings.Contains(err.Error(), "rollcall adopt-decisions google_workspace:1") {
					t.Errorf("Pin() with a broken seal = %v, want the command that adopts the records", err)
				}
			}
			if _, err := f.Adopt(t.Context(), google, "another"); fault.KindOf(err) != fault.Conflict {
				t.Errorf("Adopt() of a state that was not listed = %v, want a conflict", err)
			}
			_, err = f.Adopt(t.Context(), google, k.Digest)
			f.must(err)
			if got := f.told(google); got != test.adopted {
				t.Errorf("Kept() after Adopt() = %s\nwant                   %s", got, test.adopted)
			}
		})
	}
}

// A process that starts after records were brought back learns of it from the audit log.
func TestTheAuditLogKnowsTheSequence(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := signing(t, rdb, testclock.New(), oldKey)
		f.decided()
		k, err := f.Kept(t.Context(), google)
		f.must(err)
		f.must(rdb.FlushDB(t.Context()).Err())
		fresh, later := signing(t, rdb, f.Clock, oldKey), signing(t, rdb, f.Clock, oldKey)
		if got := fresh.told(google); got != "" {
			t.Errorf("Kept() = %s, want nothing", got)
		}
		later.Saw(google, k.Sequence)
		if got := later.told(google); got != "broken" {
			t.Errorf("Kept() = %q, want it broken", got)
		}
		// It notes the loss for all others, and a change of the note ends it only until the next look.
		if got := signing(t, rdb, f.Clock, oldKey).told(google); got != "broken" {
			t.Errorf("a process that starts after it: Kept() = %q, want it broken", got)
		}
		floor := rdb.Get(t.Context(), recordKey+"floor").Val()
		f.must(rdb.Set(t.Context(), recordKey+"seal", floor, 0).Err())
		if got := signing(t, rdb, f.Clock, oldKey).told(google); got != "broken" {
			t.Errorf("with the note in place of the list Kept() = %q, want it broken", got)
		}
		f.must(rdb.Del(t.Context(), recordKey+"seal", recordKey+"floor").Err())
		if got := later.told(google) + rdb.Get(t.Context(), recordKey+"floor").Val(); got != "broken"+floor {
			t.Errorf("after the note was removed: %q, want it broken and the note %q", got, floor)
		}
		// A process that noticed nothing signs that there is nothing, and the others agree.
		f.Advance(time.Second)
		k, err = fresh.Kept(t.Context(), google)
		f.must(err)
		if n, err := fresh.Adopt(t.Context(), google, k.Digest); n != 0 || err != nil {
			t.Errorf("Adopt() = %d, %v, want no record", n, err)
		}
		for _, each := range []*fixture{f, later} {
			if got := each.told(google); got != "" {
				t.Errorf("after Adopt() Kept() = %s, want nothing", got)
			}
		}
	})
}

// Records of an earlier build count for nothing that harms until they are adopted, and go on being there.
func TestUnsignedRecordsOfAnEarlierBuild(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		clock := testclock.New()
		(&fixture{decisions.New(rdb, decisions.Config{Now: clock.Now}), clock, t, rdb}).decided()
		f := signing(t, rdb, clock, newKey)
		const unsigned = "bbbb rejected; aaaa is not signed; bbbb is not signed; ann is not signed; bob is not signed"
		if got := f.told(google); got != unsigned {
			t.Errorf("Kept() = %s, want %s", got, unsigned)
		}
		f.must(f.Repin(t.Context(), google, nil, []directory.Ref{bobPin.Ref}))
		const rest = "bbbb rejected; aaaa is not signed; bbbb is not signed; ann is not signed"
		if got := f.told(google); got != rest {
			t.Errorf("Kept() = %s, want %s", got, rest)
		}
		k, err := f.Kept(t.Context(), google)
		f.must(err)
		if n, err := f.Adopt(t.Context(), google, k.Digest); err != nil || n != 3 {
			t.Errorf("Adopt() = %d, %v, want 3", n, err)
		}
		if got, want := f.told(google), "aaaa approved; bbbb rejected; pin ann"; got != want {
			t.Errorf("Kept() = %s, want %s", got, want)
		}
	})
}

// A key is replaced while processes run. A process without the key of the records uses none of them.
func TestKeysAreReplaced(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		first := signing(t, rdb, testclock.New(), oldKey)
		first.decided()
		both := signing(t, rdb, first.Clock, newKey, oldKey)
		if got := both.told(google); got != untouched {
			t.Errorf("with both keys Kept() = %s, want %s", got, untouched)
		}
		last := signing(t, rdb, first.Clock, newKey)
		if got := last.told(google); got != untouched {
			t.Errorf("with the new key Kept() = %s, want %s", got, untouched)
		}
		for name, f := range map[string]*fixture{"the old key": signing(t, rdb, first.Clock, oldKey),
			"no key": open(t, rdb)} {
			if got := f.told(google); !strings.HasSuffix(got, "broken") || strings.Contains(got, "approved") {
				t.Errorf("with %s Kept() = %s, want nothing that counts", name, got)
			}
		}
	})
}

// Processes change the records of one container at the same time, and the seal has all of them.
func TestChangesAtTheSameTime(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	clock := testclock.New()
	errs := make(chan error)
	for i := range 6 {
		f := signing(t, rdb, clock, oldKey)
		go func() {
			pin := annPin
			pin.ID = directory.ID(fmt.Sprint(i))
			errs <- f.Pin(t.Context(), google, []plan.Pin{pin}, nil)
		}()
	}
	for range 6 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if got, want := signing(t, rdb, clock, oldKey).told(google), "pin 0; pin 1; pin 2; pin 3; pin 4; pin 5"; got != want {
		t.Errorf("Kept() = %s, want %s", got, want)
	}
}

// A held set that was changed is refused, and one without a signature is shown and not decided. Earlier builds read a
// signed one.
func TestHeldSetsAreSigned(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := signing(t, rdb, testclock.New(), oldKey)
		set := decisions.HeldSet{Digest: "d1", RunID: "r1", At: time.Unix(1, 0).UTC(),
			Changes: []decisions.HeldChange{{Fingerprint: "a", Op: "suspend", Kind: "user", ID: "1"}}}
		f.must(f.SetHeld(t.Context(), google, set))
		for name, reader := range map[string]*fixture{"the same": f, "one without a key": open(t, rdb)} {
			got, err := reader.HeldBy(t.Context(), google, "d1")
			if diff := cmp.Diff(set, got); diff != "" || err != nil {
				t.Errorf("%s: HeldBy() = %v (-want +got):\n%s", name, err, diff)
			}
		}
		text := rdb.Get(t.Context(), recordKey+"held:d1").Val()
		changed := []byte(text)
		changed[3] ^= 1
		for name, forged := range map[string][]byte{"changed": changed, "of another name": []byte(text)} {
			f.must(rdb.Set(t.Context(), recordKey+"held:d2", forged, 0).Err())
			if _, err := f.HeldBy(t.Context(), google, "d2"); fault.KindOf(err) != fault.Conflict ||
				!strings.Contains(err.Error(), "rollcall sync google_workspace:1") {
				t.Errorf("a set that is %s: HeldBy() = %v, want the command that stores it anew", name, err)
			}
		}
		plain := open(t, rdb)
		f.must(plain.SetHeld(t.Context(), google, set))
		if got, err := f.HeldBy(t.Context(), google, "d1"); err != nil || !got.Unsigned || len(got.Changes) != 1 {
			t.Errorf("a set of an earlier build: HeldBy() = %+v, %v, want it unsigned", got, err)
		}
	})
}

func TestParseKeys(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "0 lines", "\n\n": "0 lines", "short": "line 1 has 5 characters",
		oldKey + "\nx": "line 2 has 1 characters", strings.Repeat(oldKey+"\n", 3): "3 lines",
	} {
		if _, err := decisions.ParseKeys(text); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), oldKey) {
			t.Errorf("ParseKeys(%q) = %v, want %q and no key", text, err, want)
		}
	}
}

// FuzzRecords has another program write every value that a process reads before a decision. No approval, no pin and
// no order of it counts, and no sequence.
func FuzzRecords(f *testing.F) {
	for _, seed := range [][3]string{
		{"", "{}", "{}"}, {"00000000 00 {}", `{"verdict":"approved","expires":"2999-01-01T00:00:00Z"}`, `{"id":"ann"}`},
		{strings.Repeat("a", 8) + " " + strings.Repeat("b", 64) + ` {"seq":9223372036854775807,"marks":{"x":{}}}`,
			`{"fingerprint":"aaaa","verdict":"rejected"}`, `{"kind":"user","id":"ann","account":"none"}`},
	} {
		order := []byte(seed[0] + ` {"kind":"user","id":"ann","by":"eve","providers":["google_workspace:1"]}`)
		f.Add([]byte(seed[0]), []byte(seed[1]), []byte(seed[2]), []byte("\x03\x00sig1"), order)
	}
	rdb := redistest.Mini(f)
	keys, err := decisions.ParseKeys(oldKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, seal, decision, pin, held, order []byte) {
		store := decisions.New(rdb, decisions.Config{Keys: func() ([]decisions.Key, error) { return keys, nil }})
		ctx := t.Context()
		rdb.FlushDB(ctx)
		if len(seal) > 0 {
			rdb.Set(ctx, recordKey+"seal", seal, 0)
		}
		rdb.HSet(ctx, recordKey+"decisions", goodFinger, decision)
		rdb.HSet(ctx, recordKey+"pins", "user/ann", pin)
		rdb.Set(ctx, recordKey+"held:d1", held, 0)
		rdb.Set(ctx, recordKey+"floor", seal, 0)
		rdb.HSet(ctx, "rollcall:{orders}:leave", "user/ann", order)
		k, err := store.Kept(ctx, google)
		if err != nil || len(k.Pins) > 0 || k.Decisions[goodFinger].Verdict == string(plan.Approved) {
			t.Errorf("Kept() = %+v, %v, want nothing that counts", k, err)
		}
		if set, err := store.HeldBy(ctx, google, "d1"); err == nil && !set.Unsigned {
			t.Errorf("HeldBy() = %+v, want it refused or unsigned", set)
		}
		if orders, err := store.Orders(ctx); err != nil || len(orders.Leave) > 0 {
			t.Errorf("Orders() = %+v, %v, want none that stands", orders, err)
		}
		if n := store.Sequence(google); n != 0 {
			t.Errorf("Sequence() = %d after records without a signature, want 0", n)
		}
	})
}
