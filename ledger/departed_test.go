package ledger_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/plan"
)

// The index of the entries that left follows the links, and is made anew where an earlier version has left none.
func TestDeparted(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		l := ledger.NewRedis(rdb, "google_workspace:1")
		gone := plan.Link{RemoteID: "2", Departed: now, Why: plan.Disabled}
		put := func(ref directory.Ref, link plan.Link) {
			must(t, l.PutLinks(t.Context(), map[directory.Ref]plan.Link{ref: link}))
		}
		departed := func(want ...directory.Ref) {
			t.Helper()
			places, n, err := l.Departed(t.Context(), ledger.Leaving{Limit: 10})
			var got []directory.Ref
			for _, p := range places {
				got = append(got, p.Ref)
			}
			slices.SortFunc(got, directory.Ref.Compare)
			if diff := cmp.Diff(want, got); err != nil || diff != "" || n != int64(len(want)) {
				t.Errorf("Departed() of %d (-want +got), %v:\n%s", n, err, diff)
			}
		}
		put(ada, plan.Link{RemoteID: "1", Rekey: `"departed"`})
		put(bob, gone)
		const index = "rollcall:{google_workspace:1}:ledger:gone"
		must(t, rdb.Del(t.Context(), index, index+":user:disabled").Err()) // as an earlier version leaves it
		const old = "rollcall:{google_workspace:1}:ledger:left"
		must(t, rdb.MSet(t.Context(), old, 1, old+":complete", 1).Err())
		departed(bob)
		if n := rdb.Exists(t.Context(), old, old+":complete").Val(); n != 0 {
			t.Errorf("%d keys of the earlier index are left", n)
		}
		must(t, rdb.ZAdd(t.Context(), index+":user:disabled", redis.Z{Score: 1, Member: bob.String()}).Err())
		must(t, l.Settle(t.Context(), bob))
		if places, _, err := l.Departed(t.Context(), ledger.Leaving{Limit: 1}); err != nil ||
			len(places) != 1 || places[0] != ledger.PlaceOf(bob, now) {
			t.Errorf("a corrected place is %v, %v", places, err)
		}
		put(ada, gone)
		departed(ada, bob)
		gone.Why = plan.Absent
		put(bob, gone)
		departed(ada, bob)
		put(bob, plan.Link{RemoteID: "2"})
		departed(ada)
		put(bob, gone)
		must(t, l.DropLinks(t.Context(), ada))
		departed(bob)
		must(t, rdb.ZAdd(t.Context(), index+":group:absent", redis.Z{Score: 1, Member: "group/old"}).Err())
		must(t, rdb.Expire(t.Context(), index, time.Hour).Err())
		if _, err := l.Links(t.Context()); err != nil { // as every full run does
			t.Fatal(err)
		}
		departed(bob)
		if ttl := rdb.TTL(t.Context(), index).Val(); ttl <= 12*time.Hour || ttl > 24*time.Hour {
			t.Errorf("the index is trusted for %v", ttl)
		}
	})
}

// interlude runs a function before each command with a name, and gives the command its error.
type interlude struct {
	command string
	run     func(context.Context) error
}

func (h interlude) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h interlude) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h interlude) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if cmd.Name() == h.command {
			if err := h.run(ctx); err != nil {
				cmd.SetErr(err)
				return err
			}
		}
		return next(ctx, cmd)
	}
}

