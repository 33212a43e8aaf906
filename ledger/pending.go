package ledger

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/plan"
)

// Pending are entries that the next delta run covers, each with the mark under which it was added last. A delta run
// repeats what is still open: failed, held and unusable entries.
type Pending map[directory.Ref]int64

// Everything stands for more changes than are told apart. A run that finds it pending reads everything.
var Everything = directory.Ref{Kind: directory.User, ID: "*"}

// addPending gives each entry a new mark, which is the time of Redis or, within a microsecond, one more than the
// newest.
var addPending = redis.NewScript(`
local t = redis.call('TIME')
local mark = t[1] * 1000000 + t[2]
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if newest[2] and tonumber(newest[2]) >= mark then mark = tonumber(newest[2]) + 1 end
for _, ref in ipairs(ARGV) do redis.call('ZADD', KEYS[1], string.format('%.0f', mark), ref) end
return 0`)

// donePending removes entries that were not added again since they were seen.
var donePending = redis.NewScript(`
for at = 1, #ARGV, 2 do
  local mark = redis.call('ZSCORE', KEYS[1], ARGV[at])
  if mark and tonumber(mark) == tonumber(ARGV[at + 1]) then redis.call('ZREM', KEYS[1], ARGV[at]) end
end
return 0`)

// Add makes entries pending.
func (r *Redis) Add(ctx context.Context, refs ...directory.Ref) error {
	for at := 0; at < len(refs); at += linksAtOnce {
		some := refs[at:min(at+linksAtOnce, len(refs))]
		args := make([]any, len(some))
		for i, ref := range some {
			args[i] = ref.String()
		}
		if err := addPending.Run(ctx, r.rdb, []string{r.pending}, args...).Err(); err != nil {
			return redisFault("add pending entries", err)
		}
	}
	return nil
}

// Pending returns the pending entries.
func (r *Redis) Pending(ctx context.Context) (Pending, error) {
	found, err := r.rdb.ZRangeWithScores(ctx, r.pending, 0, -1).Result()
	if err != nil {
		return nil, redisFault("read pending entries", err)
	}
	out := make(Pending, len(found))
	for _, z := range found {
		text, _ := z.Member.(string)
		ref, ok := plan.ParseRef(text)
		if !ok {
			return nil, corrupt("pending entry", text, errors.New("unknown kind of entry"))
		}
		out[ref] = int64(z.Score)
	}
	return out, nil
}

