package jobs

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
)

// polls returns the times within a minute at which a worker polls.
func polls(t *turns, every time.Duration) (out []time.Duration) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 12345, time.UTC)
	for at := t.wait(start, every); at < time.Minute; at += t.wait(start.Add(at), every) {
		out = append(out, at)
	}
	return out
}

// However many workers there are, and if one of them is dead, a task waits for a poll no longer than with one worker.
// Many workers do not poll more often than four together, up to twenty.
func TestTurnsOfWorkers(t *testing.T) {
	t.Parallel()
	const every = 500 * time.Millisecond
	for n := 1; n <= 50; n++ {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("w%02d", i))
		}
		var all [][]time.Duration
		for _, name := range names {
			var own turns
			own.share(names, name)
			all = append(all, polls(&own, every))
		}
		for dead := range min(n, 3) {
			living := all
			if n > 1 {
				living = slices.Delete(slices.Clone(all), dead, dead+1)
			}
			together := slices.Sorted(slices.Values(slices.Concat(living...)))
			if most := int(6 * time.Minute / every); n <= 20 && len(together) > most {
				t.Errorf("%d workers poll %d times a minute, want at most %d", n, len(together), most)
			}
			for i, at := range together[1:] {
				if gap := at - together[i]; gap > every {
					t.Fatalf("%d workers, one dead: no poll for %v, want at most %v", n, gap, every)
				}
			}
		}
		for round := range 20 {
			has := 0
			for at := range names {
				if (&turns{n: n, at: at}).mine(round) {
					has++
				}
			}
			if has < min(n, 2) {
				t.Errorf("of %d workers it is the turn of %d in round %d, want at least two", n, has, round)
			}
		}
	}
	var known turns
	for i, tc := range []struct {
		alive   []string
		changed bool
	}{{[]string{"a", "b"}, true}, {[]string{"b", "a"}, false}, {[]string{"a", "c"}, true}, {[]string{"a"}, true}} {
		if got := known.share(tc.alive, "a"); got != tc.changed {
			t.Errorf("%d: the live workers changed: %v, want %v", i, got, tc.changed)
		}
	}
	var unknown turns
	if unknown.share([]string{"a", "b", "c", "d", "e", "f"}, "x"); !unknown.mine(1) || !unknown.mine(2) {
		t.Error("a worker that does not count as alive has no turns, want it to have every one")
	}
}

// counting counts the scripts that a client runs.
type counting struct {
	redis.UniversalClient
	n int
}

func (c *counting) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	c.n++
	return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
}

// A worker looks for tasks whose time has come when it is its turn. It announces those that it moves, and looks again.
func TestDueTasksAreMovedInTurns(t *testing.T) {
	t.Parallel()
	rdb := &counting{UniversalClient: redistest.Start(t)}
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	const ticks, idle = 120, 500 * time.Millisecond
	c := &waking{UniversalClient: rdb, bell: newBell(), turns: &turns{n: 20, at: 7}, queue: FullQueue, idle: idle,
		now: func() time.Time { return now }, next: map[string]time.Time{}}
	due := redis.NewScript("return tonumber(redis.call('GETDEL', KEYS[1]) or '0')")
	if err := due.Load(t.Context(), rdb).Err(); err != nil {
		t.Fatal(err)
	}
	keys := []string{queueKey(FullQueue, "retry"), queueKey(FullQueue, "pending")}
	forward := func() int {
		n, err := due.Run(t.Context(), c, keys).Int()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	for range ticks { // a minute
		if n := forward(); n != 0 {
			t.Errorf("%d tasks are due, want none", n)
		}
		now = now.Add(idle)
	}
	if rdb.n < 12 || rdb.n > 13 {
		t.Errorf("one of 20 workers asked %d times in a minute, want once in 5 seconds", rdb.n)
	}
	sub := rdb.Subscribe(t.Context(), wakeChannel)
	defer sub.Close()
	if _, err := sub.Receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Set(t.Context(), keys[0], 3, 0).Err(); err != nil {
		t.Fatal(err)
	}
	now = now.Add(5 * time.Second)
	if first, again := forward(), forward(); first != 3 || again != 0 {
		t.Errorf("%d tasks were moved and then %d, want 3 and none", first, again)
	}
	m, err := sub.ReceiveMessage(t.Context())
	if err != nil || m.Payload != FullQueue {
		t.Errorf("announced: %v, %v, want the queue", m, err)
	}
}

// publisher publishes nothing, and counts.
type publisher struct {
	redis.UniversalClient
	n    int
	goOn chan struct{}
}

func (p *publisher) Publish(ctx context.Context, _ string, _ any) *redis.IntCmd {
	p.n++
	<-p.goOn
	return redis.NewIntCmd(ctx)
}

// Tasks that come while an announcement is under way share the next one, so that each is followed by one.
func TestAnnouncementsAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rdb := &publisher{goOn: make(chan struct{})}
		c := &Client{rdb: rdb, calls: map[string]*call{ObjectQueue: {}}}
		want := func(n int, when string) {
			t.Helper()
			if synctest.Wait(); rdb.n != n {
				t.Errorf("%s: %d announcements, want %d", when, rdb.n, n)
			}
		}
		c.wake(t.Context(), ObjectQueue)
		want(1, "after the first task")
		for range 100 {
			c.wake(t.Context(), ObjectQueue)
		}
		want(1, "with the first announcement under way")
		rdb.goOn <- struct{}{}
		want(2, "after the first announcement")
		rdb.goOn <- struct{}{}
		want(2, "after the second announcement")
		c.wake(t.Context(), ObjectQueue)
		want(3, "after another task")
		rdb.goOn <- struct{}{}
	})
}
