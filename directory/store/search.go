package store

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"rollcall/directory"
)

// searchScan is how many fields of a hash one step of a search by the beginning of an id reads.
const searchScan = 10_000

// searchTime limits a search by the beginning of an id, for which there is no index.
const searchTime = 100 * time.Millisecond

// Search returns at most limit entries with a name, login name, mail address or id that begins with a text, in any
// letter case. Present entries come before those that left, users before groups, and entries of one kind in the order
// of their labels. A whole id is always found. The beginning of an id is searched for within a time limit, and whole
// is false where that was not enough. Search works while a source is being written.
func (r *Reader) Search(ctx context.Context, prefix string, limit int) (out []Match, whole bool, err error) {
	text := strings.TrimSpace(prefix)
	if prefix = fold(prefix); prefix == "" || limit <= 0 {
		return nil, true, nil
	}
	whole = true
	until := time.Now().Add(searchTime)
	for _, p := range r.parts {
		refs, all, err := p.beginning(ctx, text, prefix, limit, until)
		if err != nil {
			return nil, false, err
		}
		whole = whole && all
		s, err := p.some(ctx, refs)
		if err != nil {
			return nil, false, err
		}
		for _, e := range s.entries {
			out = append(out, Match{Ref: e.Ref(), Source: p.slug, Label: e.Label()})
		}
		for _, d := range s.departed {
			out = append(out, Match{Ref: d.Ref, Source: p.slug, Label: d.Label, Departed: d.Left})
		}
	}
	slices.SortFunc(out, func(a, b Match) int {
		return cmp.Or(a.Departed.Compare(b.Departed), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label)), a.Compare(b.Ref), cmp.Compare(a.Source, b.Source))
	})
	return out[:min(limit, len(out))], whole, nil
}

// beginning returns entries with a name that begins with a text, and the ones that may have it as their id. Beginnings
// of ids are only searched if there are too few, and until a time. The result says whether that was to the end.
func (p *Part) beginning(ctx context.Context, text, prefix string, limit int, until time.Time) (
	refs []directory.Ref, whole bool, err error) {
	if err := p.indexed(ctx, nil); err != nil {
		return nil, false, err
	}
	found := map[directory.Ref]bool{}
	add := func(ref directory.Ref) {
		if !found[ref] {
			found[ref] = true
			refs = append(refs, ref)
		}
	}
	for _, tag := range []byte{tagUser, tagShown, tagGroup} {
		kind := directory.User
		if tag == tagGroup {
			kind = directory.Group
		}
		members, err := p.rdb.ZRangeByLex(ctx, p.keys.index, prefixRange(string(tag)+prefix, 2*limit)).Result()
		if err != nil {
			return nil, false, redisFault("search", err)
		}
		for _, m := range members {
			if _, packed, ok := strings.Cut(m, "\x00"); ok {
				add(directory.Ref{Kind: kind, ID: unpackID(packed)})
			}
		}
	}
	const shortest = 3 // Every id begins with a letter or two.
	if len(refs) >= limit || len(prefix) < shortest {
		return refs, true, nil
	}
	whole = true
	for _, kind := range directory.Kinds {
		all, err := p.idsBeginning(ctx, kind, prefix, until, func(ref directory.Ref) bool {
			add(ref)
			return len(refs) < limit
		})
		if err != nil {
			return nil, false, err
		}
		whole = whole && all
	}
	for _, kind := range directory.Kinds { // They may not exist, so they come after what is counted.
		add(directory.Ref{Kind: kind, ID: directory.ID(prefix)})
		add(directory.Ref{Kind: kind, ID: directory.ID(text)})
	}
	return refs, whole, nil
}

// idsBeginning visits the entries with an id that begins with a text, until visit returns false. One page is always
// read. The result is not whole if others are left at the given time.
func (p *Part) idsBeginning(ctx context.Context, kind directory.Kind, prefix string, until time.Time,
	visit func(directory.Ref) bool) (whole bool, err error) {
	pattern := kind.String() + "/" + anyCase(prefix) + "*"
	for cursor := uint64(0); ; {
		page, next, err := p.rdb.HScan(ctx, p.keys.digest, cursor, pattern, searchScan).Result()
		if err != nil {
			return false, redisFault("search", err)
		}
		for i := 0; i+1 < len(page); i += 2 {
			if ref, err := refOf(page[i]); err == nil && !visit(ref) {
				return true, nil
			}
		}
		if cursor = next; cursor == 0 || time.Now().After(until) {
			return cursor == 0, nil
		}
	}
}

// anyCase returns a pattern of Redis that matches a text in lower case and its other spellings.
func anyCase(text string) string {
	var b strings.Builder
	for _, c := range text {
		switch {
		case c >= 'a' && c <= 'z':
			b.WriteString("[" + string(c) + strings.ToUpper(string(c)) + "]")
		case strings.ContainsRune(`*?[]\^-`, c):
			b.WriteString(`\` + string(c))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
