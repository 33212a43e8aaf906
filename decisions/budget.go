package decisions

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/stored"
	"rollcall/plan"
)

// BudgetKind is the unit of a budget within a container: the users, the groups, or the members of one group.
type BudgetKind string

// The kinds of budget that every container has.
const (
	BudgetUsers  BudgetKind = "user"
	BudgetGroups BudgetKind = "group"
)

// BudgetMembers returns the kind for removals from one group.
func BudgetMembers(groupID string) BudgetKind { return BudgetKind("members:" + groupID) }

// Settle reports the outcome of a claim. A change that was not made returns its claim. A claim that is never settled
// stays counted once: its worker died, or the outcome of the write is unknown.
type Settle func(ctx context.Context, made bool) error

// Claim counts a destructive change before it is made. It fails if the window would then hold more than limit
// changes. The claim is atomic, so that a run and an object job cannot both take the last place. name identifies the
// change. A change that begins again after its worker died is counted only once. The count is exact to the minute,
// and expires late rather than early.
func (s *Store) Claim(ctx context.Context, c container.ID, kind BudgetKind, name string, limit int) (settle Settle,
	ok bool, err error) {
	minute := stored.Millis(s.cfg.Now().Truncate(time.Minute))
	spend := func(ctx context.Context, op string, n int) (string, error) {
		word, _, err := s.eval(ctx, op, spendScript, c, s.budgetArgs(n, max(0, limit), minute, kind, name)...)
		return word, err
	}
	word, err := spend(ctx, "claim", 1)
	if err != nil || word != "ok" {
		return nil, false, err
	}
	return func(ctx context.Context, made bool) error {
		n := -1
		if made {
			n = 0
		}
		_, err := spend(ctx, "settle", n)
		return err
	}, true, nil
}

// Claims returns the unsettled claims.
func (s *Store) Claims(ctx context.Context, c container.ID) (map[string]bool, error) {
	all, err := s.rdb.HGetAll(ctx, prefix(c)+"spent:claims").Result()
	if err != nil {
		return nil, redisFault("claims", err)
	}
	since := s.windowStart()
	out := make(map[string]bool, len(all))
	for name, minute := range all {
		if stored.Int(minute) >= since {
			out[name] = true
		}
	}
	return out, nil
}

// Spent returns the number of destructive changes of each kind in the rolling window. A kind without changes is
// missing.
func (s *Store) Spent(ctx context.Context, c container.ID) (map[BudgetKind]int, error) {
	_, flat, err := s.eval(ctx, "spent", spendScript, c, s.budgetArgs(0, 0, 0, "", "")...)
	if err != nil {
		return nil, err
	}
	out := make(map[BudgetKind]int, len(flat)/2)
	for kind, n := range stored.Pairs(flat) {
		out[BudgetKind(kind)] = int(stored.Int(n))
	}
	return out, nil
}

// windowStart is the first minute of the window. A change counts until the end of its minute, so that none expires
// early.
func (s *Store) windowStart() int64 {
	return stored.Millis(s.cfg.Now().Add(-s.cfg.BudgetWindow - time.Minute))
}

func (s *Store) budgetArgs(n, limit int, minute int64, kind BudgetKind, claim string) []any {
	return []any{n, limit, minute, s.windowStart(), (s.cfg.BudgetWindow + 2*time.Minute).Milliseconds(), string(kind),
		claim}
}

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
