package graph

import (
	"fmt"
	"math"
	"net/http"
	"sync"
	"time"
)

// Quota bounds the calls of the app in the tenant. A zero field means no limit.
type Quota struct {
	// ResourceUnits is the limit per 10 seconds.
	ResourceUnits int
	// Writes is the limit per 2 minutes and 30 seconds.
	Writes int
	// Fractional keeps the fraction of a second in Retry-After, as samples of the documentation show. Otherwise it is
	// rounded up.
	Fractional bool
}

// The windows of the quotas.
const (
	unitWindow  = 10 * time.Second
	writeWindow = 150 * time.Second
)

// DocumentedQuota returns the published limits for a tenant with that many users.
func DocumentedQuota(users int) Quota {
	q := Quota{ResourceUnits: 8_000, Writes: 3_000}
	switch {
	case users < 50:
		q.ResourceUnits = 3_500
	case users <= 500:
		q.ResourceUnits = 5_000
	}
	return q
}

// SetQuota changes the quota and fills the buckets.
func (t *Tenant) SetQuota(q Quota) { t.quota.set(q) }

type quotaState struct {
	mu            sync.Mutex
	quota         Quota
	units, writes bucket
}

func (s *quotaState) set(q Quota) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quota = q
	s.units = newBucket(q.ResourceUnits, unitWindow)
	s.writes = newBucket(q.Writes, writeWindow)
}

// units returns the cost of a call. $select and a small $top reduce it, $expand adds to it, and the minimum is one.
func (c *call) units() int {
	n := c.route.cost
	if c.query.Has("$select") {
		n--
	}
	if c.query.Has("$top") {
		if top, err := c.top(); err == nil && top < 20 {
			n--
		}
	}
	if c.query.Has("$expand") {
		n++
	}
	return max(n, 1)
}

// throttle spends the cost of a call, or refuses it. Refused calls count as well, so that repeating them at once
// extends the wait.
func (t *Tenant) throttle(c *call) (usage, *apiError) {
	if c.route.id == batchMethod {
		return usage{}, nil // its items count
	}
	s := &t.quota
	s.mu.Lock()
	defer s.mu.Unlock()
	use := usage{units: c.units()}
	wait, reason := s.units.take(c.now, float64(use.units)), "ResourceUnitLimitExceeded"
	if c.route.write {
		if w := s.writes.take(c.now, 1); w > wait {
			wait, reason = w, "WriteLimitExceeded"
		}
	}
	use.percent = math.Max(s.units.used(), s.writes.used())
	if wait == 0 {
		return use, nil
	}
	if !s.quota.Fractional {
		wait = (wait + time.Second - 1).Truncate(time.Second)
	}
	e := refusal(http.StatusTooManyRequests, "TooManyRequests", "Too many requests.")
	e.retryAfter = wait.Round(time.Millisecond)
	limit := "ReadWrite"
	if reason == "WriteLimitExceeded" {
		limit = "Write"
	}
	e.header = http.Header{}
	use.mark(e.header)
	e.header.Set("X-Ms-Throttle-Scope", fmt.Sprintf("Tenant_Application/%s/%s/%s", limit, t.cfg.App.ClientID,
		t.cfg.TenantID))
	e.header.Set("X-Ms-Throttle-Information", reason)
	return use, e
}

// bucket is a token bucket. Without a size it never runs empty. Refused calls push its level below zero, down to 180
// % of the limit in use, which is the most that Graph reports.
type bucket struct {
	size, rate, level float64
	at                time.Time
}

func newBucket(size int, window time.Duration) bucket {
	return bucket{size: float64(size), rate: float64(size) / window.Seconds(), level: float64(size)}
}

// take spends n. If the level is too low, it returns the time to wait.
func (b *bucket) take(now time.Time, n float64) time.Duration {
	if b.size == 0 {
		return 0
	}
	if !b.at.IsZero() && now.After(b.at) {
		b.level = math.Min(b.size, b.level+b.rate*now.Sub(b.at).Seconds())
	}
	if b.at.IsZero() || now.After(b.at) {
		b.at = now
	}
	enough := b.level >= n
	b.level = math.Max(b.level-n, -0.8*b.size)
	if enough {
		return 0
	}
	return max(time.Duration((n-b.level)/b.rate*float64(time.Second)), time.Millisecond)
}

// used returns the used part of the limit, up to 1.8.
func (b *bucket) used() float64 {
	if b.size == 0 {
		return 0
	}
	return (b.size - b.level) / b.size
}
