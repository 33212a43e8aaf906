package pace

import (
	"context"
	_ "embed" // the scripts
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redisfault"
)

//go:embed reserve.lua
var reserveLua string

//go:embed refuse.lua
var refuseLua string

var (
	reserveScript = redis.NewScript(reserveLua)
	refuseScript  = redis.NewScript(refuseLua)
)

// Shared is a Limiter with its state on Redis. All workers that name the same tenant share its quota.
type Shared struct {
	rdb redis.UniversalClient
	key string
	cfg Config
	// pausedUntil is the end of the last pause that this process knows of, by its own clock in microseconds. After
	// its sleep a caller checks for a pause that began meanwhile.
	pausedUntil atomic.Int64
}

var _ Limiter = (*Shared)(nil)

// NewShared returns the limiter of a tenant, such as "google_workspace:1". The error is fault.Invalid.
func NewShared(rdb redis.UniversalClient, tenant string, cfg Config) (*Shared, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return &Shared{rdb: rdb, key: "rollcall:{tenant:" + tenant + "}:pace", cfg: cfg.withDefaults()}, nil
}

// Wait implements Limiter. When Redis is not reachable, it returns fault.Unavailable, because calls that are not
// counted could exceed the quota.
func (s *Shared) Wait(ctx context.Context, cost Cost) (time.Duration, error) {
	charges, err := s.cfg.charges(cost)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	for {
		asked := s.clock()
		wait, err := s.reserve(ctx, charges)
		if err != nil {
			return time.Since(began), err
		}
		if wait > s.cfg.MaxWait {
			return time.Since(began), tooLong(wait)
		}
		slot := asked.Add(wait)
		if err := sleep(ctx, slot.Sub(s.clock())); err != nil {
			return time.Since(began), err
		}
		if !overtaken(s.clock(), slot, time.UnixMicro(s.pausedUntil.Load())) {
			return time.Since(began), nil
		}
	}
}

func (s *Shared) reserve(ctx context.Context, charges []charge) (time.Duration, error) {
	args := []any{s.now(), s.cfg.MaxWait.Microseconds(), burst.Microseconds(), s.cfg.Floor}
	for _, c := range charges {
		args = append(args, c.bucket, strconv.FormatFloat(c.micros, 'f', 3, 64))
	}
	out, err := reserveScript.Run(ctx, s.rdb, []string{s.key}, args...).StringSlice()
	if err != nil {
		return 0, redisFault(ctx, err)
	}
	s.heard(micros(out[1]))
	return micros(out[0]), nil
}

// heard records a pause that lasts for the given time from now.
func (s *Shared) heard(left time.Duration) {
	if left > 0 {
		s.pausedUntil.Store(s.clock().Add(left).UnixMicro())
	}
}

// Refused implements Limiter.
func (s *Shared) Refused(ctx context.Context, retryAfter time.Duration) error {
	out, err := refuseScript.Run(ctx, s.rdb, []string{s.key},
		s.now(), max(0, retryAfter).Microseconds(), s.cfg.Floor, together.Microseconds()).StringSlice()
	if err != nil {
		return redisFault(ctx, err)
	}
	s.heard(micros(out[0]))
	return nil
}

func (s *Shared) now() any {
	if s.cfg.Now == nil {
		return ""
	}
	return s.cfg.Now().UnixMicro()
}

// clock returns this process's own time, for state that is not on Redis.
func (s *Shared) clock() time.Time {
	if s.cfg.Now == nil {
		return time.Now()
	}
	return s.cfg.Now()
}

func micros(text string) time.Duration {
	n, _ := strconv.ParseInt(text, 10, 64)
	return time.Duration(n) * time.Microsecond
}

func redisFault(ctx context.Context, err error) error {
	if ended := ended(ctx); ended != nil {
		return ended
	}
	return redisfault.Of("pace", err)
}
