package scim

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
)

// Read implements provider.Provider.
//
// Without lookups it discovers what the server can do, and lists its users and groups. Members come from where
// Behaviour.Members says. Members of foreign groups are never read on their own.
func (p *Provider) Read(ctx context.Context, q provider.Query) (plan.State, error) {
	p.marks.learn(q.Known)
	if len(q.Lookups) > 0 {
		return p.lookUp(ctx, q)
	}
	s, err := p.discover(ctx)
	if err != nil {
		return plan.State{}, err
	}
	r := &reading{p: p, s: s, q: q, index: map[string]int{}, anchored: map[directory.Ref]bool{},
		members: map[string][]string{}}
	r.state.Domains = p.cfg.Domains
	for _, step := range []func(context.Context) error{r.list, r.findKnown, r.readMembers} {
		if err := step(ctx); err != nil {
			return plan.State{}, err
		}
	}
	return r.state, nil
}

// reading is one full read in progress.
type reading struct {
	p *Provider
	s *server
	q provider.Query

	mu       sync.Mutex
	state    plan.State
	index    map[string]int // in state.Objects by kind and remote id
	anchored map[directory.Ref]bool
	// members are those of listed groups, by remote id.
	members map[string][]string
}

func (r *reading) add(o plan.Object) {
	if o.Kind == directory.User {
		o.Suspender = suspender(&o, r.q.Known[o.Ref])
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.Anchored() {
		r.anchored[o.Ref] = true
	}
	at := o.Kind.String() + o.RemoteID
	if i, ok := r.index[at]; ok {
		r.state.Objects[i] = o
		return
	}
	r.index[at] = len(r.state.Objects)
	r.state.Objects = append(r.state.Objects, o)
}

// list lists users and groups. The names of all users are known before a user's manager is read.
func (r *reading) list(ctx context.Context) error {
	g, inner := errgroup.WithContext(ctx)
	var users, groups []resource
	g.Go(func() (err error) {
		users, err = r.p.list(inner, r.s, query{kind: directory.User})
		return err
	})
	g.Go(func() (err error) {
		if !r.s.groups {
			return nil
		}
		without := ""
		if r.p.cfg.Members == byGet {
			without = "members"
		}
		groups, err = r.p.list(inner, r.s, query{kind: directory.Group, without: without})
		return err
	})
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			return r.p.trouble(ctx, "list", ctx.Err())
		}
		return err
	}
	r.p.groups.learn(groups)
	r.p.names.forget()
	for _, u := range users {
		r.p.names.learn(u)
	}
	for _, u := range users {
		r.add(r.p.userObject(u))
	}
	for _, g := range groups {
		r.addGroup(g)
	}
	return nil
}

func (r *reading) addGroup(g resource) {
	o := r.p.groupObject(g)
	if r.p.cfg.Members == byGet {
		o.Witness = g.version()
	}
	if members, listed := g.members(); listed {
		if len(members) > 0 {
			r.p.sample.shows()
		}
		r.mu.Lock()
		r.members[o.RemoteID] = members
		r.mu.Unlock()
	}
	r.add(o)
}

