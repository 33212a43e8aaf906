package entra

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// Read implements provider.Provider.
//
// Without lookups it continues the delta queries of users and groups. It then looks up the objects that are in the
// ledger and not in the picture. An unchanged tenant costs two requests.
func (p *Provider) Read(ctx context.Context, q provider.Query) (plan.State, error) {
	p.deleted.forget()
	p.returning.load(ctx, p)
	for _, link := range q.Known {
		if remote.Unsettled(link, &q) { // Another process may have created it.
			p.recent.Add(link.RemoteID)
		}
	}
	if len(q.Lookups) > 0 {
		p.marks.add(q.Known)
		if q.ByID {
			return p.readByID(ctx, q)
		}
		return p.lookUp(ctx, q)
	}
	p.marks.replace(q.Known)
	r := reading{p: p, q: &q, users: map[string]*user{}, groups: map[string]*group{}}
	r.state.EndsSessions = p.endsSessions(ctx)
	g, both := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		r.state.Domains, r.administrators, err = p.factsOf(both)
		return err
	})
	g.Go(func() (err error) {
		r.picture, err = p.refresh(both)
		return err
	})
	if err := g.Wait(); err != nil {
		return plan.State{}, err
	}
	if err := r.findKnown(ctx); err != nil {
		return plan.State{}, err
	}
	r.describe()
	p.returning.end(ctx, p, r.back...)
	if p.opts.Cache != nil {
		p.keepLong(ctx, r.picture)
		p.seen.put(r.picture)
	}
	return r.state, nil
}

// reading is one full read in progress.
type reading struct {
	p              *Provider
	q              *provider.Query
	picture        *picture
	administrators map[string]bool
	// users and groups were looked up. They stay out of the picture, because delta would not remove them again.
	users  map[string]*user
	groups map[string]*group
	// back are restored accounts that are active now.
	back  []string
	state plan.State
}

// describe puts everything into the state.
func (r *reading) describe() {
	r.state.Objects = slices.Grow(r.state.Objects, len(r.picture.users.objects)+len(r.picture.groups.objects))
	users, groups := r.picture.users.objects, r.picture.groups.objects
	if len(r.users) > 0 {
		users = maps.Clone(users)
		maps.Copy(users, r.users)
	}
	if len(r.groups) > 0 {
		groups = maps.Clone(groups)
		maps.Copy(groups, r.groups)
	}
	r.learnNames(users)
	for _, u := range users {
		r.state.Objects = append(r.state.Objects, r.p.describeUser(u, r.q, r.administrators))
		if !u.Disabled && r.p.returning.has(u.ID) {
			r.back = append(r.back, u.ID)
		}
	}
	for _, g := range groups {
		r.state.Objects = append(r.state.Objects, r.p.describeGroup(g, r.q))
	}
	slices.SortFunc(r.state.Objects, func(a, b plan.Object) int {
		return cmp.Or(a.Ref.Compare(b.Ref), cmp.Compare(a.RemoteID, b.RemoteID))
	})
}

// findKnown looks up the objects that are in the ledger and that the picture does not show, or shows without our
// anchor. Delta lags behind writes.
func (r *reading) findKnown(ctx context.Context) error {
	anchored := r.anchored()
	var missing []directory.Ref
	for ref, link := range r.q.Known {
		if isObjectID(link.RemoteID) && !anchored[ref] {
			missing = append(missing, ref)
		}
	}
	slices.SortFunc(missing, directory.Ref.Compare)
	items := make([]*item, 0, len(missing))
	for _, ref := range missing {
		items = append(items, r.p.getByID(ref.Kind, r.q.Known[ref].RemoteID))
	}
	r.p.send(ctx, items...)
	for i, ref := range missing {
		switch it := items[i]; {
		case notFound(it.err):
			if remote.Unsettled(r.q.Known[ref], r.q) {
				r.state.Unsettled = append(r.state.Unsettled, ref)
			}
		case it.err != nil && ofOne(it.err):
			r.state.Objects = append(r.state.Objects, remote.StandIn(ref, r.q.Known[ref].RemoteID, it.err))
		case it.err != nil:
			return it.err
		default:
			r.found(ref.Kind, it.answer.body)
		}
	}
	return r.listGroups(ctx)
}

// anchored returns the entries of the anchors in the picture.
func (r *reading) anchored() map[directory.Ref]bool {
	out := make(map[directory.Ref]bool, len(r.q.Known))
	for _, u := range r.picture.users.objects {
		if id, ours := decodeAnchor(u.Anchor); ours {
			out[directory.Ref{Kind: directory.User, ID: id}] = true
		}
	}
	for _, g := range r.picture.groups.objects {
		if id := r.p.entryOf(g); id != "" {
			out[directory.Ref{Kind: directory.Group, ID: id}] = true
		}
	}
	return out
}

