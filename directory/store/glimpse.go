package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/source"
)

// glimpse is what a part says of itself at one moment. Two that are equal in birth, generation and mark have the same
// run's entries between them.
type glimpse struct {
	birth         string // a random text that lives as long as the data
	generation    int64
	run           string // the mark
	since         int64
	readAt        int64
	completedAt   int64
	completedRead int64 // when the source was read for the last run that completed
	seq           int64 // rises with every write

	users, groups, gone int // what is stored
	counted, digests    int // entries as the scripts counted them, and tokens
}

var metaFields = []string{"birth", "generation", "run", "since", "read_at", "completed_at", "seq", "users", "groups",
	"completed_read_at"}

// glimpse reads it in one round trip.
func (p *Part) glimpse(ctx context.Context) (*glimpse, error) {
	var meta *redis.SliceCmd
	var users, groups, gone, digests *redis.IntCmd
	_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		meta = pipe.HMGet(ctx, p.keys.meta, metaFields...)
		users, groups = pipe.HLen(ctx, p.keys.user), pipe.HLen(ctx, p.keys.group)
		gone, digests = pipe.HLen(ctx, p.keys.gone), pipe.HLen(ctx, p.keys.digest)
		return nil
	})
	if err != nil {
		return nil, redisFault("read meta of "+p.container(), err)
	}
	text := func(i int) string { s, _ := meta.Val()[i].(string); return s }
	number := func(i int) int64 { n, _ := strconv.ParseInt(text(i), 10, 64); return n }
	return &glimpse{
		birth: text(0), generation: number(1), run: text(2), since: number(3), readAt: number(4), completedAt: number(5),
		seq:   number(6),
		users: int(users.Val()), groups: int(groups.Val()), gone: int(gone.Val()),
		completedRead: number(9), counted: int(number(7) + number(8)), digests: int(digests.Val()),
	}, nil
}

// whole returns an error if some of the keys were lost (evicted, expired or deleted by hand) and others were not.
func (g *glimpse) whole(p *Part) error {
	if n := g.users + g.groups; n != g.counted || n != g.digests {
		return p.damaged(fmt.Sprintf("%d entries are stored, %d were written and %d have a digest", n, g.counted, g.digests))
	}
	return nil
}

// damaged returns the advice for a part that has lost some of its data. The part does not repair itself, because
// whatever evicted one key evicts the next.
func (p *Part) damaged(what string) error {
	return notReady(source.ErrNotReady, "the local directory of source %s is damaged (%s): Redis must neither evict nor "+
		"expire keys; delete the keys %s and sync the source again", p.container(), what,
		"rollcall:{"+p.container()+"}:dir:*")
}

// unready is the reason why a part cannot be read now. Its text says more than the error that it wraps.
type unready struct {
	text string
	is   error
}

func (u unready) Error() string { return u.text }
func (u unready) Unwrap() error { return u.is }

// soon is when a part that is being written is worth another look.
const soon = time.Second

// notReady returns a fault.Unavailable that wraps source.ErrNotReady or source.ErrBusy.
func notReady(is error, format string, args ...any) error {
	err := fault.New(fault.Unavailable, "", unready{fmt.Sprintf(format, args...), is})
	if errors.Is(is, source.ErrBusy) {
		err.RetryAfter = soon
	}
	return err
}

// ready says why the part cannot be read by providers, if so.
func (g *glimpse) ready(p *Part) error {
	switch {
	case g.run != "":
		return notReady(source.ErrBusy, "source %s is being written by run %s since %s: wait for it to end, "+
			"or sync the source again if it died", p.container(), g.run, fromMicros(g.since).Format(time.RFC3339))
	case g.generation == 0:
		return notReady(source.ErrNotReady, "source %s has never completed a sync: run it first", p.container())
	}
	return g.whole(p)
}

// same says if the part changed between two glimpses. Object jobs may have written meanwhile, each one entry.
func (g *glimpse) same(p *Part, after *glimpse) error {
	if err := after.ready(p); err != nil {
		return err
	}
	if g.birth != after.birth || g.generation != after.generation {
		return notReady(source.ErrBusy, "source %s changed while it was being read: read it again", p.container())
	}
	return nil
}
