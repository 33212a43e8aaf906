package console

import (
	"context"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/plan"
)

// receipt says what became of an account.
type receipt struct {
	Suspended bool
	// Held is set while a guard holds the suspension.
	Held bool
	// At is when the suspension was confirmed; zero where that is no longer kept.
	At time.Time
	// Took is the time from the departure to the confirmation.
	Took time.Duration
	// Sessions is what became of the sessions; see decisions.Receipt.
	Sessions string
	Failed   string
	Due      time.Time // when the account is deleted; zero for never
}

// receipts says what became of the accounts of the leavers on the page. The attempts have the failures, and the
// confirmations of older versions.
func (c *Console) receipts(ctx context.Context, data *leaversData) error {
	entries := make([]string, len(data.Rows))
	for i := range data.Rows {
		entries[i] = data.Rows[i].Ref.String()
	}
	for n := range data.Tenants {
		tenant := &data.Tenants[n]
		confirmed, err := c.cfg.Decisions.Receipts(ctx, tenant.Container, entries...)
		if err != nil {
			return err
		}
		held, err := c.heldSuspensions(ctx, tenant.Container, data.Rows)
		if err != nil {
			return err
		}
		for i := range data.Rows {
			row := &data.Rows[i]
			t := tenant.receipt(row.Ref, row.Kind == directory.User && held[string(row.ID)])
			row.Tenants = append(row.Tenants, t)
			if t == nil {
				continue
			}
			if r, there := confirmed[entries[i]]; there && !t.Held {
				t.Suspended, t.At, t.Took, t.Sessions = true, r.Confirmed, r.Took(), r.Sessions
				continue
			}
			attempts, err := c.cfg.Decisions.Attempts(ctx, tenant.Container, entries[i])
			if err != nil {
				return err
			}
			t.confirm(row.Since, attempts, tenant.links[row.Ref].Suspended)
		}
	}
	return nil
}

// receipt returns what the policy of a tenant makes of an account, or nil if it did not leave there.
func (t *tenantColumn) receipt(ref directory.Ref, held bool) *receipt {
	link, left := t.links[ref]
	if !left {
		return nil
	}
	suspends := ref.Kind == directory.User && t.policy.UserDeleteAction != plan.ActionDoNothing
	out := &receipt{Suspended: suspends && !held, Held: held}
	if due, deleted := t.policy.Due(ref.Kind, link.Departed); deleted && !link.Outlived {
		out.Due = due
	}
	return out
}

// heldSuspensions returns the ids of the leavers that a guard keeps from being suspended.
func (c *Console) heldSuspensions(ctx context.Context, id container.ID, rows []leaverRow) (map[string]bool, error) {
	counts, err := c.cfg.Decisions.HeldCounts(ctx, id)
	if err != nil || counts.Does != nil && counts.Does["suspend user"] == 0 {
		return nil, err
	}
	set, err := c.cfg.Decisions.HeldIndex(ctx, id)
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = string(rows[i].ID)
	}
	return set.Holds(ctx, plan.Suspend.String(), directory.User.String(), ids)
}

// confirm reads the attempts. A failed deletion of an account that we did not suspend leaves it active.
func (t *receipt) confirm(since time.Time, attempts []decisions.Attempt, suspended bool) {
	for _, a := range attempts { // the newest first
		deletes := a.Op == plan.Delete.String() && a.FailKind != "" && !suspended
		if a.Op != plan.Suspend.String() && !deletes {
			continue
		}
		if a.FailKind != "" {
			t.Failed = words(a.FailKind) + ": " + a.FailText
			return
		}
		t.Suspended, t.At = !t.Held, a.At
		if a.At.After(since) {
			t.Took = a.At.Sub(since)
		}
		return
	}
}
