package googleworkspace

import (
	"slices"
	"strings"
	"time"
)

// memberRec is one membership, guarded by Tenant.mu.
type memberRec struct {
	id       string // of the user, the group or the external account
	role     string
	delivery string
	from     time.Time // when reads begin to show it
	until    time.Time // when reads stop to show it; zero while it lasts
}

func (m *memberRec) visible(now time.Time) bool {
	return !now.Before(m.from) && (m.until.IsZero() || now.Before(m.until))
}

// memberFields are the fields of the Member resource.
var memberFields = fieldsOf{
	"email": text, "id": text, "role": text, "delivery_settings": text,
	"etag": readOnly, "kind": readOnly, "status": readOnly, "type": readOnly,
}

var (
	roles      = []string{"MEMBER", "MANAGER", "OWNER"}
	deliveries = []string{"ALL_MAIL", "DAILY", "DIGEST", "DISABLED", "NONE"}
)

// memberDoc renders a membership. delivery_settings shows in get, insert and update only.
func (t *Tenant) memberDoc(m *memberRec, full bool) map[string]any {
	doc := map[string]any{"kind": "admin#directory#member", "id": m.id, "role": m.role, "status": "ACTIVE"}
	switch u, g := t.users[m.id], t.groups[m.id]; {
	case u != nil:
		doc["email"], doc["type"] = u.email, "USER"
		if u.suspended() {
			doc["status"] = "SUSPENDED"
		}
	case g != nil:
		doc["email"], doc["type"] = g.email, "GROUP"
	default:
		doc["email"], doc["type"] = t.external[m.id], "USER"
	}
	doc["etag"] = etag(encodeJSON(doc))
	if full {
		doc["delivery_settings"] = m.delivery
	}
	return doc
}

// externalID returns the id of an account outside the customer's domains. It is the same in every group.
func (t *Tenant) externalID(address string) string {
	if !strings.Contains(address, "@") {
		return address
	}
	return t.numericID("external", strings.ToLower(address))
}

// findMember finds a member of a group by any of its keys.
func (t *Tenant) findMember(g *groupRec, key string) (*memberRec, *apiError) {
	id, known := t.accountID(key)
	m := g.members[id]
	switch {
	case m != nil:
		return m, nil
	case known:
		return nil, notFound("memberKey")
	default:
		return nil, required("memberKey")
	}
}

// accountID returns the id of the user, group or external account that a key names, and whether it exists.
func (t *Tenant) accountID(key string) (string, bool) {
	key = strings.ToLower(key)
	if o, ok := t.addresses[key]; ok {
		if o.user != nil {
			return o.user.id, true
		}
		return o.group.id, true
	}
	if strings.Contains(key, "@") {
		id := t.externalID(key)
		_, known := t.external[id]
		return id, known && !t.ours(domainOf(key))
	}
	u := t.users[key]
	_, isExternal := t.external[key]
	return key, u != nil && !u.deleted() || t.groups[key] != nil || isExternal
}

func (t *Tenant) membersInsert(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.writeGroup(c.vars["groupKey"], c.now)
	if err != nil {
		return nil, err
	}
	m, err := t.addMember(g, c.body, c.now)
	if err != nil {
		return nil, err
	}
	return t.memberDoc(m, true), nil
}

func (t *Tenant) addMember(g *groupRec, resource map[string]any, now time.Time) (*memberRec, *apiError) {
	body, err := memberFields.check("member", resource)
	if err != nil {
		return nil, err
	}
	m := &memberRec{role: "MEMBER", delivery: "ALL_MAIL", from: now.Add(t.cfg.Consistency.Read)}
	if err := m.set(body); err != nil {
		return nil, err
	}
	key := str(body, "email")
	if key == "" {
		key = str(body, "id")
	}
	if key == "" {
		return nil, required("memberKey")
	}
	if m.id, err = t.joining(key, now); err != nil {
		return nil, err
	}
	if g.members[m.id] != nil {
		return nil, duplicate("Member already exists.")
	}
	if t.groups[m.id] != nil {
		if t.reaches(m.id, g.id) {
			return nil, conditionNotMet("Cyclic memberships not allowed")
		}
		g.children[m.id] = struct{}{}
	} else {
		g.people++
	}
	g.members[m.id], g.sorted = m, nil
	if t.memberOf[m.id] == nil {
		t.memberOf[m.id] = map[string]struct{}{}
	}
	t.memberOf[m.id][g.id] = struct{}{}
	t.publishGroup(g, now)
	return m, nil
}