// Links that are written while the index is corrected keep what their writer made of the index, and the index has the
// other entries throughout.
func TestIndexWhileLinksChange(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		cai, dee := directory.Ref{Kind: directory.User, ID: "cai"}, directory.Ref{Kind: directory.Group, ID: "dee"}
		gone, here := plan.Link{RemoteID: "1", Departed: now, Why: plan.Disabled}, plan.Link{RemoteID: "1"}
		const index = "rollcall:{google_workspace:1}:ledger:gone"
		for _, command := range []string{"zscan", "hmget", "evalsha", "set"} {
			must(t, rdb.FlushDB(t.Context()).Err())
			l := ledger.NewRedis(rdb, "google_workspace:1")
			must(t, l.PutLinks(t.Context(), map[directory.Ref]plan.Link{ada: gone, bob: here, cai: gone, dee: gone}))
			must(t, rdb.Del(t.Context(), index+":user:disabled").Err()) // an earlier version wrote ada and cai
			must(t, rdb.ZAdd(t.Context(), index+":user:absent", redis.Z{Score: 1, Member: bob.String()}).Err())
			hooked, ran := redis.NewClient(rdb.Options()), false
			defer hooked.Close()
			hooked.AddHook(interlude{command, func(ctx context.Context) error {
				if n := rdb.ZCard(ctx, index+":group:disabled").Val(); n != 1 {
					t.Errorf("%s: a reader sees %d groups", command, n)
				}
				if ran {
					return nil
				}
				ran = true
				if err := l.PutLinks(ctx, map[directory.Ref]plan.Link{ada: here, bob: gone}); err != nil {
					return err
				}
				return l.DropLinks(ctx, cai)
			}})
			want := []ledger.Place{ledger.PlaceOf(bob, now), ledger.PlaceOf(dee, now)}
			slices.SortFunc(want, ledger.Place.Compare)
			places, n, err := ledger.NewRedis(hooked, "google_workspace:1").Departed(t.Context(), ledger.Leaving{Limit: 9})
			if err != nil || !ran || n != 2 || !slices.Equal(places, want) {
				t.Errorf("%s: the index has %v (%d), %v; want %v", command, places, n, err, want)
			}
		}
	})
}

// The readers of an index that is not trusted wait for one reading of the links, which goes on without the first.
func TestOneComparison(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	hooked := redis.NewClient(rdb.Options())
	defer hooked.Close()
	const readers = 5
	var asked, scans atomic.Int32
	scanning, leave := make(chan bool), make(chan bool)
	hooked.AddHook(interlude{"exists", func(context.Context) error {
		asked.Add(1)
		return nil
	}})
	hooked.AddHook(interlude{"hscan", func(ctx context.Context) error {
		if scans.Add(1) == 1 {
			close(scanning)
		}
		select {
		case <-leave:
		case <-ctx.Done():
		}
		return ctx.Err()
	}})
	l := ledger.NewRedis(hooked, "google_workspace:1")
	must(t, l.PutLinks(t.Context(), map[directory.Ref]plan.Link{ada: {RemoteID: "1", Departed: now, Why: plan.Absent}}))
	first, stop := context.WithCancel(t.Context())
	gone, results := make(chan error), make(chan error)
	read := func(ctx context.Context, to chan<- error) {
		_, n, err := l.Departed(ctx, ledger.Leaving{})
		if err == nil && n != 1 {
			err = fmt.Errorf("%d entries, want 1", n)
		}
		to <- err
	}
	go read(first, gone)
	<-scanning
	stop()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the reader that leaves gets %v", err)
	}
	for range readers {
		go read(t.Context(), results)
	}
	for asked.Load() < readers+2 { // all have found that the index is not trusted
		runtime.Gosched()
	}
	close(leave)
	for range readers {
		must(t, <-results)
	}
	if n := scans.Load(); n != 1 {
		t.Errorf("the links were read %d times", n)
	}
}

// A fault of the index fails its readers, and not those of the links.
func TestLinksWithoutIndex(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	for _, command := range []string{"pttl", "del", "zscan", "evalsha", "set"} {
		must(t, rdb.FlushDB(t.Context()).Err())
		hooked := redis.NewClient(rdb.Options())
		defer hooked.Close()
		hooked.AddHook(interlude{command, func(context.Context) error { return errors.New("READONLY of a replica") }})
		l, links := ledger.NewRedis(hooked, "google_workspace:1"), map[directory.Ref]plan.Link{ada: {RemoteID: "1"}}
		must(t, l.PutLinks(t.Context(), links))
		const index = "rollcall:{google_workspace:1}:ledger:gone"
		must(t, rdb.ZAdd(t.Context(), index+":user:absent", redis.Z{Score: 1, Member: ada.String()}).Err())
		want(t, "Links() without "+command)(l.Links(t.Context()))(links)
		if rdb.Exists(t.Context(), index).Val() > 0 {
			t.Errorf("without %s, an index that was not corrected is trusted", command)
		}
		if _, _, err := l.Departed(t.Context(), ledger.Leaving{}); (err == nil) != (command == "pttl") {
			t.Errorf("Departed() without %s: %v", command, err)
		}
	}
}

