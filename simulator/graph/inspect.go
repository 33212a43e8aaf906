package graph

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// local finds a user by id or principal name, or a group by id or uniqueName, in its present state.
func (t *Tenant) local(key string) (*object, error) {
	o := t.byID[strings.ToLower(key)]
	for _, name := range []string{byUPN, byUnique} {
		if o == nil {
			o = t.unique.find(name, key)
		}
	}
	if o == nil || o.deleted() {
		return nil, fmt.Errorf("no object %q", key)
	}
	return o, nil
}

// AddMember makes a user or group a member of a group without HTTP. Each is named by id, principal name or uniqueName.
func (t *Tenant) AddMember(group, member string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, m, err := t.localPair(group, member)
	if err != nil {
		return err
	}
	if g.members.current[m] != nil {
		return fmt.Errorf("%s is a member of %s", member, group)
	}
	t.join(g, m, t.cfg.Now())
	g.members.current[m].since = time.Time{} // no delay hides what was seeded
	return nil
}

// RemoveMember ends a membership without HTTP. It also ends one in a directory role, which its id names.
func (t *Tenant) RemoveMember(group, member string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	g, m, err := t.localPair(group, member)
	if err != nil {
		return err
	}
	if g.members.current[m] == nil {
		return fmt.Errorf("%s is no member of %s", member, group)
	}
	t.leave(g, m, t.cfg.Now())
	return nil
}

func (t *Tenant) localPair(group, member string) (g, m *object, err error) {
	if g, err = t.local(group); err != nil {
		return nil, nil, err
	}
	if m, err = t.local(member); err != nil {
		return nil, nil, err
	}
	if g.kind == userKind {
		return nil, nil, fmt.Errorf("%s is a user", group)
	}
	return g, m, nil
}

// Set changes properties of a user or group without HTTP, as an administrator of the tenant would. It uses Graph's
// names, and nil clears a property. Read-only properties (onPremisesSyncEnabled) may be set, and values are not
// checked.
func (t *Tenant) Set(key string, properties map[string]any) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.local(key)
	if err != nil {
		return err
	}
	for name := range properties {
		if o.kind.properties[name] == nil {
			return fmt.Errorf("%s has no property %q", o.kind.name, name)
		}
	}
	if refused := t.change(o, properties, t.cfg.Now()); refused != nil {
		return fmt.Errorf("%s: %s", key, refused.message)
	}
	return nil
}

// Remove moves a user or group to deleted items without HTTP.
func (t *Tenant) Remove(key string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.local(key)
	if err != nil {
		return err
	}
	t.remove(o, t.cfg.Now())
	return nil
}

// Users returns the users in the order of their creation.
func (t *Tenant) Users() []User { return collect(t, &t.users, false, userOf) }

// DeletedUsers returns the users in deleted items.
func (t *Tenant) DeletedUsers() []User { return collect(t, &t.users, true, userOf) }

// Groups returns the groups in the order of their creation.
func (t *Tenant) Groups() []Group { return collect(t, &t.groups, false, groupOf) }

// DeletedGroups returns the groups in deleted items.
func (t *Tenant) DeletedGroups() []Group { return collect(t, &t.groups, true, groupOf) }

func collect[T any](t *Tenant, from *collection, deleted bool, of func(state) T) []T {
	t.mu.RLock()
	defer t.mu.RUnlock()
	list := []T{}
	for _, o := range from.list {
		if o.deleted() == deleted {
			list = append(list, of(o.now))
		}
	}
	return list
}

// User returns a user by id or principal name.
func (t *Tenant) User(key string) (User, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	o, err := t.local(key)
	if err != nil || o.kind != userKind {
		return User{}, false
	}
	return userOf(o.now), true
}

// Group returns a group by id or uniqueName.
func (t *Tenant) Group(key string) (Group, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	o, err := t.local(key)
	if err != nil || o.kind != groupKind {
		return Group{}, false
	}
	return groupOf(o.now), true
}

// Members returns the ids of a group's members, sorted. A missing group has none.
func (t *Tenant) Members(group string) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	o, err := t.local(group)
	if err != nil {
		return nil
	}
	ids := []string{}
	for _, m := range o.members.present() {
		ids = append(ids, m.member.id)
	}
	slices.Sort(ids)
	return ids
}

func userOf(s state) User {
	p := s.props
	u := User{
		ID: textOf(p, "id"), UserPrincipalName: textOf(p, byUPN), DisplayName: textOf(p, "displayName"),
		MailNickname: textOf(p, "mailNickname"), GivenName: textOf(p, "givenName"), Surname: textOf(p, "surname"),
		Mail:       textOf(p, "mail"),
		EmployeeID: textOf(p, "employeeId"), Department: textOf(p, "department"), JobTitle: textOf(p, "jobTitle"),
		OnPremisesImmutableID: textOf(p, byImmutable), Disabled: !flagOf(p, "accountEnabled"),
		Synced:     flagOf(p, "onPremisesSyncEnabled"),
		Properties: map[string]any{},
	}
	maps.Copy(u.Properties, p)
	return u
}

func groupOf(s state) Group {
	p := s.props
	return Group{
		ID: textOf(p, "id"), UniqueName: textOf(p, byUnique), DisplayName: textOf(p, "displayName"),
		MailNickname: textOf(p, byNickname),
		Description:  textOf(p, "description"), Mail: textOf(p, "mail"), Unified: isUnified(p), Dynamic: isDynamic(p),
		Distribution:   flagOf(p, "mailEnabled") && !isUnified(p) && !flagOf(p, "securityEnabled"),
		RoleAssignable: flagOf(p, "isAssignableToRole"), Synced: flagOf(p, "onPremisesSyncEnabled"),
	}
}
