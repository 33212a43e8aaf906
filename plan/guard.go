package plan

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollcall/directory"
)

// Rule names a guard.
type Rule string

// The guards.
const (
	RuleLimit      Rule = "limit"      // more than the rolling daily limit would go
	RuleHalf       Rule = "half"       // more than half of a kind would go
	RuleEmpty      Rule = "empty"      // nothing of a kind is desired any more
	RuleMembers    Rule = "members"    // too large a share of one group would go
	RuleDoubt      Rule = "doubt"      // the read is in doubt
	RuleApproval   Rule = "approval"   // always for a person to decide: reanchor, and what require_approval asks for
	RuleReactivate Rule = "reactivate" // more accounts than the rolling daily limit would become active again
	RuleRename     Rule = "rename"     // more addresses than the rolling daily limit would change
	RuleEmptied    Rule = "emptied"    // too many objects would lose a field
	RuleCoverage   Rule = "coverage"   // too few entries have an attribute that they had when it was last read
	RuleSource     Rule = "source"     // more than a day's limit would join from a source that is new here
	RuleFollows    Rule = "follows"    // the change that this one belongs to is held
	RuleRejected   Rule = "rejected"   // it was decided against
)

// Guard splits a plan into what may be applied and what is held, with a reason for each change. Only harm is held:
// what takes access, names or values away, and what gives access back. Joiners and updates go on. What would pass a
// limit is held whole, not in part. Held entries and notes stay with the part that is applied.
func (p Plan) Guard(l Limits, spent Budget) (apply, held Plan) {
	p.Changes = slices.Clone(p.Changes)
	return p.guarded(l, spent)
}

// Decide is Compute and Guard in one. It makes no copy of the changes, because those of a first import take much
// memory.
func Decide(in Input, l Limits, spent Budget) (apply, held Plan) {
	return Compute(in).guarded(l, spent)
}

// guarded is Guard, and takes the changes over.
func (p Plan) guarded(l Limits, spent Budget) (apply, held Plan) {
	g := guard{plan: &p, limits: l, spent: spent, pins: byRef(p.Pins)}
	g.undone()
	g.divide()
	g.undone() // Once more: a pin may ask for one part of an update and not for another.
	g.decided()
	g.ordered()
	g.approval()
	g.stale()
	g.doubts()
	g.newSources()
	g.emptied()
	g.pairs()
	for _, k := range directory.Kinds {
		g.kind(k)
		g.counted(k, BrakeReactivate, RuleReactivate, "%d accounts would become active again and %d did within 24 hours")
		g.counted(k, BrakeRename, RuleRename, "%d addresses would change and %d did within 24 hours")
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
	pins     pinsOf
	verdicts []verdict
	// clears are the fields that too many objects would lose.
	clears map[fieldOf]verdict
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

// undone marks what pins ask for.
func (g *guard) undone() {
	for i := range g.plan.Changes {
		g.plan.Changes[i].Undoes = g.pins.ask(&g.plan.Changes[i])
	}
}

// decided applies the verdicts.
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
			g.verdicts[i] = verdict{RuleRejected, "it was decided against"}
		}
	}
}

func (g *guard) approval() {
	const again = "an entry that was created again is re-anchored only with approval"
	g.hold(RuleApproval, again+". If another person has the address of one who left, give that person another address: "+
		"the account is suspended then", func(c *Change) bool { return c.Op == Reanchor && c.Kind == directory.User })
	g.hold(RuleApproval, again, func(c *Change) bool { return c.Op == Reanchor })
	if why := g.limits.Approval; why != "" {
		g.hold(RuleApproval, why, func(*Change) bool { return true })
	}
}

// stale holds everything but new entries and new memberships while the read may be older than an earlier one.
func (g *guard) stale() {
	if g.limits.Stale == "" {
		return
	}
	g.hold(RuleDoubt, g.limits.Stale, func(c *Change) bool {
		return c.Op != AddMember && (c.Op != Create || c.WasInactive || g.limits.Returning[c.Ref])
	})
}

