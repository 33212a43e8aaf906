package watch

import (
	"context"
	"sync"
	"time"
)

// shared is a value that one goroutine reads at a fixed pace for all listeners.
type shared[T any] struct {
	mu      sync.Mutex
	value   T
	err     error
	changed chan struct{} // closed when value or err is another

	users int // the hub's lock guards it
	stop  context.CancelFunc
	done  chan struct{}
}

// reading returns what has become of a value, and whether it is another, or the last.
type reading[T any] func(ctx context.Context, before T) (after T, is verdict, err error)

// verdict is what a reading came to.
type verdict int

const (
	same verdict = iota
	other
	last // what nobody needs to read again
)

// newShared begins to read, the first time at once.
func newShared[T any](every time.Duration, read reading[T]) *shared[T] {
	ctx, cancel := context.WithCancel(context.Background())
	s := &shared[T]{changed: make(chan struct{}), stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		s.loop(ctx, every, read)
	}()
	return s
}

func (s *shared[T]) loop(ctx context.Context, every time.Duration, read reading[T]) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for value := *new(T); ; {
		after, is, err := read(ctx, value)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			value = after
		}
		if s.publish(value, is, err); err == nil && is == last {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// publish shows a value and wakes who waits, if there is anything to see.
func (s *shared[T]) publish(value T, is verdict, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if is == same && err == nil && s.err == nil {
		return
	}
	s.value, s.err = value, err
	close(s.changed)
	s.changed = make(chan struct{})
}

// now returns what was read last, and a channel that is closed when there is more to see.
func (s *shared[T]) now() (T, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value, s.changed, s.err
}

// end stops the reading and waits until it has stopped.
func (s *shared[T]) end() {
	s.stop()
	<-s.done
}
