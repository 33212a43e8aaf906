package scim

import (
	"net/http"
	"strings"
)

// patchMembers applies an operation on the members of a group.
func (e *edit) patchMembers(o operation) *apiError {
	b := e.t.cfg.Behaviours
	if o.op == "remove" {
		return e.removeMembers(o)
	}
	if o.path.filter != nil || o.path.sub != "" {
		return invalid("mutability", "A member cannot be changed.")
	}
	if o.op == "replace" {
		if b.NoMemberReplace {
			return invalid("", "The members of a group cannot be replaced.")
		}
		e.clearMembers()
	}
	return e.addMembers(o.value)
}

func (e *edit) clearMembers() {
	e.replaced, e.join, e.leave = true, nil, nil
	clear(e.joins)
	clear(e.removes)
}

// addMembers adds a list of members, or one member.
func (e *edit) addMembers(value any) *apiError {
	if _, list := value.([]any); !list {
		value = []any{value}
	}
	v, err := e.t.value(value, find(groupAttributes, "members"), "")
	if err != nil {
		return err
	}
	list, _ := v.([]any)
	for _, el := range list {
		m, _ := el.(map[string]any)
		id, _ := m["value"].(string)
		switch {
		case id == "":
			return invalid("invalidValue", "A member has no value.")
		case e.t.byID[id] == nil && e.t.cfg.Behaviours.DropUnknown:
			continue
		case e.t.byID[id] == nil:
			return invalid("invalidValue", "The member %s does not exist.", id)
		}
		e.addMember(id)
	}
	return nil
}

func (e *edit) addMember(id string) {
	if e.removes[id] {
		delete(e.removes, id)
	}
	if !e.joins[id] {
		e.joins[id] = true
		e.join = append(e.join, id)
	}
}

func (e *edit) dropMember(id string) {
	delete(e.joins, id)
	if !e.removes[id] {
		e.removes[id] = true
		e.leave = append(e.leave, id)
	}
}

func (e *edit) removeMembers(o operation) *apiError {
	b := e.t.cfg.Behaviours
	list, valued := o.value.([]any)
	switch {
	case o.path.filter != nil && b.RemoveByValue:
		return invalid("invalidPath", "Filters in paths are not supported.")
	case o.path.filter != nil:
		if id, ok := o.path.filter.equals("value"); ok {
			e.dropMember(id)
			return nil
		}
		def := find(groupAttributes, "members")
		for id, m := range e.r.members {
			if o.path.filter.matches(map[string]any{"value": id, "type": m.kind}, def.sub, nil) {
				e.dropMember(id)
			}
		}
		return nil
	case valued && !b.RemoveEmpties:
		for _, el := range list {
			m, _ := el.(map[string]any)
			id, _ := m["value"].(string)
			e.dropMember(id)
		}
		return nil
	case b.NoMemberReplace:
		return invalid("", "Removing all members is not supported.")
	}
	e.clearMembers()
	return nil
}

// changes returns how many members the edit adds and removes.
func (e *edit) changes() int {
	n := 0
	for id := range e.joins {
		if _, is := e.r.members[id]; !is || e.replaced {
			n++
		}
	}
	return n + len(e.removes)
}

// commit stores the edit and reports whether it changed something.
func (e *edit) commit(equal func(a, b map[string]any) bool) (changed bool) {
	if !equal(e.r.attrs, e.attrs) {
		e.t.set(e.r, e.attrs)
		changed = true
	}
	attributes := changed
	if e.replaced {
		for _, id := range e.r.memberIDs() {
			if !e.joins[id] {
				changed = e.t.leave(e.r, id) || changed
			}
		}
	}
	for _, id := range e.leave {
		if e.removes[id] {
			changed = e.t.leave(e.r, id) || changed
		}
	}
	for _, id := range e.join {
		if _, is := e.r.members[id]; e.joins[id] && !(is && e.replaced) {
			changed = e.t.join(e.r, id) || changed
		}
	}
	if changed {
		e.t.touch(e.r, attributes)
	}
	return changed
}

// checkPatch refuses a PATCH that the tenant does not take.
func (t *Tenant) checkPatch(r *record, ops []operation) *apiError {
	b := t.cfg.Behaviours
	if r.kind != t.users {
		return nil
	}
	for _, o := range ops {
		switch {
		case b.ObjectPatch && o.path != nil:
			return invalid("invalidPath", "Paths are not supported.")
		case !b.ActivePatch:
		case o.path == nil:
			m, _ := o.value.(map[string]any)
			for name := range m {
				if !strings.EqualFold(name, "active") {
					return invalid("", "Only active can be changed.")
				}
			}
		case !strings.EqualFold(o.path.attr, "active"):
			return invalid("", "Only active can be changed.")
		}
	}
	return nil
}

// tooManyMembers refuses an edit with more changes of members than the tenant takes.
func (e *edit) tooManyMembers() *apiError {
	if most := e.t.cfg.Behaviours.MemberChanges; most > 0 && e.changes() > most {
		return refusal(http.StatusBadRequest, "", "At most %d membership changes are allowed in a request.", most)
	}
	return nil
}
