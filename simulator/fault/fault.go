// Package fault decides which calls of a simulated tenant go wrong, and how. Both simulators use it; each of them
// words the refusals in its vendor's form.
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
	// Drop closes the connection before anything is done. (Go's HTTP client repeats a GET by itself when that
	// happens on a connection which it has used before: two such faults in a row reach its caller.)
	Drop
	// LoseAnswer does what was asked and closes the connection without an answer.
	LoseAnswer
	// TruncateAnswer does what was asked and closes the connection in the middle of the answer's body.
	TruncateAnswer
	// Delay waits for Fault.Delay before anything is done.
	Delay
	// ShortPage answers a list with the first half of a page and says that it is the last one.
	ShortPage
	// EmptyList answers a list with nothing in it.
	EmptyList
)

// Scope is where a fault strikes.
type Scope uint8

// The scopes. Google Workspace has no batches here.
const (
	// Anywhere is requests of their own and items of batches.
	Anywhere Scope = iota
	// Alone is requests of their own, batches among them.
	Alone
	// InBatch is items of batches.
	InBatch
)

// Fault is one thing that goes wrong. Of several that match a call, the first one strikes.
type Fault struct {
	// Method is the method's name in the simulator; it may be a pattern of path.Match, "directory.members.*". Empty is
	// every method but the sign-in, which only its full name matches.
	Method string
	// Scope narrows the fault to batches, or away from them.
	Scope Scope
	// Key narrows the fault to calls whose URL path contains it, and Body to those whose body contains it, both
	// without regard to case. A refused object is both: its creation has its name in the body.
	Key, Body string
	// Nth is the first matching call that the fault strikes, counted from 1; 0 is the first.
	Nth int
	// Times is how many calls it strikes; 0 is every one from then on.
	Times int
	// Probability of striking, when not zero. The draw depends on the seed and the count of matching calls alone.
	Probability float64

	// Effect is what happens.
	Effect Effect
	// Status of a Refuse; 503 when zero.
	Status int
	// Code of a Refuse: Graph's error code, Google's reason, the OAuth error of a sign-in. One that goes with the status
	// when empty.
	Code string
	// Message of a Refuse; one that goes with the status when empty.
	Message string
	// RetryAfter is sent with a Refuse when not zero.
	RetryAfter time.Duration
	// Delay is how long the Delay effect waits.
	Delay time.Duration
}

// Call is what a fault may match.
type Call struct {
	Method, Path string
	Body         []byte
	// Item says that the call came in a batch.
	Item bool
}

// Set holds the faults of one tenant. It is safe for concurrent use; Seed and SignIn are set before.
type Set struct {
	// Seed makes the faults with a probability repeatable.
	Seed uint64
	// SignIn is the method that only its full name matches.
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

// Inject adds faults; each begins to count matching calls now.
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

// Next counts a call and returns the fault that it meets, or nil.
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

// Draw returns a number in [0,1) that depends on its arguments alone.
func Draw(numbers ...uint64) float64 {
	h := fnv.New64a()
	for _, n := range numbers {
		for range 8 {
			_, _ = h.Write([]byte{byte(n)})
			n >>= 8
		}
	}
	x := h.Sum64() // FNV alone is weak in its high bits; this is the finalizer of MurmurHash3
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return float64((x^x>>33)>>11) / math.Exp2(53)
}

// Truncate announces a whole body, sends half of it and closes the connection.
func Truncate(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush() // so that the first half arrives; the rest never does
	panic(http.ErrAbortHandler)
}
