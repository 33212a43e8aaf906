package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/source"
)

// Version implements source.Versioner. It fails with fault.Unavailable where the source has never completed a sync,
// because an entry that is absent from a lost directory has not left.
func (r *Reader) Version(ctx context.Context, source string, ref directory.Ref) (string, time.Time, error) {
	if source == "" { // The ledger that had the source was lost.
		for _, p := range r.parts {
			if v, since, err := p.version(ctx, ref); err != nil || v != "" {
				return v, since, err
			}
		}
		return "", time.Time{}, nil
	}
	i := slices.IndexFunc(r.parts, func(p *Part) bool { return p.slug == source })
	if i < 0 {
		return "", time.Time{}, fault.Errorf(fault.Internal, "the local directory has no source %q", source)
	}
	return r.parts[i].version(ctx, ref)
}

// version returns the stored version of an entry, "" where it is absent, and when the source was read for it.
func (p *Part) version(ctx context.Context, ref directory.Ref) (version string, readAt time.Time, err error) {
	var text, generation *redis.StringCmd
	_, err = p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		text, generation = pipe.HGet(ctx, p.keys.digest, ref.String()), pipe.HGet(ctx, p.keys.meta, "generation")
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", readAt, redisFault("read version", err)
	}
	for _, cmd := range []*redis.StringCmd{text, generation} {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return "", readAt, redisFault("read version", err)
		}
	}
	if generation.Val() == "" {
		return "", readAt, (&glimpse{}).ready(p)
	}
	if text.Val() == "" {
		return "", readAt, nil
	}
	t, ok := parseToken(text.Val())
	if !ok {
		return "", readAt, p.unreadable(text.Val(), ref.String())
	}
	return t.digest, fromMicros(t.readAt), nil
}

// Labels returns the labels and the DNs of entries, and the labels alone of those that left. Entries that the part
// never had are missing. It works while the part is being written.
func (p *Part) Labels(ctx context.Context, refs []directory.Ref) (map[directory.Ref]Named, error) {
	out := make(map[directory.Ref]Named, len(refs))
	for some := range slices.Chunk(refs, labelsAtOnce) {
		s, err := p.some(ctx, some)
		if err != nil {
			return nil, err
		}
		for _, d := range s.departed {
			out[d.Ref] = Named{Label: d.Label}
		}
		for _, e := range s.entries {
			out[e.Ref()] = Named{Label: e.Label(), DN: e.DN}
		}
	}
	return out, nil
}

// labelsAtOnce is how many entries one step of Labels reads.
const labelsAtOnce = 500

// Named is what an entry is called.
type Named struct{ Label, DN string }

// Entry returns one entry of the part, and its departure; nil for what is not there. It works while the part is being
// written.
func (p *Part) Entry(ctx context.Context, ref directory.Ref) (*directory.Entry, *directory.Departure, error) {
	s, err := p.some(ctx, []directory.Ref{ref})
	if err != nil {
		return nil, nil, err
	}
	if len(s.entries) > 0 {
		return &s.entries[0].Entry, nil, nil
	}
	if len(s.departed) > 0 {
		return nil, &s.departed[0], nil
	}
	return nil, nil, nil
}

// Match is an entry that was found.
type Match struct {
	directory.Ref
	// Source is the slug of the source that has the entry, or had it.
	Source string
	// Label is what a person calls it. Name is the display name of a user, if that is another text.
	Label, Name string
	// Departed is when the entry left; zero for one that is there.
	Departed time.Time
}

// Find returns the entries of a kind that a text names, in any letter case. The text is an ID, else a user's
// userName, a group's cn or displayName, or for both a mail address or DN. Entries that left are found only where no
// present entry is. Several matches are for the caller to refuse, and none is not an error. It works while a source
// is being written.
func (r *Reader) Find(ctx context.Context, kind directory.Kind, text string) ([]Match, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, nil
	}
	for _, ids := range []func(*Part) ([]directory.Ref, error){
		func(*Part) ([]directory.Ref, error) {
			return []directory.Ref{{Kind: kind, ID: directory.ID(text)}}, nil
		},
		func(*Part) ([]directory.Ref, error) {
			return []directory.Ref{{Kind: kind, ID: directory.ID(strings.ToLower(text))}}, nil
		},
		func(p *Part) ([]directory.Ref, error) { return p.named(ctx, kind, text) },
	} {
		found, err := r.match(ctx, ids)
		if err != nil || len(found) > 0 {
			return found, err
		}
	}
	return nil, nil
}

