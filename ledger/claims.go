package ledger

import (
	"context"
	"errors"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/plan"
)

// Claims maps an address, or a fact that outlives an entry, to the entries that claim it. A run over a few entries
// finds their rivals with it. It has only the claims that the names of the entries do not tell.
type Claims map[string][]directory.Ref

// Claimants returns the entries that claim one of these.
func (r *Redis) Claimants(ctx context.Context, keys ...string) ([]directory.Ref, error) {
	var out []directory.Ref
	err := r.some(ctx, r.claims, keys, func(key, value string) error {
		refs, err := parseRefs(key, value)
		out = append(out, refs...)
		return err
	})
	return out, err
}

// SetClaims replaces all claims. Only what differs is written.
func (r *Redis) SetClaims(ctx context.Context, claims Claims) error {
	texts := make(map[string]string, len(claims))
	for key, refs := range claims {
		list := make([]string, len(refs))
		for i, ref := range refs {
			list[i] = ref.String()
		}
		slices.Sort(list)
		texts[key] = strings.Join(slices.Compact(list), "\n")
	}
	var gone []string
	err := r.scan(ctx, r.claims, linksAtOnce, func(key, value string) error {
		switch text, claimed := texts[key]; {
		case !claimed:
			gone = append(gone, key)
		case text == value:
			delete(texts, key)
		}
		return nil
	})
	if err != nil {
		return err
	}
	w := r.writer(r.claims)
	for key, text := range texts {
		if err := w.set(ctx, key, []byte(text)); err != nil {
			return err
		}
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	return r.drop(ctx, r.claims, gone)
}

func parseRefs(key, value string) ([]directory.Ref, error) {
	var out []directory.Ref
	for text := range strings.SplitSeq(value, "\n") {
		ref, ok := plan.ParseRef(text)
		if !ok {
			return nil, corrupt("claim", key, errors.New("unknown kind of entry"))
		}
		out = append(out, ref)
	}
	return out, nil
}

// LinksOf returns the links of some entries.
func (r *Redis) LinksOf(ctx context.Context, refs ...directory.Ref) (map[directory.Ref]plan.Link, error) {
	fields := make([]string, len(refs))
	for i, ref := range refs {
		fields[i] = ref.String()
	}
	out := map[directory.Ref]plan.Link{}
	err := r.some(ctx, r.links, fields, func(field, value string) error { return addLink(out, field, value) })
	return whole(out, err)
}

// ConfirmedOf returns the confirmed members of some groups.
func (r *Redis) ConfirmedOf(ctx context.Context, ids ...directory.ID) (map[directory.ID]plan.Confirmed, error) {
	out := map[directory.ID]plan.Confirmed{}
	err := r.some(ctx, r.members, fieldsOf(ids), func(field,
		value string) error {
		return addConfirmed(out, field, value)
	})
	return whole(out, err)
}

// some visits the fields of a hash that exist.
func (r *Redis) some(ctx context.Context, key string, fields []string, visit func(field, value string) error) error {
	for part := range slices.Chunk(fields, groupsAtOnce) {
		values, err := r.rdb.HMGet(ctx, key, part...).Result()
		if err != nil {
			return redisFault("read "+key, err)
		}
		for i, v := range values {
			if text, is := v.(string); is {
				if err := visit(part[i], text); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
