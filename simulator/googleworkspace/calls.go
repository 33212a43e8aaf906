package googleworkspace

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Call is one request of the Directory API.
type Call struct {
	Time   time.Time
	Method string // "directory.users.list"
	Path   string
	// Status is the status of the response, even if the response was lost. It is 0 if the connection was dropped
	// before the call was carried out.
	Status int
	// Refused reports that the call had no effect, because of an invalid token, a spent quota or a fault.
	Refused bool
}

// Count is the number of calls of one method.
type Count struct{ Granted, Refused int }

// Calls has the calls since the start or the last ResetCalls.
type Calls struct {
	// Log has the newest calls in the order in which they ended.
	Log []Call
	// ByMethod counts all calls by method id.
	ByMethod map[string]Count
	// Reads and Writes count the granted calls.
	Reads, Writes int
	// Refused counts the refused calls.
	Refused int
}

// Methods returns the method ids of the log in order, without refused calls.
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
	t.calls.mu.Lock()
	defer t.calls.mu.Unlock()
	t.calls.log, t.calls.byMethod = nil, nil
}

type callLog struct {
	mu       sync.Mutex
	keep     int
	log      []Call
	byMethod map[string]Count
}

func (l *callLog) add(c Call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byMethod == nil {
		l.byMethod = map[string]Count{}
	}
	count := l.byMethod[c.Method]
	if c.Refused {
		count.Refused++
	} else {
		count.Granted++
	}
	l.byMethod[c.Method] = count
	if len(l.log) >= 2*l.keep {
		l.log = slices.Clone(l.log[len(l.log)-l.keep:])
	}
	l.log = append(l.log, c)
}

func (l *callLog) snapshot() Calls {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Calls{ByMethod: map[string]Count{}, Log: slices.Clone(l.log[max(0, len(l.log)-l.keep):])}
	for method, count := range l.byMethod {
		s.ByMethod[method] = count
		s.Refused += count.Refused
		if isRead(method) {
			s.Reads += count.Granted
		} else {
			s.Writes += count.Granted
		}
	}
	return s
}

func isRead(method string) bool {
	return strings.HasSuffix(method, ".list") || strings.HasSuffix(method, ".get") ||
		strings.HasSuffix(method, ".hasMember")
}
