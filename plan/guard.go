package plan

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"rollcall/directory"
)

// Rule names a guard.
type Rule string

// The guards.
const (
	RuleLimit    Rule = "limit"    // more than the rolling daily limit would go
	RuleHalf     Rule = "half"     // more than half of a kind would go
	RuleEmpty    Rule = "empty"    // nothing of a kind is desired any more
	RuleMembers  Rule = "members"  // too large a share of one group would go
	RuleDoubt    Rule = "doubt"    // the read is not to be believed where something is missing
	RuleApproval Rule = "approval" // always for a person to decide: reanchor, and what require_approval asks for
	RuleFollows  Rule = "follows"  // the change that this one belongs to is held
	RuleRejected Rule = "rejected" // a person decided against it
)

// Limits are the guards' thresholds. The zero value of a field means its default.
type Limits struct {
	// Most and Least bound the daily limit, which is Share of the objects that carry our anchor: 500, 3 and 0.05.
	Most, Least int
	Share       float64
	// MemberShare is how much of a group larger than MemberFloor may go in a day: 0.3 and 20.
	MemberShare float64
	MemberFloor int
	// Approval, where it is not empty, holds every change for a person, and says why.
	Approval string
	// Stale, where it is not empty, says why the read may be older than an earlier one. It holds every change but new
	// entries and new memberships.
	Stale string
	// Returning are entries that were there before. Their creation is no new entry: an older read brings them back.
	Returning map[directory.Ref]bool
	// Verdicts are what persons decided, by the change's fingerprint. What is approved passes every guard and counts against none.
	Verdicts map[string]Verdict
}

func (l Limits) withDefaults() Limits {
	if l.Most == 0 {
		l.Most = 500
	}
	if l.Least == 0 {
		l.Least = 3
	}
	if l.Share == 0 {
		l.Share = 0.05
	}
	if l.MemberShare == 0 {
		l.MemberShare = 0.3
	}
	if l.MemberFloor == 0 {
		l.MemberFloor = 20
	}
	return l
}

// Budget is what destructive changes the last 24 hours have seen, of runs and object jobs together.
type Budget struct {
	User, Group int
	// Members is by the group's ID.
	Members map[directory.ID]int
	// Claims names changes that are counted above and were perhaps not made: their worker died. See Change.Claim.
	Claims map[string]bool
}

func (b Budget) of(k directory.Kind) int {
	if k == directory.User {
		return b.User
	}
	return b.Group
}

// Guard splits a plan: what may be applied, and what is held with a reason for each change. Only destructive changes
// are held; joiners and updates go on. What would pass a limit is held whole, not in part. Held entries and notes
// stay with the part that is applied.
func (p Plan) Guard(l Limits, spent Budget) (apply, held Plan) {
	p.Changes = slices.Clone(p.Changes)
	g := guard{plan: &p, limits: l.withDefaults(), spent: spent, verdicts: make([]verdict, len(p.Changes))}
	g.decided()
	g.approval()
	g.stale()
	g.doubts()
	g.pairs()
	for _, k := range directory.Kinds {
		g.kind(k)
	}
	g.memberships()
	g.follows()
	return g.split()
}

type verdict struct {
	rule Rule
	why  string
}

type guard struct {
	plan     *Plan
	limits   Limits
	spent    Budget
	verdicts []verdict
}

// hold holds every change that the condition picks and that nothing has held yet.
func (g *guard) hold(rule Rule, why string, pick func(*Change) bool) {
	for i := range g.plan.Changes {
		if g.open(i) && pick(&g.plan.Changes[i]) {
			g.verdicts[i] = verdict{rule, why}
		}
	}
}

// open reports whether nothing has been decided about a change yet.
func (g *guard) open(i int) bool { return g.verdicts[i].rule == "" && !g.plan.Changes[i].Approved }

// decided applies what persons decided.
func (g *guard) decided() {
	if len(g.limits.Verdicts) == 0 {
		return
	}
	for i := range g.plan.Changes {
		c := &g.plan.Changes[i]
		switch g.limits.Verdicts[c.Fingerprint()] {
		case Approved:
			c.Approved = true
		case Rejected:
			g.verdicts[i] = verdict{RuleRejected, "a person decided against it"}
		}
	}
}

func (g *guard) approval() {
	g.hold(RuleApproval, "an entry that was created again is re-anchored only with approval", func(c *Change) bool { return c.Op == Reanchor })
	if why := g.limits.Approval; why != "" {
		g.hold(RuleApproval, why, func(*Change) bool { return true })
	}
}

