package status

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
)

// MaxList is the largest number of runs in one List.
const MaxList = 1000

// List returns at most limit runs of a container that are older than before, the newest first. A zero cursor means
// from the newest. List also returns the cursor of the next page, zero at the end. The cost does not depend on depth
// or length.
func (s *Store) List(ctx context.Context, c container.ID, before Cursor, limit int) ([]Run, Cursor, error) {
	found, next, err := s.page(ctx, "list", c, "runs", "run:", before, limit)
	runs := make([]Run, len(found))
	for i, f := range found {
		runs[i] = decodeRun(c, f)
	}
	return runs, next, err
}

// Count returns the number of runs that List has in all.
func (s *Store) Count(ctx context.Context, c container.ID) (int64, error) {
	n, err := s.rdb.ZCard(ctx, prefix(c)+"runs").Result()
	return n, redisFault("count runs", err)
}

// Get returns one run of a container, or fault.NotFound.
func (s *Store) Get(ctx context.Context, c container.ID, id string) (Run, error) {
	return s.Find(ctx, []container.ID{c}, id)
}

// Find searches several containers for a run in one round trip. The error for an unknown run is fault.NotFound.
func (s *Store) Find(ctx context.Context, containers []container.ID, id string) (Run, error) {
	if id == "" || len(containers) == 0 {
		return Run{}, fault.Errorf(fault.NotFound, "run %q: not found", id)
	}
	cmds := make([]*redis.MapStringStringCmd, len(containers))
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range containers {
			cmds[i] = p.HGetAll(ctx, prefix(c)+"run:"+id)
		}
		return nil
	})
	if err != nil {
		return Run{}, redisFault("find", err)
	}
	for i, c := range containers {
		if f := cmds[i].Val(); f["id"] != "" {
			return decodeRun(c, f), nil
		}
	}
	return Run{}, fault.Errorf(fault.NotFound, "run %q: not found", id)
}

// Live returns the live run of a container, or false if there is none.
func (s *Store) Live(ctx context.Context, c container.ID) (Run, bool, error) {
	id, err := s.rdb.Get(ctx, prefix(c)+"run").Result()
	if errors.Is(err, redis.Nil) {
		return Run{}, false, nil
	}
	if err != nil {
		return Run{}, false, redisFault("live", err)
	}
	run, err := s.Get(ctx, c, id)
	if fault.KindOf(err) == fault.NotFound && err != nil {
		return Run{}, false, nil
	}
	return run, err == nil, err
}

// IsRunning reports whether a run of the container is live. A start is refused in exactly this case.
func (s *Store) IsRunning(ctx context.Context, c container.ID) (bool, error) {
	n, err := s.rdb.Exists(ctx, prefix(c)+"run").Result()
	return n > 0, redisFault("is running", err)
}

// Summary describes the last runs of a container, except dry runs.
type Summary struct {
	Live bool // a run is live
	// LastID, LastAt and LastStatus describe the last finished run. They are empty, zero and TaskUnknown before the
	// first.
	LastID     string
	LastAt     time.Time
	LastState  State
	LastStatus TaskStatus
	// CompletedAt is the end of the last completed run. SuccessfulAt is the end of the last one without held or
	// failed changes.
	CompletedID  string
	CompletedAt  time.Time
	SuccessfulID string
	SuccessfulAt time.Time
	// CompletedReadAt is when the newest completed run that executed its whole plan began to read.
	CompletedReadAt time.Time
	// Takes is how long the changes of the newest plan take at the provider's quota; zero if it was carried out, or
	// where that is not known.
	Takes time.Duration
}

// Summary returns the summary of a container in one round trip.
func (s *Store) Summary(ctx context.Context, c container.ID) (Summary, error) {
	var live *redis.IntCmd
	var meta *redis.MapStringStringCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		live, meta = p.Exists(ctx, prefix(c)+"run"), p.HGetAll(ctx, prefix(c)+"meta")
		return nil
	})
	if err != nil {
		return Summary{}, redisFault("summary", err)
	}
	return decodeSummary(meta.Val(), live.Val() > 0), nil
}

func decodeSummary(f map[string]string, live bool) Summary {
	return Summary{
		Live:   live,
		LastID: f["last_id"], LastAt: fromMS(f["last_at"]), LastState: State(f["last_state"]),
		LastStatus:  taskStatus(State(f["last_state"]), parseInt(f["last_failed"]), parseInt(f["last_held"])),
		CompletedID: f["completed_id"], CompletedAt: fromMS(f["completed_at"]),
		SuccessfulID: f["successful_id"], SuccessfulAt: fromMS(f["successful_at"]),
		CompletedReadAt: fromMS(f["completed_read_at"]),
		Takes:           time.Duration(parseInt(f["takes"])) * time.Millisecond,
	}
}