// doubts holds all harm while the read or the time is in doubt, and what depends on our memory while that is new.
func (g *guard) doubts() {
	if len(g.plan.Doubts) > 0 {
		why := "what is missing may not be gone: " + strings.Join(g.plan.Doubts, "; ")
		g.hold(RuleDoubt, why, func(c *Change) bool { return c.harm() != "" || c.Op.Destructive() || g.empties(c) })
	}
	if why := g.limits.Clocks; why != "" {
		g.hold(RuleDoubt, why, func(c *Change) bool { return c.harm() != "" || c.Op.Destructive() })
	}
	if why := g.plan.forgotten; why != "" {
		g.hold(RuleDoubt, why, func(c *Change) bool {
			return !c.Undoes && (c.Brake() == BrakeReactivate || c.Brake() == BrakeRename || g.empties(c))
		})
	}
}

// doubtOfChanges says why renames and cleared fields are in doubt; empty where they are not.
func (g *guard) doubtOfChanges() string {
	return strings.Join(append(slices.Clone(g.plan.Doubts), g.plan.forgotten), "")
}

// counted guards one kind of harm by its limit. A mirror counts no reactivations, because they are counted in the
// tenants where they happen.
func (g *guard) counted(k directory.Kind, b Brake, rule Rule, text string) {
	if b == BrakeReactivate && g.plan.mirror {
		return
	}
	pick := func(c *Change) bool { return c.Kind == k && c.Brake() == b }
	n, spent, anchored := g.fresh(pick)+g.limits.Others.of(b, k), g.spent.of(b, k), g.plan.Counts.Anchored.Of(k)
	if limit := g.limits.of(b, anchored); n+spent > limit {
		g.hold(rule, fmt.Sprintf(text+": the limit is %d (%d carry our anchor)", n, spent, limit, anchored), pick)
	}
}

// kind guards the deletions and suspensions of one kind of entry.
func (g *guard) kind(k directory.Kind) {
	takes := func(c *Change) bool { return c.Kind == k && !c.Paired && (c.Op == Suspend || c.Op == Delete) }
	n := g.count(takes)
	if n == 0 {
		return
	}
	anchored, spent := g.plan.Counts.Anchored.Of(k), g.spent.of(BrakeLeave, k)
	limit, others := g.limit(k), g.limits.Others.of(BrakeLeave, k)
	n += others
	switch {
	case g.plan.Counts.Desired.Of(k) == 0:
		g.hold(RuleEmpty, fmt.Sprintf("no %s is desired any more: all %d would go", k, n), takes)
	case 2*n > anchored:
		g.hold(RuleHalf, fmt.Sprintf("%d of %d %ss would go: more than half", n, anchored, k), takes)
	case g.fresh(takes)+others+spent > limit:
		g.hold(RuleLimit, fmt.Sprintf("%d %ss would go and %d went within 24 hours: the limit is %d (%d carry our anchor)",
			n, k, spent, limit, anchored), takes)
	}
}

// limit is how many of a kind may go in a day.
func (g *guard) limit(k directory.Kind) int {
	return g.limits.of(BrakeLeave, g.plan.Counts.Anchored.Of(k))
}

// fresh counts what is not among the spent already.
func (g *guard) fresh(pick func(*Change) bool) int {
	return g.count(func(c *Change) bool { return pick(c) && !g.claimed(c) })
}

func (g *guard) claimed(c *Change) bool { return c.Counted || g.spent.Claims[c.Claim()] }

func (g *guard) count(pick func(*Change) bool) (n int) {
	for i := range g.plan.Changes {
		if g.open(i) && pick(&g.plan.Changes[i]) {
			n++
		}
	}
	return n
}

// memberships guards the removals of members, of all groups together and of each.
func (g *guard) memberships() {
	removes := func(c *Change) bool { return c.Op == RemoveMember && !c.Paired }
	total, n := g.plan.Counts.Anchored.Membership, g.count(removes)
	if total > cmp.Or(g.limits.Members.Above, 20) {
		switch {
		case g.plan.Counts.Desired.Membership == 0:
			g.hold(RuleEmpty, fmt.Sprintf("no membership is desired any more: all %d would go", n), removes)
		case 2*n > total:
			g.hold(RuleHalf, fmt.Sprintf("%d of %d memberships would go: more than half", n, total), removes)
		}
	}
	leaving := maps.Clone(g.limits.Others.Members)
	if leaving == nil {
		leaving = map[directory.ID]int{}
	}
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
	return fmt.Sprintf("%d of %d members would leave the group and %d left within 24 hours: the limit is %d", n,
		g.plan.sizes[id], spent, limit)
}

// memberLimit is how many members may leave a group in a day. Those that left within the day were members when it
// began.
func (g *guard) memberLimit(id directory.ID) int {
	return g.limits.Members.Of(g.plan.sizes[id] + g.spent.Members[id])
}

