package googleworkspace

import (
	"maps"
	"strings"
	"time"
)

func (t *Tenant) usersInsert(c *call) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, err := t.createUser(c.body, c.now, true)
	if err != nil {
		return nil, err
	}
	return u.newest(), nil
}

// createUser creates a user from a resource. Over the API a password is required and new users are invisible for a
// while. Neither holds for an administrator's users.
func (t *Tenant) createUser(resource map[string]any, now time.Time, api bool) (*userRec, *apiError) {
	body, err := userFields.check("user", resource)
	if err != nil {
		return nil, err
	}
	email, err := t.newAddress(str(body, "primaryEmail"), "primary_user_email")
	if err != nil {
		return nil, err
	}
	name, _ := body["name"].(map[string]any)
	if str(name, "familyName") == "" {
		return nil, invalid("Invalid Given/Family Name: FamilyName")
	}
	if str(name, "givenName") == "" {
		return nil, invalid("Invalid Given/Family Name: GivenName")
	}
	if _, given := body["password"]; api && !given {
		return nil, invalid("Invalid Password")
	}
	if err := t.checkUser(body); err != nil {
		return nil, err
	}
	if _, taken := t.addresses[email]; taken {
		return nil, entityExists()
	}
	u := &userRec{id: t.newUserID(), email: email, created: now, fields: map[string]any{"orgUnitPath": "/"}}
	if api {
		u.visibleFrom = now.Add(t.cfg.Consistency.Create)
	}
	t.setUserFields(u, body, now, false)
	t.users[u.id] = u
	t.addresses[email] = owner{user: u}
	t.publishUser(u, now)
	return u, nil
}

// usersUpdate is PUT with patch semantics. Absent fields stay, null clears a field, and arrays are replaced.
func (t *Tenant) usersUpdate(c *call) (any, *apiError) { return t.changeUser(c, false) }

// usersPatch is "unable to clear fields that contain repeated objects".
func (t *Tenant) usersPatch(c *call) (any, *apiError) { return t.changeUser(c, true) }

func (t *Tenant) changeUser(c *call, patch bool) (any, *apiError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, err := t.writeUser(c.vars["userKey"], c.now)
	if err != nil {
		return nil, err
	}
	if err := t.updateUser(u, c.body, c.now, patch); err != nil {
		return nil, err
	}
	return u.newest(), nil
}

func (t *Tenant) updateUser(u *userRec, resource map[string]any, now time.Time, patch bool) *apiError {
	body, err := userFields.check("user", resource)
	if err != nil {
		return err
	}
	if err := t.checkUser(body); err != nil {
		return err
	}
	if _, given := body["primaryEmail"]; given {
		if err := t.renameUser(u, str(body, "primaryEmail"), now); err != nil {
			return err
		}
	}
	t.setUserFields(u, body, now, patch)
	t.publishUser(u, now)
	return nil
}

// renameUser gives a user another primary address. The old one stays as an alias.
func (t *Tenant) renameUser(u *userRec, address string, now time.Time) *apiError {
	email, err := t.newAddress(address, "primary_user_email")
	if err != nil || email == u.email {
		return err
	}
	if o, taken := t.addresses[email]; taken && o.user != u {
		return entityExists()
	}
	u.aliases = append(without(u.aliases, email), u.email)
	u.email = email
	t.addresses[email] = owner{user: u}
	u.busyUntil = now.Add(t.cfg.Consistency.Rename)
	return nil
}

// without returns a list without one value, in new memory.
func without(list []string, value string) []string {
	out := make([]string, 0, len(list))
	for _, v := range list {
		if v != value {
			out = append(out, v)
		}
	}
	return out
}

// setUserFields merges checked fields into a user.
func (t *Tenant) setUserFields(u *userRec, body map[string]any, now time.Time, patch bool) {
	fields := maps.Clone(u.fields)
	was := boolean(fields, "suspended")
	for name, value := range body {
		switch {
		case name == "primaryEmail" || name == "password" || name == "hashFunction":
		case value != nil && userFields[name] == object:
			fields[name] = merge(fields[name], value)
			if name == customSchemas {
				t.keepCustom(fields)
			}
		case name == "orgUnitPath":
			fields[name] = t.unitPath(str(body, name))
		case value == nil || isEmpty(value):
			if !patch || userFields[name] != array {
				delete(fields, name)
			}
		default:
			fields[name] = normalize(name, value)
		}
	}
	u.fields = fields
	switch {
	case !was && u.suspended():
		u.reason, u.suspendedAt = "ADMIN", now
	case was && !u.suspended():
		u.reason, u.suspendedAt = "", time.Time{}
	}
}

// merge applies a JSON merge patch to an object. The result shares no mutable data with old.
func merge(old, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	base, _ := old.(map[string]any)
	out := maps.Clone(base)
	if out == nil {
		out = map[string]any{}
	}
	for name, value := range p {
		if value == nil || name == "fullName" {
			delete(out, name)
			continue
		}
		if s, ok := value.(string); ok {
			value = strings.TrimSpace(s)
		}
		out[name] = merge(out[name], value)
	}
	return out
}

func isEmpty(value any) bool {
	switch v := value.(type) {
	case []any:
		return len(v) == 0
	case string:
		return v == ""
	}
	return false
}

// normalize converts elements to the form in which Google returns them.
func normalize(name string, value any) any {
	if name != "organizations" {
		return value
	}
	list := value.([]any)
	out := make([]any, len(list))
	for i, e := range list {
		if o, ok := e.(map[string]any); ok && o["type"] == nil && o["customType"] == nil {
			o = maps.Clone(o)
			o["customType"] = "" // as in the documentation's answers
			e = o
		}
		out[i] = e
	}
	return out
}
