package googleworkspace

import "time"

// Consistency delays what the API shows, as the real service does. A zero delay is off. Delays are measured on the
// tenant's clock.
type Consistency struct {
	// Create is how long a new user or group is invisible. Meanwhile GET returns 404, lists omit it, other writes to
	// a user return 412 "User creation is not complete.", and members.* of a group return 404. Creating it again
	// returns 409.
	Create time.Duration
	// Rename is how long writes to a user or group return 409 after its address was changed.
	Rename time.Duration
	// Read is how long reads trail behind writes. Updates, deletions and memberships show that much later.
	Read time.Duration
}

// SetConsistency changes the delays from now on. Existing objects keep the delays that they were created with.
func (t *Tenant) SetConsistency(c Consistency) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cfg.Consistency = c
}

// record has the common state of users and groups, which is when they are visible and which version is shown when.
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

// publish makes doc the newest version. Reads show it after the delay.
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

// shown returns the version that a read shows now.
func (r *record) shown(now time.Time) *rendered {
	doc := r.versions[0].doc
	for _, v := range r.versions {
		if !v.at.After(now) {
			doc = v.doc
		}
	}
	return doc
}

// newest returns the last written version.
func (r *record) newest() *rendered { return r.versions[len(r.versions)-1].doc }

// visible reports whether reads show the object at all.
func (r *record) visible(now time.Time, delay time.Duration) bool {
	return !now.Before(r.visibleFrom) && (r.deletedAt.IsZero() || now.Before(r.deletedAt.Add(delay)))
}

func (r *record) deleted() bool { return !r.deletedAt.IsZero() }
