package ledger

import (
	"context"
	"slices"
	"strings"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// indexed is how long the index of the entries that left is trusted. Then it is made anew from every link, because a
// worker of an earlier version writes links without it.
const indexed = 24 * time.Hour

// Departed returns the links of the entries that left. It reads those that an index names, so that its cost does not
// depend on the size of the directory. The index has every entry that left, and some that came back since.
func (r *Redis) Departed(ctx context.Context) (map[directory.Ref]plan.Link, error) {
	if err := r.indexDeparted(ctx); err != nil {
		return nil, err
	}
	fields, err := r.rdb.SMembers(ctx, r.left).Result()
	if err != nil {
		return nil, redisFault("departed", err)
	}
	out := map[directory.Ref]plan.Link{}
	err = r.some(ctx, r.links, fields, func(field, value string) error { return addLink(out, field, value) })
	if err != nil {
		return nil, err
	}
	back := slices.DeleteFunc(fields, func(field string) bool {
		ref, _ := plan.ParseRef(field)
		if out[ref].Departed.IsZero() {
			delete(out, ref)
			return false
		}
		return true
	})
	return out, r.forgetDeparted(ctx, back)
}

// indexDeparted makes the index from every link, if it is new or no longer trusted.
func (r *Redis) indexDeparted(ctx context.Context) error {
	marker := r.left + ":complete"
	known, err := r.rdb.Exists(ctx, marker).Result()
	if err != nil || known > 0 {
		return redisFault("departed", err)
	}
	var left []any
	err = r.scan(ctx, r.links, linksAtOnce, func(field, value string) error {
		if strings.Contains(value, `"departed":`) {
			left = append(left, field)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for some := range slices.Chunk(left, linksAtOnce) {
		if err := r.rdb.SAdd(ctx, r.left, some...).Err(); err != nil {
			return redisFault("departed", err)
		}
	}
	return redisFault("departed", r.rdb.Set(ctx, marker, 1, indexed).Err())
}

// forgetDeparted deletes entries that came back from the index. One that leaves again meanwhile stays: PutLinks writes
// the link and the index at once, so that either its addition is later than the deletion, or its link is read here.
func (r *Redis) forgetDeparted(ctx context.Context, back []string) error {
	for some := range slices.Chunk(back, groupsAtOnce) {
		members, refs := make([]any, len(some)), make([]directory.Ref, len(some))
		for i, field := range some {
			members[i] = field
			refs[i], _ = plan.ParseRef(field)
		}
		if err := r.rdb.SRem(ctx, r.left, members...).Err(); err != nil {
			return redisFault("departed", err)
		}
		now, err := r.LinksOf(ctx, refs...)
		if err != nil {
			return err
		}
		for ref, l := range now {
			if !l.Departed.IsZero() {
				if err := r.rdb.SAdd(ctx, r.left, ref.String()).Err(); err != nil {
					return redisFault("departed", err)
				}
			}
		}
	}
	return nil
}
