// Package fault decides which calls of a simulated tenant go wrong, and how. Both simulators use it. Each of them
// formulates refusals in its vendor's form.
package fault

import (
	"bytes"
	"hash/fnv"
	"math"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Effect is what a fault does to a call.
type Effect uint8

// The effects.
const (
	// Refuse answers Status, Code and Message instead of doing anything.
	Refuse Effect = iota
	// Drop closes the connection before anything is done. Go's HTTP client repeats a GET by itself when that happens
	// on a connection that it has used before. Its caller sees the error only after two such faults in a row.
	Drop
	// LoseAnswer carries out the request and closes the connection without an answer.
	LoseAnswer
	// TruncateAnswer carries out the request and closes the connection in the middle of the answer's body.
	TruncateAnswer
	// Delay waits for Fault.Delay before anything is done.
	Delay
	// ShortPage answers a list with the first half of a page and marks it as the last one.
	ShortPage
	// EmptyList answers a list request with an empty list.
	EmptyList
)

// Scope selects the requests that a fault matches.
type Scope uint8

// The scopes. Google Workspace has no batches here.
const (
	// Anywhere matches separate requests and items of batches.
	Anywhere Scope = iota
	// Alone matches separate requests, including whole batches.
	Alone
	// InBatch matches items of batches.
	InBatch
)

// Fault is one failure. Of several faults that match a call, the first one applies.
type Fault struct {
	// Method is the method's name in the simulator, or a pattern of path.Match such as "directory.members.*". Empty
	// matches every method except the sign-in, which only its full name matches.
	Method string
	// Scope limits the fault to items of batches, or to separate requests.
	Scope Scope
	// Key limits the fault to calls with a URL path that contains it, and Body to those with a body that contains it.
	// Both ignore letter case. To refuse one object in every call takes both, because its creation has the name in
	// the body.
	Key, Body string
	// Nth is the number of the first matching call that the fault applies to, counted from 1. Zero means 1.
	Nth int
	// Times is the number of calls that the fault applies to. Zero means all calls from then on.
	Times int
	// Probability is the chance that the fault applies to a call, when not zero. It depends only on the seed and the
	// count of matching calls.
	Probability float64

	// Effect is the kind of failure.
	Effect Effect
	// Status is the HTTP status of a Refuse. Zero means 503.
	Status int
	// Code is the error code of a Refuse, which is Graph's error code, Google's reason, or the OAuth error of a
	// sign-in. Empty selects a code that fits the status.
	Code string
	// Message is the message of a Refuse. Empty selects a message that fits the status.
	Message string
	// RetryAfter is sent with a Refuse when not zero.
	RetryAfter time.Duration
	// Delay is how long the Delay effect waits.
	Delay time.Duration
}

// Call describes a call to be matched.
type Call struct {
	Method, Path string
	Body         []byte
	// Item is set for an item of a batch.
	Item bool
}

// Set holds the faults of one tenant. It is safe for concurrent use. Seed and SignIn must be set before use.
type Set struct {
	// Seed makes the faults with a probability repeatable.
	Seed uint64
	// SignIn is the method that only its full name matches, never a pattern.
	SignIn string

	mu    sync.Mutex
	added uint64
	rules []*rule
}

type rule struct {
	Fault
	number, seen uint64
	struck       int
}

// Inject adds faults. Each counts matching calls from now on.
func (s *Set) Inject(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		s.added++
		s.rules = append(s.rules, &rule{Fault: f, number: s.added})
	}
}

// Clear removes all faults.
func (s *Set) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// Next counts a call and returns the fault that applies to it, or nil.
func (s *Set) Next(c Call) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hit *Fault
	for _, r := range s.rules {
		if !s.matches(r, &c) {
			continue
		}
		r.seen++
		if hit == nil && r.strikes(s.Seed) {
			r.struck++
			f := r.Fault
			hit = &f
		}
	}
	return hit
}

func (s *Set) matches(r *rule, c *Call) bool {
	switch {
	case r.Scope == Alone && c.Item, r.Scope == InBatch && !c.Item:
		return false
	case r.Key != "" && !strings.Contains(strings.ToLower(c.Path), strings.ToLower(r.Key)):
		return false
	case r.Body != "" && !bytes.Contains(bytes.ToLower(c.Body), []byte(strings.ToLower(r.Body))):
		return false
	case r.Method == s.SignIn || c.Method == s.SignIn:
		return r.Method == c.Method
	}
	ok, err := path.Match(r.Method, c.Method)
	return r.Method == "" || err == nil && ok
}

func (r *rule) strikes(seed uint64) bool {
	if r.seen < uint64(r.Nth) || r.Times > 0 && r.struck >= r.Times {
		return false
	}
	return r.Probability == 0 || Draw(seed, r.number, r.seen) < r.Probability
}

// Draw returns a number in [0,1) that depends only on its arguments.
func Draw(numbers ...uint64) float64 {
	h := fnv.New64a()
	for _, n := range numbers {
		for range 8 {
			_, _ = h.Write([]byte{byte(n)})
			n >>= 8
		}
	}
	x := h.Sum64() // The finalizer of MurmurHash3, because the high bits of FNV alone are weak.
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return float64((x^x>>33)>>11) / math.Exp2(53)
}

// Truncate announces a complete body, sends half of it and closes the connection.
func Truncate(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush() // The client receives the first half.
	panic(http.ErrAbortHandler)
}
