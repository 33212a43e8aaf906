package graph

import (
	"maps"
	"time"
)

// object is a user, a group or a directory role. Its states are immutable. A change adds another state.
type object struct {
	kind    *kind
	ord     uint64
	id      string
	created time.Time
	now     state
	past    []state // older ones that a read may still show, the oldest first

	members  memberList
	memberOf map[*object]bool
	former   []*object // the groups to go back to when the object is restored
}

// state is the state of an object since some moment.
type state struct {
	from    time.Time
	props   map[string]any
	deleted bool
}

// deleted reports whether the object is a deleted item now.
func (o *object) deleted() bool { return o.now.deleted }

// set adds the next state and drops the states that no read can show any longer.
func (o *object) set(next state, lag time.Duration, now time.Time) {
	if lag > 0 && o.now.props != nil {
		o.past = append(o.past, o.now)
	}
	o.now = next
	horizon := now.Add(-lag)
	for len(o.past) > 0 && (lag == 0 || !o.successor(0).from.After(horizon)) {
		o.past = o.past[1:]
	}
}

func (o *object) successor(i int) state {
	if i+1 < len(o.past) {
		return o.past[i+1]
	}
	return o.now
}

// patched returns a copy of the current properties with some of them replaced. Nil clears a property.
func (o *object) patched(fields map[string]any) map[string]any {
	props := maps.Clone(o.now.props)
	for name, value := range fields {
		if value == nil {
			delete(props, name)
		} else {
			props[name] = value
		}
	}
	return props
}

// Consistency says how long reads show former states, as a directory with many replicas does.
type Consistency struct {
	// Create is how long a new object cannot be found. Meanwhile GET, PATCH and DELETE return 404, lists and delta
	// omit it, and a reference to it is refused with 400. Its names are taken at once, and PATCH by uniqueName finds
	// it.
	Create time.Duration
	// Read is how long GET, lists, members and delta show the state before a change.
	Read time.Duration
}

// SetConsistency changes the delays from now on.
func (t *Tenant) SetConsistency(c Consistency) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lag = c
}

// settled reports whether a new object can be found yet.
func (t *Tenant) settled(o *object, now time.Time) bool {
	return !now.Before(o.created.Add(t.lag.Create))
}

// seen returns the state that a read shows, or false if it shows none.
func (t *Tenant) seen(o *object, now time.Time) (state, bool) {
	if !t.settled(o, now) {
		return state{}, false
	}
	horizon := now.Add(-t.lag.Read)
	if t.lag.Read == 0 || len(o.past) == 0 || !o.now.from.After(horizon) {
		return o.now, true
	}
	for i := len(o.past) - 1; i > 0; i-- {
		if !o.past[i].from.After(horizon) {
			return o.past[i], true
		}
	}
	return o.past[0], true
}

// change is one change of an object.
type change struct {
	at     time.Time
	object *object
	what   what
	fields []string // of updated
	member *object  // of joined and left; of a new manager, the former one
}

type what uint8

const (
	created what = iota
	updated
	removed  // to deleted items
	restored // from there
	gone     // for good
	joined
	left
)

func (t *Tenant) record(o *object, c change) {
	c.object = o
	log := &t.collection(o.kind).log
	*log = append(*log, c)
}
