package googleworkspace

import (
	"maps"
	"slices"
	"strings"
	"time"
)

func (t *Tenant) membersGet(c *call) (any, *apiError) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	g, err := t.readGroup(c.vars["groupKey"], c.now)
	if err != nil {
		return nil, err
	}
	m, err := t.findMember(g, c.vars["memberKey"])
	if err != nil {
		return nil, err
	}
	if !m.visible(c.now) {
		return nil, notFound("memberKey")
	}
	return t.memberDoc(m, true), nil
}

func (t *Tenant) membersList(c *call) (any, *apiError) {
	size, err := pageSize(c, 200, 200, false)
	if err != nil {
		return nil, err
	}
	after, err := t.after(c)
	if err != nil {
		return nil, err
	}
	var wanted []string
	if s := c.param("roles"); s != "" {
		wanted = strings.Split(s, ",")
		if slices.ContainsFunc(wanted, func(r string) bool { return !slices.Contains(roles, r) }) {
			return nil, invalid("Invalid Input: roles")
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.readGroup(c.vars["groupKey"], c.now)
	if err != nil {
		return nil, err
	}
	list := t.directMembers(g, c.now)
	if c.param("includeDerivedMembership") == "true" {
		list = t.derivedMembers(g, c.now)
	}
	found, next := list.collect(after, false, size, func(m *memberRec) bool {
		return m.visible(c.now) && (wanted == nil || slices.Contains(wanted, m.role))
	})
	docs := make([]map[string]any, len(found))
	for i, m := range found {
		docs[i] = t.memberDoc(m, false)
	}
	if next != "" {
		next = t.nextToken(c, next)
	}
	return page("admin#directory#members", "members", docs, next), nil
}

// directMembers returns the order of a group's members, including former ones that still show.
func (t *Tenant) directMembers(g *groupRec, now time.Time) order[*memberRec] {
	if len(g.former) > 0 {
		g.former = slices.DeleteFunc(g.former, func(m *memberRec) bool { return !m.visible(now) })
		all := append(slices.Collect(maps.Values(g.members)), g.former...)
		return sorted(all, func(m *memberRec) string { return m.id + m.until.String() })
	}
	if g.sorted == nil {
		o := sorted(slices.Collect(maps.Values(g.members)), func(m *memberRec) string { return m.id })
		g.sorted = &o
	}
	return *g.sorted
}

// derivedMembers adds the members of member groups, at any depth. Each account appears once.
func (t *Tenant) derivedMembers(g *groupRec, now time.Time) order[*memberRec] {
	all := map[string]*memberRec{}
	for _, m := range t.directMembers(g, now).items {
		all[m.id] = m
	}
	seen := map[string]bool{g.id: true}
	queue := slices.Collect(maps.Keys(g.children))
	for len(queue) > 0 {
		child := t.groups[queue[0]]
		queue = queue[1:]
		if child == nil || seen[child.id] {
			continue
		}
		seen[child.id] = true
		for id, m := range child.members {
			if all[id] == nil {
				derived := *m
				derived.role = "MEMBER"
				all[id] = &derived
			}
		}
		queue = slices.AppendSeq(queue, maps.Keys(child.children))
	}
	return sorted(slices.Collect(maps.Values(all)), func(m *memberRec) string { return m.id })
}

// membersHasMember includes nested membership, and finds the customer's own accounts only.
func (t *Tenant) membersHasMember(c *call) (any, *apiError) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	g, err := t.readGroup(c.vars["groupKey"], c.now)
	if err != nil {
		return nil, err
	}
	key := c.vars["memberKey"]
	id, known := t.accountID(key)
	switch {
	case strings.Contains(key, "@") && !t.ours(domainOf(key)) || known && t.users[id] == nil && t.groups[id] == nil:
		return nil, invalid("Invalid Input: memberKey")
	case !known:
		return nil, notFound("memberKey")
	}
	return map[string]any{"isMember": t.holds(g, id, map[string]bool{})}, nil
}

func (t *Tenant) holds(g *groupRec, id string, seen map[string]bool) bool {
	if g == nil || seen[g.id] {
		return false
	}
	seen[g.id] = true
	if g.members[id] != nil {
		return true
	}
	for child := range g.children {
		if t.holds(t.groups[child], id, seen) {
			return true
		}
	}
	return false
}
