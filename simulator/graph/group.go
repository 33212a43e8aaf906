package graph

import (
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	bindMembers = "members@odata.bind"
	bindOwners  = "owners@odata.bind"
	maxBind     = 20
)

func (t *Tenant) createGroup(c *call) (*answer, *apiError) {
	o, err := t.newGroup(c, "")
	if err != nil {
		return nil, err
	}
	return t.createdAnswer(c, o), nil
}

// newGroup creates the group in a call's body. uniqueName comes from the path of an upsert.
func (t *Tenant) newGroup(c *call, uniqueName string) (*object, *apiError) {
	fields, err := groupKind.check(c.body, true)
	if err != nil {
		return nil, err
	}
	if flagOf(fields, "isAssignableToRole") && !c.granted("RoleManagement.ReadWrite.Directory") {
		return nil, denied()
	}
	members, err := t.bound(c, nil)
	if err != nil {
		return nil, err
	}
	if uniqueName != "" {
		fields[byUnique] = uniqueName
	}
	o, err := t.makeGroup(fields, c.now)
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		t.join(o, m, c.now)
	}
	return o, nil
}

// makeGroup checks and stores a new group.
func (t *Tenant) makeGroup(fields map[string]any, now time.Time) (*object, *apiError) {
	if err := groupKind.needs(fields, "displayName", "mailEnabled", "mailNickname", "securityEnabled"); err != nil {
		return nil, err
	}
	if err := checkGroup(fields); err != nil {
		return nil, err
	}
	props := maps.Clone(fields)
	maps.DeleteFunc(props, func(_ string, value any) bool { return value == nil })
	if isUnified(props) {
		setAddress(props, nil)
		props["mail"] = textOf(props, byNickname) + "@" + t.cfg.Domains[0]
		props[byProxy] = []string{"SMTP:" + textOf(props, "mail")}
		if props["visibility"] == nil {
			props["visibility"] = "Public"
		}
	}
	props["renewedDateTime"] = now
	if name := t.unique.taken(nil, groupKind, props); name != "" {
		if name == byProxy {
			name = byNickname
		}
		return nil, conflict(name)
	}
	return t.add(groupKind, "", props, now), nil
}

// group returns the group that a key names by id or uniqueName.
func (t *Tenant) group(k key, now time.Time) (*object, *apiError) {
	o := t.byID[strings.ToLower(k.value)]
	if k.name == byUnique {
		o = t.unique.find(byUnique, k.value)
	}
	if o == nil || o.kind != groupKind || o.deleted() && t.hidesDeletion(o, now) || !t.settled(o, now) {
		return nil, notFound(k.value)
	}
	return o, nil
}

// writableGroup returns the group for a write, which sees the present state.
func (t *Tenant) writableGroup(c *call) (*object, *apiError) {
	o, err := t.group(c.vars["group"], c.now)
	if err != nil {
		return nil, err
	}
	if o.deleted() {
		return nil, notFound(c.vars["group"].value)
	}
	if flagOf(o.now.props, "onPremisesSyncEnabled") {
		return nil, mastered()
	}
	if flagOf(o.now.props, "isAssignableToRole") && !c.granted("RoleManagement.ReadWrite.Directory") {
		return nil, denied()
	}
	return o, nil
}

// updateGroup is PATCH by id or by uniqueName. With the preference create-if-missing, PATCH by uniqueName creates the
// group.
func (t *Tenant) updateGroup(c *call) (*answer, *apiError) {
	k := c.vars["group"]
	if k.name == byUnique {
		o := t.unique.find(byUnique, k.value)
		if o == nil && c.prefers("create-if-missing") {
			return t.upsert(c, k.value)
		}
		if o != nil && c.prefers("create-if-missing") && !t.settled(o, c.now) {
			return t.patchGroup(c, o) // the names are kept where every replica sees them
		}
	}
	if _, binds := c.body[bindMembers]; binds && t.unsettledGroup(c) {
		return nil, unsettled()
	}
	o, err := t.writableGroup(c)
	if err != nil {
		return nil, err
	}
	return t.patchGroup(c, o)
}

func (t *Tenant) upsert(c *call, uniqueName string) (*answer, *apiError) {
	if !c.granted(createGroups...) {
		return nil, denied()
	}
	if uniqueName == "" || len(uniqueName) > groupKind.properties[byUnique].max {
		return nil, invalidValue(byUnique, groupKind)
	}
	if given, ok := c.body[byUnique]; ok && given != uniqueName {
		return nil, readOnlyProperty(byUnique)
	}
	delete(c.body, byUnique)
	o, err := t.newGroup(c, uniqueName)
	if err != nil {
		return nil, err
	}
	return t.createdAnswer(c, o), nil
}

func (t *Tenant) patchGroup(c *call, o *object) (*answer, *apiError) {
	if given, ok := c.body[byUnique]; ok && given == textOf(o.now.props, byUnique) {
		delete(c.body, byUnique)
	}
	fields, err := groupKind.check(c.body, false)
	if err != nil {
		return nil, err
	}
	if len(fields) > 0 && !c.granted(writeGroups...) {
		return nil, denied()
	}
	if err := checkGroup(o.patched(fields)); err != nil {
		return nil, err
	}
	members, err := t.bound(c, o)
	if err != nil {
		return nil, err
	}
	if err := t.change(o, fields, c.now); err != nil {
		return nil, err
	}
	for _, m := range members {
		t.join(o, m, c.now)
	}
	return noContent(), nil
}

func (t *Tenant) deleteGroup(c *call) (*answer, *apiError) {
	o, err := t.writableGroup(c)
	if err != nil {
		return nil, err
	}
	t.remove(o, c.now)
	return noContent(), nil
}

// checkGroup checks the rules that types and lengths do not cover.
func checkGroup(fields map[string]any) *apiError {
	if nickname, set := fields[byNickname].(string); set && !isNickname(nickname) {
		return invalidValue(byNickname, groupKind)
	}
	types, _ := fields["groupTypes"].([]string)
	for _, name := range types {
		if name != "Unified" && name != "DynamicMembership" {
			return invalidValue("groupTypes", groupKind)
		}
	}
	mail, security := flagOf(fields, "mailEnabled"), flagOf(fields, "securityEnabled")
	if mail != isUnified(fields) && !(mail && fields["mail"] != nil) || !mail && !security {
		return badRequest("The service does not currently support writes of mail-enabled groups. Please ensure that the " +
			"mail-enablement property is unset and the security-enablement property is set.")
	}
	if isDynamic(fields) && fields["membershipRule"] == nil {
		return missingValue("membershipRule", groupKind)
	}
	if flagOf(fields, "isAssignableToRole") && (!security || isDynamic(fields)) {
		return invalidValue("isAssignableToRole", groupKind)
	}
	return nil
}

func isUnified(props map[string]any) bool { return hasType(props, "Unified") }

func isDynamic(props map[string]any) bool { return hasType(props, "DynamicMembership") }

func hasType(props map[string]any, name string) bool {
	types, _ := props["groupTypes"].([]string)
	return slices.Contains(types, name)
}
