package ledger

import (
	"cmp"
	"context"
	"hash/fnv"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/plan"
)

// The entries that left are in sorted sets, one for each kind of entry and each reason. They are written together with
// the links, so that a list of leavers costs what it shows and not what the tenant has.

// indexed is how long the index is trusted. Then it is compared with every link, because a worker of an earlier
// version writes links without it. Runs that read every link do so in time.
const indexed = 24 * time.Hour

// indexing bounds a comparison that a reader of the index began. Its result also serves later readers.
const indexing = 2 * time.Minute

// Reasons are why an entry can have left.
var Reasons = []plan.Reason{plan.Absent, plan.Disabled, plan.OutOfScope, plan.Ordered, plan.Reverted}

// ReasonOf returns the reason under which a link is listed. An unknown one counts as the first.
func ReasonOf(l plan.Link) plan.Reason { return Reasons[max(0, slices.Index(Reasons, l.Why))] }

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
	if err := r.complete(ctx); err != nil {
		return nil, 0, err
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

// departed reads one sorted set up to a score. Entries with the score of the place before are read and left out.
func (r *Redis) departed(ctx context.Context, key, last string, q Leaving) (out []Place, total int64, err error) {
	from := redis.ZRangeBy{Min: "-inf", Max: last, Count: int64(q.Limit + linksAtOnce/10)}
	if q.After != nil {
		at := score(q.After.Score)
		tied, err := r.rdb.ZCount(ctx, key, at, at).Result()
		if err != nil {
			return nil, 0, redisFault("departed", err)
		}
		from.Count += tied
		if limit, err := strconv.ParseFloat(last, 64); err == nil && q.After.Score < limit {
			from.Max = at
		}
	}
	var count *redis.IntCmd
	var some *redis.ZSliceCmd
	_, err = r.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		count, some = p.ZCount(ctx, key, "-inf", last), p.ZRevRangeByScoreWithScores(ctx, key, &from)
		return nil
	})
	if err != nil {
		return nil, 0, redisFault("departed", err)
	}
	for _, z := range some.Val() {
		ref, ok := plan.ParseRef(z.Member.(string)) //nolint:forcetypeassert // the client makes it
		if p := (Place{ref, z.Score}); ok && (q.After == nil || q.After.Compare(p) < 0) {
			out = append(out, p)
		}
	}
	return out, count.Val(), nil
}

func score(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

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

// complete compares the index with every link unless it is trusted. Concurrent readers wait for one comparison.
func (r *Redis) complete(ctx context.Context) error {
	trusted := func(ctx context.Context) (bool, error) {
		n, err := r.rdb.Exists(ctx, r.gone).Result()
		return n > 0, redisFault("departed", err)
	}
	if is, err := trusted(ctx); is || err != nil {
		return err
	}
	done := r.indexing.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), indexing)
		defer cancel()
		if is, err := trusted(ctx); is || err != nil {
			return nil, err
		}
		links, err := r.readLinks(ctx)
		if err != nil {
			return nil, err
		}
		return nil, r.indexDeparted(ctx, links)
	})
	select {
	case result := <-done:
		return result.Err
	case <-ctx.Done():
		return redisFault("departed", ctx.Err())
	}
}

// indexDeparted corrects the index where it differs from links that were just read. Most of what differs is of earlier
// versions; the rest changed meanwhile.
func (r *Redis) indexDeparted(ctx context.Context, links map[directory.Ref]plan.Link) error {
	if err := r.rdb.Del(ctx, r.left, r.left+":complete").Err(); err != nil { // the index of earlier versions
		return redisFault("index departed", err)
	}
	seen, differ := map[directory.Ref]bool{}, map[directory.Ref]bool{}
	for _, key := range r.goneKeys() {
		for cursor := uint64(0); ; {
			page, next, err := r.rdb.ZScan(ctx, key, cursor, "", linksAtOnce).Result()
			if err != nil {
				return redisFault("index departed", err)
			}
			for i := 0; i+1 < len(page); i += 2 {
				ref, _ := plan.ParseRef(page[i])
				at, z := r.place(ref, links[ref])
				is, err := strconv.ParseFloat(page[i+1], 64)
				if err == nil && !links[ref].Departed.IsZero() && at == key && is == z.Score {
					seen[ref] = true
				} else {
					differ[ref] = true
				}
			}
			if cursor = next; cursor == 0 {
				break
			}
		}
	}
	for ref, l := range links {
		if !l.Departed.IsZero() && !seen[ref] {
			differ[ref] = true
		}
	}
	if err := r.Settle(ctx, slices.Collect(maps.Keys(differ))...); err != nil {
		return err
	}
	return redisFault("index departed", r.rdb.Set(ctx, r.gone, 1, indexed).Err())
}

// settle moves entries to their sorted set, whose number is zero for none, if their link is still what was read. Where
// it is not, its writer has written the index too.
var settle = redis.NewScript(`
for at = 1, #ARGV, 4 do
  local ref = ARGV[at]
  if (redis.call('HGET', KEYS[1], ref) or '') == ARGV[at + 1] then
    for key = 2, #KEYS do redis.call('ZREM', KEYS[key], ref) end
    local to = KEYS[1 + tonumber(ARGV[at + 2])]
    if to ~= KEYS[1] then redis.call('ZADD', to, ARGV[at + 3], ref) end
  end
end
return 0`)

// Settle corrects the index of the entries that left by the current links of these entries.
func (r *Redis) Settle(ctx context.Context, refs ...directory.Ref) error {
	keys := r.goneKeys()
	for some := range slices.Chunk(refs, groupsAtOnce) {
		texts, links, fields := map[string]string{}, map[directory.Ref]plan.Link{}, make([]string, len(some))
		for i, ref := range some {
			fields[i] = ref.String()
		}
		err := r.some(ctx, r.links, fields, func(field, value string) error {
			texts[field] = value
			return addLink(links, field, value)
		})
		if err != nil {
			return err
		}
		var args []any
		for i, ref := range some {
			to, l := 0, links[ref]
			key, z := r.place(ref, l)
			if !l.Departed.IsZero() {
				to = 1 + slices.Index(keys, key)
			}
			args = append(args, fields[i], texts[fields[i]], to, score(z.Score))
		}
		if err := settle.Run(ctx, r.rdb, append([]string{r.links}, keys...), args...).Err(); err != nil {
			return redisFault("index departed", err)
		}
	}
	return nil
}

// goneKeys are the keys of the sorted sets.
func (r *Redis) goneKeys() (keys []string) {
	for _, kind := range directory.Kinds {
		for _, why := range Reasons {
			keys = append(keys, r.goneKey(kind, why))
		}
	}
	return keys
}

// place returns the key and the member of the index for an entry that left.
func (r *Redis) place(ref directory.Ref, l plan.Link) (string, redis.Z) {
	return r.goneKey(ref.Kind, ReasonOf(l)), redis.Z{Score: PlaceOf(ref, l.Departed).Score, Member: ref.String()}
}