// findKnown looks up the objects that are in the ledger and not in a list.
func (r *reading) findKnown(ctx context.Context) error {
	var missing []directory.Ref
	for ref, link := range r.q.Known {
		_, listed := r.index[ref.Kind.String()+link.RemoteID]
		if link.RemoteID != "" && !listed && !r.anchored[ref] && (ref.Kind == directory.User || r.s.groups) {
			missing = append(missing, ref)
		}
	}
	slices.SortFunc(missing, directory.Ref.Compare)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, ref := range missing {
		g.Go(func() error { return r.findOne(ctx, ref) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	slices.SortFunc(r.state.Unsettled, directory.Ref.Compare)
	return nil
}

func (r *reading) findOne(ctx context.Context, ref directory.Ref) error {
	link := r.q.Known[ref]
	found, ok, err := r.p.get(ctx, ref.Kind, link.RemoteID, "")
	switch {
	case err != nil:
		o, err := unreadable(ref, link.RemoteID, err)
		if err == nil {
			r.add(o)
		}
		return err
	case ok && ref.Kind == directory.User:
		r.add(r.p.userObject(found))
	case ok:
		r.addGroup(found)
	case unsettled(link, r.q):
		r.mu.Lock()
		r.state.Unsettled = append(r.state.Unsettled, ref)
		r.mu.Unlock()
	}
	return nil
}

// unreadable returns a stand-in for an object of ours that the server refuses to show. The object exists and is not
// changed. An error that concerns more than this object is returned.
func unreadable(ref directory.Ref, remoteID string, err error) (plan.Object, error) {
	if !ofOneObject(err) {
		return plan.Object{}, err
	}
	why := fmt.Sprintf("%s %s cannot be read: %v", ref.Kind, remoteID, err)
	return plan.Object{Ref: ref, RemoteID: remoteID, Active: true, Suspender: plan.Unknown, ReadOnly: why,
		Unreadable: true}, nil
}

// unsettled reports whether an invisible object may have been created too recently to be visible.
func unsettled(link plan.Link, q provider.Query) bool {
	return !link.Created.IsZero() && q.Now.Sub(link.Created) < provider.Settle
}

// readMembers fills in the members of our groups.
func (r *reading) readMembers(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for i := range r.state.Objects {
		o := &r.state.Objects[i]
		if o.Kind != directory.Group || !o.Anchored() || o.ReadOnly != "" {
			continue
		}
		switch members, listed := r.members[o.RemoteID]; {
		case listed && r.p.cfg.Members != byUser:
			o.Members, o.Listed = members, true
		case r.p.cfg.Members == inList && !r.suspicious(o):
			o.Listed = true // RFC 7643 leaves out an attribute without values.
		case r.p.cfg.Members == byGet && r.q.Groups[o.ID].Holds(o.Witness, r.q.Now):
			o.Members = r.q.Groups[o.ID].Members
		default:
			g.Go(func() error { return r.p.fillMembers(ctx, r.s, o) })
		}
	}
	return g.Wait()
}

// suspicious reports whether the list shows a group of ours without the attribute although this process added members.
// Some servers show members only in the answer about one group.
func (r *reading) suspicious(o *plan.Object) bool { return r.p.sample.joined(o.RemoteID) }

// fillMembers reads the members of one group. A group with hidden members is read-only. It is neither empty nor
// absent.
func (p *Provider) fillMembers(ctx context.Context, s *server, o *plan.Object) error {
	members, found, err := p.members(ctx, s, o.RemoteID)
	switch {
	case err != nil && !ofOneObject(err):
		return err
	case err != nil:
		o.Unreadable = true
		o.ReadOnly = fmt.Sprintf("the members of group %s cannot be read: %v", o.Label, err)
		return nil
	case !found:
		o.Unreadable = true
		o.ReadOnly = fmt.Sprintf("the members of group %s are not found; it is new, or was deleted moments ago", o.Label)
		return nil
	}
	o.Members, o.Listed = members, true
	return nil
}

// members reads the members of one group, sorted.
func (p *Provider) members(ctx context.Context, s *server, id string) (members []string, found bool, err error) {
	if p.cfg.Members != byUser {
		g, found, err := p.get(ctx, directory.Group, id, "")
		if !found {
			return nil, false, err
		}
		members, _ := g.members()
		if len(members) > 0 {
			p.sample.shows()
		}
		return members, true, nil
	}
	users, err := p.list(ctx, s, query{kind: directory.User, filter: equals(groupsAttr, id),
		op: "members.list"})
	if err != nil {
		return nil, false, err
	}
	for _, u := range users {
		members = append(members, u.id())
	}
	slices.Sort(members)
	return members, true, nil
}