// page reads records by an index, the newest first. An index entry can outlive its record. Such entries are deleted,
// and the next ones take their place.
func (s *Store) page(ctx context.Context, op string, c container.ID, index, records string, before Cursor,
	limit int) ([]map[string]string, Cursor, error) {
	limit = min(max(limit, 1), MaxList)
	var out []map[string]string
	for {
		ids, next, err := s.indexPage(ctx, op, prefix(c)+index, before, limit-len(out))
		if err != nil {
			return nil, 0, err
		}
		found, gone, err := s.records(ctx, op, prefix(c)+records, ids)
		if err != nil {
			return nil, 0, err
		}
		if out = append(out, found...); len(gone) > 0 {
			_ = s.rdb.ZRem(ctx, prefix(c)+index, gone...).Err() // only tidies up
		}
		if before = next; next == 0 || len(out) == limit {
			return out, next, nil
		}
	}
}

// indexPage returns the ids of a page and the cursor of the next page, zero at the end.
func (s *Store) indexPage(ctx context.Context, op, index string, before Cursor, limit int) ([]string, Cursor, error) {
	from := "+inf"
	if before > 0 {
		from = "(" + strconv.FormatInt(int64(before), 10)
	}
	zs, err := s.rdb.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{
		Key: index, Start: from, Stop: "-inf", ByScore: true, Rev: true, Count: int64(limit) + 1,
	}).Result()
	if err != nil {
		return nil, 0, redisFault(op, err)
	}
	var next Cursor
	if len(zs) > limit {
		zs = zs[:limit]
		next = Cursor(zs[limit-1].Score)
	}
	ids := make([]string, len(zs))
	for i, z := range zs {
		ids[i], _ = z.Member.(string)
	}
	return ids, next, nil
}

// records reads hashes in one pipeline, and returns the ids of missing ones.
func (s *Store) records(ctx context.Context, op, prefix string, ids []string) (found []map[string]string, gone []any,
	err error) {
	if len(ids) == 0 {
		return nil, nil, nil
	}
	cmds := make([]*redis.MapStringStringCmd, len(ids))
	if _, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			cmds[i] = p.HGetAll(ctx, prefix+id)
		}
		return nil
	}); err != nil {
		return nil, nil, redisFault(op, err)
	}
	for i, cmd := range cmds {
		if f := cmd.Val(); f["id"] != "" {
			found = append(found, f)
		} else {
			gone = append(gone, ids[i])
		}
	}
	return found, gone, nil
}

// Follow returns a run and its messages in one round trip. It returns at most MaxList messages that follow the
// message with id after, the oldest first. An empty id means from the oldest stored message.
//
// The record is read before the messages. All messages of a finished run are therefore present, except later reports
// of a cancelled worker. The error for an unknown run is fault.NotFound.
func (s *Store) Follow(ctx context.Context, c container.ID, id, after string) (Run, []Message, error) {
	from := "-"
	if after != "" {
		from = "(" + after
	}
	var record *redis.MapStringStringCmd
	var log *redis.XMessageSliceCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		record = p.HGetAll(ctx, prefix(c)+"run:"+id)
		log = p.XRangeN(ctx, prefix(c)+"run:"+id+":log", from, "+", MaxList)
		return nil
	})
	if err != nil {
		return Run{}, nil, redisFault("follow", err)
	}
	if record.Val()["id"] == "" {
		return Run{}, nil, fault.Errorf(fault.NotFound, "run %q: not found", id)
	}
	messages, _, err := messagePage(log.Val(), MaxList, nil)
	return decodeRun(c, record.Val()), messages, err
}

// RunAfter returns the oldest run of a container that is newer than a cursor. It returns false if there is none.
func (s *Store) RunAfter(ctx context.Context, c container.ID, after Cursor) (Run, bool, error) {
	ids, err := s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: prefix(c) + "runs", Start: "(" + strconv.FormatInt(int64(after), 10), Stop: "+inf", ByScore: true,
		Count: MaxList,
	}).Result()
	if err != nil {
		return Run{}, false, redisFault("run after", err)
	}
	for _, id := range ids { // An index entry may outlive its record.
		run, err := s.Get(ctx, c, id)
		if err == nil || fault.KindOf(err) != fault.NotFound {
			return run, err == nil, err
		}
	}
	return Run{}, false, nil
}

// RunOfMessage finds the run of a message among the newest limit runs of a container. It returns false if none of
// them has the message. The id of a message does not contain the id of its run.
func (s *Store) RunOfMessage(ctx context.Context, c container.ID, message string, limit int) (Run, bool, error) {
	runs, _, err := s.List(ctx, c, 0, limit)
	if err != nil || len(runs) == 0 {
		return Run{}, false, err
	}
	found := make([]*redis.XMessageSliceCmd, len(runs))
	if _, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, run := range runs {
			found[i] = p.XRangeN(ctx, prefix(c)+"run:"+run.ID+":log", message, message, 1)
		}
		return nil
	}); err != nil {
		return Run{}, false, redisFault("run of message", err)
	}
	for i, run := range runs {
		if len(found[i].Val()) > 0 {
			return run, true, nil
		}
	}
	return Run{}, false, nil
}

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
