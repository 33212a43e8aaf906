package graph

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"time"
)

const never = math.MaxInt64

// remove moves an object to deleted items. A user leaves its groups. The id is prepended to its principal name, so
// that the name is free.
func (t *Tenant) remove(o *object, now time.Time) {
	fields := map[string]any{"deletedDateTime": now.UTC().Truncate(time.Second)}
	if o.kind == userKind {
		fields[byUPN] = plainID(o) + textOf(o.now.props, byUPN)
	}
	t.unique.release(o, o.now.props, false)
	o.former = nil
	for _, g := range o.groupsInOrder() {
		if g.kind == groupKind {
			o.former = append(o.former, g)
		}
		t.leave(g, o, now)
	}
	for _, m := range o.members.present() {
		delete(m.member.memberOf, o)
	}
	o.set(state{from: now, props: o.patched(fields), deleted: true}, t.lag.Read, now)
	t.record(o, change{at: now, what: removed})
	t.graves = append(t.graves, o)
	t.scheduleNext()
	if o.kind == groupKind && t.cfg.HardDeleteGroups && !isUnified(o.now.props) {
		t.purgeItem(o, now)
	}
}

func plainID(o *object) string { return strings.ReplaceAll(o.id, "-", "") }

// purgeItem deletes a deleted item permanently.
func (t *Tenant) purgeItem(o *object, now time.Time) {
	t.unique.release(o, o.now.props, true)
	delete(t.byID, o.id)
	t.collection(o.kind).drop(o)
	t.graves = slices.DeleteFunc(t.graves, func(g *object) bool { return g == o })
	t.scheduleNext()
	t.record(o, change{at: now, what: gone})
}

func (t *Tenant) scheduleNext() {
	next := int64(never)
	if len(t.graves) > 0 {
		next = t.graves[0].now.from.Add(t.cfg.Retention).UnixNano()
	}
	t.nextGone.Store(next)
}

// purge permanently deletes items after their retention.
func (t *Tenant) purge(now time.Time) {
	if now.UnixNano() < t.nextGone.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.graves) > 0 && !now.Before(t.graves[0].now.from.Add(t.cfg.Retention)) {
		t.purgeItem(t.graves[0], now)
	}
}

// deletedItem returns the deleted item that a call names, if the app may change its kind.
func (t *Tenant) deletedItem(c *call, users, groups []string) (*object, *apiError) {
	id := c.vars["item"].value
	o := t.byID[strings.ToLower(id)]
	if o == nil || !o.deleted() {
		return nil, notFound(id)
	}
	if o.kind == userKind && !c.granted(users...) || o.kind == groupKind && !c.granted(groups...) {
		return nil, denied()
	}
	return o, nil
}

func (t *Tenant) getDeleted(c *call) (*answer, *apiError) {
	o, err := t.deletedItem(c, readUsers, readMembers)
	if err != nil {
		return nil, err
	}
	s, err := selection(c, directoryObjects)
	if err != nil {
		return nil, err
	}
	return newAnswer(http.StatusOK, renderEntity(c, o.kind, "directoryObjects", o.now.props, s, true)), nil
}

func (t *Tenant) deletePermanently(c *call) (*answer, *apiError) {
	o, err := t.deletedItem(c, []string{"User.DeleteRestore.All", "User.ReadWrite.All", "Directory.ReadWrite.All"},
		writeGroups)
	if err != nil {
		return nil, err
	}
	t.purgeItem(o, c.now)
	return noContent(), nil
}

// restore restores a deleted item under its id. A user also returns to the groups that still exist.
func (t *Tenant) restore(c *call) (*answer, *apiError) {
	o, err := t.deletedItem(c, append([]string{"User.DeleteRestore.All"}, writeUsers...), writeGroups)
	if err != nil {
		return nil, err
	}
	props, err := t.restoredProps(c, o)
	if err != nil {
		return nil, err
	}
	t.unique.release(o, o.now.props, true)
	o.set(state{from: c.now, props: props}, t.lag.Read, c.now)
	t.unique.claim(o, props)
	t.graves = slices.DeleteFunc(t.graves, func(g *object) bool { return g == o })
	t.scheduleNext()
	t.record(o, change{at: c.now, what: restored})
	for _, m := range o.members.present() {
		if m.member.deleted() {
			t.leave(o, m.member, c.now)
			continue
		}
		m.member.enters(o)
	}
	for _, g := range o.former {
		if t.byID[g.id] == g && !g.deleted() {
			t.join(g, o, c.now)
		}
	}
	o.former = nil
	return newAnswer(http.StatusOK, renderEntity(c, o.kind, "directoryObjects", props, nil, true)), nil
}

// restoredProps returns the properties of an object after its restoration, or the conflict with an object that has
// taken one of its values meanwhile.
func (t *Tenant) restoredProps(c *call, o *object) (map[string]any, *apiError) {
	props := o.patched(map[string]any{"deletedDateTime": nil})
	if o.kind == userKind {
		props[byUPN] = strings.TrimPrefix(textOf(props, byUPN), plainID(o))
		if name, _ := c.body["newUserPrincipalName"].(string); name != "" {
			if err := t.checkUPN(name); err != nil {
				return nil, err
			}
			props[byUPN] = name
		}
	}
	if reconcile, _ := c.body["autoReconcileProxyConflict"].(bool); reconcile {
		proxies, _ := props[byProxy].([]string)
		props[byProxy] = slices.DeleteFunc(slices.Clone(proxies), func(address string) bool {
			holder := t.unique.find(byProxy, address)
			return holder != nil && holder != o
		})
	}
	if name := t.unique.taken(o, o.kind, props); name != "" {
		return nil, conflict(name)
	}
	return props, nil
}
