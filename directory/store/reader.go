package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/source"
)

// Reader reads the local directory, with all its parts as one source. It is safe for concurrent use.
type Reader struct{ parts []*Part }

var (
	_ source.Source    = (*Reader)(nil)
	_ source.Versioner = (*Reader)(nil)
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
	if len(r.parts) == 0 {
		return directory.Snapshot{}, fault.Errorf(fault.Invalid, "the local directory has no sources")
	}
	before, err := r.glimpses(ctx)
	if err != nil {
		return directory.Snapshot{}, err
	}
	shares := make([]share, len(r.parts))
	for i, p := range r.parts {
		if err := before[i].ready(p); err != nil {
			return directory.Snapshot{}, err
		}
	}
	for i, p := range r.parts {
		if shares[i], err = p.share(ctx, q); err != nil {
			return directory.Snapshot{}, err
		}
	}
	after, err := r.glimpses(ctx)
	if err != nil {
		return directory.Snapshot{}, err
	}
	for i, p := range r.parts {
		if err := before[i].same(p, after[i]); err != nil {
			return directory.Snapshot{}, err
		}
		if n := before[i].users + before[i].groups; q.All() && before[i].seq == after[i].seq && len(shares[i].entries) != n {
			return directory.Snapshot{}, p.damaged(fmt.Sprintf("%d entries are stored and %d can be read", n,
				len(shares[i].entries)))
		}
	}
	return merge(q, shares), nil
}

func (r *Reader) glimpses(ctx context.Context) ([]*glimpse, error) {
	out := make([]*glimpse, len(r.parts))
	g, ctx := errgroup.WithContext(ctx)
	for i, p := range r.parts {
		g.Go(func() (err error) { out[i], err = p.glimpse(ctx); return err })
	}
	return out, g.Wait()
}

// share is what one part answers.
type share struct {
	entries  []*stored // sorted by Ref
	departed []directory.Departure
}

func (p *Part) share(ctx context.Context, q directory.Query) (share, error) {
	if q.All() {
		return p.everything(ctx)
	}
	return p.some(ctx, q.Refs)
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
	err := p.scan(ctx, p.keys.gone, usersAtOnce, func(page []string) error {
		for i := 0; i+1 < len(page); i += 2 {
			t, err := p.tombstone(page[i], page[i+1])
			if err != nil {
				return err
			}
			ref, err := refOf(page[i])
			if err != nil {
				return fault.New(fault.Internal, "local directory: tombstone", err)
			}
			out = append(out, t.departure(ref, p.slug))
		}
		return nil
	})
	return out, err
}
