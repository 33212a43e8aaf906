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
	"cmp"
	"context"
	"reflect"
	"sort"
	"strings"
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

// story is a run and its messages, as far as they were read. The elements of the slice never change, because
// listeners read them without a lock.
type story struct {
	run status.Run
	// version is another with each change of run; 0 before the first reading.
	version  int
	messages []status.Message // the newest, oldest first
	dropped  int              // how many were before them and were dropped here
	closed   int              // how often the run was found closed
	over     bool             // nothing more is to come
}

// lateReads is how often a cancelled run is read once more, because its worker may still report what it did.
const lateReads = 2

// reader reads one run and what it said since the last time.
func (h *Hub) reader(c container.ID, id string) reading[story] {
	return func(ctx context.Context, st story) (story, verdict, error) {
		before := st
		for {
			after := ""
			if n := len(st.messages); n > 0 {
				after = st.messages[n-1].ID
			}
			run, found, err := h.store.Follow(ctx, c, id, after)
			if err != nil {
				return before, same, err
			}
			st.add(found, h.store.Config().MaxMessages)
			if len(found) == status.MaxList { // The record is to be older than the last message.
				continue
			}
			if st.version == 0 || !reflect.DeepEqual(run, st.run) {
				st.run, st.version = run, st.version+1
			}
			break
		}
		if !st.run.State.Open() {
			st.closed++
			st.over = st.settled(h)
		}
		switch {
		case st.over:
			return st, last, nil
		case st.version != before.version || len(st.messages)+st.dropped != len(before.messages)+before.dropped:
			return st, other, nil
		}
		return st, same, nil
	}
}

// settled reports whether a closed run will say nothing more.
func (st *story) settled(h *Hub) bool {
	since := h.store.Config().Now().Sub(st.run.FinishedAt)
	return st.run.State != status.Cancelled || st.run.StartedAt.IsZero() || st.closed > lateReads ||
		since > lateReads*h.every
}

func (st *story) add(found []status.Message, most int) {
	st.messages = append(st.messages, found...)
	if over := len(st.messages) - most; over > 0 {
		st.messages = st.messages[over:]
		st.dropped += over
	}
}

// since returns the messages from a number on, the number that follows them, and whether some before them are missing.
func (st *story) since(number int) (messages []status.Message, next int, missed bool) {
	at := number - st.dropped
	return st.messages[max(at, 0):], st.dropped + len(st.messages), at < 0
}

// place returns the number of the first message after an id, and whether some between them are not kept any more.
func (st *story) place(after string) (number int, missed bool) {
	at := sort.Search(len(st.messages), func(i int) bool { return compareIDs(st.messages[i].ID, after) > 0 })
	kept := int64(len(st.messages) + st.dropped)
	older := at == 0 && (st.dropped > 0 || st.run.Messages > kept)
	return st.dropped + at, older
}

// compareIDs compares two ids of messages, numbers of milliseconds and then of messages within one. The empty one is
// the least.
func compareIDs(a, b string) int {
	number := func(x, y string) int {
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y))
	}
	aTime, aPlace, _ := strings.Cut(a, "-")
	bTime, bPlace, _ := strings.Cut(b, "-")
	return cmp.Or(number(aTime, bTime), number(aPlace, bPlace))
}

// News is what became of a run since a listener looked last.
type News struct {
	// Run is the run as it is now, Changed whether it is another than the last time. It has no ID before it was read.
	Run     status.Run
	Changed bool
	// Messages are what it said since, oldest first. Missed says that some before them are not kept any more.
	Messages []status.Message
	Missed   bool
	// Over says that nothing more is to come.
	Over bool
}

// Listener follows one run. It belongs to one goroutine.
type Listener struct {
	feed    *shared[story]
	leave   func()
	after   string
	version int // of the run that was seen; 0 before the first
	next    int // the number of the next message
}

// Run begins to listen to a run, from the message that follows the one with id after (empty means from the oldest
// kept). Close must be called.
func (h *Hub) Run(c container.ID, id, after string) *Listener {
	s, leave := join(h, h.runs, string(c)+" "+id, h.reader(c, id))
	return &Listener{feed: s, leave: leave, after: after}
}

// Take returns what is new without waiting, and a channel that is closed when there may be more. The error is that of
// the last reading. It is fault.NotFound where the run is no longer kept, and fault.Unavailable where Redis is away.
func (l *Listener) Take() (News, <-chan struct{}, error) {
	st, more, err := l.feed.now()
	if err != nil || st.version == 0 {
		return News{}, more, err
	}
	var lost bool
	if l.version == 0 {
		l.next, lost = st.place(l.after)
	}
	n := News{Run: st.run, Changed: st.version != l.version, Over: st.over}
	n.Messages, l.next, n.Missed = st.since(l.next)
	n.Missed = n.Missed || lost
	l.version = st.version
	return n, more, nil
}

// Close ends the listening.
func (l *Listener) Close() { l.leave() }

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
	last // never read again
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
