package console

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
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
	Soon  int // accounts that are deleted within a week
	Total int
	// Orders are the orders to leave that stand.
	Orders []standingOrder
	// Tenants are the providers that suspend or delete accounts, in order.
	Tenants []tenantColumn
}

type tenantColumn struct {
	Container   container.ID
	Name, Title string
}

// leaverRow is one person or group that left.
type leaverRow struct {
	directory.Ref
	Label string
	Since time.Time
	Why   plan.Reason
	// Tenants are the receipts, in the order of the columns. One without an account is nil.
	Tenants []*receipt
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

// departed remembers the leavers of a container for a moment, because they are read from all of its links.
type departed struct {
	mu    sync.Mutex
	links map[directory.Ref]plan.Link
	read  time.Time
}

// leavers lists who left.
func (c *Console) leavers(r *request) (*page, error) {
	q := r.URL.Query()
	data := &leaversData{Due: q.Get("due") == "week", Why: q.Get("why"), Text: strings.TrimSpace(q.Get("q"))}
	rows, err := c.whoLeft(r, data)
	if err != nil {
		return nil, err
	}
	if rows, err = c.sought(r.Context(), data, rows); err != nil {
		return nil, err
	}
	data.Pager = newPager(pageNumber(q), leaverRows, len(rows), func(n int) string {
		return query("due", q.Get("due"), "why", data.Why, "q", data.Text, "page", strconv.Itoa(n))
	})
	if data.Orders, err = c.orders(r); err != nil {
		return nil, err
	}
	data.Rows = rows[data.Pager.From-1 : data.Pager.To]
	if err := c.name(r.Context(), data.Rows); err != nil {
		return nil, err
	}
	return &page{View: "leavers", Title: "Leavers", Nav: "leavers", Data: data}, c.confirmations(r.Context(), data)
}

// whoLeft merges the leavers of all providers.
func (c *Console) whoLeft(r *request, data *leaversData) ([]leaverRow, error) {
	byRef := map[directory.Ref]*leaverRow{}
	for _, res := range c.reachable(r.who) {
		policy, known := c.policy(res.Container)
		if res.Disabled || !known {
			continue
		}
		column := len(data.Tenants)
		data.Tenants = append(data.Tenants, tenantColumn{res.Container, cmp.Or(res.Name, res.Container.Name()),
			c.title(res.Container)})
		links, err := c.departedOf(r.Context(), res.Container)
		if err != nil {
			return nil, err
		}
		held, err := c.cfg.Decisions.Held(r.Context(), res.Container)
		if err != nil {
			return nil, err
		}
		waiting := map[string]bool{}
		for i := range held.Changes {
			if h := &held.Changes[i]; h.Op == plan.Suspend.String() {
				waiting[h.Kind+"/"+h.ID] = true
			}
		}
		for ref, link := range links {
			row := byRef[ref]
			if row == nil {
				row = &leaverRow{Ref: ref, Since: link.Departed, Why: link.Why}
				byRef[ref] = row
			}
			if link.Departed.Before(row.Since) {
				row.Since = link.Departed
			}
			for len(row.Tenants) < column {
				row.Tenants = append(row.Tenants, nil)
			}
			suspends := ref.Kind == directory.User && policy.UserDeleteAction != plan.ActionDoNothing
			receipt := &receipt{Suspended: suspends && !waiting[ref.String()], Held: waiting[ref.String()]}
			if due, deleted := policy.Due(ref.Kind, link.Departed); deleted {
				receipt.Due = due
			}
			row.Tenants = append(row.Tenants, receipt)
		}
	}
	rows, soon := make([]leaverRow, 0, len(byRef)), c.now().Add(week)
	for _, row := range byRef {
		for len(row.Tenants) < len(data.Tenants) {
			row.Tenants = append(row.Tenants, nil)
		}
		due := slices.ContainsFunc(row.Tenants, func(t *receipt) bool {
			return t != nil && !t.Due.IsZero() &&
				t.Due.Before(soon)
		})
		if data.Total++; due {
			data.Soon++
		}
		if (!data.Due || due) && (data.Why == "" || data.Why == string(row.Why)) {
			rows = append(rows, *row)
		}
	}
	slices.SortFunc(rows, func(a, b leaverRow) int {
		return cmp.Or(b.Since.Compare(a.Since), a.Compare(b.Ref))
	})
	return rows, nil
}

func (c *Console) policy(id container.ID) (plan.Policy, bool) {
	if c.cfg.Policy == nil {
		return plan.Policy{}, false
	}
	return c.cfg.Policy(id)
}

// departedOf returns the links of the entries that left.
func (c *Console) departedOf(ctx context.Context, id container.ID) (map[directory.Ref]plan.Link, error) {
	kept, _ := c.departed.LoadOrStore(id, &departed{})
	d := kept.(*departed) //nolint:forcetypeassert // nothing else is stored
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.links != nil && time.Since(d.read) < leaversKept {
		return d.links, nil
	}
	links, err := c.cfg.Departed(ctx, id)
	if err == nil {
		d.links, d.read = links, time.Now()
	}
	return links, err
}

// sought keeps the leavers that a search finds.
func (c *Console) sought(ctx context.Context, data *leaversData, rows []leaverRow) ([]leaverRow, error) {
	if data.Text == "" || c.cfg.Search == nil {
		return rows, nil
	}
	found, err := c.cfg.Search(ctx, data.Text, mostSought)
	if err != nil {
		return nil, err
	}
	wanted := map[directory.Ref]bool{}
	for _, f := range found {
		wanted[f.Ref] = true
	}
	return slices.DeleteFunc(rows, func(row leaverRow) bool { return !wanted[row.Ref] }), nil
}

// name adds the names of the entries.
func (c *Console) name(ctx context.Context, rows []leaverRow) error {
	if c.cfg.Entries == nil {
		return nil
	}
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

// confirmations adds when each suspension on the page was confirmed. The attempts have the failures, and the
// confirmations of older versions.
func (c *Console) confirmations(ctx context.Context, data *leaversData) error {
	entries := make([]string, len(data.Rows))
	for i := range data.Rows {
		entries[i] = data.Rows[i].Ref.String()
	}
	for n, tenant := range data.Tenants {
		receipts, err := c.cfg.Decisions.Receipts(ctx, tenant.Container, entries...)
		if err != nil {
			return err
		}
		for i := range data.Rows {
			row := &data.Rows[i]
			t := row.Tenants[n]
			if t == nil {
				continue
			}
			if r, there := receipts[entries[i]]; there && !t.Held {
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
