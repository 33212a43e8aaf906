package jobs

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// wakeChannel is the channel on which the name of a queue is published when a task was put into it.
const wakeChannel = "rollcall:wake"

// call is what a process publishes of one queue. At most one is under way, and the tasks that come meanwhile share the
// next one.
type call struct {
	mu           sync.Mutex
	busy, wanted bool
}

// wake tells idle workers of a new task, and does not wait for Redis. If nothing is published they find it with their
// next poll.
func (c *Client) wake(ctx context.Context, queue string) {
	call := c.calls[queue]
	call.mu.Lock()
	defer call.mu.Unlock()
	call.wanted = true
	if call.busy {
		return
	}
	call.busy = true
	ctx = context.WithoutCancel(ctx)
	go call.publish(func() {
		const limit = 2 * time.Second
		within, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		_ = c.rdb.Publish(within, wakeChannel, queue).Err()
	})
}

// publish publishes until no task has come meanwhile.
func (c *call) publish(once func()) {
	for {
		c.mu.Lock()
		c.busy, c.wanted = c.wanted, false
		if !c.busy {
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		once()
	}
}

// bell wakes the server of one queue.
type bell struct {
	mu    sync.Mutex
	next  chan struct{} // closed by the next ring
	quiet chan struct{} // closed when nothing waits any more
	once  sync.Once
}

func newBell() *bell { return &bell{next: make(chan struct{}), quiet: make(chan struct{})} }

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.next)
	b.next = make(chan struct{})
}

// following returns a channel that the next ring closes.
func (b *bell) following() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

func (b *bell) stop() { b.once.Do(func() { close(b.quiet) }) }

// turns say when a worker does what one of several would do. Each of many workers then asks Redis less often, and all
// of them together as often as four would.
type turns struct {
	mu    sync.Mutex
	alive []string // the live workers, sorted
	n, at int      // how many they are, and the place of this one
}

// share learns which workers are alive, and reports whether others were before.
func (t *turns) share(alive []string, own string) (changed bool) {
	alive = slices.Sorted(slices.Values(alive))
	t.mu.Lock()
	defer t.mu.Unlock()
	changed = !slices.Equal(alive, t.alive)
	t.alive, t.n, t.at = alive, len(alive), slices.Index(alive, own)
	if t.at < 0 {
		t.n, t.at = 1, 0
	}
	return changed
}

// slower is how many times less often a worker does what two would do, up to a limit. With three workers or fewer each
// does it every time, so that a dead one makes no difference.
func (t *turns) slower(most int) int { return max(1, min(t.n/2, most)) }

// wait returns the time until the next turn of something that should happen twice in each interval, or more often. The
// turns of the workers are evenly apart, by the clock that they share.
func (t *turns) wait(now time.Time, every time.Duration) time.Duration {
	const most = 10
	t.mu.Lock()
	defer t.mu.Unlock()
	period := every * time.Duration(t.slower(most))
	phase := period * time.Duration(t.at) / time.Duration(max(1, t.n))
	return period - (time.Duration(now.UnixNano())-phase)%period
}

// slowestTurn is how many rounds of the loop a worker of six or more has between two turns.
const slowestTurn = 3

// mine reports whether a round is this worker's turn: each, every other from four workers on, and every third from six
// on.
func (t *turns) mine(round int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return (round+t.at)%t.slower(slowestTurn) == 0
}

// waking is the Redis client of a server of asynq. asynq only polls. Here the poll of an empty queue lasts until a task
// is announced, or until the turn of this worker, so that an idle worker costs little and still begins at once. The
// tasks whose time has come are put into the queue by the worker whose turn it is, and announced.
type waking struct {
	redis.UniversalClient
	bell  *bell
	turns *turns
	now   func() time.Time
	queue string
	idle  time.Duration

	mu sync.Mutex
	// next is the next turn to look for tasks whose time has come, by the key that has them.
	next map[string]time.Time
}

// EvalSha implements redis.Scripter. The scripts that take a task and that put tasks into the queue are known by their
// keys.
func (c *waking) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	const keysOfDequeue, keysOfForward = 4, 2
	pending := queueKey(c.queue, "pending")
	switch {
	case len(keys) == keysOfDequeue && keys[0] == pending:
		return c.take(ctx, sha, keys, args)
	case len(keys) == keysOfForward && keys[1] == pending:
		return c.forward(ctx, sha, keys, args)
	}
	return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
}

func (c *waking) take(ctx context.Context, sha string, keys []string, args []any) *redis.Cmd {
	rung := c.bell.following()
	cmd := c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	if !errors.Is(cmd.Err(), redis.Nil) {
		return cmd
	}
	timer := time.NewTimer(c.turns.wait(c.now(), c.idle))
	defer timer.Stop()
	select {
	case <-rung:
		return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	case <-timer.C:
	case <-c.bell.quiet:
	}
	return cmd
}

// forward puts tasks into the queue. asynq calls it again at once after it moved some.
func (c *waking) forward(ctx context.Context, sha string, keys []string, args []any) *redis.Cmd {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Before(c.next[keys[0]]) {
		cmd := redis.NewCmd(ctx)
		cmd.SetVal(int64(0))
		return cmd
	}
	cmd := c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	switch moved, err := cmd.Int(); {
	case err != nil:
	case moved > 0:
		_ = c.Publish(ctx, wakeChannel, c.queue).Err() // Without it, a poll finds them.
	default:
		c.next[keys[0]] = now.Add(c.turns.wait(now, c.idle))
	}
	return cmd
}

// listen rings the bells of the queues in which tasks are announced, until ctx ends. After a break of the connection
// it rings all of them.
func (w *Worker) listen(ctx context.Context) {
	sub := w.cfg.Redis.Subscribe(ctx, wakeChannel)
	defer sub.Close()
	messages := sub.ChannelWithSubscriptions()
	for {
		select {
		case <-ctx.Done():
			return
		case m, open := <-messages:
			if !open {
				return
			}
			queue := ""
			if news, is := m.(*redis.Message); is {
				queue = news.Payload
			}
			w.mu.Lock()
			for name, b := range w.bells {
				if queue == "" || queue == name {
					b.ring()
				}
			}
			w.mu.Unlock()
		}
	}
}
