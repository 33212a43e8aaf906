package entra

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// lookUp reads single entries by remote id, by anchor and, for users, by address, in one batch.
//
// For a user it also reads the groups of ours that have the user as a direct member, whether or not the lookup names
// them. They are in the state with the user as their only member. The other groups of the lookup have their ids and
// no members. A plan limited to the user (Input.Only) compares nothing else.
func (p *Provider) lookUp(ctx context.Context, q provider.Query) (plan.State, error) {
	domains, administrators, err := p.factsOf(ctx)
	if err != nil {
		return plan.State{}, err
	}
	l := &looking{p: p, q: &q, administrators: administrators}
	l.state.Domains, l.state.EndsSessions = domains, p.endsSessions(ctx)
	for _, lookup := range q.Lookups {
		if lookup.Kind == directory.User {
			err = l.user(ctx, lookup)
		} else {
			err = l.group(ctx, lookup)
		}
		if err != nil {
			return plan.State{}, err
		}
	}
	return l.state.State, nil
}

// looking is one read of single entries in progress.
type looking struct {
	p              *Provider
	q              *provider.Query
	administrators map[string]bool
	state          remote.State
}

func (l *looking) addUser(u *user) { l.state.Add(l.p.describeUser(u, l.q, l.administrators)) }

// user finds a user, the object that has its address, and its memberships.
func (l *looking) user(ctx context.Context, lookup provider.Lookup) error {
	byAnchor := get("users.list",
		"/users?"+filter("onPremisesImmutableId eq "+quoted(encodeAnchor(lookup.ID)))+"&"+withManager(l.p.userFields))
	items := []*item{byAnchor}
	var byID, byAddress, groups *item
	if isObjectID(lookup.RemoteID) {
		byID, groups = l.p.getByID(directory.User, lookup.RemoteID), memberships(lookup.RemoteID)
		items = append(items, byID, groups)
	}
	if strings.Contains(lookup.Address, "@") {
		byAddress = get("users.get", "/users/"+url.PathEscape(lookup.Address)+"?"+withManager(l.p.userFields))
		items = append(items, byAddress)
	}
	l.p.send(ctx, items...)
	if err := l.p.learnManagers(ctx, byID, byAnchor, byAddress); err != nil {
		return err
	}
	err := l.single(byID, func(err error) plan.Object { return remote.StandIn(lookup.Ref, lookup.RemoteID, err) })
	if err != nil {
		return err
	}
	found, err := collect(ctx, l.p, []*item{byAnchor}, l.p.userOf, func(u *user) string { return u.ID })
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		l.addUser(found[id])
	}
	err = l.single(byAddress,
		func(err error) plan.Object { // The account with the address is unreadable.
			o := remote.StandIn(directory.Ref{Kind: directory.User}, lookup.Address, err)
			o.Address = strings.ToLower(lookup.Address)
			return o
		})
	if err != nil {
		return err
	}
	mine := l.carrying(lookup.Ref)
	if len(mine) == 0 {
		l.state.Absent(lookup.Ref, l.q)
	}
	if len(mine) == 1 && mine[0] != lookup.RemoteID {
		groups = memberships(mine[0])
		l.p.send(ctx, groups)
	}
	if len(mine) != 1 {
		groups = nil
	}
	return l.memberships(ctx, lookup, groups, mine)
}

// single adds the user of an answer, if there is one. Where Graph does not show the user, it adds the stand-in.
func (l *looking) single(it *item, standIn func(error) plan.Object) error {
	switch {
	case it == nil || notFound(it.err):
	case it.err != nil && ofOne(it.err):
		l.state.Add(standIn(it.err))
	case it.err != nil:
		return it.err
	default:
		if u, ok := l.p.readUser(it.answer.body); ok {
			l.addUser(u)
		}
	}
	return nil
}

