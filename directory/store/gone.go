package store

import (
	"context"
	"encoding/json"
	"time"

	"rollcall/directory"
	"rollcall/fault"
)

// tombstone is what is kept of an entry that left, namely the time and enough to name and find it.
type tombstone struct {
	Left   time.Time `json:"left"`
	ReadAt int64     `json:"read_at"` // microseconds
	Label  string    `json:"label"`
	DN     string    `json:"dn,omitempty"`
	// Names are the fields of the name index that lead here.
	Names []string `json:"names,omitempty"`
}

func (p *Part) tombstone(name, text string) (*tombstone, error) {
	var t tombstone
	if err := json.Unmarshal([]byte(text), &t); err != nil {
		return nil, fault.Errorf(fault.Internal, "local directory: tombstone of %s of source %s: %w", name, p.slug, err)
	}
	return &t, nil
}

// tombstones returns those of some entries, nil for one that never left, and their texts.
func (p *Part) tombstones(ctx context.Context, refs []directory.Ref) ([]*tombstone, error) {
	fields := fieldsOf(refs)
	texts, err := p.texts(ctx, p.keys.gone, fields, tokensAtOnce)
	if err != nil {
		return nil, err
	}
	out := make([]*tombstone, len(refs))
	for i, text := range texts {
		if text == "" {
			continue
		}
		if out[i], err = p.tombstone(fields[i], text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (t *tombstone) departure(ref directory.Ref, source string) directory.Departure {
	return directory.Departure{Ref: ref, Source: source, Left: t.Left, Label: t.Label}
}

// trim forgets entries that left long ago.
func (p *Part) trim(ctx context.Context, now time.Time) error {
	var args []any
	n := 0
	flush := func() error {
		head := []any{micros(now), n}
		err := trimScript.Run(ctx, p.rdb, []string{p.keys.gone, p.keys.name, p.keys.meta}, append(head, args...)...).Err()
		args, n = nil, 0
		return redisFault("trim", err)
	}
	err := p.scan(ctx, p.keys.gone, usersAtOnce, func(page []string) error {
		for i := 0; i+1 < len(page); i += 2 {
			t, err := p.tombstone(page[i], page[i+1])
			if err != nil {
				return err
			}
			if now.Sub(t.Left) <= p.keep {
				continue
			}
			ref, err := refOf(page[i])
			if err != nil {
				return fault.New(fault.Internal, "local directory: trim", err)
			}
			args, n = append(args, page[i], string(ref.ID), page[i+1], len(t.Names)), n+1
			for _, name := range t.Names {
				args = append(args, name)
			}
			if n == writesAtOnce {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return flush()
}
