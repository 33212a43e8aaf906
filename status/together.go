package status

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// mostTogether is how many scripts one round trip has.
	mostTogether = 100
	// togetherTime limits a round trip, so that a dead connection delays the callers behind it for no longer.
	togetherTime = 2 * time.Second
)

// shared collects the scripts of callers who come while a round trip is under way. They share the next one.
type shared struct {
	mu      sync.Mutex
	waiting []asked
	busy    bool // a goroutine sends
}

// asked is a script that a caller waits for.
type asked struct {
	ctx  context.Context // the caller's: what no caller waits for any more is not sent
	cmd  *redis.SliceCmd
	done chan struct{}
}

// together runs a script in one round trip with those of other callers. It may be executed twice, and also where the
// context ended first.
func (s *Store) together(ctx context.Context, script *redis.Script, keys []string, args ...any) ([]any, error) {
	words := []any{"evalsha", script.Hash(), len(keys)}
	for _, key := range keys {
		words = append(words, key)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a := asked{ctx, redis.NewSliceCmd(ctx, append(words, args...)...), make(chan struct{})}
	s.shared.mu.Lock()
	s.shared.waiting = append(s.shared.waiting, a)
	if !s.shared.busy {
		s.shared.busy = true
		go s.send()
	}
	s.shared.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-a.done:
	}
	if redis.HasErrorPrefix(a.cmd.Err(), "NOSCRIPT") {
		return script.Run(ctx, s.rdb, keys, args...).Slice()
	}
	return a.cmd.Result()
}

// send sends what waits until nothing does.
func (s *Store) send() {
	for {
		s.shared.mu.Lock()
		n := min(mostTogether, len(s.shared.waiting))
		some := slices.DeleteFunc(slices.Clone(s.shared.waiting[:n]), func(a asked) bool { return a.ctx.Err() != nil })
		s.shared.waiting = s.shared.waiting[n:]
		s.shared.busy = n > 0
		s.shared.mu.Unlock()
		switch {
		case n == 0:
			return
		case len(some) == 0:
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), togetherTime)
		_, _ = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // Each command has its own error.
			for _, a := range some {
				_ = p.Process(ctx, a.cmd)
			}
			return nil
		})
		cancel()
		for _, a := range some {
			close(a.done)
		}
	}
}
