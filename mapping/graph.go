package mapping

import (
	"slices"

	"rollcall/directory"
	"rollcall/plan"
)

// graph has the memberships of a snapshot by number. The number of an entry is its place in the snapshot. Findings,
// which were seen but cannot be used, are numbered after the last entry.
type graph struct {
	entries []directory.Entry
	// broken are the findings that have a Ref.
	broken []directory.Ref
	number map[directory.Ref]int32
	// users and groups are a group's direct members, by the group's number; unknown ones are left out.
	users, groups map[int32][]int32
}

func newGraph(s *directory.Snapshot) *graph {
	g := &graph{
		entries: s.Entries,
		number:  make(map[directory.Ref]int32, len(s.Entries)),
		users:   map[int32][]int32{},
		groups:  map[int32][]int32{},
	}
	for i := range s.Entries {
		g.number[s.Entries[i].Ref()] = int32(i)
	}
	for _, f := range s.Findings {
		if _, known := g.number[f.Ref]; known || f.ID == "" {
			continue
		}
		g.number[f.Ref] = int32(len(g.entries) + len(g.broken))
		g.broken = append(g.broken, f.Ref)
	}
	for i := range s.Entries {
		for _, m := range s.Entries[i].Members {
			n, known := g.number[m]
			switch {
			case !known:
			case m.Kind == directory.Group:
				g.groups[int32(i)] = append(g.groups[int32(i)], n)
			default:
				g.users[int32(i)] = append(g.users[int32(i)], n)
			}
		}
	}
	return g
}

func (g *graph) ref(n int32) directory.Ref {
	if int(n) < len(g.entries) {
		return g.entries[n].Ref()
	}
	return g.broken[int(n)-len(g.entries)]
}

// isBroken reports whether n is a finding, with unknown members.
func (g *graph) isBroken(n int32) bool { return int(n) >= len(g.entries) }

// reach returns the group and every group in it, directly or through others.
func (g *graph) reach(group int32) []int32 {
	seen := map[int32]bool{group: true}
	order := []int32{group}
	for i := 0; i < len(order); i++ {
		for _, n := range g.groups[order[i]] {
			if !seen[n] {
				seen[n] = true
				order = append(order, n)
			}
		}
	}
	return order
}

// cluster is a set of groups that contain each other, nearly always one group alone.
type cluster struct {
	groups []int32
	// cyclic is set where a group contains itself, directly or through others.
	cyclic bool
	// users are all users in the cluster, also through other groups; sorted and unique.
	users []int32
	// broken is a contained group with unknown members, or -1.
	broken int32
}

// clusters returns the cluster of each group by Tarjan's algorithm, which finishes a contained cluster before its
// container.
func (g *graph) clusters() map[int32]*cluster {
	t := tarjan{graph: g, index: map[int32]int{}, low: map[int32]int{}, done: map[int32]*cluster{}}
	for i := range g.entries {
		if n := int32(i); g.entries[i].Kind == directory.Group && t.index[n] == 0 {
			t.visit(n)
		}
	}
	return t.done
}

type tarjan struct {
	*graph
	index, low map[int32]int
	stack      []int32
	done       map[int32]*cluster
}

func (t *tarjan) visit(n int32) {
	t.index[n] = len(t.index) + 1
	t.low[n] = t.index[n]
	t.stack = append(t.stack, n)
	for _, m := range t.groups[n] {
		if t.index[m] == 0 {
			t.visit(m)
			t.low[n] = min(t.low[n], t.low[m])
		} else if t.done[m] == nil {
			t.low[n] = min(t.low[n], t.index[m])
		}
	}
	if t.low[n] != t.index[n] {
		return
	}
	at := slices.Index(t.stack, n)
	c := &cluster{groups: slices.Clone(t.stack[at:]), broken: -1}
	t.stack = t.stack[:at]
	t.finish(c)
}

// finish fills in the cluster; every cluster within it is finished.
func (t *tarjan) finish(c *cluster) {
	c.cyclic = len(c.groups) > 1
	for _, n := range c.groups {
		t.done[n] = c
	}
	for _, n := range c.groups {
		if t.isBroken(n) {
			c.broken = n
		}
		c.users = append(c.users, t.users[n]...)
		for _, m := range t.groups[n] {
			inner := t.done[m]
			if inner == c {
				c.cyclic = true
				continue
			}
			c.users = append(c.users, inner.users...)
			if c.broken == -1 {
				c.broken = inner.broken
			}
		}
	}
	slices.Sort(c.users)
	c.users = slices.Compact(c.users)
}

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
