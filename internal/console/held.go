package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"rollcall/api"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/plan"
)

const (
	heldRows     = 100 // held changes on a page of one container
	conflictRows = 100
	// mostUnits is the largest number of changes that are grouped by group or by organisational unit, and of decisions
	// that are read for a page.
	mostUnits = 5000
)

// heldData is what waits for a decision.
type heldData struct {
	Sets []heldSet
	// One is set for the page of one container.
	One    bool
	Filter heldFilter
	// Rejected is the number of changes that were rejected a moment ago.
	Rejected int
}

// heldFilter is what the address of the page asks for.
type heldFilter struct {
	Group, Text string
	page        int
}

// heldSet is what waits in one container.
type heldSet struct {
	api.Resource
	Set         decisions.HeldIndex
	Count       int    // the changes of the set
	Consequence string // of all changes of the set
	Groups      []*heldGroup
	Pager       pager
	Conflicts   []decisions.Conflict
	Decided     []decisions.Decision // the newest first
	DecidedMany int64                // how many there are where they are too many to be read; else zero
	Pins        []plan.Pin           // the first ones
	PinCount    int
	Pending     *directory.Position // the server in doubt
	Reference   directory.Position
	Searched    string
}

// heldGroup is one group of changes.
type heldGroup struct {
	Key, Title, Detail string
	Count              int
	Rows               []heldRow        // that are on the page
	does               map[string]int64 // by action and kind
	worst              int
	spans              [][2]int // of its changes among those that were found
}

// Consequence says what the changes would do.
func (g *heldGroup) Consequence() string { return consequence(g.does) }

// heldRow is one held change.
type heldRow struct {
	decisions.HeldChange
	Decision *decisions.Decision
}

// grouping names a way of grouping held changes.
type grouping struct{ Key, Title string }

// Groupings returns the ways of grouping, the default one first.
func (heldData) Groupings() []grouping {
	return []grouping{{"reason", "Reason"}, {"action", "Action"}, {"group", "Group"}, {"unit", "Unit"}}
}

func (c *Console) held(r *request) (*page, error) {
	q := r.URL.Query()
	data := heldData{Filter: heldFilter{cmp.Or(q.Get("by"), "reason"), strings.TrimSpace(q.Get("q")), pageNumber(q)}}
	data.Rejected, _ = strconv.Atoi(q.Get("rejected")) // zero for anything else
	data.One = r.PathValue("kind") != ""
	for _, res := range c.reachable(r.who) {
		if res.Disabled || data.One && res.Container != r.container() {
			continue
		}
		set, err := c.heldSet(r.Context(), res, data.Filter)
		if err != nil {
			return nil, err
		}
		data.Sets = append(data.Sets, set)
	}
	slices.SortStableFunc(data.Sets, func(a, b heldSet) int {
		return cmp.Compare(b.Pager.Total, a.Pager.Total)
	})
	if data.One && len(data.Sets) == 0 {
		return nil, errNoPage
	}
	return &page{View: "held", Title: "Held", Nav: "held", Data: data}, nil
}

