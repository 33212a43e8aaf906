package provider

import (
	"sync"
	"time"
)

// Recent remembers the objects that this process created in the last minutes, which may still be answered with 404.
// It is safe for concurrent use.
type Recent struct {
	// Now is the clock.
	Now func() time.Time

	mu       sync.Mutex
	rotated  time.Time
	new, old map[string]struct{}
}

// Settle is how long a created object may stay invisible.
const Settle = 15 * time.Minute

// Add records an object.
func (r *Recent) Add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rotate()
	r.new[id] = struct{}{}
}

// Has reports whether the object was created moments ago.
func (r *Recent) Has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rotate()
	_, fresh := r.new[id]
	_, older := r.old[id]
	return fresh || older
}

// Drop removes an object that was seen and is about to be deleted, so that a later 404 means that it is gone.
func (r *Recent) Drop(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.new, id)
	delete(r.old, id)
}

// rotate keeps two generations, each for the time that an object may take to settle.
func (r *Recent) rotate() {
	switch age := r.Now().Sub(r.rotated); {
	case r.new != nil && age < Settle:
		return
	case age < 2*Settle:
		r.old = r.new
	default:
		r.old = nil
	}
	r.new, r.rotated = map[string]struct{}{}, r.Now()
}
