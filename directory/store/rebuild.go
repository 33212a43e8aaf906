package store

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
	"golang.org/x/text/unicode/norm"

	"rollcall/directory"
	"rollcall/source"
)

// indexed makes sure that the index of the part is complete. Data that a version without the index has written, or
// an index that was lost, is indexed here. g is the part as it was just read; nil reads it. The result is the part with
// its index.
func (p *Part) indexed(ctx context.Context, g *glimpse) (_ *glimpse, err error) {
	if g == nil {
		if g, err = p.glimpse(ctx); err != nil {
			return nil, err
		}
	}
	if g.indexed() {
		return g, nil
	}
	b := builder{Part: p, name: rand.Text()}
	if err = b.build(ctx); errors.Is(err, source.ErrBusy) {
		err = p.awaitIndex(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	return p.glimpse(ctx)
}

// stillIndexed fails if the index was built anew since indexed returned g. What was read of it may be incomplete. after
// is the part as it was just read; nil reads it.
func (p *Part) stillIndexed(ctx context.Context, g, after *glimpse) (err error) {
	if after == nil {
		if after, err = p.glimpse(ctx); err != nil {
			return err
		}
	}
	if !after.indexed() || after.indexAt != g.indexAt {
		return notReady(source.ErrBusy, "the index of source %s was built while it was read: try again", p.container())
	}
	return nil
}

// awaitIndex waits for another builder, or for a writer that overtook this one. The error is busy if the index is not
// complete within two seconds.
func (p *Part) awaitIndex(ctx context.Context, busy error) error {
	const patience, pause = 2 * time.Second, 20 * time.Millisecond
	for end := time.Now().Add(patience); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return busy
		case <-time.After(pause):
		}
		g, err := p.glimpse(ctx)
		if err != nil {
			return err
		}
		if g.indexed() {
			return nil
		}
		if g.index == "" {
			b := builder{Part: p, name: rand.Text()}
			if err := b.build(ctx); !errors.Is(err, source.ErrBusy) {
				return err
			}
		}
	}
	return busy
}

// indexed reports whether the index is complete. An earlier version that builds its own index empties the heads of
// groups, which it shares.
func (g *glimpse) indexed() bool {
	if g.older != "" && g.older != "1" {
		return false
	}
	return g.seq == 0 || g.index == "1" && g.indexSeq == g.seq && (g.names > 0 || g.users+g.groups == 0)
}

// builder fills the index of a part.
type builder struct {
	*Part
	name string
	args []any
	n    int
	size int
	// refused are entries that were written after they were read.
	refused []directory.Ref
}

func (b *builder) build(ctx context.Context) error {
	if _, err := b.step(ctx, "start"); err != nil {
		return err
	}
	for _, kind := range directory.Kinds {
		d := b.decoder()
		err := b.each(ctx, b.keys.entries(kind), atOnce(kind), func(id, text string) error {
			e, err := d.decode(kind, id, text)
			if err == nil {
				err = b.entry(ctx, e)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	err := b.graves(ctx, func(ref directory.Ref, t *tombstone, text string) error {
		return b.put(ctx, ref.String(), text, "", nil, indexNames(t.Names, ref.ID))
	})
	if err != nil {
		return err
	}
	if err := b.flush(ctx); err != nil {
		return err
	}
	if err := b.again(ctx); err != nil {
		return err
	}
	_, err = b.step(ctx, "finish")
	return err
}

func (b *builder) entry(ctx context.Context, e *stored) error {
	var head []byte
	id := ""
	members := indexNames(names(&e.Entry), e.ID)
	if e.Kind == directory.Group {
		head = encodeHead(&e.Entry, e.digest, e.readAt)
		id = string(e.ID)
		members = append(members, indexMembers(e.ID, e.Members)...)
	}
	expected := token{digest: e.digest, active: e.Active, readAt: e.readAt}.head()
	return b.put(ctx, e.Ref().String(), expected, id, head, members)
}

// put gathers entries and writes them a megabyte at a time.
func (b *builder) put(ctx context.Context, field, expected, id string, head []byte, members []string) error {
	b.args = append(b.args, field, expected, id, head, len(members))
	b.n, b.size = b.n+1, b.size+len(expected)+len(head)
	for _, m := range members {
		b.args, b.size = append(b.args, m), b.size+len(m)
	}
	if b.n < usersAtOnce && b.size < bytesAtOnce {
		return nil
	}
	return b.flush(ctx)
}

func (b *builder) flush(ctx context.Context) error {
	args := append([]any{b.n}, b.args...)
	b.args, b.n, b.size = nil, 0, 0
	refused, err := b.step(ctx, "put", args...)
	for _, field := range refused {
		if ref, err := refOf(field); err == nil {
			b.refused = append(b.refused, ref)
		}
	}
	return err
}

// again puts the entries anew that were written between the scan and their put. Each round has only those that were
// written during the round before, and the index is given up after many rounds.
func (b *builder) again(ctx context.Context) error {
	for range attempts {
		refs := b.refused
		if b.refused = nil; len(refs) == 0 {
			return nil
		}
		for some := range slices.Chunk(refs, groupsAtOnce) {
			entries, err := b.load(ctx, some)
			if err != nil {
				return err
			}
			for _, e := range entries {
				if e == nil {
					continue
				}
				if err := b.entry(ctx, e); err != nil {
					return err
				}
			}
			if err := b.flush(ctx); err != nil {
				return err
			}
		}
	}
	if len(b.refused) == 0 {
		return nil
	}
	_, err := b.step(ctx, "leave")
	return err
}

// step returns the entries that the index did not take.
func (b *builder) step(ctx context.Context, name string, args ...any) (refused []string, err error) {
	keys := append([]string{b.keys.meta, b.keys.digest, b.keys.gone, b.keys.find, b.keys.buckets, b.keys.head},
		b.keys.older()...)
	args = append([]any{name, b.name, micros(b.now())}, args...)
	out, err := indexScript.Run(ctx, b.rdb, keys, args...).StringSlice()
	if err != nil {
		return nil, redisFault("index", err)
	}
	if out[0] != "ok" {
		return nil, notReady(source.ErrBusy, "the index of source %s is being built (%s): try again", b.container(), out[0])
	}
	return out[1:], nil
}

func shownName(user *directory.Entry) string {
	return cmp.Or(user.Attributes.Get(directory.DisplayName), user.Attributes.Get(directory.CommonName))
}

// plain returns a name in lower case and without accents, as people type it who do not have them on the keyboard.
func plain(name string) string {
	name = fold(name)
	if !strings.ContainsFunc(name, func(r rune) bool { return r > unicode.MaxASCII }) {
		return name // Most names. A chain allocates eight kilobytes.
	}
	name, _, _ = transform.String(transform.Chain(norm.NFD, runes.Remove(runes.In(unicode.Mn)), norm.NFC), name)
	return name
}