// Pages of entries that left have each of them once, also where many left at one moment.
func TestPagesOfDeparted(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	l, links := ledger.NewRedis(rdb, "google_workspace:1"), map[directory.Ref]plan.Link{}
	const many = 3000
	for i := range many {
		kind := directory.Kinds[i%2]
		links[directory.Ref{Kind: kind, ID: directory.ID(fmt.Sprint(i))}] = plan.Link{RemoteID: fmt.Sprint(i),
			Departed: now.Add(time.Duration(i/2000) * time.Hour), Why: ledger.Reasons[i%len(ledger.Reasons)]}
	}
	must(t, l.PutLinks(t.Context(), links))
	seen := map[directory.Ref]bool{}
	for q := (ledger.Leaving{Limit: 70}); ; {
		places, n, err := l.Departed(t.Context(), q)
		if err != nil || n != many || !slices.IsSortedFunc(places, ledger.Place.Compare) {
			t.Fatalf("%d places of %d: %v", len(places), n, err)
		}
		for _, p := range places {
			if seen[p.Ref] || p != ledger.PlaceOf(p.Ref, links[p.Ref].Departed) {
				t.Fatalf("%v comes twice or is in another place", p)
			}
			seen[p.Ref] = true
		}
		if len(places) < q.Limit {
			break
		}
		q.After = &places[len(places)-1]
	}
	nowhere := ledger.Leaving{After: &ledger.Place{Ref: ada, Score: math.NaN()}}
	if _, _, err := l.Departed(t.Context(), nowhere); err == nil {
		t.Error("Departed() after no number = nil, want an error")
	}
	if len(seen) != many {
		t.Errorf("the pages have %d entries, want %d", len(seen), many)
	}
	for _, tc := range []struct {
		q    ledger.Leaving
		want int64
	}{
		{ledger.Leaving{Why: plan.Absent}, many / 5},
		{ledger.Leaving{Until: map[directory.Kind]time.Time{directory.User: now}}, 1000},
		{ledger.Leaving{Until: map[directory.Kind]time.Time{}}, 0},
	} {
		if _, n, err := l.Departed(t.Context(), tc.q); err != nil || n != tc.want {
			t.Errorf("Departed(%+v) counts %d (%v), want %d", tc.q, n, err, tc.want)
		}
	}
	var tied []redis.Z
	for i := range 200 {
		tied = append(tied, redis.Z{Score: 1, Member: fmt.Sprintf("group/t%03d", i)})
	}
	must(t, rdb.ZAdd(t.Context(), "rollcall:{google_workspace:1}:ledger:gone:group:absent", tied...).Err())
	after := ledger.Place{Ref: directory.Ref{Kind: directory.Group, ID: "t020"}, Score: 1}
	places, _, err := l.Departed(t.Context(), ledger.Leaving{After: &after, Limit: 70})
	if err != nil || len(places) != 20 || places[0].ID != "t019" {
		t.Errorf("after %v come %v, %v", after, places, err)
	}
}

// BenchmarkDeparted reads the first of 1,000 entries that left, beside the bare reading of the links of all of them.
func BenchmarkDeparted(b *testing.B) {
	rdb := redistest.Start(b)
	l, links := ledger.NewRedis(rdb, "google_workspace:1"), map[directory.Ref]plan.Link{}
	for i := range 100_000 {
		ref := directory.Ref{Kind: directory.User, ID: directory.ID(fmt.Sprintf("00000000-0000-0000-0000-%012d", i))}
		link := plan.Link{RemoteID: fmt.Sprint(i), Created: now}
		if i%100 == 0 {
			link.Departed, link.Why = now, plan.Absent
		}
		links[ref] = link
	}
	must(b, l.PutLinks(b.Context(), links))
	maps.DeleteFunc(links, func(_ directory.Ref, link plan.Link) bool { return link.Departed.IsZero() })
	b.Run("departed", func(b *testing.B) {
		for b.Loop() {
			if _, n, err := l.Departed(b.Context(), ledger.Leaving{Limit: 50}); err != nil || n != int64(len(links)) {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("bare", func(b *testing.B) {
		for b.Loop() {
			if got, err := l.LinksOf(b.Context(), slices.Collect(maps.Keys(links))...); err != nil || len(got) != len(links) {
				b.Fatal(len(got), err)
			}
		}
	})
}
