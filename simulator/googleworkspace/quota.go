package googleworkspace

import (
	"math"
	"net/http"
	"sync"
	"time"
)

// Refusal is the form in which the tenant reports a spent quota.
type Refusal uint8

// The documented refusals.
const (
	// UserRateLimitExceeded is 403 userRateLimitExceeded, the queries per minute of a user and project.
	UserRateLimitExceeded Refusal = iota
	// QuotaExceeded is 403 quotaExceeded, too many concurrent requests for an operation.
	QuotaExceeded
	// RateLimitExceeded is 429 rateLimitExceeded, the limit of the whole account.
	RateLimitExceeded
)

// Quota bounds the calls by token buckets on the tenant's clock.
type Quota struct {
	// QueriesPerSecond is the rate of all calls together. Zero means no limit. Google's default is 40.
	QueriesPerSecond float64
	// Burst is the size of the bucket. Zero means the calls of one second, and at least 1.
	Burst int
	// UserInsertsPerSecond also bounds users.insert. Zero means no limit. Google's limit is 10 per domain.
	UserInsertsPerSecond float64
	// Refusal is the error that a refused call gets.
	Refusal Refusal
	// RetryAfter, if not zero, is sent with each refusal. Google usually sends none.
	RetryAfter time.Duration
}

// SetQuota changes the quota and fills the buckets.
func (t *Tenant) SetQuota(q Quota) { t.quota.set(q) }

type quotaState struct {
	mu      sync.Mutex
	quota   Quota
	queries bucket
	inserts bucket
}

func (s *quotaState) set(q Quota) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quota = q
	s.queries = newBucket(q.QueriesPerSecond, q.Burst)
	s.inserts = newBucket(q.UserInsertsPerSecond, 0)
}

// take spends one call of the quota, or returns the refusal. A refused call costs nothing.
func (s *quotaState) take(now time.Time, method string) *apiError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.queries.ready(now) {
		return s.refuse(s.quota.Refusal)
	}
	if method == "directory.users.insert" {
		if !s.inserts.ready(now) {
			return s.refuse(QuotaExceeded)
		}
		s.inserts.level--
	}
	s.queries.level--
	return nil
}

func (s *quotaState) refuse(r Refusal) *apiError {
	e := &apiError{code: http.StatusForbidden, reason: "userRateLimitExceeded", message: "User Rate Limit Exceeded",
		retryAfter: s.quota.RetryAfter}
	switch r {
	case QuotaExceeded:
		e.reason, e.message = "quotaExceeded", "Quota exceeded for the current request"
	case RateLimitExceeded:
		e.code, e.reason, e.message = http.StatusTooManyRequests, "rateLimitExceeded", "Rate Limit Exceeded"
	}
	return e
}

// bucket is a token bucket. Without a rate it never runs empty.
type bucket struct {
	rate, size, level float64
	at                time.Time
}

func newBucket(rate float64, burst int) bucket {
	size := float64(burst)
	if burst == 0 {
		size = math.Max(1, math.Ceil(rate))
	}
	return bucket{rate: rate, size: size, level: size}
}

func (b *bucket) ready(now time.Time) bool {
	if b.rate == 0 {
		b.level = 1
		return true
	}
	if !b.at.IsZero() && now.After(b.at) {
		b.level = math.Min(b.size, b.level+b.rate*now.Sub(b.at).Seconds())
	}
	if b.at.IsZero() || now.After(b.at) {
		b.at = now
	}
	return b.level >= 1
}