// Done removes entries that were seen pending. One that was added again meanwhile stays.
func (r *Redis) Done(ctx context.Context, seen Pending) error {
	args := make([]any, 0, 2*linksAtOnce)
	flush := func() error {
		if len(args) == 0 {
			return nil
		}
		err := donePending.Run(ctx, r.rdb, []string{r.pending}, args...).Err()
		args = args[:0]
		return redisFault("remove pending entries", err)
	}
	for ref, mark := range seen {
		if args = append(args, ref.String(), strconv.FormatInt(mark, 10)); len(args) == cap(args) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// Claims maps an address, or a fact that outlives an entry, to the entries that claim it. A run over a few entries
// finds their rivals with it. It has only the claims that the names of the entries do not tell.
type Claims map[string][]directory.Ref

// Claimants returns the entries that claim one of these.
func (r *Redis) Claimants(ctx context.Context, keys ...string) ([]directory.Ref, error) {
	var out []directory.Ref
	err := r.some(ctx, r.claims, keys, func(key, value string) error {
		refs, err := parseRefs(key, value)
		out = append(out, refs...)
		return err
	})
	return out, err
}

// SetClaims replaces all claims. Only what differs is written.
func (r *Redis) SetClaims(ctx context.Context, claims Claims) error {
	texts := make(map[string]string, len(claims))
	for key, refs := range claims {
		list := make([]string, len(refs))
		for i, ref := range refs {
			list[i] = ref.String()
		}
		slices.Sort(list)
		texts[key] = strings.Join(slices.Compact(list), "\n")
	}
	var gone []string
	err := r.scan(ctx, r.claims, linksAtOnce, func(key, value string) error {
		switch text, claimed := texts[key]; {
		case !claimed:
			gone = append(gone, key)
		case text == value:
			delete(texts, key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	w := r.writer(r.claims)
	for key, text := range texts {
		if err := w.set(ctx, key, []byte(text)); err != nil {
			return err
		}
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	return r.drop(ctx, r.claims, gone)
}

func parseRefs(key, value string) ([]directory.Ref, error) {
	var out []directory.Ref
	for text := range strings.SplitSeq(value, "\n") {
		ref, ok := plan.ParseRef(text)
		if !ok {
			return nil, corrupt("claim", key, errors.New("unknown kind of entry"))
		}
		out = append(out, ref)
	}
	return out, nil
}

// LinksOf returns the links of some entries.
func (r *Redis) LinksOf(ctx context.Context, refs ...directory.Ref) (map[directory.Ref]plan.Link, error) {
	fields := make([]string, len(refs))
	for i, ref := range refs {
		fields[i] = ref.String()
	}
	out := map[directory.Ref]plan.Link{}
	err := r.some(ctx, r.links, fields, func(field, value string) error { return addLink(out, field, value) })
	return whole(out, err)
}

// ConfirmedOf returns the confirmed members of some groups.
func (r *Redis) ConfirmedOf(ctx context.Context, ids ...directory.ID) (map[directory.ID]plan.Confirmed, error) {
	out := map[directory.ID]plan.Confirmed{}
	err := r.some(ctx, r.members, fieldsOf(ids), func(field,
		value string) error {
		return addConfirmed(out, field, value)
	})
	return whole(out, err)
}

// some visits the fields of a hash that exist.
func (r *Redis) some(ctx context.Context, key string, fields []string, visit func(field, value string) error) error {
	for part := range slices.Chunk(fields, groupsAtOnce) {
		values, err := r.rdb.HMGet(ctx, key, part...).Result()
		if err != nil {
			return redisFault("read "+key, err)
		}
		for i, v := range values {
			if text, is := v.(string); is {
				if err := visit(part[i], text); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Positions are the positions of the servers of a source when they were read. They reveal a server that lags, or that
// was restored from a snapshot.
type Positions struct {
	// Reference is the position of the last read that was trusted.
	Reference directory.Position `json:"reference,omitzero"`
	// Servers are the last trusted positions, by server, of servers that have no origin of changes in common.
	Servers map[string]directory.Position `json:"servers,omitempty"`
	// Pending is the position of the last read that was not trusted. Accept makes it the reference.
	Pending *directory.Position `json:"pending,omitempty"`
}

// IsZero reports whether no position is known.
func (p Positions) IsZero() bool { return p.Reference.IsZero() && p.Pending == nil }

// Judge compares the position of a read with the trusted positions, and returns the one that it was compared with.
// The read is Newer if it is at least as new, Older if it is proved to be older, and Incomparable if neither can be
// determined.
//
// A server without a common origin of changes is compared with its own last position, also after a server without a
// position was accepted. A server that lacks changes of
// the reference is in doubt, although it may have changes of its own. The doubt ends when it has these changes, when
// the reference's server is read again, or when its position is accepted. Accepting is the only end where a server was
// retired with changes that no other server has.
func (p Positions) Judge(now directory.Position) (order directory.Order, with directory.Position) {
	if p.Reference.IsZero() && (now.IsZero() || len(p.Servers) == 0) {
		return directory.Newer, p.Reference
	}
	order, with = now.Compare(p.Reference), p.Reference
	if own, known := p.Servers[server(now)]; order == directory.Incomparable && known {
		order, with = now.Compare(own), own
	}
	switch order {
	case directory.Same:
		order = directory.Newer
	case directory.Diverged:
		order = directory.Incomparable
	}
	return order, with
}

// Trust makes the position of a read the reference.
func (p *Positions) Trust(now directory.Position) {
	p.Pending = nil
	if now.IsZero() {
		p.Reference = now
		return
	}
	servers := maps.Clone(p.Servers)
	if servers == nil {
		servers = map[string]directory.Position{}
	}
	servers[server(now)] = now
	p.Reference, p.Servers = now, servers
}

// Doubt stores the position of a read that was not trusted.
func (p *Positions) Doubt(now directory.Position) { p.Pending = &now }

// Accept makes the pending position the reference and returns it. It returns false if no position is pending.
func (p *Positions) Accept() (directory.Position, bool) {
	if p.Pending == nil {
		return directory.Position{}, false
	}
	accepted := *p.Pending
	p.Trust(accepted)
	return accepted, true
}

func server(p directory.Position) string {
	if p.Server != "" {
		return p.Server
	}
	return p.Name
}