func (g *guard) caps() *caps {
	c := &caps{limits: g.limits.DayLimits, anchored: g.plan.Counts.Anchored,
		members: make(map[directory.ID]int, len(g.plan.sizes)), mirror: g.plan.mirror}
	for id := range g.plan.sizes {
		c.members[id] = g.memberLimit(id)
	}
	return c
}

// follows holds what belongs to a held change. That includes the memberships of an entry with a held departure or
// creation, and everything planned for an entry with a held re-anchoring. It also includes what needs an address that a
// held rename would free.
func (g *guard) follows() {
	leaving, renewed, unmade := map[directory.Ref]bool{}, map[directory.Ref]bool{}, map[directory.Ref]bool{}
	absent := map[string]bool{} // addresses of accounts with a held creation
	kept := map[string]string{} // addresses that stay, by the entry that keeps them
	note := func(c *Change) {
		leaving[c.Ref] = leaving[c.Ref] || c.Op == Suspend || c.Op == Delete
		renewed[c.Ref] = renewed[c.Ref] || c.Op == Reanchor
		if c.Op == Create || c.Op == Undelete {
			unmade[c.Ref], absent[c.Address] = true, true
		}
		if before := c.FormerAddress(); before != "" {
			kept[before] = c.name()
		}
	}
	for i := range g.plan.Changes {
		if g.verdicts[i].rule != "" {
			note(&g.plan.Changes[i])
		}
	}
	g.waitFor(kept, note)
	for i := range g.plan.Changes {
		c := &g.plan.Changes[i]
		if g.verdicts[i].rule != "" {
			continue
		}
		switch {
		case c.Op == RemoveMember && !c.Paired && !c.Approved && leaving[*c.Member]:
			g.verdicts[i] = verdict{RuleFollows, "the member's own departure is held"}
		case renewed[c.Ref]: // Approval of a part does not carry out what needs the other part.
			g.verdicts[i] = verdict{RuleFollows, "the re-anchoring of the entry is held"}
		case c.Op == AddMember && !c.Paired && (unmade[c.Ref] || unmade[*c.Member]):
			g.verdicts[i] = verdict{RuleFollows, "the creation or the return of the member or of the group is held"}
		case c.Refers && (unmade[c.Ref] || slices.ContainsFunc(c.Fields,
			func(f FieldChange) bool { return len(f.After) > 0 && absent[strings.ToLower(f.After[0])] })):
			g.verdicts[i] = verdict{RuleFollows, "the creation or the return of the person or of the manager is held"}
		}
	}
}

// waitFor holds what takes an address that a held change would free. kept names the entries with such addresses, and
// note notes what becomes held.
func (g *guard) waitFor(kept map[string]string, note func(*Change)) {
	for more := true; more; {
		more = false
		for i := range g.plan.Changes {
			c := &g.plan.Changes[i]
			by, taken := kept[c.Address]
			if !taken || g.verdicts[i].rule != "" || c.Op != Create && !c.renames() {
				continue
			}
			g.verdicts[i] = verdict{RuleFollows,
				fmt.Sprintf("%s has the address until its own change of address is carried out", by)}
			note(c)
			more = true
		}
	}
}

func (g *guard) split() (apply, held Plan) {
	g.plan.caps = g.caps()
	apply, held = *g.plan, Plan{Counts: g.plan.Counts, Doubts: g.plan.Doubts, sizes: g.plan.sizes}
	// The changes that are applied stay in the guard's own copy, because a large plan takes much memory.
	if apply.Changes = g.plan.Changes[:0]; apply.Changes == nil {
		apply.Changes = []Change{}
	}
	leaves := map[directory.Ref]bool{}
	for i, c := range g.plan.Changes {
		v := g.verdicts[i]
		if v.rule == "" {
			apply.Changes = append(apply.Changes, c)
			continue
		}
		c = c.Whole()
		c.Guard, c.Held = v.rule, v.why
		held.Changes = append(held.Changes, c)
		leaves[c.Ref] = leaves[c.Ref] || c.Op == Suspend || c.Op == Delete
	}
	clear(g.plan.Changes[len(apply.Changes):])
	// A held departure starts no grace period, because the read may have been bad.
	apply.Tombstones = slices.DeleteFunc(slices.Clone(apply.Tombstones),
		func(t Tombstone) bool { return t.fresh && leaves[t.Ref] })
	return apply, held
}
