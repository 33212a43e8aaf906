package scim

import (
	"math"
	"net/http"
	"sync"
	"time"
)

// Quota bounds the calls, as units a second with a burst of one second (at least one call). Zero fields set no limit.
type Quota struct {
	// Requests bounds all calls, Reads GET, and Writes everything else.
	Requests, Reads, Writes float64
	// UserWrites bounds changes of users, and UserCreates new users.
	UserWrites, UserCreates float64
}

// SetQuota changes the quota and fills the buckets.
func (t *Tenant) SetQuota(q Quota) { t.quota.set(q) }

type quotaState struct {
	mu                                               sync.Mutex
	requests, reads, writes, userWrites, userCreates bucket
}

func (s *quotaState) set(q Quota) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.reads, s.writes = newBucket(q.Requests), newBucket(q.Reads), newBucket(q.Writes)
	s.userWrites, s.userCreates = newBucket(q.UserWrites), newBucket(q.UserCreates)
}

// take spends one call, or returns how long to wait.
func (s *quotaState) take(now time.Time, r *route) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	buckets := []*bucket{&s.requests}
	user := r.kind != nil && r.kind.path == "Users"
	switch {
	case !r.write:
		buckets = append(buckets, &s.reads)
	case user && r.method == http.MethodPost:
		buckets = append(buckets, &s.writes, &s.userWrites, &s.userCreates)
	case user:
		buckets = append(buckets, &s.writes, &s.userWrites)
	default:
		buckets = append(buckets, &s.writes)
	}
	var wait time.Duration
	for _, b := range buckets {
		wait = max(wait, b.missing(now))
	}
	if wait > 0 {
		return wait
	}
	for _, b := range buckets {
		b.level--
	}
	return 0
}

// bucket is a token bucket. Without a rate it never runs empty.
type bucket struct {
	rate, size, level float64
	at                time.Time
}

func newBucket(rate float64) bucket {
	size := math.Max(1, rate)
	return bucket{rate: rate, size: size, level: size}
}

// missing fills the bucket and returns when it has one unit.
func (b *bucket) missing(now time.Time) time.Duration {
	if b.rate == 0 {
		b.level = b.size
		return 0
	}
	if !b.at.IsZero() && now.After(b.at) {
		b.level = math.Min(b.size, b.level+b.rate*now.Sub(b.at).Seconds())
	}
	b.at = now
	if b.level >= 1-1e-9 {
		return 0
	}
	return time.Duration((1 - b.level) / b.rate * float64(time.Second))
}
