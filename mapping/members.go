package mapping

import (
	"slices"

	"rollcall/directory"
	"rollcall/plan"
)

// members returns whom a group should have, as the setting for nested groups says. A passive member is neither added
// nor removed. The second result is a group within whose members are not known, or -1: then nobody can say who is in.
func (g *graph) members(group int32, clusters map[int32]*cluster, nested Nested, passive []bool) ([]plan.Member, int32) {
	c := clusters[group]
	numbers, broken := c.users, c.broken
	if nested == Keep {
		numbers, broken = g.kept(group, c, clusters)
	}
	out := make([]plan.Member, 0, len(numbers))
	for _, n := range numbers {
		out = append(out, plan.Member{Ref: g.ref(n), Passive: g.isBroken(n) || passive[n]})
	}
	// Numbers follow the order of the snapshot, which findings are not part of.
	if !slices.IsSortedFunc(out, compareMembers) {
		slices.SortFunc(out, compareMembers)
	}
	return out, broken
}

func compareMembers(a, b plan.Member) int { return a.Ref.Compare(b.Ref) }

// kept returns a group's direct members. Where groups contain each other, each gets what all of them have, without
// one another: everybody is in as before, and the circle is gone.
func (g *graph) kept(group int32, c *cluster, clusters map[int32]*cluster) ([]int32, int32) {
	of := []int32{group}
	if c.cyclic {
		of = c.groups
	}
	var numbers []int32
	for _, n := range of {
		numbers = append(numbers, g.users[n]...)
		for _, m := range g.groups[n] {
			if clusters[m] != c {
				numbers = append(numbers, m)
			}
		}
	}
	slices.Sort(numbers)
	return slices.Compact(numbers), -1
}

// cycles returns the groups that contain themselves, directly or through others, in order.
func (g *graph) cycles(clusters map[int32]*cluster) []directory.Ref {
	var out []directory.Ref
	for i := range g.entries {
		if c := clusters[int32(i)]; c != nil && c.cyclic {
			out = append(out, g.entries[i].Ref())
		}
	}
	return out
}
