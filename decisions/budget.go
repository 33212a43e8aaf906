package decisions

import (
	"context"
	"encoding/json"
	"slices"
	"time"

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

// Pins returns the pins of a container, sorted by entry; see Kept. Pins do not expire. Without its pin, the next sync
// would repeat an undone change, within the limits of its guards.
func (s *Store) Pins(ctx context.Context, c container.ID) ([]plan.Pin, error) {
	k, err := s.keptIn(ctx, c, hashPins)
	return k.Pins, err
}

// CountDecisions returns the number of stored decisions of a container.
func (s *Store) CountDecisions(ctx context.Context, c container.ID) (int64, error) {
	n, err := s.rdb.HLen(ctx, prefix(c)+hashDecisions).Result()
	return n, redisFault("count decisions", err)
}

// CountPins returns the number of pinned entries of a container.
func (s *Store) CountPins(ctx context.Context, c container.ID) (int64, error) {
	n, err := s.rdb.HLen(ctx, prefix(c)+hashPins).Result()
	return n, redisFault("count pins", err)
}

// Pin atomically adds or replaces pins and deletes others.
func (s *Store) Pin(ctx context.Context, c container.ID, keep []plan.Pin, forget []directory.Ref) error {
	writes, err := pinWrites(keep, forget)
	if err != nil {
		return err
	}
	return s.change(ctx, "pin", c, func(map[string]string) []write { return writes })
}

// Repin changes and deletes pins for a run that read them at its start. A pin that a person deleted meanwhile stays
// deleted.
func (s *Store) Repin(ctx context.Context, c container.ID, change []plan.Pin, forget []directory.Ref) error {
	writes, err := pinWrites(change, forget)
	if err != nil {
		return err
	}
	for i := range writes {
		writes[i].present = true
	}
	return s.change(ctx, "repin", c, func(have map[string]string) []write {
		return slices.DeleteFunc(slices.Clone(writes), func(w write) bool {
			_, there := have[w.name]
			return !there
		})
	})
}

func pinWrites(pins []plan.Pin, forget []directory.Ref) ([]write, error) {
	writes := make([]write, 0, len(pins)+len(forget))
	for i := range pins {
		text, err := json.Marshal(pins[i])
		if err != nil {
			return nil, fault.New(fault.Internal, "decisions: pin", err)
		}
		writes = append(writes, write{name: hashPins + "/" + pins[i].String(), value: string(text)})
	}
	for _, ref := range forget {
		writes = append(writes, write{name: hashPins + "/" + ref.String()})
	}
	return writes, nil
}
