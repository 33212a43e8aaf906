package googleworkspace

import (
	"bytes"
	"maps"
	"time"
)

// User is a user from an administrator's view. In a snapshot Resource is the whole resource and must not be changed.
// For AddUser it has further fields of the resource, such as "phones".
type User struct {
	ID, PrimaryEmail      string
	GivenName, FamilyName string
	OrgUnitPath           string
	Suspended             bool
	// SuspensionReason defaults to "ADMIN".
	SuspensionReason string
	Archived         bool
	IsAdmin          bool
	Aliases          []string
	ExternalIDs      []ExternalID
	// Deleted is when the user was deleted. It is zero for an existing user.
	Deleted  time.Time
	Resource map[string]any
}

// ExternalID is an element of a user's externalIds.
type ExternalID struct{ Type, CustomType, Value string }

// Group is a group from an administrator's view. See User for Resource.
type Group struct {
	ID, Email, Name, Description string
	Aliases                      []string
	ExternalIDs                  []GroupExternalID
	Resource                     map[string]any
}

// GroupExternalID is an element of a group's externalIds.
type GroupExternalID struct{ Namespace, ID string }

// Member is a member of a group. AddMember needs an ID or an Email. Role defaults to MEMBER.
type Member struct{ ID, Email, Role, Type string }

// AddUser creates a user as an administrator would in the Admin console. The user needs no password and is visible at
// once, and the call is not counted.
func (t *Tenant) AddUser(u User) (User, error) {
	doc := maps.Clone(u.Resource)
	if doc == nil {
		doc = map[string]any{}
	}
	doc["primaryEmail"] = u.PrimaryEmail
	doc["name"] = map[string]any{"givenName": u.GivenName, "familyName": u.FamilyName}
	if u.OrgUnitPath != "" {
		doc["orgUnitPath"] = u.OrgUnitPath
	}
	if len(u.ExternalIDs) > 0 {
		var ids []any
		for _, e := range u.ExternalIDs {
			id := map[string]any{"value": e.Value, "type": e.Type}
			if e.CustomType != "" {
				id["customType"] = e.CustomType
			}
			ids = append(ids, id)
		}
		doc["externalIds"] = ids
	}
	doc["suspended"], doc["archived"] = u.Suspended, u.Archived

	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.cfg.Now()
	rec, err := t.createUser(asJSON(doc), now, false)
	if err != nil {
		return User{}, err
	}
	for _, a := range u.Aliases {
		if _, err := t.addAlias(rec, map[string]any{"alias": a}, now); err != nil {
			return User{}, err
		}
	}
	rec.admin = u.IsAdmin
	if u.Suspended && u.SuspensionReason != "" {
		rec.reason = u.SuspensionReason
	}
	rec.versions = nil
	t.publishUser(rec, now)
	return snapshotUser(rec), nil
}

// UpdateUser changes fields of a user as an administrator would, with the rules of users.update.
func (t *Tenant) UpdateUser(key string, fields map[string]any) (User, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, err := t.ownUser(key)
	if err == nil {
		err = t.updateUser(u, asJSON(fields), t.cfg.Now(), false)
	}
	if err != nil {
		return User{}, err
	}
	return snapshotUser(u), nil
}

// AddAlias adds an alias to a user as an administrator would.
func (t *Tenant) AddAlias(key, alias string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, err := t.ownUser(key)
	if err == nil {
		_, err = t.addAlias(u, map[string]any{"alias": alias}, t.cfg.Now())
	}
	if err != nil {
		return err
	}
	return nil
}

// RemoveAlias deletes an alias of a user as an administrator would.
func (t *Tenant) RemoveAlias(key, alias string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, err := t.ownUser(key)
	if err == nil {
		err = t.removeAlias(u, alias, t.cfg.Now())
	}
	if err != nil {
		return err
	}
	return nil
}

// SetAdmin grants or revokes a user's super administrator role.
func (t *Tenant) SetAdmin(key string, admin bool) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, err := t.ownUser(key)
	if err != nil {
		return err
	}
	u.admin = admin
	t.publishUser(u, t.cfg.Now())
	return nil
}

// DeleteUser deletes a user as an administrator would.
func (t *Tenant) DeleteUser(key string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	u, err := t.ownUser(key)
	if err != nil {
		return err
	}
	t.deleteUser(u, t.cfg.Now())
	return nil
}

func (t *Tenant) ownUser(key string) (*userRec, *apiError) {
	u, err := t.userByKey(key)
	if err == nil && (u == nil || u.deleted()) {
		err = notFound("userKey")
	}
	return u, err
}

// AddOrgUnit creates an organizational unit and those above it.
func (t *Tenant) AddOrgUnit(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addOrgUnits([]string{path})
}

// asJSON converts values such as []string and map[string]string to the form of a decoded request body.
func asJSON(doc map[string]any) map[string]any {
	out, err := decodeObject(bytes.NewReader(encodeJSON(doc)))
	if err != nil {
		panic("googleworkspace: " + err.Error()) // what was encoded as an object decodes as one
	}
	return out
}
