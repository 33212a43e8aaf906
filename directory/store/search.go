package store

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"rollcall/directory"
)

// searchScan is how many fields of a hash one step of a search by the beginning of an id reads.
const searchScan = 10_000

// Search returns at most limit entries with a name, login name, mail address or id that begins with a text, in any
// letter case. Present entries come before those that left, users before groups, and entries of one kind in the order
// of their labels. It works while a source is being written.
func (r *Reader) Search(ctx context.Context, prefix string, limit int) ([]Match, error) {
	prefix = fold(prefix)
	if prefix == "" || limit <= 0 {
		return nil, nil
	}
	var out []Match
	for _, p := range r.parts {
		refs, err := p.beginning(ctx, prefix, limit)
		if err != nil {
			return nil, err
		}
		s, err := p.some(ctx, refs)
		if err != nil {
			return nil, err
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
	return out[:min(limit, len(out))], nil
}

// beginning returns entries with a name that begins with a text. Ids are only searched if there are too few.
func (p *Part) beginning(ctx context.Context, prefix string, limit int) ([]directory.Ref, error) {
	if err := p.indexed(ctx, nil); err != nil {
		return nil, err
	}
	var refs []directory.Ref
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
			return nil, redisFault("search", err)
		}
		for _, m := range members {
			if _, packed, ok := strings.Cut(m, "\x00"); ok {
				add(directory.Ref{Kind: kind, ID: unpackID(packed)})
			}
		}
	}
	const shortest = 3 // Every id begins with a letter or two.
	if len(refs) >= limit || len(prefix) < shortest {
		return refs, nil
	}
	for _, kind := range directory.Kinds {
		if err := p.idsBeginning(ctx, kind, prefix, func(ref directory.Ref) bool {
			add(ref)
			return len(refs) < limit
		}); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// idsBeginning visits the entries with an id that begins with a text, until visit returns false.
func (p *Part) idsBeginning(ctx context.Context, kind directory.Kind, prefix string,
	visit func(directory.Ref) bool) error {
	pattern := kind.String() + "/" + anyCase(prefix) + "*"
	for cursor := uint64(0); ; {
		page, next, err := p.rdb.HScan(ctx, p.keys.digest, cursor, pattern, searchScan).Result()
		if err != nil {
			return redisFault("search", err)
		}
		for i := 0; i+1 < len(page); i += 2 {
			ref, err := refOf(page[i])
			if err == nil && !visit(ref) {
				return nil
			}
		}
		if cursor = next; cursor == 0 {
			return nil
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
