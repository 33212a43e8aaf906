package graph

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// memberList has the members of a group, in the order of joining.
type memberList struct {
	list    []*membership // also members that left a moment ago and may still be shown
	current map[*object]*membership
}

type membership struct {
	member      *object
	ord         uint64
	since, left time.Time
}

// present returns the current memberships in the order of joining.
func (l *memberList) present() []*membership {
	list := make([]*membership, 0, len(l.current))
	for _, m := range l.list {
		if m.left.IsZero() {
			list = append(list, m)
		}
	}
	return list
}

// members returns the memberships after an ordinal that a read shows.
func (t *Tenant) members(group *object, after uint64, now time.Time) []*membership {
	lag := t.lag.Read
	list := group.members.list
	i, _ := slices.BinarySearchFunc(list, after+1, func(m *membership, ord uint64) int { return cmp.Compare(m.ord, ord) })
	var shown []*membership
	for _, m := range list[i:] {
		if !now.Before(m.since.Add(lag)) && (m.left.IsZero() || now.Before(m.left.Add(lag))) {
			shown = append(shown, m)
		}
	}
	return shown
}

// join makes an object a member.
func (t *Tenant) join(group, member *object, now time.Time) {
	t.forgetLeavers(group, now)
	l := &group.members
	m := &membership{member: member, ord: t.nextOrdinal(), since: now}
	l.list = append(l.list, m)
	if l.current == nil {
		l.current = map[*object]*membership{}
	}
	l.current[member] = m
	member.enters(group)
	t.record(group, change{at: now, what: joined, member: member})
}

// leave ends an existing membership.
func (t *Tenant) leave(group, member *object, now time.Time) {
	l := &group.members
	m := l.current[member]
	m.left = now
	delete(l.current, member)
	delete(member.memberOf, group)
	if t.lag.Read == 0 {
		i, _ := slices.BinarySearchFunc(l.list, m.ord, func(m *membership, ord uint64) int { return cmp.Compare(m.ord, ord) })
		l.list = slices.Delete(l.list, i, i+1)
	}
	t.forgetLeavers(group, now)
	t.record(group, change{at: now, what: left, member: member})
}

// forgetLeavers drops the memberships that no read shows any longer.
func (t *Tenant) forgetLeavers(group *object, now time.Time) {
	l := &group.members
	if len(l.list) == len(l.current) {
		return
	}
	l.list = slices.DeleteFunc(l.list,
		func(m *membership) bool { return !m.left.IsZero() && !now.Before(m.left.Add(t.lag.Read)) })
}

func (o *object) enters(group *object) {
	if o.memberOf == nil {
		o.memberOf = map[*object]bool{}
	}
	o.memberOf[group] = true
}

// groupsInOrder returns the groups and roles of an object, with the oldest first.
func (o *object) groupsInOrder() []*object {
	return slices.SortedFunc(maps.Keys(o.memberOf), func(a, b *object) int { return cmp.Compare(a.ord, b.ord) })
}

// isAdmin reports whether an object has a directory role.
func (o *object) isAdmin() bool {
	for g := range o.memberOf {
		if g.kind == roleKind {
			return true
		}
	}
	return false
}

// referenced returns the object that an @odata.id or an entry of @odata.bind names.
func (t *Tenant) referenced(value any, now time.Time) (*object, *apiError) {
	ref, ok := value.(string)
	if !ok {
		return nil, wrongType("Edm.String")
	}
	id := ref[strings.LastIndex(ref, "/")+1:]
	set := strings.TrimSuffix(ref, "/"+id)
	set = set[strings.LastIndex(set, "/")+1:]
	if !strings.HasPrefix(ref, "https://") || !isUUID(id) ||
		!slices.Contains([]string{"directoryObjects", "users", "groups"}, set) {
		return nil, badRequest("Invalid entity reference '%s'. A reference has the form "+
			"'https://graph.microsoft.com/v1.0/directoryObjects/{id}'.", ref)
	}
	o := t.byID[strings.ToLower(id)]
	if o == nil || o.deleted() || o.kind == roleKind || set != "directoryObjects" && set != o.kind.set {
		return nil, notFound(id)
	}
	if !t.settled(o, now) {
		return nil, unsettled()
	}
	return o, nil
}