// found stores an object that was looked up.
func (r *reading) found(kind directory.Kind, body json.RawMessage) {
	if kind == directory.User {
		if u, ok := r.p.readUser(body); ok {
			r.users[u.ID] = u
		}
	} else if g, ok := r.p.readGroup(body); ok {
		r.groups[g.ID] = g
	}
}

// listGroups reads the members of the groups of ours that were looked up.
func (r *reading) listGroups(ctx context.Context) error {
	var ids []string
	for id, g := range r.groups {
		if groupID(g.Name) != "" {
			ids = append(ids, id)
		}
	}
	return r.p.fill(ctx, r.groups, ids)
}

// readByID reads users by the remote ids that the ledger has.
func (p *Provider) readByID(ctx context.Context, q provider.Query) (plan.State, error) {
	administrators, err := p.administrators(ctx, p.known(ctx))
	if err != nil {
		return plan.State{}, err
	}
	var ids []string
	for i := range q.Lookups {
		ids = append(ids, q.Lookups[i].RemoteID)
	}
	users, refused, err := p.getUsers(ctx, ids)
	if err != nil {
		return plan.State{}, err
	}
	state := plan.State{EndsSessions: p.endsSessions(ctx)}
	for i, id := range ids {
		if u := users[id]; u != nil {
			state.Objects = append(state.Objects, p.describeUser(u, &q, administrators))
		} else if refused[id] != nil {
			state.Objects = append(state.Objects, remote.StandIn(q.Lookups[i].Ref, id, refused[id]))
		}
	}
	return state, nil
}

// getUsers reads users one by one, without a list. refused has the errors of users that Graph does not show. A user
// that does not exist is in neither map.
func (p *Provider) getUsers(ctx context.Context, ids []string) (users map[string]*user, refused map[string]error,
	err error) {
	users, refused = map[string]*user{}, map[string]error{}
	items := make([]*item, 0, len(ids))
	for _, id := range ids {
		items = append(items, p.getByID(directory.User, id))
	}
	p.send(ctx, items...)
	if err := p.learnManagers(ctx, items...); err != nil {
		return nil, nil, err
	}
	for i, it := range items {
		switch {
		case notFound(it.err):
		case it.err != nil && ofOne(it.err):
			refused[ids[i]] = it.err
		case it.err != nil:
			return nil, nil, it.err
		default:
			if u, ok := p.readUser(it.answer.body); ok {
				users[ids[i]] = u
			}
		}
	}
	return users, refused, nil
}

// getByID returns the request for one object.
func (p *Provider) getByID(kind directory.Kind, id string) *item {
	if kind == directory.User {
		return get("users.get", "/users/"+id+"?"+withManager(p.userFields))
	}
	return get("groups.get", "/groups/"+id+"?"+groupSelection(p.groupFields))
}

// listUnlisted reads the members of the groups with unknown members.
func (p *Provider) listUnlisted(ctx context.Context, s *picture) error {
	var ids []string
	for id, g := range s.groups.objects {
		if g.Unlisted {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	s.groups.changed = true
	return p.fill(ctx, s.groups.objects, ids)
}

// listMembers returns the direct members of groups, sorted, and the errors of groups that cannot be read.
func (p *Provider) listMembers(ctx context.Context, groups []string) (map[string][]string, map[string]error, error) {
	items := make([]*item, 0, len(groups))
	for _, id := range groups {
		items = append(items, get("members.list", "/groups/"+id+"/members?$select=id&$top=999"))
	}
	members := make([][]string, len(groups))
	err := p.list(ctx, items, func(i int, r raw) {
		id := ""
		if take(r, "id", &id); id != "" {
			members[i] = append(members[i], id)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	listed, failed := make(map[string][]string, len(groups)), map[string]error{}
	for i, id := range groups {
		if failed[id] = items[i].err; items[i].err == nil {
			delete(failed, id)
			slices.Sort(members[i])
			listed[id] = slices.Compact(members[i])
		}
	}
	return listed, failed, nil
}

// fill gives groups their members. A group with unreadable members is neither empty nor absent, and is not changed.
func (p *Provider) fill(ctx context.Context, groups map[string]*group, ids []string) error {
	slices.Sort(ids)
	members, failed, err := p.listMembers(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		g := groups[id]
		g.Members, g.Unlisted, g.unreadable = members[id], failed[id] != nil, ""
		switch err := failed[id]; {
		case err == nil:
		case notFound(err):
			g.unreadable = "the members of group " + id + " are not found; it is new, or was deleted moments ago"
		default:
			g.unreadable = "the members of group " + id + " cannot be read: " + err.Error()
		}
	}
	return nil
}
