// Package ledger stores what Rollcall knows of the remote objects of one container. It stores the link between each
// object and its entry, and the departure time of entries. It also stores the last confirmed members of each group, and
// a few facts about the last good run.
//
// The ledger is an index. The source of truth is the anchor on the remote object. A run with an empty ledger looks
// objects up by their anchors, lists every group once, holds what it cannot judge, and fills the ledger again. Losing
// it costs one slow run, but never causes a duplicate or a deletion. Nothing here is transactional beyond one entry,
// and the last writer wins. Runs and object jobs write an entry's link under that entry's lock.
//
// Redis is the implementation. It is safe for concurrent use. Its errors are of kind Unavailable if Redis cannot be
// reached.
package ledger

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/internal/stored"
	"rollcall/plan"
	"rollcall/source"
)

// Facts are the facts about one run that the next run compares itself with.
type Facts struct {
	// LastFull is when the last full run completed. It is zero while the ledger may lack existing links.
	LastFull time.Time `json:"last_full,omitzero"`
	// ReadAt is when the last full run that could apply its whole plan began to read.
	ReadAt time.Time `json:"read_at,omitzero"`
	// LastRun is the id of the last good run, full or not.
	LastRun string `json:"last_run,omitempty"`
	// Referrals are the search result references of the last good run. A different set is a doubt.
	Referrals []string `json:"referrals,omitempty"`
	// Coverage counts the entries that had each attribute in the last good run.
	Coverage []directory.Coverage `json:"coverage,omitempty"`
	// Scope is a digest of the scope and the mapping that the last good run used. A different digest makes the next
	// plan a first plan.
	Scope string `json:"scope,omitempty"`
	// Positions are the positions of the source's servers when they were read.
	Positions Positions `json:"positions,omitzero"`
	// Cursor says up to which change a source was read. It is zero where only full reads are possible.
	Cursor source.Cursor `json:"cursor,omitzero"`
	// Asks is set while changes of the last full run of a source wait for a decision.
	Asks bool `json:"asks,omitempty"`
	// Refused names changes that the target refused in the last full run, by plan.Change.Claim. The next run tries them
	// after the others of their stage.
	Refused []string `json:"refused,omitempty"`
	// Rejections are the values that the target refused in the full runs of the last 24 hours.
	Rejections []plan.Rejection `json:"rejections,omitempty"`
	// Linked counts the linked objects and their memberships, and Claims identifies the configuration that the claims
	// were made with. Runs over a few entries use both. Older versions set neither.
	Linked plan.Tally `json:"linked,omitzero"`
	Claims string     `json:"claims,omitempty"`
	// Filled counts the objects with a value of each field in the last full run, and Emptied those that lost it in
	// delta runs since. Older versions set neither.
	Filled  plan.Filled `json:"filled,omitempty"`
	Emptied plan.Filled `json:"emptied,omitempty"`
	// Sources are the slugs of the sources that the last full run of a provider synced from, but for those whose
	// joiners wait for a decision. A nil value is that of an older version or of a lost ledger.
	Sources []string `json:"sources,omitzero"`
	// Users and Groups are how many entries the last good run read.
	Users  int `json:"users,omitempty"`
	Groups int `json:"groups,omitempty"`
}

// Complete reports whether every object with our anchor has a link, which is so once a full run has completed.
func (f Facts) Complete() bool { return !f.LastFull.IsZero() }

// scan visits every field of a hash, some of them perhaps twice. It reads in pages, so that Redis is never blocked
// for long.
func (r *Redis) scan(ctx context.Context, key string, count int64, visit func(field, value string) error) error {
	for cursor := uint64(0); ; {
		page, next, err := r.rdb.HScan(ctx, key, cursor, "", count).Result()
		if err != nil {
			return redisFault("scan "+key, err)
		}
		for i := 0; i+1 < len(page); i += 2 {
			if err := visit(page[i], page[i+1]); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// writer gathers fields of a hash and writes them a megabyte at a time, each batch together with what also adds.
type writer struct {
	rdb   redis.UniversalClient
	key   string
	args  []any
	also  func(context.Context, redis.Pipeliner)
	bytes int
}

func (r *Redis) writer(key string) *writer { return &writer{rdb: r.rdb, key: key} }

func (w *writer) set(ctx context.Context, field string, value []byte) error {
	w.args = append(w.args, field, value)
	w.bytes += len(field) + len(value)
	if w.bytes < bytesAtOnce && len(w.args) < 2*linksAtOnce {
		return nil
	}
	return w.flush(ctx)
}

func (w *writer) flush(ctx context.Context) error {
	if len(w.args) == 0 {
		return nil
	}
	_, err := w.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, w.key, w.args...)
		if w.also != nil {
			w.also(ctx, p)
		}
		return nil
	})
	w.args, w.bytes = w.args[:0], 0
	return redisFault("write "+w.key, err)
}

func redisFault(op string, err error) error { return redisfault.Of("ledger: "+op, err) }

// corrupt reports a value that the ledger cannot have written.
func corrupt(what, name string, err error) error {
	return fault.Errorf(fault.Internal, "ledger: %s %s: %w", what, name, err)
}

// The number of hash fields that one command reads or writes. Links are some 150 bytes, a group's members up to a
// megabyte.
const (
	linksAtOnce  = 1000
	groupsAtOnce = 100
	bytesAtOnce  = 1 << 20
)

