package status

import (
	"context"
	"time"

	"rollcall/fault"
)

// BudgetKind is what destructive changes are counted by within a container: the users, the groups, or the members of
// one group.
type BudgetKind string

// The kinds of budget that every container has.
const (
	BudgetUsers  BudgetKind = "user"
	BudgetGroups BudgetKind = "group"
)

// BudgetMembers returns the kind that counts removals from one group.
func BudgetMembers(groupID string) BudgetKind { return BudgetKind("members:" + groupID) }

// Spend counts n destructive changes of a kind and returns how many there were in the rolling window, these included.
// Runs and object jobs share the count. It is exact to the minute, and late rather than early in forgetting.
func (s *Store) Spend(ctx context.Context, c Container, kind BudgetKind, n int) (total int, err error) {
	total, _, err = s.spend(ctx, c, kind, n, "", s.minute())
	return total, err
}

// SpendWithin counts n destructive changes that are about to be made, only if the window then holds no more than limit,
// and reports whether it did so. It is one step: a run and an object job cannot both take what is left. refund takes
// them back, where they were not made after all.
func (s *Store) SpendWithin(ctx context.Context, c Container, kind BudgetKind, n, limit int) (refund func(context.Context) error, ok bool, err error) {
	minute := s.minute()
	if _, ok, err = s.spend(ctx, c, kind, n, max(0, limit), minute); err != nil || !ok {
		return nil, false, err
	}
	return func(ctx context.Context) error {
		_, _, err := s.eval(ctx, "refund", spendScript, c, s.budgetArgs(-n, "", kind, minute)...)
		return err
	}, true, nil
}

func (s *Store) spend(ctx context.Context, c Container, kind BudgetKind, n int, limit any, minute int64) (int, bool, error) {
	if kind == "" || n < 0 {
		return 0, false, fault.Errorf(fault.Internal, "spend %d of %q", n, kind)
	}
	word, rest, err := s.eval(ctx, "spend", spendScript, c, s.budgetArgs(n, limit, kind, minute)...)
	if err != nil {
		return 0, false, err
	}
	return int(parseInt(rest[1])), word == "ok", nil
}

// Spent returns how many destructive changes of each kind there were in the rolling window. A kind without any is
// missing.
func (s *Store) Spent(ctx context.Context, c Container) (map[BudgetKind]int, error) {
	_, flat, err := s.eval(ctx, "spent", spendScript, c, s.budgetArgs(0, "", "", s.minute())...)
	if err != nil {
		return nil, err
	}
	out := make(map[BudgetKind]int, len(flat)/2)
	for kind, n := range pairs(flat) {
		out[BudgetKind(kind)] = int(parseInt(n))
	}
	return out, nil
}

// minute is the minute that a sum stands for.
func (s *Store) minute() int64 { return ms(s.cfg.Now().Truncate(time.Minute)) }

func (s *Store) budgetArgs(n int, limit any, kind BudgetKind, minute int64) []any {
	// What was spent within a minute stands for its end, so that nothing is forgotten early.
	since := ms(s.cfg.Now().Add(-s.cfg.BudgetWindow - time.Minute))
	return []any{n, limit, minute, since, (s.cfg.BudgetWindow + 2*time.Minute).Milliseconds(), string(kind)}
}
