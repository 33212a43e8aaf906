package scim

import (
	"context"
	"net/http"
	"slices"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// changeMembers adds members to one group, or removes them from it.
func (p *Provider) changeMembers(ctx context.Context, changes []plan.Change, results []provider.Result) {
	for i := range results {
		results[i].RemoteID = changes[i].RemoteID
	}
	var at []int
	for i := range changes {
		if c := &changes[i]; c.RemoteID == "" || c.MemberRemoteID == "" {
			results[i].Err = fault.Errorf(fault.NotFound,
				"%s of %s: the group or the member has no remote object", c.Op, c.Ref)
			continue
		}
		at = append(at, i)
	}
	if len(at) == 0 {
		return
	}
	m := &membership{p: p, changes: changes, results: results, c: &changes[0]}
	if err := m.prepare(ctx); err != nil {
		m.end(at, err)
		return
	}
	if m.nothing {
		return
	}
	for some := range slices.Chunk(at, max(1, p.cfg.MemberChunk)) {
		m.send(ctx, some)
	}
}

// membership is a change of one group's members in progress.
type membership struct {
	p       *Provider
	s       *server
	c       *plan.Change
	changes []plan.Change
	results []provider.Result
	// nothing is set where the group of a removal does not exist.
	nothing bool
}

// prepare reads the group before something is taken away from it.
func (m *membership) prepare(ctx context.Context) (err error) {
	if m.s, err = m.p.known(ctx); err != nil {
		return err
	}
	if err := m.s.needGroups(); err != nil {
		return err
	}
	if m.c.Op == plan.AddMember {
		return nil
	}
	r, found, err := m.p.get(ctx, directory.Group, m.c.RemoteID, m.p.withoutMembers(directory.Group))
	if err != nil || !found {
		m.nothing = !found
		return err
	}
	want := []directory.ID{m.c.ID}
	if m.c.From != "" { // The group is re-anchored later in the same plan.
		want = append(want, m.c.From)
	}
	return carries(m.c, r, want...)
}

func (m *membership) end(at []int, err error) {
	for _, i := range at {
		m.results[i].Err = err
	}
}

// send changes some members. The server takes all of them or none. If it refuses, the halves are sent alone, until the
// member that it refuses is alone.
func (m *membership) send(ctx context.Context, at []int) {
	ids := make([]string, 0, len(at))
	for _, i := range at {
		ids = append(ids, m.changes[i].MemberRemoteID)
	}
	err := m.p.settling(m.c, m.write(ctx, ids))
	switch {
	case err == nil:
		m.confirm(ctx, at)
	case len(at) > 1 && m.divisible(err):
		m.send(ctx, at[:len(at)/2])
		m.send(ctx, at[len(at)/2:])
	case m.c.Op == plan.RemoveMember && m.absent(ctx, err, ids):
	case m.c.Op == plan.AddMember && len(at) == 1:
		m.end(at, m.stale(ctx, err, ids[0]))
	case status(err) == http.StatusBadRequest && m.p.patchesMembers(m.s) && m.p.cfg.MemberRemoval == removePath:
		m.end(at, fault.Errorf(fault.KindOf(err), "%w (if the server takes no filter in a path, set member_removal: "+
			"value after a try with a group for tests)", err))
	default:
		m.end(at, err)
	}
}

// divisible reports whether the refusal of several members may concern only some of them.
func (m *membership) divisible(err error) bool {
	a := refused(err)
	return a != nil && slices.Contains([]int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound,
		http.StatusConflict, http.StatusRequestEntityTooLarge}, a.Status)
}

// absent reports whether a refused removal found nothing to remove.
func (m *membership) absent(ctx context.Context, err error, ids []string) bool {
	a := refused(err)
	if a == nil || a.Status != http.StatusNotFound && a.Code != "noTarget" || len(ids) != 1 {
		return false
	}
	members, found, err := m.p.members(ctx, m.s, m.c.RemoteID)
	return err == nil && (!found || !slices.Contains(members, ids[0]))
}

// stale returns NotFound where a member that the server refuses does not exist.
func (m *membership) stale(ctx context.Context, err error, id string) error {
	if a := refused(err); a == nil || a.Status != http.StatusBadRequest || m.changes[0].Member == nil {
		return err
	}
	kind := directory.User
	for i := range m.changes {
		if m.changes[i].MemberRemoteID == id {
			kind = m.changes[i].Member.Kind
		}
	}
	if _, found, getErr := m.p.get(ctx, kind, id, m.p.withoutMembers(kind)); getErr == nil && !found {
		return fault.Errorf(fault.NotFound, "%s %s, which is to be a member, does not exist: %w", kind, id, err)
	}
	return err
}

