package jobs

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// wakeChannel is the channel on which the name of a queue is published when a task was put into it.
const wakeChannel = "rollcall:wake"

// wake tells idle workers of a new task. If nothing is published they find it with their next poll.
func (c *Client) wake(ctx context.Context, queue string) { c.rdb.Publish(ctx, wakeChannel, queue) }

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

// waking is the Redis client of a server of asynq. asynq only polls. Here the poll of an empty queue lasts until a task
// is announced, or for a while, so that an idle worker costs little and still begins at once.
type waking struct {
	redis.UniversalClient
	bell *bell
	// pending is the key of the queue.
	pending string
	idle    time.Duration
}

// EvalSha implements redis.Scripter. The script that takes a task is known by its first key.
func (c waking) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	const keysOfDequeue = 4
	if len(keys) != keysOfDequeue || keys[0] != c.pending {
		return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	}
	rung := c.bell.following()
	cmd := c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	if !errors.Is(cmd.Err(), redis.Nil) {
		return cmd
	}
	timer := time.NewTimer(c.idle)
	defer timer.Stop()
	select {
	case <-rung:
		return c.UniversalClient.EvalSha(ctx, sha, keys, args...)
	case <-timer.C:
	case <-c.bell.quiet:
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