func (c *Console) heldSet(ctx context.Context, res api.Resource, f heldFilter) (heldSet, error) {
	out := heldSet{Resource: res, Searched: f.Text}
	id := res.Container
	var err error
	if out.Set, err = c.cfg.Decisions.HeldIndex(ctx, id); err != nil {
		return out, err
	}
	decided, err := c.decided(ctx, &out)
	if err != nil {
		return out, err
	}
	everything, _ := sectionGroups(&out.Set, nil, func(*decisions.HeldSection) string { return "" })
	for _, g := range everything {
		out.Count, out.Consequence = g.Count, g.Consequence()
	}
	for _, d := range decided {
		out.Decided = append(out.Decided, d)
	}
	slices.SortFunc(out.Decided, func(a, b decisions.Decision) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	out.Decided = out.Decided[:min(len(out.Decided), conflictRows)]
	out.Conflicts = matching(out.Set.Conflicts, f.Text, func(k decisions.Conflict) string {
		return k.Label + "\x00" + k.ID + "\x00" + k.Detail
	})
	out.Conflicts = out.Conflicts[:min(len(out.Conflicts), conflictRows)]
	if err := c.groupHeld(ctx, &out, f, decided); err != nil {
		return out, err
	}
	pins, err := c.cfg.Decisions.Pins(ctx, id)
	if err != nil {
		return out, err
	}
	out.Pins = matching(pins, f.Text, func(p plan.Pin) string { return p.Label + "\x00" + p.String() + "\x00" + p.By })
	out.Pins, out.PinCount = out.Pins[:min(len(out.Pins), conflictRows)], len(pins)
	facts, err := c.cfg.Ledger(id).Facts(ctx)
	out.Pending, out.Reference = facts.Positions.Pending, facts.Positions.Reference
	return out, err
}

// decided returns the decisions by fingerprint, unless they are too many for a page.
func (c *Console) decided(ctx context.Context, out *heldSet) (map[string]decisions.Decision, error) {
	n, err := c.cfg.Decisions.CountDecisions(ctx, out.Container)
	if err == nil && n > mostUnits {
		out.DecidedMany = n
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c.cfg.Decisions.Decisions(ctx, out.Container)
}

// found returns the places of the held changes with a text in a name, an address or an id, in any letter case. Nil
// means all of them.
func found(ctx context.Context, set *decisions.HeldIndex, text string) ([]int, error) {
	if text == "" {
		return nil, nil
	}
	text = strings.ToLower(text)
	places, err := set.Find(ctx, text, func(l decisions.HeldLine) bool { return strings.Contains(l.Names, text) })
	return append([]int{}, places...), err
}

// sectionGroups groups the changes at these places by a key of their sections, without reading them. Nil means all
// changes. It returns their number, too.
func sectionGroups(set *decisions.HeldIndex, places []int, key func(*decisions.HeldSection) string) (
	order []*heldGroup, total int) {
	groups, end, from := map[string]*heldGroup{}, 0, 0
	for i := range set.Sections {
		s := &set.Sections[i]
		end += s.Count
		to := end
		if places != nil {
			to, _ = slices.BinarySearch(places, end)
		}
		if k := key(s); to > from {
			g := groups[k]
			if g == nil {
				g = &heldGroup{Key: k, does: map[string]int64{}, Title: guardTitle(k), Detail: s.Reason}
				groups[k], order = g, append(order, g)
			}
			g.add(s.Op, s.Kind, from, to)
		}
		from = to
	}
	return order, from
}

// add adds changes of one action and kind to the group.
func (g *heldGroup) add(op, kind string, from, to int) {
	g.Count, g.spans = g.Count+to-from, append(g.spans, [2]int{from, to})
	g.does[op+" "+kind] += int64(to - from)
	at := slices.Index(harm, opOf(op))
	if at < 0 { // Another version made it.
		at = len(harm)
	}
	if len(g.spans) == 1 || at < g.worst {
		g.worst = at
	}
}

// grouped groups the changes at these places.
func (c *Console) grouped(ctx context.Context, set *decisions.HeldIndex, places []int, by string) (
	order []*heldGroup, err error) {
	switch by {
	case "action":
		order, _ = sectionGroups(set, places, func(s *decisions.HeldSection) string { return s.Op + " " + s.Kind })
		for _, g := range order {
			op, kind, _ := strings.Cut(g.Key, " ")
			g.Title, g.Detail = verb(op), ""
			if !opOf(op).Membership() {
				g.Title += " " + plural(2, kind)[2:]
			}
		}
	case "group", "unit":
		order, err = c.groupedByEntry(ctx, set, places, by)
	default:
		order, _ = sectionGroups(set, places, func(s *decisions.HeldSection) string { return s.Guard })
	}
	slices.SortStableFunc(order, func(a, b *heldGroup) int {
		return cmp.Or(cmp.Compare(a.worst, b.worst), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key))
	})
	return order, err
}

// groupedByEntry groups changes by the group or the unit that they concern. That needs the changes themselves, so that
// too many of them stay one group.
func (c *Console) groupedByEntry(ctx context.Context, set *decisions.HeldIndex, places []int, by string) (
	order []*heldGroup, err error) {
	all, total := sectionGroups(set, places, func(*decisions.HeldSection) string { return "*" })
	if total > mostUnits {
		all[0].Title = "All changes"
		all[0].Detail = fmt.Sprintf("More than %d changes are not grouped by %s. Search for a part of them.",
			mostUnits, by)
		return all, nil
	}
	read, err := set.Rows(ctx, placesOf(places, 0, total))
	if err != nil {
		return nil, err
	}
	var known map[directory.Ref]Known
	if by == "unit" {
		refs := make([]directory.Ref, len(read))
		for i := range read {
			refs[i] = subject(&read[i])
		}
		if known, err = c.cfg.Entries(ctx, refs); err != nil {
			return nil, err
		}
	}
	groups := map[string]*heldGroup{}
	for i := range read {
		h, key, title := &read[i], "", "People"
		switch {
		case by == "unit":
			key = known[subject(h)].Unit
			title = cmp.Or(key, "No longer in the directory")
		case h.Kind == directory.Group.String():
			key, title = h.ID, cmp.Or(h.Label, h.ID)
		}
		if groups[key] == nil {
			groups[key] = &heldGroup{Key: key, Title: title, does: map[string]int64{}}
			order = append(order, groups[key])
		}
		groups[key].add(h.Op, h.Kind, i, i+1)
	}
	return order, nil
}

// placesOf returns some of these places, of which nil means all.
func placesOf(places []int, from, to int) []int {
	if places != nil {
		return places[from:to]
	}
	out := make([]int, to-from)
	for i := range out {
		out[i] = from + i
	}
	return out
}

// some returns the places of at most limit changes of the group, after those that are skipped.
func (g *heldGroup) some(places []int, skip, limit int) (out []int) {
	for _, span := range g.spans {
		n := span[1] - span[0]
		if from := span[0] + min(skip, n); len(out) < limit {
			out = append(out, placesOf(places, from, min(span[1], from+limit-len(out)))...)
		}
		skip = max(0, skip-n)
	}
	return out
}

// groupHeld fills in one page of the groups.
func (c *Console) groupHeld(ctx context.Context, out *heldSet, f heldFilter, decided map[string]decisions.Decision,
) error {
	places, err := found(ctx, &out.Set, f.Text)
	if err != nil {
		return err
	}
	order, err := c.grouped(ctx, &out.Set, places, f.Group)
	if err != nil {
		return err
	}
	total := 0
	for _, g := range order {
		total += g.Count
	}
	out.Pager = newPager(f.page, heldRows, total, f.address(out.Container))
	skip, left := out.Pager.From-1, out.Pager.Shown
	for _, g := range order {
		if skip >= g.Count || left == 0 {
			skip = max(0, skip-g.Count)
			continue
		}
		rows, err := out.Set.Rows(ctx, g.some(places, skip, left))
		if err != nil {
			return err
		}
		for _, h := range rows {
			row := heldRow{HeldChange: h}
			if d, is := decided[row.Fingerprint]; is {
				row.Decision = &d
			}
			g.Rows = append(g.Rows, row)
		}
		skip, left, out.Groups = 0, left-len(rows), append(out.Groups, g)
	}
	return nil
}

// address returns what makes the address of a page.
func (f heldFilter) address(c container.ID) func(page int) string {
	return func(n int) string {
		return heldPath(c) + query("by", f.Group, "q", f.Text, "page", strconv.Itoa(n))
	}
}

// matching returns the items with a text, in any letter case.
func matching[T any](all []T, text string, of func(T) string) []T {
	if text == "" {
		return all
	}
	text = strings.ToLower(text)
	var out []T
	for _, v := range all {
		if strings.Contains(strings.ToLower(of(v)), text) {
			out = append(out, v)
		}
	}
	return out
}

// subject is the entry that a held change is about: the member of a membership.
func subject(h *decisions.HeldChange) directory.Ref {
	if h.Member != "" {
		return directory.Ref{Kind: directory.User, ID: directory.ID(h.Member)}
	}
	return h.Ref()
}
