package googleworkspace

import (
	"maps"
	"slices"
	"strings"
	"time"
)

func (t *Tenant) groupsGet(c *call) (any, *apiError) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	g, err := t.readGroup(c.vars["groupKey"], c.now)
	if err != nil {
		return nil, err
	}
	return g.shown(c.now), nil
}

func (t *Tenant) groupsList(c *call) (any, *apiError) {
	size, err := pageSize(c, 200, 200, false)
	if err != nil {
		return nil, err
	}
	if err := enum(c, "orderBy", "email"); err != nil {
		return nil, err
	}
	if err := enum(c, "sortOrder", "ASCENDING", "DESCENDING"); err != nil {
		return nil, err
	}
	after, err := t.after(c)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	keep, err := t.listedGroups(c)
	if err != nil {
		return nil, err
	}
	backward := c.param("orderBy") != "" && c.param("sortOrder") == "DESCENDING"
	found, next := t.groupsByEmail(c.now).collect(after, backward, size, keep)
	docs := make([]*rendered, len(found))
	for i, g := range found {
		docs[i] = g.shown(c.now)
	}
	if next != "" {
		next = t.nextToken(c, next)
	}
	return page("admin#directory#groups", "groups", docs, next), nil
}

// listedGroups reads customer, domain, userKey and query, and returns the filter of a listing.
func (t *Tenant) listedGroups(c *call) (func(*groupRec) bool, *apiError) {
	member, query := c.param("userKey"), c.param("query")
	if member != "" && c.param("customer") != "" {
		return nil, badRequest()
	}
	if key, found := strings.CutPrefix(query, "memberKey="); found {
		if key = strings.Trim(key, "'"); key == "" || strings.ContainsAny(key, " '") {
			return nil, invalid("Invalid Input: query")
		}
		member, query = key, ""
	}
	domain := strings.ToLower(c.param("domain"))
	if member == "" || domain != "" || c.param("customer") != "" {
		var err *apiError
		if domain, err = t.listScope(c); err != nil {
			return nil, err
		}
	}
	match, err := parseQuery(query, groupQuery)
	if err != nil {
		return nil, err
	}
	id := ""
	if member != "" {
		if id, err = t.memberOfKey(member, c.now); err != nil {
			return nil, err
		}
	}
	return func(g *groupRec) bool {
		if !g.visible(c.now, t.cfg.Consistency.Read) {
			return false
		}
		if m := g.members[id]; id != "" && (m == nil || !m.visible(c.now)) {
			return false
		}
		doc := g.shown(c.now).doc
		return (domain == "" || domainOf(str(doc, "email")) == domain) && match(doc)
	}, nil
}

// memberOfKey returns the id of the user, group or external member that a key names.
func (t *Tenant) memberOfKey(key string, now time.Time) (string, *apiError) {
	if g, err := t.readGroup(key, now); err == nil {
		return g.id, nil
	}
	if u, err := t.readUser(key, now); err == nil {
		return u.id, nil
	}
	if id := t.externalID(key); t.memberOf[id] != nil {
		return id, nil
	}
	return "", notFound("userKey")
}

// groupsByEmail returns the order of all groups. Deleted ones stay in it while reads trail behind.
func (t *Tenant) groupsByEmail(now time.Time) order[*groupRec] {
	if t.groupOrder == nil {
		maps.DeleteFunc(t.groups,
			func(_ string, g *groupRec) bool { return g.deleted() && !g.visible(now, t.cfg.Consistency.Read) })
		o := sorted(slices.Collect(maps.Values(t.groups)), func(g *groupRec) string { return g.email + "\x00" + g.id })
		t.groupOrder = &o
	}
	return *t.groupOrder
}

func (t *Tenant) groupsDelete(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.writeGroup(c.vars["groupKey"], c.now)
	if err != nil {
		return nil, err
	}
	t.deleteGroup(g, c.now)
	return nil, nil
}

// deleteGroup removes a group permanently. Unlike a user it cannot be restored.
func (t *Tenant) deleteGroup(g *groupRec, now time.Time) {
	for _, address := range append([]string{g.email}, g.aliases...) {
		delete(t.addresses, address)
	}
	t.leaveAll(g.id, now)
	for id := range g.members {
		t.forgetMembership(id, g.id)
	}
	g.deletedAt = now
	if t.cfg.Consistency.Read == 0 {
		delete(t.groups, g.id)
		t.groupOrder = nil
	}
}

func (t *Tenant) groupAliasesList(c *call) (any, *apiError) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	g, err := t.readGroup(c.vars["groupKey"], c.now)
	if err != nil {
		return nil, err
	}
	return aliasPage(g.id, g.shown(c.now)), nil
}

func (t *Tenant) groupAliasesInsert(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.writeGroup(c.vars["groupKey"], c.now)
	if err != nil {
		return nil, err
	}
	alias, err := t.newAlias(c.body, g.aliases)
	if err != nil {
		return nil, err
	}
	t.addresses[alias] = owner{group: g}
	g.aliases = append(slices.Clone(g.aliases), alias)
	t.publishGroup(g, c.now)
	return aliasDoc(g.id, g.email, alias), nil
}

func (t *Tenant) groupAliasesDelete(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.writeGroup(c.vars["groupKey"], c.now)
	if err != nil {
		return nil, err
	}
	alias := strings.ToLower(c.vars["alias"])
	if !slices.Contains(g.aliases, alias) {
		return nil, notFound("alias")
	}
	delete(t.addresses, alias)
	g.aliases = without(g.aliases, alias)
	t.publishGroup(g, c.now)
	return nil, nil
}
