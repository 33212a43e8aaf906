// Package store is the local directory, Rollcall's own copy of its sources' data, on Redis.
//
// It stands between the two hops. A Part is one source's share of the directory and a provider; the engine mirrors
// the source into it. A Reader is all parts together and a source; the engine provisions tenants from it.
//
// # The promise
//
// A provider never sees an unfinished directory. A source run marks its part dirty before its first write (Begin) and
// clears the mark after its last (Commit). Commit raises the part's generation in the same script if anything changed.
// Reader.Read takes every part's mark and generation before and after. It fails with source.ErrNotReady while a part is
// dirty, has never been completed, or changed meanwhile. After a loss of Redis' data every part counts as never
// completed, so that the sources run first and the providers after them.
//
//	          Begin                 Commit
//	never ──────────▶ dirty ─────────────────▶ clean
//	                  │   ▲                      │
//	   killed, later: └───┘ Begin of a later run │
//	                      ▲                      │
//	                      └──────── Begin ───────┘
//
// # Who may write
//
// Every write carries the time at which the source was read for it. An older read never overwrites a newer one:
//
//   - A run writes only while the mark has its own id and the time of its read. A run that was taken over gets
//     fault.Canceled. A run without a mark, which was lost with Redis, gets fault.Unavailable.
//   - An object job writes one entry and sets no mark. It gives way where a run has read the source since.
//   - An entry that a newer read stored, or that another writer changed since this Part read the state, gives way
//     with provider.ErrSuperseded. The check costs the comparison of one short text, because each entry's token
//     (digest, activity, time of the read, sequence number) is compared and replaced in the script that writes it.
//
// The times are comparable across workers, because Part.Clock takes ever-rising times from Redis.
//
// # Keys
//
// All keys of a part share its hash tag, and no script touches two parts.
//
//	rollcall:{ldap:<slug>}:dir:meta    hash: birth, generation, run, read_at, since, completed_at, users, groups, …
//	rollcall:{ldap:<slug>}:dir:user    hash: id → the user, see encode
//	rollcall:{ldap:<slug>}:dir:group   hash: id → the group
//	rollcall:{ldap:<slug>}:dir:digest  hash: "user/<id>" → token
//	rollcall:{ldap:<slug>}:dir:gone    hash: "user/<id>" → tombstone as JSON
//	rollcall:{ldap:<slug>}:dir:head    hash: id → the group without its members
//	rollcall:{ldap:<slug>}:dir:find    sorted set: names → ids; see index.go
//	rollcall:{ldap:<slug>}:dir:find:…  4096 hashes: names → ids, and members → groups; see bucket.go
//	rollcall:{ldap:<slug>}:dir:buckets bitmap: which of these hashes exist
//
// The index is maintained by the script that writes the entry. Data of a version without it is indexed by the first
// operation that needs it. Older versions keep names in the hash dir:name, or an index in the sorted set dir:index.
// These are deleted then. An older version that writes meanwhile does not count its write as one in this index, and
// this version does not count its writes as such in the other one. Each then builds its index anew before it reads.
package store

import (
	"context"
	"embed"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/plan"
	"rollcall/provider"
)

// Read implements provider.Provider. Of an entry that is stored in the version of q.Versions only the version is
// read, which makes a run over an unchanged directory cheap.
//
// The Part remembers the state that it read. Begin fails if the part has changed since, and Apply refuses to change
// an entry that another writer has changed since.
func (p *Part) Read(ctx context.Context, q provider.Query) (plan.State, error) {
	g, err := p.glimpse(ctx)
	if err != nil {
		return plan.State{}, err
	}
	if err := g.whole(p); err != nil {
		return plan.State{}, err
	}
	if _, err := p.indexed(ctx, g); err != nil {
		return plan.State{}, err
	}
	var s plan.State
	if len(q.Lookups) > 0 {
		s.Objects, err = p.lookUp(ctx, q)
		s.Others = g.others(s.Objects)
	} else {
		s.Objects, err = p.all(ctx, q)
	}
	if err != nil {
		return plan.State{}, err
	}
	p.mu.Lock()
	p.seen = g
	p.mu.Unlock()
	return s, nil
}

// others counts what is stored besides some objects.
func (g *glimpse) others(objects []plan.Object) plan.Tally {
	t := plan.Tally{User: g.users, Group: g.groups}
	for i := range objects {
		if objects[i].Kind == directory.User {
			t.User--
		} else {
			t.Group--
		}
	}
	return plan.Tally{User: max(0, t.User), Group: max(0, t.Group)}
}

