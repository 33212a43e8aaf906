package graph

import (
	"net/http"
	"slices"
)

// Role is the documented name of a directory role.
type Role string

// Some roles. A role is activated once it has a member. GlobalAdministrator always is.
const (
	GlobalAdministrator Role = "Global Administrator"
	UserAdministrator   Role = "User Administrator"
	GroupsAdministrator Role = "Groups Administrator"
)

// templates are the role ids that are equal in every tenant.
var templates = map[Role]string{
	GlobalAdministrator: "62e90394-69f5-4237-9190-012177145e10",
	UserAdministrator:   "fe930be7-5e62-47db-91af-98c3a49a38b1",
	GroupsAdministrator: "fdd7a751-b60b-444a-984c-02652fe8fa1c",
}

// addRole activates a role and returns it.
func (t *Tenant) addRole(r Role) *object {
	template := templates[r]
	if template == "" {
		template = uuidOf("template " + string(r))
	}
	if o := t.unique.find(byTemplate, template); o != nil {
		return o
	}
	return t.add(roleKind, "", map[string]any{
		"displayName": string(r), "description": "Members have the role " + string(r) + ".", byTemplate: template,
	}, t.cfg.Now())
}

func (t *Tenant) role(k key) (*object, *apiError) {
	o := t.byID[k.value]
	if k.name == byTemplate {
		o = t.unique.find(byTemplate, k.value)
	}
	if o == nil || o.kind != roleKind {
		return nil, notFound(k.value)
	}
	return o, nil
}

// listRoles returns the activated roles on one page.
func (t *Tenant) listRoles(c *call) (*answer, *apiError) {
	s, err := selection(c, roleKind)
	if err != nil {
		return nil, err
	}
	f, err := parseFilter(c, roleKind)
	if err != nil {
		return nil, err
	}
	p := newPage(contextURL(c, roleKind.set, s, false))
	p.begin()
	for _, o := range t.roles.list {
		if f == nil || f.match(o.now.props) {
			p.item()
			p.body = appendObject(p.body, roleKind, o.now.props, s, false)
		}
	}
	return newAnswer(http.StatusOK, p.end()), nil
}

// listRoleMembers returns the members of a role on one page.
func (t *Tenant) listRoleMembers(c *call) (*answer, *apiError) {
	role, err := t.role(c.vars["role"])
	if err != nil {
		return nil, err
	}
	var items []related
	for _, m := range t.members(role, 0, c.now) {
		items = append(items, related{m.member, m.ord})
	}
	return t.relatedPage(c, directoryObjects, items, max(len(items), 1), len(items))
}

// SetAdmin assigns a directory role to a user or group, and activates the role.
func (t *Tenant) SetAdmin(idOrUPN string, r Role) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	o, err := t.local(idOrUPN)
	if err != nil {
		return err
	}
	role := t.addRole(r)
	if role.members.current[o] == nil {
		t.join(role, o, t.cfg.Now())
	}
	return nil
}

// Roles returns the activated roles and the ids of their members.
func (t *Tenant) Roles() map[Role][]string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	roles := map[Role][]string{}
	for _, o := range t.roles.list {
		ids := []string{}
		for _, m := range o.members.present() {
			ids = append(ids, m.member.id)
		}
		roles[Role(textOf(o.now.props, "displayName"))] = slices.Clip(ids)
	}
	return roles
}
