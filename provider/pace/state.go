package pace

import (
	"context"
	"math"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// State describes the use of one bucket.
type State struct {
	Bucket string
	// Limit is the current limit in units a second.
	Limit float64
	// Used is the fraction of Limit that was used in the last minute, 0 to 1.
	Used float64
	// Paused is the rest of a pause that the remote side asked for.
	Paused time.Duration
}

// States returns the use of each bucket of the tenant, sorted by name. It takes no slot.
func (s *Shared) States(ctx context.Context) ([]State, error) {
	var clock *redis.TimeCmd
	var all *redis.MapStringStringCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		clock, all = p.Time(ctx), p.HGetAll(ctx, s.key)
		return nil
	})
	if err != nil {
		return nil, redisFault(ctx, err)
	}
	now := clock.Val()
	if s.cfg.Now != nil {
		now = s.cfg.Now()
	}
	return s.cfg.states(all.Val(), now), nil
}

// states parses the fields that reserve.lua and refuse.lua write.
func (c Config) states(f map[string]string, at time.Time) []State {
	now := float64(at.UnixMicro())
	number := func(name string) float64 { n, _ := strconv.ParseFloat(f[name], 64); return n }
	factor := 1.0
	if f["factor"] != "" {
		factor = max(c.Floor, min(1, number("factor")+(now-number("factor_at"))/1e6*recovery))
	}
	paused := time.Duration(max(0, number("pause")-now)) * time.Microsecond
	const minute = 60e6
	var out []State
	for _, name := range c.buckets() {
		// The previous minute is weighted by the part of it that lies within the last sixty seconds.
		this, taken, before := number("m:"+name), number("n:"+name), number("p:"+name)
		switch math.Floor(now/minute) - this {
		case 0:
		case 1:
			taken, before = 0, taken
		default:
			taken, before = 0, 0
		}
		taken += before * (1 - math.Mod(now, minute)/minute)
		out = append(out, State{Bucket: name, Limit: c.Rates[name] * factor, Used: min(1, taken/minute/factor),
			Paused: paused})
	}
	return out
}
