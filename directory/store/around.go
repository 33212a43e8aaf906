package store

import (
	"context"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"rollcall/directory"
	"rollcall/fault"
)

// Around implements source.Neighbours. Like Read it fails while a part is being written or was never completed. A
// group above an entry has only those of its members that are read as well.
func (r *Reader) Around(ctx context.Context, n directory.Neighbourhood) (directory.Snapshot, error) {
	before, err := r.begin(ctx)
	if err != nil {
		return directory.Snapshot{}, err
	}
	for i, p := range r.parts {
		if before[i], err = p.indexed(ctx, before[i]); err != nil {
			return directory.Snapshot{}, err
		}
	}
	w := walk{Reader: r, whole: map[directory.Ref]bool{}, heads: map[directory.Ref]bool{},
		members: map[directory.Ref][]directory.Ref{}}
	shares, err := w.collect(ctx, n)
	if err != nil {
		return directory.Snapshot{}, err
	}
	after, err := r.end(ctx, before)
	if err != nil {
		return directory.Snapshot{}, err
	}
	for i, p := range r.parts {
		if err := p.stillIndexed(ctx, before[i], after[i]); err != nil {
			return directory.Snapshot{}, err
		}
	}
	s := merge(directory.Query{Refs: n.Refs}, shares)
	s.Partial = true
	return s, nil
}

// begin returns a glimpse of each part. It fails where one of them cannot be read.
func (r *Reader) begin(ctx context.Context) ([]*glimpse, error) {
	if len(r.parts) == 0 {
		return nil, fault.Errorf(fault.Invalid, "the local directory has no sources")
	}
	before, err := r.glimpses(ctx)
	for i, p := range r.parts {
		if err == nil {
			err = before[i].ready(p)
		}
	}
	return before, err
}

// end returns a glimpse of each part. It fails where one of them has changed.
func (r *Reader) end(ctx context.Context, before []*glimpse) ([]*glimpse, error) {
	after, err := r.glimpses(ctx)
	for i, p := range r.parts {
		if err == nil {
			err = before[i].same(p, after[i])
		}
	}
	return after, err
}

func (r *Reader) glimpses(ctx context.Context) ([]*glimpse, error) {
	out := make([]*glimpse, len(r.parts))
	g, ctx := errgroup.WithContext(ctx)
	for i, p := range r.parts {
		g.Go(func() (err error) { out[i], err = p.glimpse(ctx); return err })
	}
	return out, g.Wait()
}

// walk gathers a neighbourhood.
type walk struct {
	*Reader
	// whole are the entries that are read with all of their members, and heads the groups that are read without them.
	whole, heads map[directory.Ref]bool
	// members are the known members of the heads.
	members map[directory.Ref][]directory.Ref
}

func (w *walk) collect(ctx context.Context, n directory.Neighbourhood) ([]share, error) {
	for _, ref := range n.Also {
		w.alone(ref)
	}
	if err := w.named(ctx, n.Names); err != nil {
		return nil, err
	}
	if err := w.below(ctx, n.Refs); err != nil {
		return nil, err
	}
	from := n.Refs
	if n.Within != "" { // Whether an entry is in scope depends on the groups above it.
		from = slices.Collect(maps.Keys(w.whole))
		if err := w.within(ctx, n.Within); err != nil {
			return nil, err
		}
	}
	if err := w.above(ctx, from); err != nil {
		return nil, err
	}
	if len(w.parts) > 1 { // An entry that two sources have makes the groups that contain it unknown.
		if err := w.nested(ctx); err != nil {
			return nil, err
		}
	}
	return w.shares(ctx)
}

// alone adds an entry without what surrounds it.
func (w *walk) alone(ref directory.Ref) {
	if ref.Kind == directory.Group {
		w.heads[ref] = true
	} else {
		w.whole[ref] = true
	}
}

// named adds the entries that have a login name, mail address or employee number.
func (w *walk) named(ctx context.Context, list []string) error {
	var keys []string
	var kinds []directory.Kind
	for _, name := range list {
		for _, word := range []string{directory.User.String(), directory.Group.String(), wordNumber} {
			if field := nameField(word, name); field != "" {
				kind := directory.User
				if word == directory.Group.String() {
					kind = directory.Group
				}
				for _, key := range wholeNames(field) {
					keys, kinds = append(keys, key), append(kinds, kind)
				}
			}
		}
	}
	for _, p := range w.parts {
		found, err := p.ranges(ctx, keys, false)
		if err != nil {
			return err
		}
		for i, ids := range found {
			for _, id := range ids {
				w.alone(directory.Ref{Kind: kinds[i], ID: id})
			}
		}
	}
	return nil
}

