package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/plan"
)

// The number of hash fields that one command reads or writes. Links are some 150 bytes, a group's members up to a
// megabyte.
const (
	linksAtOnce  = 1000
	groupsAtOnce = 100
	bytesAtOnce  = 1 << 20
)

// Redis is a ledger on Redis. Its keys share the hash tag of their container:
//
//	rollcall:{google_workspace:1}:ledger:links    hash "user/<id>" → plan.Link as JSON
//	rollcall:{google_workspace:1}:ledger:members  hash group id → plan.Confirmed, packed
//	rollcall:{google_workspace:1}:ledger:facts    Facts as JSON
type Redis struct {
	rdb                   redis.UniversalClient
	links, members, facts string
}

// NewRedis returns the ledger of a container, such as "google_workspace:1". It does not connect.
func NewRedis(rdb redis.UniversalClient, container string) *Redis {
	prefix := "rollcall:{" + container + "}:ledger:"
	return &Redis{rdb: rdb, links: prefix + "links", members: prefix + "members", facts: prefix + "facts"}
}

// Links returns every link.
func (r *Redis) Links(ctx context.Context) (map[directory.Ref]plan.Link, error) {
	n, err := r.rdb.HLen(ctx, r.links).Result()
	if err != nil {
		return nil, redisFault("count links", err)
	}
	out := make(map[directory.Ref]plan.Link, n)
	err = r.scan(ctx, r.links, linksAtOnce, func(field, value string) error { return addLink(out, field, value) })
	return whole(out, err)
}

func addLink(to map[directory.Ref]plan.Link, field, value string) error {
	ref, ok := plan.ParseRef(field)
	if !ok {
		return corrupt("link", field, errors.New("unknown kind of entry"))
	}
	var l plan.Link
	if err := json.Unmarshal([]byte(value), &l); err != nil {
		return corrupt("link", field, err)
	}
	to[ref] = l
	return nil
}

// PutLinks replaces the links of these entries only.
func (r *Redis) PutLinks(ctx context.Context, links map[directory.Ref]plan.Link) error {
	w := r.writer(r.links)
	for ref, l := range links {
		text, err := json.Marshal(l)
		if err != nil {
			return corrupt("link", ref.String(), err)
		}
		if err := w.set(ctx, ref.String(), text); err != nil {
			return err
		}
	}
	return w.flush(ctx)
}

// DropLinks deletes the links of these entries.
func (r *Redis) DropLinks(ctx context.Context, refs ...directory.Ref) error {
	fields := make([]string, len(refs))
	for i, ref := range refs {
		fields[i] = ref.String()
	}
	return r.drop(ctx, r.links, fields)
}

// Groups returns the confirmed members of every group, by the group's ID.
func (r *Redis) Groups(ctx context.Context) (map[directory.ID]plan.Confirmed, error) {
	out := map[directory.ID]plan.Confirmed{}
	err := r.scan(ctx, r.members, groupsAtOnce, func(field, value string) error { return addConfirmed(out, field, value) })
	return whole(out, err)
}

func addConfirmed(to map[directory.ID]plan.Confirmed, field, value string) error {
	c, err := unpack(value)
	if err != nil {
		return corrupt("members of group", field, err)
	}
	to[directory.ID(field)] = c
	return nil
}

// Confirm replaces the confirmed members of these groups.
func (r *Redis) Confirm(ctx context.Context, groups map[directory.ID]plan.Confirmed) error {
	w := r.writer(r.members)
	for id, c := range groups {
		packed, err := pack(c)
		if err != nil {
			return corrupt("members of group", string(id), err)
		}
		if err := w.set(ctx, string(id), packed); err != nil {
			return err
		}
	}
	return w.flush(ctx)
}

// Unconfirm deletes the confirmed members of these groups, so that the next run lists them.
func (r *Redis) Unconfirm(ctx context.Context, ids ...directory.ID) error {
	return r.drop(ctx, r.members, fieldsOf(ids))
}

// Facts returns the facts of the last good run. A new ledger has zero facts.
func (r *Redis) Facts(ctx context.Context) (Facts, error) {
	var f Facts
	text, err := r.rdb.Get(ctx, r.facts).Bytes()
	switch {
	case errors.Is(err, redis.Nil):
		return f, nil
	case err != nil:
		return f, redisFault("read facts", err)
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return Facts{}, corrupt("facts", r.facts, err)
	}
	return f, nil
}

// SetFacts replaces the facts.
func (r *Redis) SetFacts(ctx context.Context, f Facts) error {
	text, err := json.Marshal(f)
	if err != nil {
		return corrupt("facts", r.facts, err)
	}
	return redisFault("write facts", r.rdb.Set(ctx, r.facts, text, time.Duration(0)).Err())
}

// whole returns the complete map, or none with an error.
func whole[K comparable, V any](m map[K]V, err error) (map[K]V, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}

func fieldsOf(ids []directory.ID) []string {
	fields := make([]string, len(ids))
	for i, id := range ids {
		fields[i] = string(id)
	}
	return fields
}

// drop deletes fields of a hash.
func (r *Redis) drop(ctx context.Context, key string, fields []string) error {
	for some := range slices.Chunk(fields, linksAtOnce) {
		if err := r.rdb.HDel(ctx, key, some...).Err(); err != nil {
			return redisFault("forget", err)
		}
	}
	return nil
}
