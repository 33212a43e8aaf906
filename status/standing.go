package status

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
)

// Standing is the state of a container for metrics, which read it every few seconds. Dry runs appear only as Open.
type Standing struct {
	Summary
	// Last is the last finished run. It is nil before the first one and after its record was deleted.
	Last *Run
	// Open is the live run, including a dry run; nil if there is none.
	Open *Run
	// ReadAt is when the newest run with a whole plan to execute began to read.
	ReadAt time.Time
	// LeaverSince is the departure time of the entry that has waited longest for suspension, as of the newest plan.
	// It is zero if none waits.
	LeaverSince time.Time
	// HeldEntries counts the entries in conflict in the newest plan by reason.
	HeldEntries map[string]int64
}

// Standing returns the state of a container in two round trips.
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

// found returns a run, or nil if there is none.
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

// FirstKnown returns the start of the oldest stored run of a container; zero if there is none.
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

// endedAtOnce is the number of finished runs of a container that one call returns.
const endedAtOnce = 50

// Ended returns finished runs, whatever ended them. It returns each run to one of its callers, once. A run with a
// deleted record is not returned.
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