// below adds the members of groups, also through other groups.
func (w *walk) below(ctx context.Context, refs []directory.Ref) error {
	seen := map[directory.Ref]bool{}
	for len(refs) > 0 {
		var groups, next []directory.Ref
		for _, ref := range refs {
			w.whole[ref] = true
			if ref.Kind == directory.Group && !seen[ref] {
				seen[ref] = true
				groups = append(groups, ref)
			}
		}
		err := w.load(ctx, groups, func(e *stored) { next = append(next, e.Members...) })
		if err != nil {
			return err
		}
		refs = next
	}
	return nil
}

// load reads entries from every part.
func (w *walk) load(ctx context.Context, refs []directory.Ref, visit func(*stored)) error {
	if len(refs) == 0 {
		return nil
	}
	for _, p := range w.parts {
		entries, err := p.load(ctx, refs)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e != nil {
				visit(e)
			}
		}
	}
	return nil
}

// above adds the groups that contain entries, also through other groups, and those that contained them lately.
func (w *walk) above(ctx context.Context, refs []directory.Ref) error {
	seen := map[directory.Ref]bool{}
	for len(refs) > 0 {
		var next []directory.Ref
		for _, p := range w.parts {
			for _, former := range []bool{false, true} {
				found, err := p.groupsOf(ctx, refs, former)
				if err != nil {
					return err
				}
				for i, ids := range found {
					for _, id := range ids {
						group := directory.Ref{Kind: directory.Group, ID: id}
						w.heads[group] = true
						if !former {
							w.members[group] = append(w.members[group], refs[i])
						}
						if !seen[group] {
							seen[group] = true
							next = append(next, group)
						}
					}
				}
			}
		}
		// Groups among the first entries are walked up from there.
		refs = next
	}
	return nil
}

// within adds the group that limits the scope, which is named by its ID, DN or name. Every group is added if none has
// that name, because names have more than one spelling.
func (w *walk) within(ctx context.Context, text string) error {
	found := false
	for _, p := range w.parts {
		refs := []directory.Ref{{Kind: directory.Group, ID: directory.ID(text)},
			{Kind: directory.Group, ID: directory.ID(strings.ToLower(text))}}
		named, err := p.named(ctx, directory.Group, text)
		if err != nil {
			return err
		}
		entries, err := p.loadHeads(ctx, append(refs, named...))
		if err != nil {
			return err
		}
		for _, e := range entries {
			found = true
			w.heads[e.Ref()] = true
		}
	}
	if found {
		return nil
	}
	for _, p := range w.parts {
		err := p.each(ctx, p.keys.head, usersAtOnce, func(id, _ string) error {
			w.heads[directory.Ref{Kind: directory.Group, ID: directory.ID(id)}] = true
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// nested adds the groups in the groups, without their users.
func (w *walk) nested(ctx context.Context) error {
	refs := slices.Collect(maps.Keys(w.heads))
	for len(refs) > 0 {
		var next []directory.Ref
		err := w.load(ctx, refs, func(e *stored) {
			for _, m := range e.Members {
				if m.Kind != directory.Group {
					continue
				}
				w.members[e.Ref()] = append(w.members[e.Ref()], m)
				if !w.heads[m] {
					w.heads[m] = true
					next = append(next, m)
				}
			}
		})
		if err != nil {
			return err
		}
		refs = next
	}
	return nil
}

// shares reads what was gathered.
func (w *walk) shares(ctx context.Context) ([]share, error) {
	out := make([]share, len(w.parts))
	whole := slices.SortedFunc(maps.Keys(w.whole), directory.Ref.Compare)
	var heads []directory.Ref
	for ref := range w.heads {
		if !w.whole[ref] {
			heads = append(heads, ref)
		}
	}
	for i, p := range w.parts {
		var err error
		if out[i], err = p.some(ctx, whole); err != nil {
			return nil, err
		}
		groups, err := p.loadHeads(ctx, heads)
		if err != nil {
			return nil, err
		}
		graves, err := p.tombstones(ctx, heads)
		if err != nil {
			return nil, err
		}
		for j, t := range graves {
			if t != nil {
				out[i].departed = append(out[i].departed, t.departure(heads[j], p.slug))
			}
		}
		for _, e := range groups {
			e.Members = slices.SortedFunc(slices.Values(w.members[e.Ref()]), directory.Ref.Compare)
			e.Members = slices.Compact(e.Members)
		}
		out[i].entries = tidyEntries(append(out[i].entries, groups...))
	}
	return out, nil
}

// loadHeads returns groups without their members. Missing ones are left out.
func (p *Part) loadHeads(ctx context.Context, refs []directory.Ref) ([]*stored, error) {
	ids := make([]string, len(refs))
	for i, ref := range refs {
		ids[i] = string(ref.ID)
	}
	texts, err := p.texts(ctx, p.keys.head, ids, usersAtOnce)
	if err != nil {
		return nil, err
	}
	var out []*stored
	d := p.decoder()
	for i, text := range texts {
		if text == "" {
			continue
		}
		e, err := d.decode(directory.Group, ids[i], text)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}
