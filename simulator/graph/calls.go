package graph

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Call is one Graph request, either an HTTP request or an item of a batch.
type Call struct {
	Time   time.Time
	Method string // "users.create"
	Path   string // without /v1.0/
	// Status is the status of the response, even if the response was lost. It is 0 if the connection was dropped
	// before the call was carried out.
	Status int
	// Write reports that the method changes something.
	Write bool
	// Item reports that the call came in a batch.
	Item bool
	// Refused reports that the call had no effect, because of an invalid token, a spent quota or a fault.
	Refused bool
}

// Count is the number of calls of one method.
type Count struct{ Granted, Refused int }

// Calls has the calls of Graph since the start or the last ResetCalls, without sign-ins.
type Calls struct {
	// Requests counts HTTP requests. A batch counts as one.
	Requests int
	// BatchItems counts the requests within batches.
	BatchItems int
	// Log has the newest calls in the order in which they ended. A batch comes after its items.
	Log []Call
	// ByMethod counts all calls by method, batches and their items.
	ByMethod map[string]Count
	// Reads and Writes count the granted calls, including the items of batches but not the batches.
	Reads, Writes int
	// Refused counts the refused calls.
	Refused int
}

// Methods returns the methods of the log in order, without refused calls.
func (c Calls) Methods() []string {
	var ids []string
	for _, call := range c.Log {
		if !call.Refused {
			ids = append(ids, call.Method)
		}
	}
	return ids
}

// Calls returns a copy of the counters and of the log.
func (t *Tenant) Calls() Calls { return t.calls.snapshot() }

// ResetCalls sets the counters to zero and empties the log.
func (t *Tenant) ResetCalls() {
	l := &t.calls
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log, l.counts = nil, Calls{}
}

type callLog struct {
	mu     sync.Mutex
	keep   int
	log    []Call
	counts Calls
}

// request counts an HTTP request.
func (l *callLog) request() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counts.Requests++
}

func (l *callLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := &l.counts
	if n.ByMethod == nil {
		n.ByMethod = map[string]Count{}
	}
	count := n.ByMethod[c.Method]
	if c.Item {
		n.BatchItems++
	}
	switch {
	case c.Refused:
		count.Refused++
		n.Refused++
	case c.Write:
		n.Writes++
	case c.Method != batchMethod:
		n.Reads++
	}
	if !c.Refused {
		count.Granted++
	}
	n.ByMethod[c.Method] = count
	if len(l.log) >= 2*l.keep {
		l.log = slices.Clone(l.log[len(l.log)-l.keep:])
	}
	l.log = append(l.log, c)
}

func (l *callLog) snapshot() Calls {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.counts
	s.ByMethod = map[string]Count{}
	maps.Copy(s.ByMethod, l.counts.ByMethod)
	s.Log = slices.Clone(l.log[max(0, len(l.log)-l.keep):])
	return s
}
