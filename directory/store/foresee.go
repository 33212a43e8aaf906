package store

import (
	"context"
	"slices"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/source"
)

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
