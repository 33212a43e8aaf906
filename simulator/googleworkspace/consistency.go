package googleworkspace

import "time"

// Consistency delays what the API shows, as the real service does. All delays are off when zero, and are
// measured on the tenant's clock.
type Consistency struct {
	// Create is how long a new user or group stays out of sight: GET answers 404, lists omit it, other writes
	// to a user answer 412 "User creation is not complete.", members.* of a group answer 404; creating it
	// again answers 409 all the same.
	Create time.Duration
	// Rename is how long writes to a user or group answer 409 after its address was changed.
	Rename time.Duration
	// Read is how far reads trail behind writes: updates, deletions and memberships show that much later.
	Read time.Duration
}

// SetConsistency changes the delays from now on. Objects that exist keep the delays they were made with.
func (t *Tenant) SetConsistency(c Consistency) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cfg.Consistency = c
}

// record is what users and groups have in common: when they can be seen, and what was to be seen when.
type record struct {
	visibleFrom time.Time
	busyUntil   time.Time
	deletedAt   time.Time
	versions    []version // oldest first, never empty
}

type version struct {
	at  time.Time // when reads begin to show it
	doc *rendered
}

// publish makes doc the newest version; reads show it after the delay.
func (r *record) publish(doc *rendered, now time.Time, delay time.Duration) {
	if delay == 0 || len(r.versions) == 0 {
		r.versions = append(r.versions[:0], version{now, doc})
		return
	}
	current := 0
	for i, v := range r.versions {
		if !v.at.After(now) {
			current = i
		}
	}
	r.versions = append(append([]version(nil), r.versions[current:]...), version{now.Add(delay), doc})
}

// shown returns what a read shows now.
func (r *record) shown(now time.Time) *rendered {
	doc := r.versions[0].doc
	for _, v := range r.versions {
		if !v.at.After(now) {
			doc = v.doc
		}
	}
	return doc
}

// newest returns what was written last.
func (r *record) newest() *rendered { return r.versions[len(r.versions)-1].doc }

// visible says whether reads see the object at all.
func (r *record) visible(now time.Time, delay time.Duration) bool {
	return !now.Before(r.visibleFrom) && (r.deletedAt.IsZero() || now.Before(r.deletedAt.Add(delay)))
}

func (r *record) deleted() bool { return !r.deletedAt.IsZero() }
