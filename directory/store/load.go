package store

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"rollcall/directory"
	"rollcall/plan"
)

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
		err := p.scan(ctx, key, tokensAtOnce, func(page []string) error {
			for i := 0; i+1 < len(page); i += 2 {
				if ref, ok := plan.ParseRef(page[i]); ok {
					refs = append(refs, ref)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return refs, nil
}