// pairs guards what a mirror does to entries that were created again. A few go on. What would pass a limit is one question
// for all of them, because half of the answer would make members of a group out of IDs that are not there.
func (g *guard) pairs() {
	paired := func(c *Change) bool { return c.Paired }
	created := func(k directory.Kind) func(*Change) bool {
		return func(c *Change) bool { return c.Paired && c.Op == Create && c.Kind == k }
	}
	users, groups := g.countAll(created(directory.User)), g.countAll(created(directory.Group))
	if users+groups == 0 {
		return
	}
	many := fmt.Sprintf("%s and %s have new ids: are they the same? Approve all or none", counted(users, "person", "people"), counted(groups, "group", "groups"))
	approved := g.countAll(func(c *Change) bool { return c.Paired && c.Op == Create && c.Approved }) == users+groups
	for i := range g.plan.Changes {
		if c := &g.plan.Changes[i]; c.Paired {
			c.Approved = approved
		}
	}
	for _, rule := range []Rule{RuleRejected, RuleDoubt, RuleApproval} {
		if why := g.verdictOf(paired, rule); why != "" {
			g.hold(rule, why, paired)
			return
		}
	}
	if g.passes(directory.User, users) || g.passes(directory.Group, groups) {
		g.hold(RuleApproval, many, paired)
	}
}

// counted says how many of something there are.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// passes reports whether n of a kind are more than a day may see.
func (g *guard) passes(k directory.Kind, n int) bool {
	return n > 0 && (n+g.spent.of(k) > g.limit(k) || 2*n > g.plan.Counts.Anchored.Of(k) && n > 1)
}

// verdictOf returns why a rule holds one of the changes; empty where it holds none.
func (g *guard) verdictOf(pick func(*Change) bool, rule Rule) string {
	for i := range g.plan.Changes {
		if g.verdicts[i].rule == rule && pick(&g.plan.Changes[i]) {
			return g.verdicts[i].why
		}
	}
	return ""
}

// countAll counts changes whatever has been decided about them.
func (g *guard) countAll(pick func(*Change) bool) (n int) {
	for i := range g.plan.Changes {
		if pick(&g.plan.Changes[i]) {
			n++
		}
	}
	return n
}

func (g *guard) stale() {
	if g.limits.Stale == "" {
		return
	}
	g.hold(RuleDoubt, g.limits.Stale, func(c *Change) bool {
		return c.Op != AddMember && (c.Op != Create || g.limits.Returning[c.Ref])
	})
}

func (g *guard) doubts() {
	if len(g.plan.Doubts) > 0 {
		why := "what is missing may not be gone: " + strings.Join(g.plan.Doubts, "; ")
		g.hold(RuleDoubt, why, func(c *Change) bool { return c.Op.Destructive() })
	}
}

// kind guards the deletions and suspensions of one kind of entry.
func (g *guard) kind(k directory.Kind) {
	takes := func(c *Change) bool { return c.Kind == k && !c.Paired && (c.Op == Suspend || c.Op == Delete) }
	n := g.count(takes)
	if n == 0 {
		return
	}
	anchored, spent := g.plan.Counts.Anchored.Of(k), g.spent.of(k)
	limit := g.limit(k)
	switch {
	case g.plan.Counts.Desired.Of(k) == 0:
		g.hold(RuleEmpty, fmt.Sprintf("no %s is desired any more: all %d would go", k, n), takes)
	case 2*n > anchored:
		g.hold(RuleHalf, fmt.Sprintf("%d of %d %ss would go: more than half", n, anchored, k), takes)
	case g.fresh(takes)+spent > limit:
		g.hold(RuleLimit, fmt.Sprintf("%d %ss would go and %d went within 24 hours: the limit is %d (%d carry our anchor)", n, k, spent, limit, anchored), takes)
	}
}

// limit is how many of a kind may go in a day.
func (g *guard) limit(k directory.Kind) int {
	share := int(float64(g.plan.Counts.Anchored.Of(k)) * g.limits.Share)
	return min(g.limits.Most, max(g.limits.Least, share))
}

// fresh counts what is not among the spent already.
func (g *guard) fresh(pick func(*Change) bool) int {
	return g.count(func(c *Change) bool { return pick(c) && !g.claimed(c) })
}

func (g *guard) claimed(c *Change) bool { return len(g.spent.Claims) > 0 && g.spent.Claims[c.Claim()] }

func (g *guard) count(pick func(*Change) bool) (n int) {
	for i := range g.plan.Changes {
		if g.open(i) && pick(&g.plan.Changes[i]) {
			n++
		}
	}
	return n
}

