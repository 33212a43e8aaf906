package googleworkspace

import (
	"slices"
	"strings"
	"time"
)

func (t *Tenant) usersDelete(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, err := t.writeUser(c.vars["userKey"], c.now)
	if err != nil {
		return nil, err
	}
	t.deleteUser(u, c.now)
	return nil, nil
}

// deleteUser removes a user's addresses and memberships and keeps the rest for undelete.
func (t *Tenant) deleteUser(u *userRec, now time.Time) {
	for _, address := range append([]string{u.email}, u.aliases...) {
		delete(t.addresses, address)
	}
	t.leaveAll(u.id, now)
	u.deletedAt = now
	t.deletions = append(t.deletions, deletion{u, now})
	t.publishUser(u, now)
}

// usersUndelete accepts only the immutable id, as documented.
func (t *Tenant) usersUndelete(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.purge(c.now)
	u := t.users[c.key("userKey")]
	if u == nil || !u.deleted() {
		return nil, notFound("userKey")
	}
	path := str(c.body, "orgUnitPath")
	if path == "" {
		path = "/"
	}
	if t.orgUnit(path) == nil {
		return nil, invalid("Invalid Input: INVALID_OU_ID")
	}
	if _, taken := t.addresses[u.email]; taken {
		return nil, entityExists()
	}
	u.deletedAt = time.Time{}
	t.addresses[u.email] = owner{user: u}
	u.aliases = slices.DeleteFunc(slices.Clone(u.aliases),
		func(a string) bool { _, taken := t.addresses[a]; return taken })
	for _, a := range u.aliases {
		t.addresses[a] = owner{user: u}
	}
	t.setUserFields(u, map[string]any{"orgUnitPath": path}, c.now, false)
	t.publishUser(u, c.now)
	return nil, nil
}

// deletion is one deletion of a user. The user may have been restored since, and even deleted again.
type deletion struct {
	user *userRec
	at   time.Time
}

// purge removes the users that were deleted more than twenty days ago.
func (t *Tenant) purge(now time.Time) {
	for len(t.deletions) > 0 && now.Sub(t.deletions[0].at) > undeleteWindow {
		g := t.deletions[0]
		t.deletions = t.deletions[1:]
		if g.user.deletedAt.Equal(g.at) {
			delete(t.users, g.user.id)
			clear(t.userOrder)
		}
	}
}

func (t *Tenant) usersSignOut(c *call) (any, *apiError) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	_, err := t.readUser(c.vars["userKey"], c.now)
	return nil, err
}

func (t *Tenant) userAliasesList(c *call) (any, *apiError) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	u, err := t.readUser(c.vars["userKey"], c.now)
	if err != nil {
		return nil, err
	}
	return aliasPage(u.id, u.shown(c.now)), nil
}

func (t *Tenant) userAliasesInsert(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, err := t.writeUser(c.vars["userKey"], c.now)
	if err != nil {
		return nil, err
	}
	alias, err := t.addAlias(u, c.body, c.now)
	if err != nil {
		return nil, err
	}
	return aliasDoc(u.id, u.email, alias), nil
}

// addAlias adds the alias of a resource to a user.
func (t *Tenant) addAlias(u *userRec, resource map[string]any, now time.Time) (string, *apiError) {
	alias, err := t.newAlias(resource, u.aliases)
	if err != nil {
		return "", err
	}
	t.addresses[alias] = owner{user: u}
	u.aliases = append(slices.Clone(u.aliases), alias)
	t.publishUser(u, now)
	return alias, nil
}

func (t *Tenant) userAliasesDelete(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, err := t.writeUser(c.vars["userKey"], c.now)
	if err != nil {
		return nil, err
	}
	if err := t.removeAlias(u, c.vars["alias"], c.now); err != nil {
		return nil, err
	}
	return nil, nil
}

func (t *Tenant) removeAlias(u *userRec, alias string, now time.Time) *apiError {
	alias = strings.ToLower(alias)
	if !slices.Contains(u.aliases, alias) {
		return notFound("alias")
	}
	delete(t.addresses, alias)
	u.aliases = without(u.aliases, alias)
	t.publishUser(u, now)
	return nil
}
