package status

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
)

// Standing is what can be said of a container at a glance. Metrics ask for it every few seconds. Dry runs count as Open only.
type Standing struct {
	Summary
	// Last is the run that ended last; nil before the first, and when its record is no longer kept.
	Last *Run
	// Open is the live run, dry or not; nil when there is none.
	Open *Run
	// ReadAt is when the newest run that planned, and was to carry out all of its plan, began to read.
	ReadAt time.Time
	// LeaverSince is since when the one is gone who waits longest to be suspended, as far as the newest plan knew; zero when
	// nobody waits.
	LeaverSince time.Time
	// HeldEntries counts the entries about which the newest plan could do nothing, by the reason.
	HeldEntries map[string]int64
}

// Standing returns what can be said of a container, in two round trips whatever was planned.
func (s *Store) Standing(ctx context.Context, c container.ID) (Standing, error) {
	var live *redis.StringCmd
	var meta, reasons *redis.MapStringStringCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		live, meta = p.Get(ctx, prefix(c)+"run"), p.HGetAll(ctx, prefix(c)+"meta")
		reasons = p.HGetAll(ctx, prefix(c)+"conflicts")
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return Standing{}, redisFault("standing", err)
	}
	f := meta.Val()
	st := Standing{
		Summary: decodeSummary(f, live.Val() != ""), ReadAt: fromMS(f["read_at"]), LeaverSince: fromMS(f["leaver_since"]),
		HeldEntries: numbers(reasons.Val()),
	}
	if st.Last, err = s.found(ctx, c, st.LastID); err != nil {
		return Standing{}, err
	}
	st.Open, err = s.found(ctx, c, live.Val())
	return st, err
}

// found returns a run, or nil where there is none.
func (s *Store) found(ctx context.Context, c container.ID, id string) (*Run, error) {
	if id == "" {
		return nil, nil
	}
	run, err := s.Get(ctx, c, id)
	switch {
	case err == nil:
		return &run, nil
	case fault.KindOf(err) == fault.NotFound:
		return nil, nil
	}
	return nil, err
}

func numbers(f map[string]string) map[string]int64 {
	out := make(map[string]int64, len(f))
	for name, n := range f {
		out[name] = parseInt(n)
	}
	return out
}

// FirstKnown returns when the oldest run of a container that is kept was started; zero when there is none.
func (s *Store) FirstKnown(ctx context.Context, c container.ID) (time.Time, error) {
	oldest, err := s.rdb.ZRangeWithScores(ctx, prefix(c)+"runs", 0, 0).Result()
	if err != nil {
		return time.Time{}, redisFault("first run", err)
	}
	if len(oldest) == 0 {
		return time.Time{}, nil
	}
	return time.UnixMilli(int64(oldest[0].Score)).UTC(), nil
}

// endedAtOnce is how many ended runs of a container are handed out at once.
const endedAtOnce = 50

// Ended hands out the runs that have ended, however that came about and whoever ended them: each run once, to one of those
// who ask. One whose record is no longer kept is not handed out.
func (s *Store) Ended(ctx context.Context, containers []container.ID) ([]Run, error) {
	if len(containers) == 0 {
		return nil, nil
	}
	ids := make([]*redis.StringSliceCmd, len(containers))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range containers {
			ids[i] = p.LPopCount(ctx, prefix(c)+"ended", endedAtOnce)
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, redisFault("ended", err)
	}
	var out []Run
	var errs []error
	for i, c := range containers {
		if err := ids[i].Err(); err != nil && !errors.Is(err, redis.Nil) {
			errs = append(errs, redisFault("ended", err))
		}
		for _, id := range ids[i].Val() {
			run, err := s.found(ctx, c, id)
			if errs = append(errs, err); run != nil {
				out = append(out, *run)
			}
		}
	}
	return out, errors.Join(errs...)
}