// memberships guards the removals of members: of all groups together, and of each.
func (g *guard) memberships() {
	removes := func(c *Change) bool { return c.Op == RemoveMember && !c.Paired }
	total, n := g.plan.Counts.Anchored.Membership, g.count(removes)
	if total > g.limits.MemberFloor {
		switch {
		case n > 0 && g.plan.Counts.Desired.Membership == 0:
			g.hold(RuleEmpty, fmt.Sprintf("no membership is desired any more: all %d would go", n), removes)
		case 2*n > total:
			g.hold(RuleHalf, fmt.Sprintf("%d of %d memberships would go: more than half", n, total), removes)
		}
	}
	leaving := map[directory.ID]int{}
	for i := range g.plan.Changes {
		if c := &g.plan.Changes[i]; removes(c) && g.open(i) && !g.claimed(c) {
			leaving[c.ID]++
		}
	}
	for i := range g.plan.Changes {
		if c := &g.plan.Changes[i]; removes(c) && g.open(i) {
			if why := g.drains(c.ID, leaving[c.ID]); why != "" {
				g.verdicts[i] = verdict{RuleMembers, why}
			}
		}
	}
}

// drains says why n members may not leave the group; empty where they may.
func (g *guard) drains(id directory.ID, n int) string {
	spent := g.spent.Members[id]
	limit := g.memberLimit(id)
	if n+spent <= limit {
		return ""
	}
	return fmt.Sprintf("%d of %d members would leave the group and %d left within 24 hours: the limit is %d", n, g.plan.sizes[id], spent, limit)
}

// memberLimit is how many members may leave a group in a day.
func (g *guard) memberLimit(id directory.ID) int {
	before := g.plan.sizes[id] + g.spent.Members[id] // Who left within the day was a member when it began.
	if before <= g.limits.MemberFloor {
		return math.MaxInt
	}
	return int(math.Floor(float64(before) * g.limits.MemberShare))
}

// caps are the daily limits that a plan was guarded with: whoever applies it takes each destructive change from the
// budget within them, because others may have spent it since.
type caps struct {
	user, group int
	members     map[directory.ID]int
}

func (g *guard) caps() *caps {
	c := &caps{user: g.limit(directory.User), group: g.limit(directory.Group), members: make(map[directory.ID]int, len(g.plan.sizes))}
	for id := range g.plan.sizes {
		c.members[id] = g.memberLimit(id)
	}
	return c
}

// Limit returns how many destructive changes of c's kind, or in c's group, a day may see. A plan that was not guarded has
// no limits.
func (p Plan) Limit(c *Change) int {
	switch {
	case p.caps == nil:
		return math.MaxInt
	case c.Op == RemoveMember:
		if limit, ok := p.caps.members[c.ID]; ok {
			return limit
		}
		return math.MaxInt
	case c.Kind == directory.Group:
		return p.caps.group
	}
	return p.caps.user
}

// follows holds what belongs to a change that is held: the memberships of an entry whose departure is held, and all that
// is planned for an entry whose re-anchoring is held.
func (g *guard) follows() {
	leaving, renewed := map[directory.Ref]bool{}, map[directory.Ref]bool{}
	for i := range g.plan.Changes {
		c := &g.plan.Changes[i]
		if g.verdicts[i].rule == "" {
			continue
		}
		leaving[c.Ref] = leaving[c.Ref] || c.Op == Suspend || c.Op == Delete
		renewed[c.Ref] = renewed[c.Ref] || c.Op == Reanchor
	}
	g.hold(RuleFollows, "the member's own departure is held", func(c *Change) bool { return c.Op == RemoveMember && !c.Paired && leaving[*c.Member] })
	for i := range g.plan.Changes { // Approval of a part does not carry out what needs the other part.
		if c := &g.plan.Changes[i]; g.verdicts[i].rule == "" && renewed[c.Ref] {
			g.verdicts[i] = verdict{RuleFollows, "the re-anchoring of the entry is held"}
		}
	}
}

func (g *guard) split() (apply, held Plan) {
	g.plan.caps = g.caps()
	apply, held = *g.plan, Plan{Counts: g.plan.Counts, Doubts: g.plan.Doubts, sizes: g.plan.sizes}
	apply.Changes = make([]Change, 0, len(g.plan.Changes))
	buried := map[directory.Ref]bool{}
	for i, c := range g.plan.Changes {
		v := g.verdicts[i]
		if v.rule == "" {
			apply.Changes = append(apply.Changes, c)
			continue
		}
		c.Guard, c.Held = v.rule, v.why
		held.Changes = append(held.Changes, c)
		buried[c.Ref] = buried[c.Ref] || c.Op == Suspend || c.Op == Delete
	}
	// Whose departure is held is not yet known to have departed: a bad read must not start the clock.
	apply.Tombstones = slices.DeleteFunc(slices.Clone(apply.Tombstones), func(t Tombstone) bool { return t.fresh && buried[t.Ref] })
	return apply, held
}
