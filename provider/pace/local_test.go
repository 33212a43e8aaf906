package pace

import (
	"context"
	"math"
	"sync"
	"time"
)

// Local is a second implementation of Shared's rule in Go, with which the scripts are compared.
type Local struct {
	cfg Config

	mu       sync.Mutex
	free     map[string]float64 // when each bucket is back at its rate
	urgent   map[string]float64 // when the last urgent call comes
	share    map[string]float64 // when the share of urgent calls is unused again
	pause    float64            // no call is made before
	factor   float64            // the fraction of the full rate in use
	factorAt float64
	halvedAt float64
	at       float64 // when the last slot was taken
}

var _ Limiter = (*Local)(nil)

// NewLocal returns a limiter that starts with a full burst. The error is fault.Invalid.
func NewLocal(cfg Config) (*Local, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Local{cfg: cfg.withDefaults(), free: map[string]float64{}, urgent: map[string]float64{},
		share: map[string]float64{}, factor: 1, halvedAt: math.Inf(-1)}, nil
}

// Wait implements Limiter.
func (l *Local) Wait(ctx context.Context, cost Cost) (time.Duration, error) {
	charges, err := l.cfg.charges(cost)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for {
		wait := l.reserve(charges, isUrgent(ctx))
		if wait > l.cfg.MaxWait {
			return time.Since(began), tooLong(wait)
		}
		slot := l.cfg.Now().Add(wait)
		if err := sleep(ctx, wait); err != nil {
			return time.Since(began), err
		}
		if !overtaken(l.cfg.Now(), slot, l.pausedUntil()) {
			return time.Since(began), nil
		}
	}
}

// reserve is reserve.lua in Go.
func (l *Local) reserve(charges []charge, urgent bool) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if now < l.at-1e7 {
		l.free, l.urgent, l.share = map[string]float64{}, map[string]float64{}, map[string]float64{}
		l.pause, l.factor, l.halvedAt = 0, 1, math.Inf(-1)
	}
	factor := max(l.cfg.Floor, l.grown(now))
	from := max(now, l.pause)
	start, first := from, from
	type slot struct{ free, urgent, share float64 }
	slots := make([]slot, len(charges))
	for i, c := range charges {
		cost := c.micros / factor
		s := slot{max(l.free[c.bucket], from) + cost, max(l.urgent[c.bucket], from) + cost,
			max(l.share[c.bucket], from) + cost/urgentRate}
		slots[i] = s
		start = max(start, s.free-float64(burst.Microseconds()))
		first = max(first, min(s.urgent, s.free-float64(burst.Microseconds())))
		urgent = urgent && s.share-from <= float64(urgentBurst.Microseconds())/urgentRate
	}
	if urgent {
		start = first
	}
	wait := time.Duration(math.Ceil(start-now)) * time.Microsecond
	if wait > l.cfg.MaxWait {
		return wait
	}
	l.at = now
	for i, c := range charges {
		l.free[c.bucket] = math.Round(slots[i].free)
		if urgent {
			l.urgent[c.bucket], l.share[c.bucket] = math.Round(slots[i].urgent), math.Round(slots[i].share)
		}
	}
	return wait
}

// Refused implements Limiter.
func (l *Local) Refused(_ context.Context, retryAfter time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	l.pause = max(l.pause, now+float64(max(0, retryAfter).Microseconds()))
	if now-l.halvedAt >= float64(together.Microseconds()) {
		l.factor = max(l.cfg.Floor, l.grown(now)/2)
		l.factorAt, l.halvedAt = now, now
	}
	return nil
}

// grown returns the part of the full rate that may be used by now.
func (l *Local) grown(now float64) float64 {
	return min(1, l.factor+(now-l.factorAt)/1e6*recovery)
}

func (l *Local) pausedUntil() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.UnixMicro(int64(l.pause))
}

func (l *Local) now() float64 { return float64(l.cfg.Now().UnixMicro()) }
