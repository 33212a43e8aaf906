package googleworkspace

import (
	"cmp"
	"maps"
	"slices"
)

// AddGroup creates a group as an administrator would. The group is visible at once, and the call is not counted.
func (t *Tenant) AddGroup(g Group) (Group, error) {
	doc := maps.Clone(g.Resource)
	if doc == nil {
		doc = map[string]any{}
	}
	doc["email"] = g.Email
	for name, value := range map[string]string{"name": g.Name, "description": g.Description} {
		if value != "" {
			doc[name] = value
		}
	}
	var ids []any
	for _, e := range g.ExternalIDs {
		ids = append(ids, map[string]any{"namespace": e.Namespace, "id": e.ID})
	}
	if len(ids) > 0 {
		doc["externalIds"] = ids
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.cfg.Now()
	rec, err := t.createGroup(asJSON(doc), now, false)
	if err != nil {
		return Group{}, err
	}
	for _, a := range g.Aliases {
		alias, err := t.newAlias(map[string]any{"alias": a}, rec.aliases)
		if err != nil {
			return Group{}, err
		}
		t.addresses[alias] = owner{group: rec}
		rec.aliases = append(rec.aliases, alias)
	}
	rec.versions = nil
	t.publishGroup(rec, now)
	return snapshotGroup(rec), nil
}

// UpdateGroup changes fields of a group as an administrator would, with the rules of groups.update.
func (t *Tenant) UpdateGroup(key string, fields map[string]any) (Group, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.ownGroup(key)
	if err == nil {
		err = t.updateGroup(g, asJSON(fields), t.cfg.Now())
	}
	if err != nil {
		return Group{}, err
	}
	return snapshotGroup(g), nil
}

// DeleteGroup deletes a group as an administrator would.
func (t *Tenant) DeleteGroup(key string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.ownGroup(key)
	if err != nil {
		return err
	}
	t.deleteGroup(g, t.cfg.Now())
	return nil
}

// AddMember adds a member to a group as an administrator would.
func (t *Tenant) AddMember(groupKey string, m Member) (Member, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.ownGroup(groupKey)
	if err != nil {
		return Member{}, err
	}
	now := t.cfg.Now()
	rec, err := t.addMember(g, map[string]any{"id": m.ID, "email": m.Email, "role": m.Role}, now)
	if err != nil {
		return Member{}, err
	}
	rec.from = now
	return t.snapshotMember(rec), nil
}

// RemoveMember removes a member from a group as an administrator would.
func (t *Tenant) RemoveMember(groupKey, memberKey string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, err := t.ownGroup(groupKey)
	if err != nil {
		return err
	}
	m, err := t.findMember(g, memberKey)
	if err != nil {
		return err
	}
	t.removeMember(g, m, t.cfg.Now())
	return nil
}

// Group returns the newest version of the group with the id, address or alias, even if the API does not show it yet.
func (t *Tenant) Group(key string) (Group, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	g, err := t.ownGroup(key)
	if err != nil {
		return Group{}, false
	}
	return snapshotGroup(g), true
}

// Groups returns all groups by address.
func (t *Tenant) Groups() []Group {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var out []Group
	for _, g := range t.groups {
		if !g.deleted() {
			out = append(out, snapshotGroup(g))
		}
	}
	slices.SortFunc(out, func(a, b Group) int { return cmp.Compare(a.Email, b.Email) })
	return out
}

// Members returns the direct members of a group by address. A missing group has none.
func (t *Tenant) Members(groupKey string) []Member {
	t.mu.RLock()
	defer t.mu.RUnlock()
	g, err := t.ownGroup(groupKey)
	if err != nil {
		return nil
	}
	var out []Member
	for _, m := range g.members {
		out = append(out, t.snapshotMember(m))
	}
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.Email, b.Email) })
	return out
}

func (t *Tenant) ownGroup(key string) (*groupRec, *apiError) {
	g, err := t.groupByKey(key)
	if err == nil && (g == nil || g.deleted()) {
		err = notFound("groupKey")
	}
	return g, err
}

func snapshotGroup(g *groupRec) Group {
	s := Group{
		ID: g.id, Email: g.email, Name: str(g.fields, "name"), Description: str(g.fields, "description"),
		Aliases: slices.Clone(g.aliases), Resource: g.newest().doc,
	}
	for _, e := range elements(g.fields, "externalIds") {
		s.ExternalIDs = append(s.ExternalIDs, GroupExternalID{Namespace: str(e, "namespace"), ID: str(e, "id")})
	}
	return s
}

func (t *Tenant) snapshotMember(m *memberRec) Member {
	doc := t.memberDoc(m, false)
	return Member{ID: m.id, Email: str(doc, "email"), Role: m.role, Type: str(doc, "type")}
}
