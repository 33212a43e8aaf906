// Package watch tells many listeners what becomes of runs. Each run is read by one goroutine, at a fixed pace and in
// one round trip, however many listeners there are. The goroutine ends with the last listener, or when the run is
// over.
//
// A listener has no buffer of its own. It has a place in the messages that all listeners share, of which as many are
// kept as Redis keeps. A slow listener gets the newest state of the run and every message since, and delays no other.
// A listener that is too slow for the kept messages is told that it missed some.
//
// Redis is polled and does not notify. A run is a hash that changes several times a second, and a blocking connection
// for each watched run would cost more than one read a second.
package watch

import (
	"context"
	"sync"
	"time"

	"rollcall/container"
	"rollcall/status"
)

// Hub has the readers of one process. It is safe for concurrent use; without listeners it has no goroutine.
type Hub struct {
	store *status.Store
	every time.Duration

	mu    sync.Mutex
	runs  map[string]*shared[story]
	heads map[container.ID]*shared[status.Cursor]
}

// New returns a Hub that reads what is listened to every so often.
func New(store *status.Store, every time.Duration) *Hub {
	return &Hub{store: store, every: every, runs: map[string]*shared[story]{},
		heads: map[container.ID]*shared[status.Cursor]{}}
}

// Readers returns how many runs and containers are read at present.
func (h *Hub) Readers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.runs) + len(h.heads)
}

// Head is a listener to the runs that a container gets.
type Head struct {
	*shared[status.Cursor]
	leave func()
}

// Head begins to listen to a container. Close must be called.
func (h *Hub) Head(c container.ID) *Head {
	s, leave := join(h, h.heads, c, func(ctx context.Context, before status.Cursor) (status.Cursor, verdict, error) {
		runs, _, err := h.store.List(ctx, c, 0, 1)
		if err != nil || len(runs) == 0 || runs[0].Cursor == before {
			return before, same, err
		}
		return runs[0].Cursor, other, nil
	})
	return &Head{s, leave}
}

// Newest returns the place of the newest run, zero while there is none, and a channel that is closed when that may be
// another. The error is that of Redis.
func (l *Head) Newest() (status.Cursor, <-chan struct{}, error) { return l.now() }

// Close ends the listening.
func (l *Head) Close() { l.leave() }

// join returns the reader of a key, made where there is none, and a function that its user calls once when leaving.
// The last user to leave ends the reader.
func join[K comparable, T any](h *Hub, all map[K]*shared[T], key K, read reading[T]) (*shared[T], func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := all[key]
	if s == nil {
		s = newShared(h.every, read)
		all[key] = s
	}
	s.users++
	return s, sync.OnceFunc(func() {
		h.mu.Lock()
		s.users--
		gone := s.users == 0
		if gone {
			delete(all, key)
		}
		h.mu.Unlock()
		if gone {
			s.end()
		}
	})
}
