package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/source"
)

// Reader reads the local directory, with all its parts as one source. It is safe for concurrent use.
type Reader struct{ parts []*Part }

var (
	_ source.Source     = (*Reader)(nil)
	_ source.Versioner  = (*Reader)(nil)
	_ source.Neighbours = (*Reader)(nil)
)

// NewReader returns a reader of these parts.
func NewReader(parts ...*Part) *Reader {
	return &Reader{slices.SortedFunc(slices.Values(parts), func(a, b *Part) int { return cmp.Compare(a.slug, b.slug) })}
}

// Read implements source.Source. It fails with fault.Unavailable, naming the source and the remedy, while a part is
// being written, has never been completed, or changed during the read. An entry that two sources have becomes a
// finding and belongs to neither. It is not absent, and its owner cannot be determined. Versions are those that were
// stored.
func (r *Reader) Read(ctx context.Context, q directory.Query) (directory.Snapshot, error) {
	before, err := r.begin(ctx)
	if err != nil {
		return directory.Snapshot{}, err
	}
	shares := make([]share, len(r.parts))
	for i, p := range r.parts {
		if q.All() {
			shares[i], err = p.everything(ctx)
		} else {
			shares[i], err = p.some(ctx, q.Refs)
		}
		if err != nil {
			return directory.Snapshot{}, err
		}
	}
	after, err := r.end(ctx, before)
	if err != nil {
		return directory.Snapshot{}, err
	}
	for i, p := range r.parts {
		if n := before[i].users + before[i].groups; q.All() && before[i].seq == after[i].seq && len(shares[i].entries) != n {
			return directory.Snapshot{}, p.damaged(fmt.Sprintf("%d entries are stored and %d can be read", n,
				len(shares[i].entries)))
		}
	}
	return merge(q, shares), nil
}

// share is what one part answers.
type share struct {
	entries  []*stored // sorted by Ref
	departed []directory.Departure
}

// some reads a few entries.
func (p *Part) some(ctx context.Context, refs []directory.Ref) (share, error) {
	entries, err := p.load(ctx, refs)
	if err != nil {
		return share{}, err
	}
	graves, err := p.tombstones(ctx, refs)
	if err != nil {
		return share{}, err
	}
	var s share
	for i, ref := range refs {
		if entries[i] != nil {
			s.entries = append(s.entries, entries[i])
		}
		if graves[i] != nil {
			s.departed = append(s.departed, graves[i].departure(ref, p.slug))
		}
	}
	s.entries = tidyEntries(s.entries)
	return s, nil
}

// tidyEntries sorts entries and drops what came twice, the older first.
func tidyEntries(list []*stored) []*stored {
	slices.SortFunc(list, func(a, b *stored) int {
		return cmp.Or(a.Ref().Compare(b.Ref()), cmp.Compare(b.readAt, a.readAt))
	})
	return slices.CompactFunc(list, func(a, b *stored) bool { return a.Ref() == b.Ref() })
}

