package ledger

import (
	"cmp"
	"context"
	"hash/fnv"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/plan"
)

// The entries that left are in sorted sets, one for each kind of entry and each reason. They are written together with
// the links, so that a list of leavers costs what it shows and not what the tenant has.

// indexed is how long the index is trusted. Then it is made anew from every link, because a worker of an earlier
// version writes links without it. Full runs, which read every link, make it anew in time.
const indexed = 48 * time.Hour

// Reasons are why an entry can have left.
var Reasons = []plan.Reason{plan.Absent, plan.Disabled, plan.OutOfScope, plan.Ordered, plan.Reverted}

// Place is the place of an entry among those that left. The greatest place is that of the newest departure.
type Place struct {
	directory.Ref
	// Score is the time of the departure in milliseconds. Many entries leave with one run, so each has a fraction of
	// its own, of which a float has room for 12 bits.
	Score float64
}

// PlaceOf returns the place of an entry that left.
func PlaceOf(ref directory.Ref, departed time.Time) Place {
	const fractions = 1 << 12
	h := fnv.New32a()
	_, _ = h.Write([]byte(ref.String())) // a hash takes everything
	return Place{ref, float64(departed.UnixMilli()) + float64(h.Sum32()%fractions)/fractions}
}

// Compare orders places from the greatest one.
func (p Place) Compare(q Place) int {
	return cmp.Or(cmp.Compare(q.Score, p.Score), q.Ref.Compare(p.Ref))
}

// Leaving selects entries that left.
type Leaving struct {
	// Why is the reason; empty for all.
	Why plan.Reason
	// Until limits the entries of each kind to those that left until then; nil selects all of both kinds.
	Until map[directory.Kind]time.Time
	// After is the last place of the page before; nil for the first page.
	After *Place
	Limit int
}

// Departed counts the selected entries, and returns the first ones after a place. An entry that came back while an
// earlier version ran may be among them.
func (r *Redis) Departed(ctx context.Context, q Leaving) (out []Place, total int64, err error) {
	if trusted, err := r.rdb.Exists(ctx, r.gone).Result(); err != nil {
		return nil, 0, redisFault("departed", err)
	} else if trusted == 0 {
		if _, err := r.Links(ctx); err != nil { // which makes the index
			return nil, 0, err
		}
	}
	for _, kind := range directory.Kinds {
		last := "+inf"
		if until, is := q.Until[kind]; is {
			last = strconv.FormatInt(until.UnixMilli()+1, 10)
		} else if q.Until != nil {
			continue
		}
		for _, why := range Reasons {
			if q.Why != "" && q.Why != why {
				continue
			}
			some, n, err := r.departed(ctx, r.goneKey(kind, why), last, q)
			if err != nil {
				return nil, 0, err
			}
			out, total = append(out, some...), total+n
		}
	}
	slices.SortFunc(out, Place.Compare)
	return out[:min(len(out), q.Limit)], total, nil
}

// departed reads one sorted set up to a score. Entries with the score of the place before are read and left out, which
// are few. More are read where they are not.
func (r *Redis) departed(ctx context.Context, key, last string, q Leaving) (out []Place, total int64, err error) {
	for n := q.Limit + linksAtOnce/10; ; n *= 2 {
		from := redis.ZRangeBy{Min: "-inf", Max: last, Count: int64(n)}
		if limit, err := strconv.ParseFloat(last, 64); q.After != nil && err == nil && q.After.Score < limit {
			from.Max = strconv.FormatFloat(q.After.Score, 'f', -1, 64)
		}
		var count *redis.IntCmd
		var some *redis.ZSliceCmd
		_, err := r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			count, some = p.ZCount(ctx, key, "-inf", last), p.ZRevRangeByScoreWithScores(ctx, key, &from)
			return nil
		})
		if err != nil {
			return nil, 0, redisFault("departed", err)
		}
		out = out[:0]
		for _, z := range some.Val() {
			ref, ok := plan.ParseRef(z.Member.(string)) //nolint:forcetypeassert // the client makes it
			if p := (Place{ref, z.Score}); ok && (q.After == nil || q.After.Compare(p) < 0) {
				out = append(out, p)
			}
		}
		if len(out) >= q.Limit || len(some.Val()) < n {
			return out, count.Val(), nil
		}
	}
}

func (r *Redis) goneKey(kind directory.Kind, why plan.Reason) string {
	return r.gone + ":" + kind.String() + ":" + string(why)
}

// putDeparted writes the places of links, and deletes those of entries that did not leave.
func (r *Redis) putDeparted(ctx context.Context, p redis.Pipeliner, links map[directory.Ref]plan.Link) {
	old, places := map[directory.Kind][]any{}, map[string][]redis.Z{}
	for ref, l := range links {
		if old[ref.Kind] = append(old[ref.Kind], ref.String()); !l.Departed.IsZero() {
			key, z := r.place(ref, l)
			places[key] = append(places[key], z)
		}
	}
	for kind, members := range old {
		for _, why := range Reasons {
			p.ZRem(ctx, r.goneKey(kind, why), members...)
		}
	}
	for key, members := range places {
		p.ZAdd(ctx, key, members...)
	}
}

// indexDeparted makes the index anew. The links of entries that leave meanwhile are written to it by themselves.
func (r *Redis) indexDeparted(ctx context.Context, links map[directory.Ref]plan.Link) error {
	keys := []string{r.gone, r.left} // and the index of earlier versions
	for _, kind := range directory.Kinds {
		for _, why := range Reasons {
			keys = append(keys, r.goneKey(kind, why))
		}
	}
	if err := r.rdb.Del(ctx, keys...).Err(); err != nil {
		return redisFault("index departed", err)
	}
	places := map[string][]redis.Z{}
	for ref, l := range links {
		if !l.Departed.IsZero() {
			key, z := r.place(ref, l)
			places[key] = append(places[key], z)
		}
	}
	for key, all := range places {
		for some := range slices.Chunk(all, linksAtOnce) {
			if err := r.rdb.ZAdd(ctx, key, some...).Err(); err != nil {
				return redisFault("index departed", err)
			}
		}
	}
	return redisFault("index departed", r.rdb.Set(ctx, r.gone, 1, indexed).Err())
}

// place returns the key and the member of the index for an entry that left.
func (r *Redis) place(ref directory.Ref, l plan.Link) (string, redis.Z) {
	why := Reasons[max(0, slices.Index(Reasons, l.Why))]
	return r.goneKey(ref.Kind, why), redis.Z{Score: PlaceOf(ref, l.Departed).Score, Member: ref.String()}
}
