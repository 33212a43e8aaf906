package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/internal/tokens"
	"rollcall/plan"
)

const (
	leaverRows = 50
	// leaversKept is how long a list of leavers is shown before it is read again.
	leaversKept = 15 * time.Second
	week        = 7 * 24 * time.Hour
	// mostSought is the number of entries that a search among leavers may match.
	mostSought = 1000
)

// Known is what the local directory says of an entry that it has or had.
type Known struct {
	Label string
	// Unit is the DN above the entry; empty for an entry that left.
	Unit string
}

// leaversData is who left, the newest first.
type leaversData struct {
	Rows  []leaverRow
	Pager pager
	Due   bool // only what is deleted within a week
	Why   string
	Text  string
	// Partial is set where the search matches more entries than are compared.
	Partial bool
	Soon    int // accounts that are deleted within a week
	Total   int
	// Orders are the orders to leave that stand.
	Orders []standingOrder
	// Tenants are the providers that suspend or delete accounts, in order.
	Tenants []tenantColumn
}

type tenantColumn struct {
	Container container.ID
	policy    plan.Policy
	links     map[directory.Ref]plan.Link // of who left
}

// leaverRow is one person or group that left.
type leaverRow struct {
	directory.Ref
	Label string
	Since time.Time
	Why   plan.Reason
	// Tenants are the receipts, in the order of the columns. One without an account is nil.
	Tenants []*receipt
	due     bool // an account is deleted within a week
}

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

// leavers lists who left.
func (c *Console) leavers(r *request) (*page, error) {
	q := r.URL.Query()
	data := &leaversData{Due: q.Get("due") == "week", Why: q.Get("why"), Text: strings.TrimSpace(q.Get("q"))}
	all, err := c.left.get(container.ID(fmt.Sprint(r.who.Only)), "", leaversKept, func() (whoLeft, error) {
		return c.whoLeft(r.Context(), r.who)
	})
	if err != nil {
		return nil, err
	}
	data.Tenants, data.Soon, data.Total = all.tenants, all.soon, len(all.rows)
	rows, err := c.sought(r.Context(), data, all.rows)
	if err != nil {
		return nil, err
	}
	data.Pager = newPager(pageNumber(q), leaverRows, len(rows), func(n int) string {
		return query("due", q.Get("due"), "why", data.Why, "q", data.Text, "page", strconv.Itoa(n))
	})
	if data.Orders, err = c.orders(r); err != nil {
		return nil, err
	}
	data.Rows = slices.Clone(rows[data.Pager.From-1 : data.Pager.To])
	if err := c.name(r.Context(), data.Rows); err != nil {
		return nil, err
	}
	return &page{View: "leavers", Title: "Leavers", Nav: "leavers", Data: data}, c.receipts(r.Context(), data)
}

// whoLeft is who left the providers that a token reaches, the newest first. Several pages share it.
type whoLeft struct {
	tenants []tenantColumn
	rows    []leaverRow // without names and receipts, which are added for a page only
	soon    int         // rows with an account that is deleted within a week
}

// whoLeft merges the leavers of all providers.
func (c *Console) whoLeft(ctx context.Context, who tokens.Identity) (out whoLeft, err error) {
	byRef, soon := map[directory.Ref]*leaverRow{}, c.now().Add(week)
	for _, res := range c.reachable(who) {
		policy, known := c.cfg.Policy(res.Container)
		if res.Disabled || !known {
			continue
		}
		links, err := c.cfg.Departed(ctx, res.Container)
		if err != nil {
			return out, err
		}
		out.tenants = append(out.tenants, tenantColumn{res.Container, policy, links})
		for ref, link := range links {
			row := byRef[ref]
			if row == nil {
				row = &leaverRow{Ref: ref, Since: link.Departed, Why: link.Why}
				byRef[ref] = row
			}
			if link.Departed.Before(row.Since) {
				row.Since = link.Departed
			}
			due, deleted := policy.Due(ref.Kind, link.Departed)
			row.due = row.due || deleted && due.Before(soon)
		}
	}
	out.rows = make([]leaverRow, 0, len(byRef))
	for _, row := range byRef {
		if out.rows = append(out.rows, *row); row.due {
			out.soon++
		}
	}
	slices.SortFunc(out.rows, func(a, b leaverRow) int {
		return cmp.Or(b.Since.Compare(a.Since), a.Compare(b.Ref))
	})
	return out, nil
}

// sought returns the leavers that a filter selects.
func (c *Console) sought(ctx context.Context, data *leaversData, all []leaverRow) (rows []leaverRow, err error) {
	if data.Text == "" && data.Why == "" && !data.Due {
		return all, nil
	}
	wanted := map[directory.Ref]bool{}
	if data.Text != "" {
		found, whole, err := c.cfg.Search(ctx, data.Text, mostSought)
		if err != nil {
			return nil, err
		}
		data.Partial = !whole || len(found) == mostSought
		for _, f := range found {
			wanted[f.Ref] = true
		}
	}
	for i := range all {
		if row := &all[i]; (!data.Due || row.due) && (data.Why == "" || data.Why == string(row.Why)) &&
			(data.Text == "" || wanted[row.Ref]) {
			rows = append(rows, *row)
		}
	}
	return rows, nil
}

// name adds the names of the entries.
func (c *Console) name(ctx context.Context, rows []leaverRow) error {
	refs := make([]directory.Ref, len(rows))
	for i := range rows {
		refs[i] = rows[i].Ref
	}
	known, err := c.cfg.Entries(ctx, refs)
	for i := range rows {
		rows[i].Label = known[rows[i].Ref].Label
	}
	return err
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
			t := tenant.receipt(row.Ref, held[row.Ref])
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
			t.confirm(row.Since, attempts)
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
	if due, deleted := t.policy.Due(ref.Kind, link.Departed); deleted {
		out.Due = due
	}
	return out
}

// heldSuspensions returns which of the leavers a guard keeps from being suspended.
func (c *Console) heldSuspensions(ctx context.Context, id container.ID, rows []leaverRow) (map[directory.Ref]bool,
	error) {
	counts, err := c.cfg.Decisions.HeldCounts(ctx, id)
	if err != nil || counts.Does != nil && counts.Does["suspend user"] == 0 {
		return nil, err
	}
	set, _, err := c.waiting(ctx, id, counts)
	shown, out := map[string]bool{}, map[directory.Ref]bool{}
	for i := range rows {
		shown[string(rows[i].ID)] = true
	}
	for i := range set.Changes {
		if h := &set.Changes[i]; shown[h.ID] && h.Op == plan.Suspend.String() {
			ref, _ := plan.ParseRef(h.Kind + "/" + h.ID)
			out[ref] = true
		}
	}
	return out, err
}

func (t *receipt) confirm(since time.Time, attempts []decisions.Attempt) {
	for _, a := range attempts { // the newest first
		if a.Op != plan.Suspend.String() {
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
