package decisions

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// pinsAtOnce is the number of pins in one command.
const pinsAtOnce = 1000

func pinKey(c container.ID) string { return prefix(c) + "pins" }

// Pins returns the pins of a container, sorted by entry. Pins do not expire. Without its pin, the next sync would
// repeat an undone change, within the limits of its guards.
func (s *Store) Pins(ctx context.Context, c container.ID) ([]plan.Pin, error) {
	all, err := s.rdb.HGetAll(ctx, pinKey(c)).Result()
	if err != nil {
		return nil, redisFault("pins", err)
	}
	out := make([]plan.Pin, 0, len(all))
	for ref, text := range all {
		var p plan.Pin
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			return nil, fault.Errorf(fault.Internal, "decisions: pin of %s: %w", ref, err)
		}
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b plan.Pin) int { return a.Ref.Compare(b.Ref) })
	return out, nil
}

// CountPins returns the number of pinned entries of a container.
func (s *Store) CountPins(ctx context.Context, c container.ID) (int64, error) {
	n, err := s.rdb.HLen(ctx, pinKey(c)).Result()
	return n, redisFault("count pins", err)
}

// Pin atomically adds or replaces pins and deletes others.
func (s *Store) Pin(ctx context.Context, c container.ID, keep []plan.Pin, forget []directory.Ref) error {
	fields, err := pinFields(keep)
	if err != nil {
		return err
	}
	gone := make([]string, 0, len(forget))
	for _, ref := range forget {
		gone = append(gone, ref.String())
	}
	if len(fields)+len(gone) == 0 {
		return nil
	}
	_, err = s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		for chunk := range slices.Chunk(fields, 2*pinsAtOnce) {
			p.HSet(ctx, pinKey(c), chunk...)
		}
		for chunk := range slices.Chunk(gone, pinsAtOnce) {
			p.HDel(ctx, pinKey(c), chunk...)
		}
		return nil
	})
	return redisFault("pin", err)
}

// Repin changes and deletes pins for a run that read them at its start. A pin that a person deleted meanwhile stays
// deleted.
func (s *Store) Repin(ctx context.Context, c container.ID, change []plan.Pin, forget []directory.Ref) error {
	fields, err := pinFields(change)
	if err != nil {
		return err
	}
	for _, ref := range forget {
		fields = append(fields, ref.String(), "")
	}
	for chunk := range slices.Chunk(fields, 2*pinsAtOnce) {
		if _, _, err := s.eval(ctx, "repin", repinScript, c, chunk...); err != nil {
			return err
		}
	}
	return nil
}

func pinFields(pins []plan.Pin) ([]any, error) {
	fields := make([]any, 0, 2*len(pins))
	for i := range pins {
		text, err := json.Marshal(pins[i])
		if err != nil {
			return nil, fault.New(fault.Internal, "decisions: pin", err)
		}
		fields = append(fields, pins[i].Ref.String(), text)
	}
	return fields, nil
}