// everything reads the whole part. One goroutine waits for pages and two decode them.
func (p *Part) everything(ctx context.Context) (share, error) {
	type page struct {
		kind  directory.Kind
		texts []string
	}
	const decoders = 2
	pages := make(chan page, decoders)
	var lists [decoders][]*stored
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(pages)
		for _, kind := range directory.Kinds {
			err := p.scan(ctx, p.keys.entries(kind), atOnce(kind), func(texts []string) error {
				select {
				case pages <- page{kind, texts}:
					return nil
				case <-ctx.Done():
					return ctx.Err()
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	for i := range lists {
		g.Go(func() error {
			d := p.decoder()
			d.ids = map[directory.ID]directory.ID{}
			for page := range pages {
				for j := 0; j+1 < len(page.texts); j += 2 {
					e, err := d.decode(page.kind, page.texts[j], page.texts[j+1])
					if err != nil {
						return err
					}
					lists[i] = append(lists[i], e)
				}
			}
			return nil
		})
	}
	var s share
	g.Go(func() (err error) { s.departed, err = p.departures(ctx); return err })
	if err := g.Wait(); err != nil {
		return share{}, err
	}
	s.entries = tidyEntries(slices.Concat(lists[:]...))
	return s, nil
}

// departures returns what left the part.
func (p *Part) departures(ctx context.Context) ([]directory.Departure, error) {
	var out []directory.Departure
	err := p.graves(ctx, func(ref directory.Ref, t *tombstone, _ string) error {
		out = append(out, t.departure(ref, p.slug))
		return nil
	})
	return out, err
}

// graves visits every tombstone, with the text that is stored.
func (p *Part) graves(ctx context.Context, visit func(directory.Ref, *tombstone, string) error) error {
	return p.each(ctx, p.keys.gone, usersAtOnce, func(name, text string) error {
		t, err := p.tombstone(name, text)
		if err != nil {
			return err
		}
		ref, err := refOf(name)
		if err != nil {
			return fault.New(fault.Internal, "local directory: tombstone", err)
		}
		return visit(ref, t, text)
	})
}

// How many fields of a hash one command reads. Users are some 500 bytes; groups can be megabytes.
const (
	tokensAtOnce = 5000
	usersAtOnce  = 500
	groupsAtOnce = 20
)

func atOnce(kind directory.Kind) int {
	if kind == directory.User {
		return usersAtOnce
	}
	return groupsAtOnce
}

// scan hands out all fields of a hash with their values, page by page; some may come twice. Redis is never blocked for
// long, and no more than one page is in memory besides what visit keeps.
func (p *Part) scan(ctx context.Context, key string, count int, visit func(page []string) error) error {
	for cursor := uint64(0); ; {
		page, next, err := p.rdb.HScan(ctx, key, cursor, "", int64(count)).Result()
		if err != nil {
			return redisFault("scan "+key, err)
		}
		if err := visit(page); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// each hands out all fields of a hash like scan, one by one.
func (p *Part) each(ctx context.Context, key string, count int, visit func(field, value string) error) error {
	return p.scan(ctx, key, count, func(page []string) error {
		for i := 0; i+1 < len(page); i += 2 {
			if err := visit(page[i], page[i+1]); err != nil {
				return err
			}
		}
		return nil
	})
}

// texts returns the values of some fields of a hash, "" for one that is not there.
func (p *Part) texts(ctx context.Context, key string, fields []string, count int) ([]string, error) {
	out := make([]string, 0, len(fields))
	for some := range slices.Chunk(fields, count) {
		values, err := p.rdb.HMGet(ctx, key, some...).Result()
		if err != nil {
			return nil, redisFault("read "+key, err)
		}
		for _, v := range values {
			text, _ := v.(string)
			out = append(out, text)
		}
	}
	return out, nil
}

// tokens returns the texts of the entries' tokens, "" for one that is not there.
func (p *Part) tokens(ctx context.Context, refs []directory.Ref) ([]string, error) {
	return p.texts(ctx, p.keys.digest, fieldsOf(refs), tokensAtOnce)
}

func fieldsOf(refs []directory.Ref) []string {
	out := make([]string, len(refs))
	for i, ref := range refs {
		out[i] = ref.String()
	}
	return out
}

// load returns entries, nil for one that is not there, in the order of refs. One goroutine decodes while another waits
// for Redis.
func (p *Part) load(ctx context.Context, refs []directory.Ref) ([]*stored, error) {
	out := make([]*stored, len(refs))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	for _, kind := range directory.Kinds {
		var at []int
		for i, ref := range refs {
			if ref.Kind == kind {
				at = append(at, i)
			}
		}
		for some := range slices.Chunk(at, atOnce(kind)) {
			g.Go(func() error { return p.loadSome(ctx, kind, refs, some, out) })
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

// loadSome loads those of refs that at names, which are of one kind, into out.
func (p *Part) loadSome(ctx context.Context, kind directory.Kind, refs []directory.Ref, at []int, out []*stored) error {
	ids := make([]string, len(at))
	for i, j := range at {
		ids[i] = string(refs[j].ID)
	}
	texts, err := p.texts(ctx, p.keys.entries(kind), ids, len(ids))
	if err != nil {
		return err
	}
	d := p.decoder()
	for i, text := range texts {
		if text == "" {
			continue
		}
		if out[at[i]], err = d.decode(kind, ids[i], text); err != nil {
			return err
		}
	}
	return nil
}

// Known returns every entry that the part has or had, in the spelling of its ID.
func (p *Part) Known(ctx context.Context) ([]directory.Ref, error) {
	var refs []directory.Ref
	for _, key := range []string{p.keys.gone, p.keys.digest} { // A present entry is the last word on its spelling.
		err := p.each(ctx, key, tokensAtOnce, func(name, _ string) error {
			if ref, ok := plan.ParseRef(name); ok {
				refs = append(refs, ref)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// Foresee returns a source with what the local directory would hold after these reads of its parts, named by their
// slugs. A part that was not read stays as it is. It writes nothing, and only the whole of it can be read.
func (r *Reader) Foresee(read map[string]directory.Snapshot) source.Source { return foreseen{r, read} }

type foreseen struct {
	*Reader
	read map[string]directory.Snapshot
}

// Read implements source.Source.
func (f foreseen) Read(ctx context.Context, q directory.Query) (directory.Snapshot, error) {
	shares := make([]share, len(f.parts))
	for i, p := range f.parts {
		snapshot, has := f.read[p.slug]
		var err error
		if has {
			shares[i], err = p.foresee(ctx, snapshot)
		} else {
			shares[i], err = p.everything(ctx)
		}
		if err != nil {
			return directory.Snapshot{}, err
		}
	}
	return merge(q, shares), nil
}

// foresee returns the share of a part once a read is written to it. An entry that was seen and cannot be used stays as
// it is, and so does one that may be an entry without a readable ID.
func (p *Part) foresee(ctx context.Context, read directory.Snapshot) (share, error) {
	now, err := p.everything(ctx)
	if err != nil {
		return share{}, err
	}
	s := share{entries: make([]*stored, 0, len(read.Entries))}
	here := make(map[directory.Ref]bool, len(read.Entries))
	nameless := plan.FindNameless(read.Findings)
	for i := range read.Entries {
		e := tidy(read.Entries[i])
		here[e.Ref()] = true
		s.entries = append(s.entries, &stored{Entry: e, digest: e.Digest()})
		nameless.Present(e.Kind, fields(&e, nil))
	}
	seen := map[directory.Ref]bool{}
	for _, f := range read.Findings {
		seen[f.Ref] = true
	}
	for _, e := range now.entries {
		switch ref := e.Ref(); {
		case here[ref]:
		case seen[ref] || nameless.Of(ref.Kind, fields(&e.Entry, nil)) != nil:
			s.entries = append(s.entries, e)
		default:
			s.departed = append(s.departed, directory.Departure{Ref: ref, Source: p.slug, Left: p.now(), Label: e.Label()})
		}
	}
	s.departed = append(s.departed, slices.DeleteFunc(now.departed, func(d directory.Departure) bool {
		return here[d.Ref]
	})...)
	s.entries = tidyEntries(s.entries)
	return s, nil
}