// set reads role and delivery settings.
func (m *memberRec) set(body map[string]any) *apiError {
	if role := str(body, "role"); role != "" {
		if !slices.Contains(roles, role) {
			return invalid("Invalid Input: role")
		}
		m.role = role
	}
	if d := str(body, "delivery_settings"); d != "" {
		if !slices.Contains(deliveries, d) {
			return invalid("Invalid Input: delivery_settings")
		}
		m.delivery = d
	}
	return nil
}

// joining returns the id of the account that becomes a member. An address outside the customer's domains is not
// checked. An address inside must exist and be visible.
func (t *Tenant) joining(key string, now time.Time) (string, *apiError) {
	key = strings.ToLower(key)
	if strings.Contains(key, "@") && !t.ours(domainOf(key)) {
		if local := key[:strings.Index(key, "@")]; local == "" || !strings.Contains(domainOf(key), ".") {
			return "", invalid("Invalid Input: memberKey")
		}
		id := t.externalID(key)
		t.external[id] = key
		return id, nil
	}
	id, known := t.accountID(key)
	u, g := t.users[id], t.groups[id]
	if !known || u != nil && now.Before(u.visibleFrom) || g != nil && (g.deleted() || now.Before(g.visibleFrom)) {
		return "", notFound("memberKey")
	}
	return id, nil
}

// reaches reports whether group to is group from or nested below it.
func (t *Tenant) reaches(from, to string) bool {
	seen := map[string]bool{}
	var walk func(id string) bool
	walk = func(id string) bool {
		if id == to {
			return true
		}
		if seen[id] || t.groups[id] == nil {
			return false
		}
		seen[id] = true
		for child := range t.groups[id].children {
			if walk(child) {
				return true
			}
		}
		return false
	}
	return walk(from)
}

func (t *Tenant) membersUpdate(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.writeGroup(c.vars["groupKey"], c.now)
	if err != nil {
		return nil, err
	}
	old, err := t.findMember(g, c.vars["memberKey"])
	if err != nil {
		return nil, err
	}
	body, err := memberFields.check("member", c.body)
	if err != nil {
		return nil, err
	}
	m := *old
	if err := m.set(body); err != nil {
		return nil, err
	}
	*old = m
	return t.memberDoc(old, true), nil
}

func (t *Tenant) membersDelete(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.writeGroup(c.vars["groupKey"], c.now)
	if err != nil {
		return nil, err
	}
	m, err := t.findMember(g, c.vars["memberKey"])
	if err != nil {
		return nil, err
	}
	t.removeMember(g, m, c.now)
	return nil, nil
}

func (t *Tenant) removeMember(g *groupRec, m *memberRec, now time.Time) {
	delete(g.members, m.id)
	g.sorted = nil
	if _, nested := g.children[m.id]; nested {
		delete(g.children, m.id)
	} else {
		g.people--
	}
	t.forgetMembership(m.id, g.id)
	if delay := t.cfg.Consistency.Read; delay > 0 {
		m.until = now.Add(delay)
		g.former = append(g.former, m)
	}
	t.publishGroup(g, now)
}

func (t *Tenant) forgetMembership(member, group string) {
	delete(t.memberOf[member], group)
	if len(t.memberOf[member]) == 0 {
		delete(t.memberOf, member)
	}
}

// leaveAll ends all memberships of a user or group that is deleted.
func (t *Tenant) leaveAll(id string, now time.Time) {
	for group := range t.memberOf[id] {
		g := t.groups[group]
		t.removeMember(g, g.members[id], now)
	}
}
