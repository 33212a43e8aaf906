package graph

import (
	"slices"
	"strings"
)

// takesMembers checks whether an app may change a group's members.
func takesMembers(o *object) *apiError {
	switch {
	case isDynamic(o.now.props):
		return denied()
	case flagOf(o.now.props, "mailEnabled") && !isUnified(o.now.props):
		return badRequest("Cannot Update a mail-enabled security groups and or distribution list.")
	}
	return nil
}

// bound returns the objects that a body adds as members. One bad reference refuses all of them. The group is nil
// while it is being created.
func (t *Tenant) bound(c *call, group *object) ([]*object, *apiError) {
	owners, err := bindings(c.body, bindOwners)
	if err != nil {
		return nil, err
	}
	members, err := bindings(c.body, bindMembers)
	if err != nil {
		return nil, err
	}
	if len(owners)+len(members) > maxBind {
		return nil, badRequest("The number of references in the request exceeds the maximum of %d.", maxBind)
	}
	for _, ref := range owners {
		if _, err := t.referenced(ref, c.now); err != nil {
			return nil, err
		}
	}
	if group != nil && len(members) > 0 {
		if err := takesMembers(group); err != nil {
			return nil, err
		}
		if !t.settled(group, c.now) {
			return nil, unsettled()
		}
	}
	var list []*object
	for _, ref := range members {
		o, err := t.newMember(c, group, ref)
		if err != nil {
			return nil, err
		}
		if slices.Contains(list, o) {
			return nil, alreadyMember()
		}
		list = append(list, o)
	}
	return list, nil
}

func bindings(body map[string]any, name string) ([]any, *apiError) {
	value, ok := body[name]
	if !ok {
		return nil, nil
	}
	list, ok := value.([]any)
	if !ok {
		return nil, malformed("The value of '%s' must be an array.", name)
	}
	return list, nil
}

func alreadyMember() *apiError {
	return badRequest("One or more added object references already exist for the following modified properties: " +
		"'members'.")
}

// newMember returns the object of a reference that may join a group.
func (t *Tenant) newMember(c *call, group *object, ref any) (*object, *apiError) {
	o, err := t.referenced(ref, c.now)
	if err != nil {
		return nil, err
	}
	if group == nil {
		return o, nil
	}
	switch {
	case o == group:
		return nil, badRequest("Group cannot be added as a member of itself.")
	case o.kind == groupKind && isUnified(group.now.props):
		return nil, badRequest("The group cannot be added as a member of a Microsoft 365 group.")
	case group.members.current[o] != nil:
		return nil, alreadyMember()
	}
	return o, nil
}

// addMember is POST members/$ref.
func (t *Tenant) addMember(c *call) (*answer, *apiError) {
	group, err := t.memberedGroup(c)
	if err != nil {
		return nil, err
	}
	ref, ok := c.body["@odata.id"]
	if !ok {
		return nil, badRequest("A value is required for property '@odata.id'.")
	}
	o, err := t.newMember(c, group, ref)
	if err != nil {
		return nil, err
	}
	t.join(group, o, c.now)
	return noContent(), nil
}

// memberedGroup returns the group of a call that changes members. A group that is too new for it is refused as
// unsettled.
func (t *Tenant) memberedGroup(c *call) (*object, *apiError) {
	if t.unsettledGroup(c) {
		return nil, unsettled()
	}
	group, err := t.writableGroup(c)
	if err != nil {
		return nil, err
	}
	return group, takesMembers(group)
}

// unsettledGroup reports whether a call names a group that replicas do not have yet.
func (t *Tenant) unsettledGroup(c *call) bool {
	k := c.vars["group"]
	o := t.byID[strings.ToLower(k.value)]
	if k.name == byUnique {
		o = t.unique.find(byUnique, k.value)
	}
	return o != nil && o.kind == groupKind && !o.deleted() && !t.settled(o, c.now)
}

// removeMember is DELETE members/{id}/$ref.
func (t *Tenant) removeMember(c *call) (*answer, *apiError) {
	group, o, err := t.membershipOf(c)
	if err != nil {
		return nil, err
	}
	t.leave(group, o, c.now)
	return noContent(), nil
}

func (t *Tenant) membershipOf(c *call) (group, member *object, _ *apiError) {
	group, err := t.memberedGroup(c)
	if err != nil {
		return nil, nil, err
	}
	id := c.vars["member"].value
	member = t.byID[id]
	if member == nil || group.members.current[member] == nil {
		return nil, nil, notFound(id)
	}
	return group, member, nil
}

// destroyMember is DELETE members/{id}. As documented, without /$ref it deletes the object itself if the app has the
// permission, and is forbidden otherwise.
func (t *Tenant) destroyMember(c *call) (*answer, *apiError) {
	_, o, err := t.membershipOf(c)
	if err != nil {
		return nil, err
	}
	allowed := writeUsers
	if o.kind == groupKind {
		allowed = writeGroups
	}
	if !c.granted(allowed...) || o.isAdmin() && !t.cfg.App.Administrator {
		return nil, denied()
	}
	if flagOf(o.now.props, "onPremisesSyncEnabled") {
		return nil, mastered()
	}
	t.remove(o, c.now)
	return noContent(), nil
}
