package console

import (
	"context"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/plan"
)

const (
	leaverRows = 50
	week       = 7 * 24 * time.Hour
	// mostSought is the number of entries that a search among leavers may match.
	mostSought = 1000
	// mostCounted is the number of leavers up to which those of several tenants are counted exactly.
	mostCounted = 5000
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
	Soon    int64 // accounts that are deleted within a week
	Total   int64 // leavers without the filter; only for an empty list
	// Orders are the orders to leave that stand.
	Orders []standingOrder
	// Tenants are the providers that suspend or delete accounts, in order.
	Tenants []tenantColumn
	soon    time.Time // a week from now
}

type tenantColumn struct {
	Container container.ID
	policy    plan.Policy
	ledger    *ledger.Redis
	links     map[directory.Ref]plan.Link // of the rows
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

// place is the place of the row in the list.
func (l *leaverRow) place() ledger.Place { return ledger.PlaceOf(l.Ref, l.Since) }

// leavers lists who left.
func (c *Console) leavers(r *request) (*page, error) {
	ctx, q := r.Context(), r.URL.Query()
	data := &leaversData{Due: q.Get("due") == "week", Why: q.Get("why"), Text: strings.TrimSpace(q.Get("q")),
		soon: c.now().Add(week)}
	for _, res := range c.reachable(r.who) {
		if policy, known := c.cfg.Policy(res.Container); known && !res.Disabled {
			data.Tenants = append(data.Tenants, tenantColumn{Container: res.Container, policy: policy,
				ledger: c.ledger(res.Container), links: map[directory.Ref]plan.Link{}})
		}
	}
	after, err := placeIn(q.Get("before"))
	if err != nil {
		return nil, err
	}
	if data.Text != "" {
		err = c.soughtLeavers(ctx, data, after)
	} else {
		err = data.list(ctx, after)
	}
	if err != nil {
		return nil, err
	}
	due := leaversData{Due: true, Tenants: data.Tenants, soon: data.soon}
	if data.Soon, _, _, err = due.count(ctx); err == nil && len(data.Rows) == 0 {
		_, data.Total, _, err = (&leaversData{Tenants: data.Tenants}).count(ctx)
	}
	if err != nil {
		return nil, err
	}
	data.page(after)
	if data.Orders, err = c.orders(r); err != nil {
		return nil, err
	}
	if err := c.name(ctx, data.Rows); err != nil {
		return nil, err
	}
	return &page{View: "leavers", Title: "Leavers", Nav: "leavers", Data: data}, c.receipts(ctx, data)
}

// ledger returns the ledger of a container, which all readers share.
func (c *Console) ledger(id container.ID) *ledger.Redis {
	l, _ := c.ledgers.LoadOrStore(id, c.cfg.Ledger(id))
	return l.(*ledger.Redis) //nolint:forcetypeassert // nothing else is stored
}

// placeIn reads the last place of the page before from an address; nil where there is none.
func placeIn(text string) (*ledger.Place, error) {
	if text == "" {
		return nil, nil
	}
	at, entry, _ := strings.Cut(text, "/")
	score, err := strconv.ParseFloat(at, 64)
	ref, ok := plan.ParseRef(entry)
	if err != nil || !ok || math.IsNaN(score) || math.IsInf(score, 0) {
		return nil, refusal{http.StatusBadRequest, "The address names no place in the list."}
	}
	return &ledger.Place{Ref: ref, Score: score}, nil
}

// page keeps the rows of one page.
func (d *leaversData) page(after *ledger.Place) {
	address := func(before string) string {
		return "/leavers/" + query("due", map[bool]string{true: "week"}[d.Due], "why", d.Why, "q", d.Text, "before", before)
	}
	if after != nil {
		d.Pager.Previous, d.Pager.PreviousText = address(""), "Newest"
	}
	if len(d.Rows) > leaverRows {
		d.Rows = d.Rows[:leaverRows]
		last := d.Rows[leaverRows-1].place()
		d.Pager.Next = address(strconv.FormatFloat(last.Score, 'f', -1, 64) + "/" + last.Ref.String())
		d.Pager.NextText = "Older"
	}
	d.Pager.Shown = len(d.Rows)
}

// leaving returns what of a tenant the filter selects.
func (d *leaversData) leaving(t *tenantColumn) ledger.Leaving {
	out := ledger.Leaving{Why: plan.Reason(d.Why)}
	if d.Due {
		out.Until = map[directory.Kind]time.Time{}
		for _, kind := range directory.Kinds {
			if _, deleted := t.policy.Due(kind, d.soon); deleted {
				out.Until[kind] = d.soon.Add(-t.policy.DeleteAfter)
			}
		}
	}
	return out
}

// count counts the selected accounts, and the people and groups that they belong to, of which one may have left several
// tenants. Of many it returns the most that left one tenant, and that there may be more.
func (d *leaversData) count(ctx context.Context) (accounts, n int64, more bool, err error) {
	some := 0
	for i := range d.Tenants {
		_, here, err := d.Tenants[i].ledger.Departed(ctx, d.leaving(&d.Tenants[i]))
		if err != nil {
			return 0, 0, false, err
		}
		if n, accounts = max(n, here), accounts+here; here > 0 {
			some++
		}
	}
	if some < 2 || accounts > mostCounted {
		return accounts, n, accounts > n, nil
	}
	all := map[directory.Ref]bool{}
	for i := range d.Tenants {
		q := d.leaving(&d.Tenants[i])
		q.Limit = mostCounted
		places, _, err := d.Tenants[i].ledger.Departed(ctx, q)
		if err != nil {
			return 0, 0, false, err
		}
		for _, p := range places {
			all[p.Ref] = true
		}
	}
	return accounts, int64(len(all)), false, nil
}

// list reads the rows of a page and one more. It merges the tenants. What the index has in another place than the links
// say is corrected and read once more.
func (d *leaversData) list(ctx context.Context, after *ledger.Place) error {
	corrected := false
	for full := true; full && len(d.Rows) <= leaverRows; {
		of, places, err := d.places(ctx, after)
		if err != nil {
			return err
		}
		if full = len(places) > leaverRows; full {
			places = places[:leaverRows+1]
		}
		refs := make([]directory.Ref, len(places))
		for i := range places {
			refs[i] = places[i].Ref
		}
		rows, err := d.read(ctx, refs)
		if err != nil {
			return err
		}
		if !corrected {
			if corrected, err = d.correct(ctx, of, places); err != nil {
				return err
			}
			if full = full || corrected; corrected {
				continue
			}
		}
		for i := range rows { // A person is where the first departure is.
			if slices.Contains(places, rows[i].place()) {
				d.Rows = append(d.Rows, rows[i])
			}
		}
		if len(places) > 0 {
			after = &places[len(places)-1]
		}
		corrected = false
	}
	_, n, more, err := d.count(ctx)
	if d.Pager.Total = int(n); more {
		d.Pager.Approximately = " or more"
	}
	return err
}

// places returns the places of each tenant and those of all in order.
func (d *leaversData) places(ctx context.Context, after *ledger.Place) (of [][]ledger.Place, all []ledger.Place,
	err error,
) {
	of = make([][]ledger.Place, len(d.Tenants))
	for i := range d.Tenants {
		q := d.leaving(&d.Tenants[i])
		q.After, q.Limit = after, leaverRows+1
		if of[i], _, err = d.Tenants[i].ledger.Departed(ctx, q); err != nil {
			return nil, nil, err
		}
		all = append(all, of[i]...)
	}
	slices.SortFunc(all, ledger.Place.Compare)
	return of, slices.Compact(all), nil
}

// correct corrects those places of the tenants whose links were read and say otherwise.
func (d *leaversData) correct(ctx context.Context, of [][]ledger.Place, read []ledger.Place) (bool, error) {
	corrected := false
	for i := range d.Tenants {
		t := &d.Tenants[i]
		var wrong []directory.Ref
		for _, p := range of[i] {
			link, left := t.links[p.Ref]
			right := left && p == ledger.PlaceOf(p.Ref, link.Departed) && d.because(link)
			if !right && slices.Contains(read, p) {
				wrong = append(wrong, p.Ref)
			}
		}
		if corrected = corrected || len(wrong) > 0; len(wrong) > 0 {
			if err := t.ledger.Settle(ctx, wrong...); err != nil {
				return false, err
			}
		}
	}
	return corrected, nil
}

// because reports whether the filter selects the reason of a link.
func (d *leaversData) because(l plan.Link) bool {
	return d.Why == "" || d.Why == string(ledger.ReasonOf(l))
}

// read reads the rows of those entries that left and that the filter selects, in order.
func (d *leaversData) read(ctx context.Context, refs []directory.Ref) ([]leaverRow, error) {
	rows := map[directory.Ref]leaverRow{}
	for i := range d.Tenants {
		t := &d.Tenants[i]
		links, err := t.ledger.LinksOf(ctx, refs...)
		if err != nil {
			return nil, err
		}
		for _, ref := range refs {
			link := links[ref]
			if t.links[ref] = link; link.Departed.IsZero() {
				delete(t.links, ref)
				continue
			}
			due, deleted := t.policy.Due(ref.Kind, link.Departed)
			deleted = deleted && !link.Outlived
			selected := d.because(link) && (!d.Due || deleted && due.Before(d.soon))
			if row, has := rows[ref]; selected && (!has || link.Departed.Before(row.Since)) {
				rows[ref] = leaverRow{Ref: ref, Since: link.Departed, Why: link.Why}
			}
		}
	}
	return slices.SortedFunc(maps.Values(rows), func(a, b leaverRow) int { return a.place().Compare(b.place()) }), nil
}

// soughtLeavers reads the rows that a search finds.
func (c *Console) soughtLeavers(ctx context.Context, data *leaversData, after *ledger.Place) error {
	found, whole, err := c.cfg.Search(ctx, data.Text, mostSought)
	if err != nil {
		return err
	}
	data.Partial = !whole || len(found) == mostSought
	refs := make([]directory.Ref, len(found))
	for i := range found {
		refs[i] = found[i].Ref
	}
	if data.Rows, err = data.read(ctx, refs); err != nil {
		return err
	}
	data.Pager.Total = len(data.Rows)
	data.Rows = slices.DeleteFunc(data.Rows, func(row leaverRow) bool {
		return after != nil && after.Compare(row.place()) >= 0
	})
	return nil
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
