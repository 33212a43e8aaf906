package graph

import (
	"hash/fnv"
	"math"
	"path"
	"strings"
	"sync"
	"time"
)

// Effect is what a fault does to a call.
type Effect uint8

// The effects. An item of a batch has no connection of its own: Drop answers it 503, and LoseAnswer and TruncateAnswer
// answer it 504 after it was carried out.
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

// The scopes.
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
	// Method is the method, "users.create"; it may be a pattern of path.Match, "members.*". Empty is every method.
	// A batch is the method "batch", and each item is a call of its own. TokenMethod is the sign-in, which nothing but
	// its full name matches; there, Code and Message are the OAuth error and its description.
	Method string
	// Scope narrows the fault to batches, or away from them.
	Scope Scope
	// Key narrows the fault to calls whose path contains it, without regard to case.
	Key string
	// Nth is the first matching call that the fault strikes, counted from 1; 0 is the first.
	Nth int
	// Times is how many calls it strikes; 0 is every one from then on.
	Times int
	// Probability of striking, when not zero. The draw depends on Config.Seed and the count of matching calls alone.
	Probability float64

	// Effect is what happens.
	Effect Effect
	// Status of a Refuse; 503 when zero.
	Status int
	// Code of a Refuse; one that goes with the status when empty.
	Code string
	// Message of a Refuse; one that goes with the status when empty.
	Message string
	// RetryAfter is sent with a Refuse when not zero, in seconds with their fraction.
	RetryAfter time.Duration
	// Delay is how long the Delay effect waits.
	Delay time.Duration
}

// TokenMethod names the sign-in in Fault.Method.
const TokenMethod = "login.token"

// Inject adds faults; each begins to count matching calls now.
func (t *Tenant) Inject(faults ...Fault) { t.faults.add(faults...) }

// ClearFaults removes all faults.
func (t *Tenant) ClearFaults() {
	t.faults.mu.Lock()
	defer t.faults.mu.Unlock()
	t.faults.rules = nil
}

type faultState struct {
	mu    sync.Mutex
	seed  uint64
	added uint64
	rules []*faultRule
}

type faultRule struct {
	Fault
	number, seen uint64
	struck       int
}

func (s *faultState) add(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range faults {
		s.added++
		s.rules = append(s.rules, &faultRule{Fault: f, number: s.added})
	}
}

// next counts a call and returns the fault that it meets, or nil.
func (s *faultState) next(method, urlPath string, item bool) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	var hit *Fault
	for _, r := range s.rules {
		if r.Scope == Alone && item || r.Scope == InBatch && !item || !r.matches(method, urlPath) {
			continue
		}
		r.seen++
		if hit == nil && r.strikes(s.seed) {
			r.struck++
			f := r.Fault
			hit = &f
		}
	}
	return hit
}

func (r *faultRule) matches(method, urlPath string) bool {
	if r.Key != "" && !strings.Contains(strings.ToLower(urlPath), strings.ToLower(r.Key)) {
		return false
	}
	if r.Method == TokenMethod || method == TokenMethod {
		return r.Method == method
	}
	ok, err := path.Match(r.Method, method)
	return r.Method == "" || err == nil && ok
}

func (r *faultRule) strikes(seed uint64) bool {
	if r.seen < uint64(r.Nth) || r.Times > 0 && r.struck >= r.Times {
		return false
	}
	return r.Probability == 0 || draw(seed, r.number, r.seen) < r.Probability
}

// draw returns a number in [0,1) that depends on its arguments alone.
func draw(numbers ...uint64) float64 {
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
