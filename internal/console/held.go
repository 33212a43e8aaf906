package console

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/api"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/plan"
)

const (
	heldRows     = 100 // held changes on a page of one container
	conflictRows = 100
	// mostUnits is the largest number of entries whose organisational unit is looked up for one page.
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
	Set         decisions.HeldSet
	Consequence string // of all changes of the set
	Groups      []*heldGroup
	Pager       pager
	Conflicts   []decisions.Conflict
	Decided     []decisions.Decision // the newest first
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
	at                 int // the place of the first of its changes that is not yet passed
}

// Consequence says what the changes would do.
func (g *heldGroup) Consequence() string { return consequence(g.does) }

// heldRow is one held change.
type heldRow struct {
	decisions.HeldChange
	Changed  []plan.FieldChange
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
	var counts decisions.HeldCounts
	if counts, err = c.cfg.Decisions.HeldCounts(ctx, id); err != nil {
		return out, err
	}
	var first decisions.HeldFirst
	if f == (heldFilter{Group: "reason", page: 1}) { // which the first part of a large set is for
		first, err = c.cfg.Decisions.HeldFirst(ctx, id, counts.Digest)
	}
	if out.Set = first.HeldSet; err == nil && first.By == nil {
		out.Set, counts, err = c.waiting(ctx, id, counts)
	}
	if err != nil {
		return out, err
	}
	decided, err := c.cfg.Decisions.Decisions(ctx, id)
	if err != nil {
		return out, err
	}
	out.Consequence = consequence(counts.Does)
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
	if err := c.groupHeld(ctx, &out, f, first.By, decided); err != nil {
		return out, err
	}
	pins, err := c.cfg.Decisions.Pins(ctx, id)
	if err != nil {
		return out, err
	}
	out.Pins = matching(pins, f.Text, func(p plan.Pin) string { return p.Label + "\x00" + p.String() + "\x00" + p.By })
	out.Pins, out.PinCount = out.Pins[:min(len(out.Pins), conflictRows)], len(pins)
	facts, err := c.cfg.Facts(id).Facts(ctx)
	out.Pending, out.Reference = facts.Positions.Pending, facts.Positions.Reference
	return out, err
}

// setsKept is how long a set of held changes is kept after it was read.
const setsKept = time.Minute

// waiting returns what waits in a container with these counts, which it makes anew for an earlier version. A set can
// have hundreds of thousands of changes, so it is kept for a while and read again when the run after it has another.
func (c *Console) waiting(ctx context.Context, id container.ID, counts decisions.HeldCounts) (decisions.HeldSet,
	decisions.HeldCounts, error) {
	read := func() (decisions.HeldSet, error) { return c.cfg.Decisions.Held(ctx, id) }
	if counts.RunID == "" || counts.Does == nil { // Nothing waits, or an earlier version planned it.
		set, err := read()
		return set, decisions.CountHeld(set.Changes), err
	}
	// The counts are stored before the set is the newest one.
	read = func() (decisions.HeldSet, error) { return c.cfg.Decisions.HeldBy(ctx, id, counts.Digest) }
	set, err := c.sets.get(id, counts.Digest+" "+counts.RunID, setsKept, read)
	return set, counts, err
}

// tally counts the changes of each group, and orders the groups from the most harmful one. Where only the first changes
// are known, whole counts all of them by group and then by action and kind. It copies no change, because there may be
// hundreds of thousands.
func tally(changes []decisions.HeldChange, by string, key func(*decisions.HeldChange) string,
	whole map[string]map[string]int64) (order []*heldGroup, groups map[string]*heldGroup) {
	groups = map[string]*heldGroup{}
	counts := map[[3]string]int64{} // by group, action and kind
	for i := range changes {
		h := &changes[i]
		k := key(h)
		if counts[[3]string{k, h.Op, h.Kind}]++; groups[k] == nil {
			g := &heldGroup{Key: k, does: whole[k]}
			g.Title, g.Detail = heldTitle(by, k, h)
			groups[k], order = g, append(order, g)
		}
	}
	for k, n := range counts {
		if g := groups[k[0]]; whole == nil {
			if g.does == nil {
				g.does = map[string]int64{}
			}
			g.does[k[1]+" "+k[2]] += n
		}
	}
	for _, g := range order {
		g.worst = len(harm)
		for does, n := range g.does {
			op, _, _ := strings.Cut(does, " ")
			g.Count, g.worst = g.Count+int(n), min(g.worst, severity(op))
		}
	}
	slices.SortStableFunc(order, func(a, b *heldGroup) int {
		return cmp.Or(cmp.Compare(a.worst, b.worst), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Key, b.Key))
	})
	at := 0
	for _, g := range order {
		g.at = at
		at += g.Count
	}
	return order, groups
}