// named returns the entries that the index has for a name.
func (p *Part) named(ctx context.Context, kind directory.Kind, name string) ([]directory.Ref, error) {
	field := nameField(kind.String(), name)
	if field == "" {
		return nil, nil
	}
	g, err := p.indexed(ctx, nil)
	if err != nil {
		return nil, err
	}
	found, err := p.ranges(ctx, wholeNames(field), false)
	if err != nil {
		return nil, err
	}
	if err := p.stillIndexed(ctx, g, nil); err != nil {
		return nil, err
	}
	var refs []directory.Ref
	for _, id := range slices.Concat(found...) {
		refs = append(refs, directory.Ref{Kind: kind, ID: id})
	}
	return refs, nil
}

// match looks candidates up in every part. One that is there is preferred to one that left.
func (r *Reader) match(ctx context.Context, candidates func(*Part) ([]directory.Ref, error)) ([]Match, error) {
	var here, gone []Match
	for _, p := range r.parts {
		refs, err := candidates(p)
		if err != nil {
			return nil, err
		}
		s, err := p.some(ctx, refs)
		if err != nil {
			return nil, err
		}
		for _, e := range s.entries {
			here = append(here, Match{Ref: e.Ref(), Source: p.slug, Label: e.Label()})
		}
		for _, d := range s.departed {
			gone = append(gone, Match{Ref: d.Ref, Source: p.slug, Label: d.Label, Departed: d.Left})
		}
	}
	if len(here) == 0 {
		here = gone
	}
	slices.SortFunc(here, func(a, b Match) int { return cmp.Or(a.Ref.Compare(b.Ref), cmp.Compare(a.Source, b.Source)) })
	return here, nil
}

// glimpse is what a part says of itself at one moment. Two that are equal in birth, generation and mark have the same
// run's entries between them.
type glimpse struct {
	birth         string // a random text that lives as long as the data
	generation    int64
	run           string // the mark
	since         int64
	readAt        int64
	completedAt   int64
	completedRead int64  // when the source was read for the last run that completed
	seq           int64  // rises with every write
	index         string // the version of the index, or its builder
	indexSeq      int64  // the last write that maintained the index
	indexAt       string // when the index was last being built
	older         string // the same of the index of earlier versions
	names         int    // members of the sorted set of the index

	users, groups, gone int // what is stored
	counted, digests    int // entries as the scripts counted them, and tokens
}

var metaFields = []string{"birth", "generation", "run", "since", "read_at", "completed_at", "seq", "users", "groups",
	"completed_read_at", "find", "find_seq", "index", "find_at"}

// glimpse reads it in one round trip.
func (p *Part) glimpse(ctx context.Context) (*glimpse, error) {
	var meta *redis.SliceCmd
	var users, groups, gone, digests, names *redis.IntCmd
	_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		meta = pipe.HMGet(ctx, p.keys.meta, metaFields...)
		users, groups = pipe.HLen(ctx, p.keys.user), pipe.HLen(ctx, p.keys.group)
		gone, digests = pipe.HLen(ctx, p.keys.gone), pipe.HLen(ctx, p.keys.digest)
		names = pipe.ZCard(ctx, p.keys.find)
		return nil
	})
	if err != nil {
		return nil, redisFault("read meta of "+p.container(), err)
	}
	text := func(i int) string { s, _ := meta.Val()[i].(string); return s }
	number := func(i int) int64 { n, _ := strconv.ParseInt(text(i), 10, 64); return n }
	return &glimpse{
		birth: text(0), generation: number(1), run: text(2), since: number(3), readAt: number(4),
		completedAt: number(5), seq: number(6), index: text(10), indexSeq: number(11), older: text(12),
		indexAt: text(13), names: int(names.Val()),
		users: int(users.Val()), groups: int(groups.Val()), gone: int(gone.Val()),
		completedRead: number(9), counted: int(number(7) + number(8)), digests: int(digests.Val()),
	}, nil
}

// whole returns an error if some of the keys were lost (evicted, expired or deleted by hand) and others were not.
func (g *glimpse) whole(p *Part) error {
	if n := g.users + g.groups; n != g.counted || n != g.digests {
		return p.damaged(fmt.Sprintf("%d entries are stored, %d were written and %d have a digest", n, g.counted,
			g.digests))
	}
	return nil
}

// damaged returns the advice for a part that has lost some of its data. The part does not repair itself, because
// whatever evicted one key evicts the next.
func (p *Part) damaged(what string) error {
	return notReady(source.ErrNotReady, "the local directory of source %s is damaged (%s): Redis must neither "+
		"evict nor expire keys; delete the keys %s and sync the source again", p.container(), what,
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
