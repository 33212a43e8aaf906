package status

import (
	"context"
	"strconv"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
)

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
