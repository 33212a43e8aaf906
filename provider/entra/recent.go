package entra

import (
	"sync"
	"time"
)

// recent remembers what this process created in the last minutes: such an object may still be answered with 404.
type recent struct {
	now func() time.Time

	mu       sync.Mutex
	rotated  time.Time
	new, old map[string]struct{}
}

// settle is how long an object that was created may stay out of sight.
const settle = 15 * time.Minute

func (r *recent) add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rotate()
	r.new[id] = struct{}{}
}

func (r *recent) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rotate()
	_, fresh := r.new[id]
	_, older := r.old[id]
	return fresh || older
}

// drop forgets an object that was seen and is about to be deleted: 404 means that it is gone.
func (r *recent) drop(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.new, id)
	delete(r.old, id)
}

// rotate keeps two generations, each for as long as an object may take to settle.
func (r *recent) rotate() {
	switch age := r.now().Sub(r.rotated); {
	case r.new != nil && age < settle:
		return
	case age < 2*settle:
		r.old = r.new
	default:
		r.old = nil
	}
	r.new, r.rotated = map[string]struct{}{}, r.now()
}
