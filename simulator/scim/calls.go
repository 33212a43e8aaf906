package scim

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Call is one request.
type Call struct {
	Time time.Time
	// Method is config.get, types.list, schemas.list, or users or groups with list, get, create, put, patch or delete.
	Method, Path, Query string
	// Status is the status of the response, even if the response was lost. It is 0 if the connection was dropped
	// before the call was carried out.
	Status int
	// Body is the size of the request in bytes.
	Body int
	// Write reports that the method changes something.
	Write bool
	// Refused reports that the call had no effect, because of its credentials, a spent quota or a fault.
	Refused bool
}

// Calls has the calls since the start or the last ResetCalls, without those of the token endpoint.
type Calls struct {
	// Log has the newest calls in the order in which they ended.
	Log []Call
	// ByMethod counts the calls that were not refused.
	ByMethod map[string]int
	// Reads and Writes count the calls that were not refused, and Refused all others.
	Reads, Writes, Refused int
}

// Calls returns a copy of the counters and of the log.
func (t *Tenant) Calls() Calls { return t.calls.snapshot() }

// ResetCalls sets the counters to zero and empties the log.
func (t *Tenant) ResetCalls() {
	t.calls.mu.Lock()
	defer t.calls.mu.Unlock()
	t.calls.log, t.calls.counts = nil, Calls{}
}

type callLog struct {
	mu     sync.Mutex
	keep   int
	log    []Call
	counts Calls
}

func (l *callLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := &l.counts
	if n.ByMethod == nil {
		n.ByMethod = map[string]int{}
	}
	switch {
	case c.Refused:
		n.Refused++
	case c.Write:
		n.Writes++
	default:
		n.Reads++
	}
	if !c.Refused {
		n.ByMethod[c.Method]++
	}
	if len(l.log) >= 2*l.keep {
		l.log = slices.Clone(l.log[len(l.log)-l.keep:])
	}
	l.log = append(l.log, c)
}

func (l *callLog) snapshot() Calls {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.counts
	s.ByMethod = map[string]int{}
	maps.Copy(s.ByMethod, l.counts.ByMethod)
	s.Log = slices.Clone(l.log[max(0, len(l.log)-l.keep):])
	return s
}