// groupHeld fills in one page of the groups.
func (c *Console) groupHeld(ctx context.Context, out *heldSet, f heldFilter, whole map[string]map[string]int64,
	decided map[string]decisions.Decision) error {
	changes := matching(out.Set.Changes, f.Text, heldText)
	key, err := c.grouper(ctx, f.Group, changes)
	if err != nil {
		return err
	}
	order, groups := tally(changes, f.Group, key, whole)
	total := 0
	for _, g := range order {
		total += g.Count
	}
	out.Pager = newPager(f.page, heldRows, total, f.address(out.Container))
	from, to := out.Pager.From-1, out.Pager.To
	for _, g := range order {
		if tooManyUnits(f.Group, changes) {
			g.Title, g.Detail = "All units", fmt.Sprintf("More than %d changes are not grouped by unit.", mostUnits)
		}
		if g.at+g.Count > from && g.at < to {
			out.Groups = append(out.Groups, g)
		}
	}
	for i := range changes {
		g := groups[key(&changes[i])]
		if g.at++; g.at <= from || g.at > to {
			continue
		}
		row := heldRow{HeldChange: changes[i], Changed: fieldsOf(changes[i])}
		if d, is := decided[row.Fingerprint]; is {
			row.Decision = &d
		}
		g.Rows = append(g.Rows, row)
	}
	return nil
}

// address returns what makes the address of a page.
func (f heldFilter) address(c container.ID) func(page int) string {
	return func(n int) string {
		return heldPath(c) + query("by", f.Group, "q", f.Text, "page", strconv.Itoa(n))
	}
}

// heldText is what a search in held changes looks at.
func heldText(h decisions.HeldChange) string {
	return strings.Join([]string{h.Label, h.ID, h.Address, h.MemberLabel, h.Member, h.Reason}, "\x00")
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

// grouper returns the key of a change for one way of grouping.
func (c *Console) grouper(ctx context.Context, by string, changes []decisions.HeldChange) (
	func(*decisions.HeldChange) string, error) {
	switch by {
	case "action":
		return func(h *decisions.HeldChange) string { return h.Op + " " + h.Kind }, nil
	case "group":
		return func(h *decisions.HeldChange) string {
			if h.Kind == directory.Group.String() {
				return h.ID
			}
			return ""
		}, nil
	case "unit":
		known, err := c.units(ctx, changes)
		return func(h *decisions.HeldChange) string { return known[subject(h)].Unit }, err
	}
	return func(h *decisions.HeldChange) string { return h.Guard }, nil
}

// subject is the entry that a held change is about: the member of a membership.
func subject(h *decisions.HeldChange) directory.Ref {
	if h.Member != "" {
		return directory.Ref{Kind: directory.User, ID: directory.ID(h.Member)}
	}
	ref, _ := plan.ParseRef(h.Kind + "/" + h.ID)
	return ref
}

// units returns what is known of the entries. An entry that left its directory has no unit.
func (c *Console) units(ctx context.Context, changes []decisions.HeldChange) (map[directory.Ref]Known, error) {
	if tooManyUnits("unit", changes) {
		return nil, nil
	}
	refs := make([]directory.Ref, 0, len(changes))
	for i := range changes {
		refs = append(refs, subject(&changes[i]))
	}
	return c.cfg.Entries(ctx, refs)
}

// tooManyUnits reports whether changes are to be grouped by unit and are too many for that.
func tooManyUnits(by string, changes []decisions.HeldChange) bool {
	return by == "unit" && len(changes) > mostUnits
}

// heldTitle names a group of changes.
func heldTitle(by, key string, first *decisions.HeldChange) (title, detail string) {
	switch by {
	case "action":
		return verb(first.Op) + " " + map[bool]string{true: "",
			false: plural(2, first.Kind)[2:]}[opOf(first.Op).Membership()], ""
	case "group":
		return cmp.Or(map[bool]string{true: cmp.Or(first.Label, key), false: ""}[key != ""], "People"), ""
	case "unit":
		return cmp.Or(key, "No longer in the directory"), ""
	}
	return guardTitle(key), first.Reason
}

// severity ranks an action by its harm, the worst first.
func severity(op string) int {
	if at := slices.Index(harm, opOf(op)); at >= 0 {
		return at
	}
	return len(harm)
}

// fieldsOf returns the fields of a held change. They were stored as JSON.
func fieldsOf(h decisions.HeldChange) (out []plan.FieldChange) {
	if text, err := json.Marshal(h.Fields); err == nil {
		_ = json.Unmarshal(text, &out) // a set of another version shows no fields
	}
	return out
}
