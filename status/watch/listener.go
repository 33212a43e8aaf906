package watch

import (
	"cmp"
	"context"
	"reflect"
	"sort"
	"strings"

	"rollcall/container"
	"rollcall/status"
)

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
