package graph

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// User is a user for seeding and inspection.
type User struct {
	// ID is the object's id. An empty one is generated.
	ID string
	// UserPrincipalName is the sign-in name. That of a deleted user is prefixed with the id without hyphens.
	UserPrincipalName string
	// DisplayName defaults to UserPrincipalName, and MailNickname to the part before its @.
	DisplayName, MailNickname        string
	GivenName, Surname               string
	Mail                             string
	EmployeeID, Department, JobTitle string
	OnPremisesImmutableID            string
	// Disabled is the opposite of accountEnabled.
	Disabled bool
	// Synced is onPremisesSyncEnabled, which means that Entra Connect owns the user.
	Synced bool
	// Properties are further properties, under Graph's names.
	Properties map[string]any
}

// Group is a group for seeding and inspection. Without flags it is a security group.
type Group struct {
	// ID is the object's id. An empty one is generated.
	ID string
	// UniqueName is the alternate key.
	UniqueName string
	// DisplayName is required. An empty MailNickname is generated.
	DisplayName, MailNickname string
	Description               string
	Mail                      string
	// Unified is a Microsoft 365 group. Distribution is a mail-enabled group without security.
	Unified, Distribution bool
	// Dynamic groups have a rule instead of changeable members.
	Dynamic bool
	// RoleAssignable is isAssignableToRole.
	RoleAssignable bool
	// Synced is onPremisesSyncEnabled, which means that Entra Connect owns the group.
	Synced bool
}

// AddUser adds a user without HTTP. It checks only the rules that keep the tenant consistent, such as free names.
func (t *Tenant) AddUser(u User) (User, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	local, _, found := strings.Cut(u.UserPrincipalName, "@")
	if !found {
		return User{}, fmt.Errorf("user %q: no principal name", u.UserPrincipalName)
	}
	setDefault(&u.DisplayName, u.UserPrincipalName)
	setDefault(&u.MailNickname, local)
	props := map[string]any{"accountEnabled": !u.Disabled, "userType": "Member"}
	for name, value := range u.Properties {
		if userKind.properties[name] == nil {
			return User{}, fmt.Errorf("user %s: no property %q", u.UserPrincipalName, name)
		}
		props[name] = value
	}
	setTexts(props, map[string]string{
		byUPN: u.UserPrincipalName, "displayName": u.DisplayName, "mailNickname": u.MailNickname, "givenName": u.GivenName,
		"surname": u.Surname, "mail": u.Mail, "employeeId": u.EmployeeID, "department": u.Department, "jobTitle": u.JobTitle,
		byImmutable: u.OnPremisesImmutableID,
	})
	if u.Synced {
		props["onPremisesSyncEnabled"] = true
	}
	setAddress(props, nil)
	o, err := t.seed(userKind, u.ID, props)
	if err != nil {
		return User{}, err
	}
	return userOf(o.now), nil
}

// AddGroup adds a group without HTTP.
func (t *Tenant) AddGroup(g Group) (Group, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g.DisplayName == "" {
		return Group{}, errors.New("group without a displayName")
	}
	if g.MailNickname == "" {
		g.MailNickname = uuidOf("nickname"+g.DisplayName, t.last)[:8]
	}
	props := map[string]any{
		"mailEnabled": g.Unified || g.Distribution, "securityEnabled": !g.Unified &&
			!g.Distribution, "renewedDateTime": t.cfg.Now(),
	}
	types := []string{}
	if g.Unified {
		types = append(types, "Unified")
		setDefault(&g.Mail, g.MailNickname+"@"+t.cfg.Domains[0])
	}
	if g.Dynamic {
		types = append(types, "DynamicMembership")
		props["membershipRule"], props["membershipRuleProcessingState"] = `(user.accountEnabled -eq true)`, "On"
	}
	props["groupTypes"] = types
	for name, set := range map[string]bool{"isAssignableToRole": g.RoleAssignable, "onPremisesSyncEnabled": g.Synced} {
		if set {
			props[name] = true
		}
	}
	setTexts(props, map[string]string{
		"displayName": g.DisplayName, "description": g.Description, byNickname: g.MailNickname, "mail": g.Mail,
		byUnique: g.UniqueName,
	})
	if g.Mail != "" {
		props[byProxy] = []string{"SMTP:" + g.Mail}
	}
	o, err := t.seed(groupKind, g.ID, props)
	if err != nil {
		return Group{}, err
	}
	return groupOf(o.now), nil
}

func setTexts(props map[string]any, values map[string]string) {
	for name, value := range values {
		if value != "" {
			props[name] = value
		}
	}
}

// seed stores an object as if it had always existed, so that no delay hides it.
func (t *Tenant) seed(k *kind, id string, props map[string]any) (*object, error) {
	if id != "" && (!isUUID(id) || t.byID[id] != nil) {
		return nil, fmt.Errorf("%s %q: the id is malformed or taken", k.name, id)
	}
	if name := t.unique.taken(nil, k, props); name != "" {
		return nil, fmt.Errorf("%s: %s %v is taken", k.name, name, props[name])
	}
	o := t.add(k, id, props, t.cfg.Now())
	o.created = time.Time{}
	return o, nil
}