// Redis is a ledger on Redis. Its keys share the hash tag of their container:
//
//	rollcall:{google_workspace:1}:ledger:links    hash "user/<id>" → plan.Link, see packLink
//	rollcall:{google_workspace:1}:ledger:gone:user:absent  sorted set of "user/<id>", see Departed
//	rollcall:{google_workspace:1}:ledger:members  hash group id → plan.Confirmed, packed
//	rollcall:{google_workspace:1}:ledger:facts    Facts as JSON
//	rollcall:{google_workspace:1}:ledger:claims   hash claim → "user/<id>", one a line; see Claims
//	rollcall:{google_workspace:1}:ledger:pending  sorted set of "user/<id>", see Pending
type Redis struct {
	rdb                         redis.UniversalClient
	links, members, facts       string
	claims, pending, gone, left string
	indexing                    singleflight.Group
}

// NewRedis returns the ledger of a container, such as "google_workspace:1". It does not connect.
func NewRedis(rdb redis.UniversalClient, container string) *Redis {
	prefix := "rollcall:{" + container + "}:ledger:"
	return &Redis{rdb: rdb, links: prefix + "links", members: prefix + "members", facts: prefix + "facts",
		claims: prefix + "claims", pending: prefix + "pending", gone: prefix + "gone",
		left: prefix + "left"}
}

// Links returns every link. It corrects the index of the entries that left where that is due. A fault of the index does
// not concern its callers; Departed returns it where the index is no longer trusted.
func (r *Redis) Links(ctx context.Context) (map[directory.Ref]plan.Link, error) {
	out, err := r.readLinks(ctx)
	if err != nil {
		return nil, err
	}
	if trusted, err := r.rdb.PTTL(ctx, r.gone).Result(); err == nil && trusted <= indexed/2 {
		_ = r.indexDeparted(ctx, out)
	}
	return out, nil
}

func (r *Redis) readLinks(ctx context.Context) (map[directory.Ref]plan.Link, error) {
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
	l, err := unpackLink(value)
	if err != nil {
		return corrupt("link", field, err)
	}
	to[ref] = l
	return nil
}

// PutLinks replaces the links of these entries only.
func (r *Redis) PutLinks(ctx context.Context, links map[directory.Ref]plan.Link) error {
	w, batch := r.writer(r.links), map[directory.Ref]plan.Link{}
	w.also = func(ctx context.Context, p redis.Pipeliner) {
		r.putDeparted(ctx, p, batch)
		clear(batch)
	}
	for ref, l := range links {
		batch[ref] = l
		if err := w.set(ctx, ref.String(), packLink(l)); err != nil {
			return err
		}
	}
	return w.flush(ctx)
}

// DropLinks deletes the links of these entries.
func (r *Redis) DropLinks(ctx context.Context, refs ...directory.Ref) error {
	for some := range slices.Chunk(refs, linksAtOnce) {
		batch, fields := map[directory.Ref]plan.Link{}, make([]string, len(some))
		for i, ref := range some {
			batch[ref], fields[i] = plan.Link{}, ref.String()
		}
		_, err := r.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HDel(ctx, r.links, fields...)
			r.putDeparted(ctx, p, batch)
			return nil
		})
		if err != nil {
			return redisFault("forget", err)
		}
	}
	return nil
}

// Groups returns the confirmed members of every group, by the group's ID.
func (r *Redis) Groups(ctx context.Context) (map[directory.ID]plan.Confirmed, error) {
	out := map[directory.ID]plan.Confirmed{}
	err := r.scan(ctx, r.members, groupsAtOnce,
		func(field, value string) error { return addConfirmed(out, field, value) })
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

// What a link says with one bit each.
const (
	linkSuspended = 1 << iota
	linkInactive
	linkOutlived
	linkGiven // values of shared fields come last
)

// packLink returns a link in compact form.
func packLink(l plan.Link) []byte {
	bits := byte(0)
	if l.Suspended {
		bits |= linkSuspended
	}
	if l.Inactive {
		bits |= linkInactive
	}
	if l.Outlived {
		bits |= linkOutlived
	}
	if l.Given != "" {
		bits |= linkGiven
	}
	b := stored.AppendID([]byte{stored.Compact, bits}, l.RemoteID)
	b = stored.AppendText(appendTime(b, l.Created), l.Rekey)
	b = stored.AppendText(b, l.Yields)
	b = stored.AppendText(appendTime(b, l.Departed), string(l.Why))
	if l.Given != "" {
		b = stored.AppendText(b, string(l.Given))
	}
	return b
}

// unpackLink reads a link in compact form, or as JSON, which builds of format 1 wrote.
func unpackLink(text string) (l plan.Link, err error) {
	if !stored.IsCompact(text) {
		err = json.Unmarshal([]byte(text), &l)
		return l, err
	}
	r := stored.NewReader(text)
	bits := r.Uint()
	l = plan.Link{
		Suspended: bits&linkSuspended != 0, Inactive: bits&linkInactive != 0,
		Outlived: bits&linkOutlived != 0,
		RemoteID: r.ID(), Created: readTime(r), Rekey: r.Text(), Yields: r.Text(),
		Departed: readTime(r), Why: plan.Reason(r.Text()),
	}
	if bits&linkGiven != 0 {
		l.Given = plan.Given(r.Text())
	}
	return l, r.Err()
}

// appendTime adds a time as the seconds since the zero time, and nanoseconds.
func appendTime(b []byte, t time.Time) []byte {
	b = binary.AppendVarint(b, t.Unix()-time.Time{}.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond())) //nolint:gosec // never negative
}

func readTime(r *stored.Reader) time.Time {
	seconds := r.Int() + time.Time{}.Unix()
	return time.Unix(seconds, int64(r.Uint()%uint64(time.Second))).UTC() //nolint:gosec // less than a second
}
