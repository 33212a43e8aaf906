package scim

import (
	"context"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// lookUp reads single entries by remote id, else by externalId, and users also by userName. A collection is listed
// only where the server does not filter by the attribute.
func (p *Provider) lookUp(ctx context.Context, q provider.Query) (plan.State, error) {
	s, err := p.known(ctx)
	if err != nil {
		return plan.State{}, err
	}
	l := &looking{p: p, s: s, q: q}
	l.state.Domains = p.cfg.Domains
	for _, lookup := range q.Lookups {
		if err := l.entry(ctx, lookup); err != nil {
			return plan.State{}, err
		}
	}
	return l.state.State, nil
}

// looking is one read of single entries in progress.
type looking struct {
	p     *Provider
	s     *server
	q     provider.Query
	state remote.State
}

// addResource puts a resource into the state. The name of a user's manager is read first.
func (l *looking) addResource(ctx context.Context, kind directory.Kind, r resource) int {
	if kind == directory.Group {
		o := l.p.groupObject(r)
		if l.p.cfg.Members == byGet {
			o.Witness = r.version()
		}
		return l.state.Add(o)
	}
	l.p.names.Learn(r.id(), r.text(userNameAttr))
	l.p.learnManager(ctx, r)
	o := l.p.userObject(r)
	o.Suspender = remote.Suspender(&o, l.q.Known[o.Ref])
	return l.state.Add(o)
}

// learnManager reads the name of a user's manager, where the field is mapped. Without an answer the reference is shown
// as it is.
func (p *Provider) learnManager(ctx context.Context, r resource) {
	if !slices.Contains(p.userFields, "enterprise.manager") {
		return
	}
	id := r.get(slots["enterprise.manager"], false)
	if id == "" || p.names.Knows(id) {
		return
	}
	if m, found, err := p.get(ctx, directory.User, id, ""); err == nil && found {
		p.names.Learn(m.id(), m.text(userNameAttr))
	}
}

func (l *looking) entry(ctx context.Context, lookup provider.Lookup) error {
	if lookup.Kind == directory.Group && !l.s.groups {
		return nil
	}
	if l.q.ByID {
		_, err := l.byID(ctx, lookup)
		return err
	}
	found, err := l.anchored(ctx, lookup)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		l.state.Absent(lookup.Ref, &l.q)
	}
	if lookup.Kind == directory.Group {
		for _, i := range found {
			if l.state.Objects[i].ReadOnly == "" {
				if err := l.p.fillMembers(ctx, l.s, &l.state.Objects[i]); err != nil {
					return err
				}
			}
		}
		return nil
	}
	if err := l.byUserName(ctx, lookup.Address); err != nil {
		return err
	}
	user := ""
	if len(found) == 1 {
		user = l.state.Objects[found[0]].RemoteID
	}
	return l.memberships(ctx, lookup.Groups, user)
}

// anchored finds the objects that carry the entry's anchor. An object with the remote id and without the anchor is in
// the state and not in the result.
func (l *looking) anchored(ctx context.Context, lookup provider.Lookup) (found []int, err error) {
	if found, err = l.byID(ctx, lookup); err != nil || len(found) > 0 {
		return found, err
	}
	list, err := l.p.findAnchor(ctx, lookup.Kind, lookup.ID)
	for _, r := range list {
		found = append(found, l.addResource(ctx, lookup.Kind, r))
	}
	return found, err
}

// byID reads the object with the remote id. The result has it where it carries the entry's anchor, or is unreadable.
func (l *looking) byID(ctx context.Context, lookup provider.Lookup) (found []int, err error) {
	if lookup.RemoteID == "" {
		return nil, nil
	}
	r, ok, err := l.p.get(ctx, lookup.Kind, lookup.RemoteID, "")
	if err != nil {
		o, err := remote.Unreadable(lookup.Ref, lookup.RemoteID, err)
		if err != nil {
			return nil, err
		}
		return []int{l.state.Add(o)}, nil
	}
	if ok {
		if i := l.addResource(ctx, lookup.Kind, r); l.state.Objects[i].Ref == lookup.Ref {
			found = []int{i}
		}
	}
	return found, nil
}

// byUserName finds the user that has the name, unless it is in the state already.
func (l *looking) byUserName(ctx context.Context, name string) error {
	if name == "" {
		return nil
	}
	for i := range l.state.Objects {
		if strings.EqualFold(l.state.Objects[i].Address, name) {
			return nil
		}
	}
	list, err := l.p.findUserName(ctx, name)
	for _, r := range list {
		l.addResource(ctx, directory.User, r)
	}
	return err
}

// memberships adds the groups, each with the user as its only member where it is one.
func (l *looking) memberships(ctx context.Context, groups []provider.GroupRef, user string) error {
	if len(groups) == 0 || !l.s.groups {
		return nil
	}
	in := map[string]plan.Object{}
	if user != "" {
		if err := l.groupsOf(ctx, groups, user, in); err != nil {
			return err
		}
	}
	l.state.AddMemberships(groups, in)
	return nil
}

// groupsOf finds which of the groups have the user. It takes a filter of members, else reads the members of each group
// where lists have none, else lists the groups.
func (l *looking) groupsOf(ctx context.Context, groups []provider.GroupRef, user string,
	in map[string]plan.Object) error {
	q := query{kind: directory.Group}
	switch {
	case l.s.filter && l.p.cfg.filters(membersAttr):
		q.filter = equals(membersAttr, user)
	case l.p.cfg.Members != inList:
		return l.eachGroup(ctx, groups, user, in)
	}
	list, err := l.p.list(ctx, l.s, q)
	if err != nil {
		return err
	}
	seen, shown := map[string]bool{}, false
	for _, r := range list {
		members, listed := r.members()
		seen[r.id()], shown = true, shown || len(members) > 0
		if !slices.Contains(members, user) && (listed || q.filter == "") {
			continue // Some servers ignore a filter.
		}
		o := l.p.groupObject(r)
		o.Members = []string{user}
		if listed {
			o.Size = len(members)
		}
		in[o.RemoteID] = o
	}
	if q.filter != "" {
		return nil
	}
	// A list may show no members at all, or not all groups.
	return l.eachGroup(ctx, slices.DeleteFunc(slices.Clone(groups), func(g provider.GroupRef) bool {
		return g.RemoteID == "" || shown && seen[g.RemoteID]
	}), user, in)
}

func (l *looking) eachGroup(ctx context.Context, groups []provider.GroupRef, user string,
	in map[string]plan.Object) error {
	for _, g := range groups {
		members, found, err := l.p.members(ctx, l.s, g.RemoteID)
		switch {
		case err != nil && !remote.OfOneObject(err):
			return err
		case err == nil && found && slices.Contains(members, user):
			in[g.RemoteID] = plan.Object{Ref: directory.Ref{Kind: directory.Group, ID: g.ID}, RemoteID: g.RemoteID,
				Active: true, Members: []string{user}, Size: len(members)}
		}
	}
	return nil
}
