package status

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
)

// Follow returns a run and at most MaxList messages, oldest first, that follow the one with id after (empty: from the oldest
// kept), in one round trip. The record is read before the messages: those of a run that is over are all there, but for what a
// cancelled worker still reports. The error is fault.NotFound where the run is not kept.
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

// RunAfter returns the oldest run of a container that is newer than a cursor, and false where there is none.
func (s *Store) RunAfter(ctx context.Context, c container.ID, after Cursor) (Run, bool, error) {
	ids, err := s.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{
		Key: prefix(c) + "runs", Start: "(" + strconv.FormatInt(int64(after), 10), Stop: "+inf", ByScore: true, Count: MaxList,
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

// RunOfMessage returns the run, among the newest limit runs of a container, that has the message with this id, and false where
// none has: the id of a message does not say whose it is.
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
