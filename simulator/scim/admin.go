package scim

import (
	"maps"
	"slices"
	"strings"
)

// User is a user, as the administrator of the tenant sees it.
type User struct {
	ID, UserName, ExternalID string
	Active                   bool
	// Attributes are all attributes in the form of JSON, without members and read-only attributes.
	Attributes map[string]any
}

// Group is a group, as the administrator of the tenant sees it.
type Group struct {
	ID, DisplayName, ExternalID string
	// Members are the ids of the members in the order in which they joined.
	Members []string
}

// AddUser creates a user as an administrator would, with the attributes of a POST. The schemas may be missing.
func (t *Tenant) AddUser(attrs map[string]any) (string, error) { return t.addForeign(t.users, attrs) }

// AddGroup creates a group as an administrator would.
func (t *Tenant) AddGroup(attrs map[string]any) (string, error) { return t.addForeign(t.groups, attrs) }

func (t *Tenant) addForeign(k *kind, attrs map[string]any) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	body := map[string]any{"schemas": []any{k.core.id}}
	for _, e := range k.extensions {
		body["schemas"] = append(body["schemas"].([]any), e.id)
	}
	maps.Copy(body, attrs)
	needs := t.cfg.Behaviours.NeedExternalID
	t.cfg.Behaviours.NeedExternalID = false
	made, err := t.resource(k, body)
	t.cfg.Behaviours.NeedExternalID = needs
	if err != nil {
		return "", err
	}
	delete(made, "members")
	return t.add(k, made, true).id, nil
}

// Set changes attributes of a user or group as an administrator would. A nil value removes the attribute.
func (t *Tenant) Set(id string, attrs map[string]any) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.byID[id]
	if r == nil {
		return missing(id)
	}
	next := clone(r.attrs).(map[string]any)
	for name, v := range attrs {
		if next[name] = v; v == nil {
			delete(next, name)
		}
	}
	t.set(r, next)
	t.touch(r, true)
	return nil
}

// Rename gives a user another userName.
func (t *Tenant) Rename(id, userName string) error {
	return t.Set(id, map[string]any{"userName": userName})
}

// Remove deletes a user or group.
func (t *Tenant) Remove(id string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.byID[id]
	if r == nil {
		return missing(id)
	}
	t.remove(r)
	return nil
}

// AddMember makes a user or group a member of a group.
func (t *Tenant) AddMember(groupID, memberID string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.byID[groupID]
	if g == nil || g.kind != t.groups {
		return missing(groupID)
	}
	if t.join(g, memberID) {
		t.touch(g, false)
	}
	return nil
}

// Users returns the users in the order of their creation.
func (t *Tenant) Users() []User {
	t.mu.RLock()
	defer t.mu.RUnlock()
	out := make([]User, 0, len(t.lists[t.users]))
	for _, r := range t.lists[t.users] {
		out = append(out, userOf(r))
	}
	return out
}

// User returns one user.
func (t *Tenant) User(id string) (User, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	r := t.byID[id]
	if r == nil || r.kind != t.users {
		return User{}, false
	}
	return userOf(r), true
}

func userOf(r *record) User {
	name, _ := r.attrs["userName"].(string)
	external, _ := r.attrs["externalId"].(string)
	return User{ID: r.id, UserName: name, ExternalID: external, Active: r.attrs["active"] != false,
		Attributes: clone(r.attrs).(map[string]any)}
}

// Groups returns the groups in the order of their creation.
func (t *Tenant) Groups() []Group {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var out []Group
	for _, r := range t.lists[t.groups] {
		name, _ := r.attrs["displayName"].(string)
		external, _ := r.attrs["externalId"].(string)
		out = append(out, Group{r.id, name, external, r.memberIDs()})
	}
	return out
}

// Group returns one group by its display name.
func (t *Tenant) Group(name string) (Group, bool) {
	all := t.Groups()
	i := slices.IndexFunc(all, func(g Group) bool { return strings.EqualFold(g.DisplayName, name) })
	if i < 0 {
		return Group{}, false
	}
	return all[i], true
}

// Members returns the ids of a group's members, sorted.
func (t *Tenant) Members(groupID string) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	r := t.byID[groupID]
	if r == nil {
		return nil
	}
	ids := r.memberIDs()
	slices.Sort(ids)
	return ids
}

// Token returns the bearer token.
func (t *Tenant) Token() string { return t.cfg.Token }
