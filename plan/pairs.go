package plan

import (
	"fmt"

	"rollcall/directory"
)

// pairs guards what a mirror does to entries that were created again. A few go on. What would pass a limit is one
// question for all of them, because half of the answer would make members of a group out of IDs that are not there.
func (g *guard) pairs() {
	paired := func(c *Change) bool { return c.Paired }
	created := func(k directory.Kind) func(*Change) bool {
		return func(c *Change) bool { return c.Paired && c.Op == Create && c.Kind == k }
	}
	users, groups := g.countAll(created(directory.User)), g.countAll(created(directory.Group))
	if users+groups == 0 {
		return
	}
	many := fmt.Sprintf("%s and %s have new ids: are they the same? Approve all or none",
		numbered(users, "person", "people"), numbered(groups, "group", "groups"))
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

// numbered says how many of something there are.
func numbered(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// passes reports whether n of a kind are more than a day may see.
func (g *guard) passes(k directory.Kind, n int) bool {
	return n > 0 && (n+g.spent.of(BrakeLeave, k) > g.limit(k) || 2*n > g.plan.Counts.Anchored.Of(k) && n > 1)
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
