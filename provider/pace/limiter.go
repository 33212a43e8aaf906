package pace

import (
	"cmp"
	"context"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redisfault"
)

// The names of the buckets that adapters use. Every name in Config.Rates is a bucket.
const (
	Calls         = "calls"          // every request (Google)
	ResourceUnits = "resource_units" // every request, by its cost (Graph)
	Writes        = "writes"         // every change (Graph)
)

// Cost is what one call takes from each bucket, in the units of the bucket's rate.
type Cost map[string]float64

// One returns the cost of one unit of one bucket.
func One(bucket string) Cost { return Cost{bucket: 1} }

type urgentKey struct{}

// Urgent returns a context for calls that get the next slot, before those of full and delta runs. Single objects and
// leavers use it. Urgent calls have up to half of a minute's quota, and wait with the others beyond it. Nothing is set
// aside while there are none.
func Urgent(ctx context.Context) context.Context { return context.WithValue(ctx, urgentKey{}, true) }

func isUrgent(ctx context.Context) bool { return ctx.Value(urgentKey{}) != nil }

// Takes returns how long calls with this cost in all take at the rates. A bucket without a rate has no limit.
func Takes(rates map[string]float64, cost Cost) time.Duration {
	longest := 0.0
	for bucket, units := range cost {
		if rate := rates[bucket]; rate > 0 {
			longest = max(longest, units/rate)
		}
	}
	return time.Duration(longest * float64(time.Second))
}

// Limiter hands out slots of one tenant. Implementations are safe for concurrent use.
type Limiter interface {
	// Wait takes a slot with the given cost, sleeps until the slot's time, and returns how long that took. If the
	// wait would exceed Config.MaxWait, Wait takes no slot and returns fault.Throttled with RetryAfter at once.
	Wait(ctx context.Context, cost Cost) (time.Duration, error)
	// Refused reports that the remote side refused a call for its quota. retryAfter is the time to wait that it asked
	// for, or zero. Refused halves the rate and pauses the tenant. Refusals within a second count as one.
	Refused(ctx context.Context, retryAfter time.Duration) error
}

// Config sets how fast a tenant may be called.
type Config struct {
	// Rates are the units a second of each bucket. Each must be positive, and there is no default.
	Rates map[string]float64
	// MaxWait is the longest wait during which a caller sleeps. Default 10 s.
	MaxWait time.Duration
	// Floor is the smallest fraction of the rate that remains after refusals. Default 1/32.
	Floor float64
	// Now is the clock of the schedule, for tests. Default is the clock of Redis.
	Now func() time.Time
}

const (
	defaultMaxWait = 10 * time.Second
	defaultFloor   = 1.0 / 32

	// burst is the time that a bucket may be ahead of its rate. Published limits allow about a second. The rest is for
	// calls that arrive late, and for the slots that runs have taken when an urgent call goes first.
	burst    = 800 * time.Millisecond
	recovery = 0.01        // the fraction of the full rate that returns each second
	together = time.Second // refusals within this time halve the rate once

	// Urgent calls go first with up to half of a minute's quota: urgentBurst at once, and urgentRate of the rate.
	urgentBurst = 6 * time.Second
	urgentRate  = 0.4
)

func (c Config) withDefaults() Config {
	c.MaxWait = cmp.Or(c.MaxWait, defaultMaxWait)
	c.Floor = cmp.Or(c.Floor, defaultFloor)
	return c
}

// Validate reports every rate that is not positive, as fault.Invalid.
func (c Config) Validate() error {
	var errs []error
	if len(c.Rates) == 0 {
		errs = append(errs, errors.New("no rates"))
	}
	for _, name := range c.buckets() {
		if rate := c.Rates[name]; !(rate > 0) {
			errs = append(errs, fmt.Errorf("rate of %s: %v is not positive", name, rate))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fault.New(fault.Invalid, "pace", err)
	}
	return nil
}

// buckets returns the names of the buckets, sorted.
func (c Config) buckets() []string { return slices.Sorted(maps.Keys(c.Rates)) }

// charge is one bucket's part of a cost, in the time that it takes at the full rate.
type charge struct {
	bucket string
	micros float64
}

// charges converts a cost into times, sorted by bucket. A bucket without a rate is a bug in the caller.
func (c Config) charges(cost Cost) ([]charge, error) {
	out := make([]charge, 0, len(cost))
	for _, bucket := range slices.Sorted(maps.Keys(cost)) {
		rate, ok := c.Rates[bucket]
		if !ok {
			return nil, fault.Errorf(fault.Internal, "pace: no rate for bucket %q", bucket)
		}
		out = append(out, charge{bucket, cost[bucket] / rate * 1e6})
	}
	return out, nil
}

// tooLong returns the error for a wait beyond the bound.
func tooLong(wait time.Duration) error {
	return &fault.Error{
		Kind: fault.Throttled, Op: "pace", RetryAfter: wait,
		Err: fmt.Errorf("the next slot of the quota is %v away", wait.Round(time.Millisecond)),
	}
}

// overtaken reports whether a pause that began after a slot was granted lasts beyond the slot. The caller then takes
// another slot, because no call is made during a pause. A tenth of a second absorbs the latency of Redis.
func overtaken(now, slot, pausedUntil time.Time) bool {
	return pausedUntil.After(now) && pausedUntil.Sub(slot) > 100*time.Millisecond
}

// sleep waits for d, or until ctx ends and then returns the cause.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ended(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ended(ctx)
	}
}

// ended returns why ctx ended, as fault.Canceled or Unavailable, or nil.
func ended(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return fault.New(fault.KindOf(ctx.Err()), "pace", context.Cause(ctx))
}

//go:embed reserve.lua
var reserveLua string

//go:embed refuse.lua
var refuseLua string

var (
	reserveScript = redis.NewScript(reserveLua)
	refuseScript  = redis.NewScript(refuseLua)
)

// Shared is a Limiter with its state on Redis. All workers that name the same tenant share its quota.
//
// Callers of one process that take from the same buckets stand in line, and only the first of them has a slot. So an
// urgent call waits for one slot of each worker at most, and several workers take turns.
type Shared struct {
	rdb redis.UniversalClient
	key string
	cfg Config
	// lines has a channel of one place for each set of buckets.
	lines sync.Map
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
	if !isUrgent(ctx) {
		leave, err := s.standInLine(ctx, charges)
		if err != nil {
			return time.Since(began), err
		}
		defer leave()
	}
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

// standInLine waits until no other caller of this process waits for a slot of the same buckets.
func (s *Shared) standInLine(ctx context.Context, charges []charge) (leave func(), err error) {
	var buckets strings.Builder
	for _, c := range charges {
		buckets.WriteString(c.bucket + " ")
	}
	any, _ := s.lines.LoadOrStore(buckets.String(), make(chan struct{}, 1))
	line := any.(chan struct{})
	select {
	case line <- struct{}{}:
		return func() { <-line }, nil
	case <-ctx.Done():
		return nil, ended(ctx)
	}
}

func (s *Shared) reserve(ctx context.Context, charges []charge) (time.Duration, error) {
	urgent := ""
	if isUrgent(ctx) {
		urgent = "1"
	}
	args := []any{s.now(), s.cfg.MaxWait.Microseconds(), burst.Microseconds(), s.cfg.Floor, urgent,
		urgentBurst.Microseconds(), urgentRate}
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
