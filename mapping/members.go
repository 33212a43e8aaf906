package mapping

import (
	"slices"

	"rollcall/directory"
	"rollcall/plan"
)

// members returns the members that a group should have, by the setting for nested groups. A passive member is neither
// added nor removed. The second result is a contained group with unknown members, or -1. The membership is then
// unknown.
func (g *graph) members(group int32, clusters map[int32]*cluster, nested Nested, passive []bool) ([]plan.Member,
	int32) {
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

// kept returns a group's direct members. Groups that contain each other each get the members of all of them, without
// one another. The circle is gone, and every user is in as before.
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