// write sends one request with members. Some servers add a member that is there a second time. After an addition
// without an answer the members are therefore read, and only those that are missing are sent.
func (m *membership) write(ctx context.Context, ids []string) error {
	if !m.p.patchesMembers(m.s) {
		return m.put(ctx, ids)
	}
	req := &request{op: "groups.patch", method: http.MethodPatch, path: m.p.path(directory.Group, m.c.RemoteID)}
	err := m.p.caller(ctx, req, func(ctx context.Context) error {
		left, err := m.missing(ctx, ids)
		if err != nil || len(left) == 0 {
			return err
		}
		req.body = map[string]any{"schemas": []string{patchMessage}, "Operations": m.operations(left)}
		err = m.p.once(ctx, req, nil)
		if kind := fault.KindOf(err); err != nil && (kind == fault.Unavailable || kind == fault.Canceled) {
			m.mark(left)
		}
		return err
	})
	if status(err) == http.StatusRequestEntityTooLarge && len(ids) == 1 {
		return fault.Errorf(fault.Refused, "a request with one member and %d bytes is too large: %w", size(req.body),
			err)
	}
	return err
}

func (m *membership) operations(ids []string) (ops []any) {
	switch {
	case m.c.Op == plan.AddMember:
		ops = append(ops, map[string]any{"op": "add", "path": "members", "value": references(ids)})
	case m.p.cfg.MemberRemoval == removeValue:
		ops = append(ops, map[string]any{"op": "remove", "path": "members", "value": references(ids)})
	default:
		for _, id := range ids {
			ops = append(ops, map[string]any{"op": "remove", "path": "members[" + equals("value", id) + "]"})
		}
	}
	return ops
}

// joining is an addition that got no answer.
type joining struct{ group, member string }

// mark remembers additions that got no answer.
func (m *membership) mark(ids []string) {
	for _, id := range ids {
		if m.c.Op == plan.AddMember {
			m.p.uncertain.Store(joining{m.c.RemoteID, id}, true)
		}
	}
}

// missing returns the members without those that an addition without an answer has added.
func (m *membership) missing(ctx context.Context, ids []string) ([]string, error) {
	lost := func(id string) bool { _, lost := m.p.uncertain.Load(joining{m.c.RemoteID, id}); return lost }
	if !slices.ContainsFunc(ids, lost) {
		return ids, nil
	}
	members, _, err := m.p.members(ctx, m.s, m.c.RemoteID)
	if err != nil && !remote.OfOneObject(err) {
		return nil, err
	}
	for _, id := range ids {
		m.p.uncertain.Delete(joining{m.c.RemoteID, id})
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool {
		_, there := slices.BinarySearch(members, id)
		return there
	}), nil
}

// put replaces the group with one that has other members. The version guards against a change in between.
func (m *membership) put(ctx context.Context, ids []string) (err error) {
	for range attempts {
		var current resource
		if current, err = m.p.current(ctx, m.c, ""); err != nil {
			return err
		}
		whole, err := m.p.whole(directory.Group, current, nil, false)
		if err != nil {
			return err
		}
		members := m.next(current, ids)
		whole[key(whole, "members")] = members
		req := &request{op: "groups.put", method: http.MethodPut, path: m.p.path(directory.Group, m.c.RemoteID),
			body: whole, version: current.version()}
		if len(members) == 0 {
			delete(whole, key(whole, "members")) // Some servers refuse an empty list.
		}
		if m.s.etag {
			req.ifMatch = req.version
		}
		if err = m.p.call(ctx, req, nil); status(err) != http.StatusPreconditionFailed {
			return err
		}
	}
	return err
}

// next returns the members of a group after the change. The elements of those that stay are as the server showed them.
func (m *membership) next(current resource, ids []string) []any {
	list, _ := current[key(current, "members")].([]any)
	had, _ := current.members()
	if m.c.Op == plan.AddMember {
		missing := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return slices.Contains(had, id) })
		return append(slices.Clone(list), references(missing)...)
	}
	return slices.DeleteFunc(slices.Clone(list), func(el any) bool {
		return slices.Contains(ids, referred(el))
	})
}

// confirm reads the members of a sample of the groups again. Some servers answer with success and drop members.
func (m *membership) confirm(ctx context.Context, at []int) {
	verb := "does not show"
	if m.c.Op == plan.AddMember {
		m.p.sample.join(m.c.RemoteID)
	} else {
		verb = "still shows"
	}
	if !m.p.sample.due(m.c.Op.String()) {
		return
	}
	members, found, err := m.p.members(ctx, m.s, m.c.RemoteID)
	if err != nil && !remote.OfOneObject(err) {
		m.end(at, err)
	}
	if err != nil || !found {
		return
	}
	for _, i := range at {
		id := m.changes[i].MemberRemoteID
		if slices.Contains(members, id) != (m.c.Op == plan.AddMember) {
			m.results[i].Err = fault.Errorf(fault.Refused,
				"the server answered that it changed the members of group %s, and %s %s", m.c.RemoteID, verb, id)
		}
	}
}
