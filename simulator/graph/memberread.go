package graph

import "net/http"

func (t *Tenant) listMembers(c *call) (*answer, *apiError)      { return t.membersOf(c, nil) }
func (t *Tenant) listMemberUsers(c *call) (*answer, *apiError)  { return t.membersOf(c, userKind) }
func (t *Tenant) listMemberGroups(c *call) (*answer, *apiError) { return t.membersOf(c, groupKind) }

// membersOf returns the members of a group. A cast at the end of the path limits them to one kind.
func (t *Tenant) membersOf(c *call, cast *kind) (*answer, *apiError) {
	group, err := t.group(c.vars["group"], c.now)
	if err != nil {
		return nil, err
	}
	top, err := c.top()
	if err != nil {
		return nil, err
	}
	at, err := t.position(c)
	if err != nil {
		return nil, err
	}
	var items []related
	total := 0
	for _, m := range t.members(group, 0, c.now) {
		if cast != nil && m.member.kind != cast {
			continue
		}
		if total++; m.ord > at.After {
			items = append(items, related{m.member, m.ord})
		}
	}
	return t.relatedPage(c, cast, items, top, total)
}

// related is an object at the other end of a relationship.
type related struct {
	*object
	ord uint64
}

// relatedPage returns one page of a relationship.
func (t *Tenant) relatedPage(c *call, cast *kind, items []related, top, total int) (*answer, *apiError) {
	s, err := selection(c, cast)
	if err != nil {
		return nil, err
	}
	set := "directoryObjects"
	if cast != nil {
		set = cast.set
	}
	p := newPage(contextURL(c, set, s, false))
	if c.advanced() {
		p.note("count", total)
	}
	if len(items) > top {
		items = items[:top]
		p.note("nextLink", t.nextLink(c, pageToken{Path: c.path, After: items[top-1].ord}))
	}
	p.begin()
	for _, item := range items {
		props := item.now.props
		if shown, ok := t.seen(item.object, c.now); ok {
			props = shown.props
		}
		p.item()
		p.body = appendObject(p.body, item.kind, props, s, cast == nil)
	}
	return newAnswer(http.StatusOK, p.end()), nil
}

func (t *Tenant) countMembers(c *call) (*answer, *apiError)     { return t.countOf(c, nil) }
func (t *Tenant) countMemberUsers(c *call) (*answer, *apiError) { return t.countOf(c, userKind) }

func (t *Tenant) countOf(c *call, cast *kind) (*answer, *apiError) {
	group, err := t.group(c.vars["group"], c.now)
	if err != nil {
		return nil, err
	}
	if !c.eventual() {
		return nil, badRequest("$count is not currently supported.")
	}
	n := 0
	for _, m := range t.members(group, 0, c.now) {
		if cast == nil || m.member.kind == cast {
			n++
		}
	}
	return countAnswer(n), nil
}

func (t *Tenant) listMemberOf(c *call) (*answer, *apiError)       { return t.groupsOf(c, nil) }
func (t *Tenant) listMemberOfGroups(c *call) (*answer, *apiError) { return t.groupsOf(c, groupKind) }

// groupsOf returns the groups and directory roles of which a user is a direct member.
func (t *Tenant) groupsOf(c *call, cast *kind) (*answer, *apiError) {
	o, err := t.user(c.vars["user"], c.now)
	if err != nil {
		return nil, err
	}
	top, err := c.top()
	if err != nil {
		return nil, err
	}
	at, err := t.position(c)
	if err != nil {
		return nil, err
	}
	var items []related
	total := 0
	for _, g := range o.groupsInOrder() {
		if cast != nil && g.kind != cast || c.now.Before(g.members.current[o].since.Add(t.lag.Read)) {
			continue
		}
		if total++; g.ord > at.After {
			items = append(items, related{g, g.ord})
		}
	}
	return t.relatedPage(c, cast, items, top, total)
}