// carrying returns the remote ids of the objects that carry the entry's anchor.
func (l *looking) carrying(ref directory.Ref) []string {
	var ids []string
	for i := range l.state.Objects {
		if l.state.Objects[i].Ref == ref {
			ids = append(ids, l.state.Objects[i].RemoteID)
		}
	}
	return ids
}

// memberships lists the groups and roles of a user. Graph answers a cast to groups from an index that lags.
func memberships(user string) *item {
	return get("users.memberOf", "/users/"+user+"/memberOf?"+groupSelection(nil)+"&$top=999")
}

// memberships adds the groups, with the user as a member where it is one. Where Graph does not list memberships, the
// groups of the lookup are not changed.
func (l *looking) memberships(ctx context.Context, lookup provider.Lookup, it *item, mine []string) error {
	why := ""
	if it != nil {
		in, err := l.p.memberOf(ctx, it)
		if err != nil && !ofOne(err) {
			return err
		}
		if err != nil {
			why = fmt.Sprintf("the groups of user %s cannot be read: %v", mine[0], err)
		}
		for _, g := range in {
			o := l.p.describeGroup(g, &provider.Query{})
			o.Members, o.Listed, o.Witness = slices.Clone(mine), false, ""
			l.state.Add(o)
		}
	}
	for _, g := range lookup.Groups {
		ref := directory.Ref{Kind: directory.Group, ID: g.ID}
		l.state.Add(plan.Object{Ref: ref, RemoteID: g.RemoteID, Active: true, ReadOnly: why, Unreadable: why != ""})
	}
	return nil
}

// memberOf reads the groups of ours from a list. The item has the first page.
func (p *Provider) memberOf(ctx context.Context, it *item) ([]*group, error) {
	var in []*group
	if notFound(it.err) {
		return nil, nil // The user is so new that no group can contain it.
	}
	err := p.finish(ctx, []*item{it}, func(r raw) {
		g := &group{}
		if g.merge(r, nil); g.ID != "" && groupID(g.Name) != "" {
			in = append(in, g)
		}
	})
	return in, err
}

// group finds a group, by remote id and by anchor, and reads its members.
func (l *looking) group(ctx context.Context, lookup provider.Lookup) error {
	items := []*item{get("groups.get", groupByName(lookup.ID)+"?"+groupSelection(l.p.groupFields))}
	if isObjectID(lookup.RemoteID) {
		items = append(items, l.p.getByID(directory.Group, lookup.RemoteID))
	}
	var byMark []*item
	if mark := l.p.nicknameMark(lookup.ID); mark != "" {
		byMark = append(byMark, get("groups.list",
			"/groups?"+filter("mailNickname eq "+quoted(mark))+"&"+groupSelection(l.p.groupFields)))
	}
	l.p.send(ctx, append(items, byMark...)...)
	groups, err := collect(ctx, l.p, byMark, l.p.groupOf, func(g *group) string { return g.ID })
	if err != nil {
		return err
	}
	for _, it := range items {
		switch g, ok := l.p.readGroup(it.answer.body); {
		case notFound(it.err):
		case it.err != nil && ofOne(it.err):
			l.state.Add(remote.StandIn(lookup.Ref, cmp.Or(lookup.RemoteID, uniqueName(lookup.ID)), it.err))
		case it.err != nil:
			return it.err
		case ok:
			groups[g.ID] = g
		}
	}
	return l.groups(ctx, lookup, groups)
}

// groups adds the groups that were found, and reads the members of those that are ours.
func (l *looking) groups(ctx context.Context, lookup provider.Lookup, groups map[string]*group) error {
	var ours []string
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		if groupID(groups[id].Name) != "" {
			ours = append(ours, id)
		}
	}
	if err := l.p.fill(ctx, groups, ours); err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		l.state.Add(l.p.describeGroup(groups[id], &provider.Query{}))
	}
	if len(l.carrying(lookup.Ref)) == 0 {
		l.state.Absent(lookup.Ref, l.q)
	}
	return nil
}