// all returns every entry.
func (p *Part) all(ctx context.Context, q provider.Query) ([]plan.Object, error) {
	known, err := p.rdb.HLen(ctx, p.keys.digest).Result()
	if err != nil {
		return nil, redisFault("read", err)
	}
	objects := make([]plan.Object, 0, min(int(known), len(q.Versions)))
	var differ []directory.Ref
	err = p.each(ctx, p.keys.digest, tokensAtOnce, func(name, text string) error {
		o, same, err := p.object(name, text, q.Versions)
		switch {
		case err != nil:
		case same:
			objects = append(objects, o)
		default:
			differ = append(differ, o.Ref)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return p.withContents(ctx, objects, differ)
}

// lookUp returns the entries that the query names, and the groups.
func (p *Part) lookUp(ctx context.Context, q provider.Query) ([]plan.Object, error) {
	var refs []directory.Ref
	for _, l := range q.Lookups {
		refs = append(refs, l.Ref)
		for _, g := range l.Groups {
			refs = append(refs, directory.Ref{Kind: directory.Group, ID: g.ID})
		}
	}
	tokens, err := p.tokens(ctx, refs)
	if err != nil {
		return nil, err
	}
	var objects []plan.Object
	var differ []directory.Ref
	for i, ref := range refs {
		if tokens[i] == "" {
			continue
		}
		o, same, err := p.object(ref.String(), tokens[i], q.Versions)
		switch {
		case err != nil:
			return nil, err
		case same:
			objects = append(objects, o)
		default:
			differ = append(differ, ref)
		}
	}
	return p.withContents(ctx, objects, differ)
}

// object makes an object of a token and reports whether that is all that is needed of it.
func (p *Part) object(name, text string, versions map[directory.Ref]string) (plan.Object, bool, error) {
	ref, ok := plan.ParseRef(name)
	t, ok2 := parseToken(text)
	if !ok || !ok2 {
		return plan.Object{}, false, p.unreadable(text, name)
	}
	o := plan.Object{Ref: ref, RemoteID: name, Active: t.active}
	if !t.active {
		o.Suspender = plan.Us
	}
	version := versions[ref]
	o.Version = version
	return o, version == t.digest, nil
}

// withContents adds the entries that differ to those that do not, sorts them, and drops what came twice.
func (p *Part) withContents(ctx context.Context, objects []plan.Object, differ []directory.Ref) ([]plan.Object, error) {
	entries, err := p.load(ctx, differ)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e != nil {
			objects = append(objects, objectOf(e))
		}
	}
	slices.SortFunc(objects, func(a, b plan.Object) int { return a.Ref.Compare(b.Ref) })
	return slices.CompactFunc(objects, func(a, b plan.Object) bool { return a.Ref == b.Ref }), nil
}

func objectOf(e *stored) plan.Object {
	o := plan.Object{
		Ref: e.Ref(), RemoteID: e.Ref().String(), Label: e.Label(), Active: e.Active, Version: e.digest,
		Fields: fields(&e.Entry, []string{e.Source}),
		Listed: e.Kind == directory.Group,
	}
	if !e.Active {
		o.Suspender = plan.Us
	}
	for _, m := range e.Members {
		o.Members = append(o.Members, m.String())
	}
	slices.Sort(o.Members)
	return o
}

// refOf returns the entry that a remote id of the local directory names.
func refOf(remoteID string) (directory.Ref, error) {
	ref, ok := plan.ParseRef(remoteID)
	if !ok {
		return ref, fmt.Errorf("%q is no remote id of the local directory: want user/<id> or group/<id>", remoteID)
	}
	return ref, nil
}

//go:embed lua/*.lua
var luaFiles embed.FS

// The scripts. Each touches the keys of one part.
var (
	beginScript  = redisfault.Script(luaFiles, "begin")
	commitScript = redisfault.Script(luaFiles, "commit")
	clockScript  = redisfault.Script(luaFiles, "clock")
	indexScript  = redisfault.Script(luaFiles, "bucket", "index")
	trimScript   = redisfault.Script(luaFiles, "bucket", "trim")
	writeScript  = redisfault.Script(luaFiles, "bucket", "write")
)

func redisFault(op string, err error) error { return redisfault.Of("local directory: "+op, err) }

// token is the summary of an entry that is enough to plan an unchanged entry, and to compare and swap a changed one.
// Its text is "<digest> <0|1> <read at, in microseconds> <sequence number>".
type token struct {
	digest string
	active bool
	readAt int64
	seq    int64
}

func parseToken(text string) (token, bool) {
	digest, rest, _ := strings.Cut(text, " ")
	active, rest, _ := strings.Cut(rest, " ")
	readAt, seq, ok := strings.Cut(rest, " ")
	t := token{digest: digest, active: active == "1"}
	var err1, err2 error
	t.readAt, err1 = strconv.ParseInt(readAt, 10, 64)
	t.seq, err2 = strconv.ParseInt(seq, 10, 64)
	return t, ok && err1 == nil && err2 == nil && digest != ""
}

// head is the text of the token up to the sequence number, which the script adds.
func (t token) head() string {
	active := " 0 "
	if t.active {
		active = " 1 "
	}
	return t.digest + active + strconv.FormatInt(t.readAt, 10)
}

// unreadable reports a token that we did not write.
func (p *Part) unreadable(text, name string) error {
	return fault.Errorf(fault.Internal, "local directory: token %q of %s of source %s cannot be read", text, name,
		p.slug)
}
