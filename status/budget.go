package status

import (
	"context"
	"time"

	"rollcall/container"
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
func (s *Store) Spend(ctx context.Context, c container.ID, kind BudgetKind, n int) (total int, err error) {
	total, _, err = s.spend(ctx, c, kind, n, "", s.minute(), "")
	return total, err
}

// Settle says what became of a claim: made, or not made after all, which takes it back. A claim that nobody settles, because
// its worker died or never heard what became of the write, stays counted, once.
type Settle func(ctx context.Context, made bool) error

// Claim counts a destructive change that is about to be made, only if the window then holds no more than limit, and reports
// whether it did so. It is one step: a run and an object job cannot both take what is left. name identifies the change:
// whoever begins it again, because the last worker died on the way, has it counted already.
func (s *Store) Claim(ctx context.Context, c container.ID, kind BudgetKind, name string, limit int) (settle Settle, ok bool, err error) {
	minute := s.minute()
	if _, ok, err = s.spend(ctx, c, kind, 1, max(0, limit), minute, name); err != nil || !ok {
		return nil, false, err
	}
	return func(ctx context.Context, made bool) error {
		n := -1
		if made {
			n = 0
		}
		_, _, err := s.eval(ctx, "settle", spendScript, c, s.budgetArgs(n, "", kind, minute, name)...)
		return err
	}, true, nil
}

// Claims returns the claims that nobody has settled yet.
func (s *Store) Claims(ctx context.Context, c container.ID) (map[string]bool, error) {
	all, err := s.rdb.HGetAll(ctx, prefix(c)+"spent:claims").Result()
	if err != nil {
		return nil, redisFault("claims", err)
	}
	since := s.windowStart()
	out := make(map[string]bool, len(all))
	for name, minute := range all {
		if parseInt(minute) >= since {
			out[name] = true
		}
	}
	return out, nil
}

func (s *Store) spend(ctx context.Context, c container.ID, kind BudgetKind, n int, limit any, minute int64, claim string) (int, bool, error) {
	if kind == "" || n < 0 {
		return 0, false, fault.Errorf(fault.Internal, "spend %d of %q", n, kind)
	}
	word, rest, err := s.eval(ctx, "spend", spendScript, c, s.budgetArgs(n, limit, kind, minute, claim)...)
	if err != nil {
		return 0, false, err
	}
	return int(parseInt(rest[1])), word == "ok", nil
}

// Spent returns how many destructive changes of each kind there were in the rolling window. A kind without any is
// missing.
func (s *Store) Spent(ctx context.Context, c container.ID) (map[BudgetKind]int, error) {
	_, flat, err := s.eval(ctx, "spent", spendScript, c, s.budgetArgs(0, "", "", s.minute(), "")...)
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

// windowStart is the first minute that counts. What was spent within a minute stands for its end, so that nothing is
// forgotten early.
func (s *Store) windowStart() int64 { return ms(s.cfg.Now().Add(-s.cfg.BudgetWindow - time.Minute)) }

func (s *Store) budgetArgs(n int, limit any, kind BudgetKind, minute int64, claim string) []any {
	return []any{n, limit, minute, s.windowStart(), (s.cfg.BudgetWindow + 2*time.Minute).Milliseconds(), string(kind), claim}
}
