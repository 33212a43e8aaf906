package scim

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// Read implements provider.Provider.
//
// Without lookups it discovers what the server can do, and lists its users and groups. Members come from where
// Behaviour.Members says. Members of foreign groups are never read on their own.
func (p *Provider) Read(ctx context.Context, q provider.Query) (plan.State, error) {
	p.marks.learn(q.Known)
	for ref, link := range q.Known {
		if _, had := p.given.Load(ref); had || link.Given != "" {
			p.given.Store(ref, link.Given)
		}
	}
	if len(q.Lookups) > 0 {
		return p.lookUp(ctx, q)
	}
	s, err := p.discover(ctx)
	if err != nil {
		return plan.State{}, err
	}
	r := &reading{p: p, s: s, q: q, members: map[string][]string{}}
	r.state.Domains = p.cfg.Domains
	for _, step := range []func(context.Context) error{r.list, r.findKnown, r.readMembers} {
		if err := step(ctx); err != nil {
			return plan.State{}, err
		}
	}
	return r.state.State, nil
}

// reading is one full read in progress.
type reading struct {
	p *Provider
	s *server
	q provider.Query

	state remote.State
	mu    sync.Mutex
	// members are those of listed groups, by remote id. shown is set where the list of groups has any.
	members map[string][]string
	shown   bool
}

func (r *reading) add(o plan.Object) {
	if o.Kind == directory.User {
		o.Suspender = remote.Suspender(&o, r.q.Known[o.Ref])
	}
	r.state.Replace(o)
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
	r.p.examples.learn(directory.User, users)
	r.p.examples.learn(directory.Group, groups)
	r.p.names.Replace(func(yield func(id, name string) bool) {
		for _, u := range users {
			if !yield(u.id(), u.text(userNameAttr)) {
				return
			}
		}
	})
	for _, u := range users {
		r.add(r.p.userObject(u))
	}
	for _, g := range groups {
		r.addGroup(g)
		members, _ := g.members()
		r.shown = r.shown || len(members) > 0
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
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, ref := range r.state.Missing(r.q.Known) {
		if ref.Kind == directory.User || r.s.groups {
			g.Go(func() error { return r.findOne(ctx, ref) })
		}
	}
	return g.Wait()
}

func (r *reading) findOne(ctx context.Context, ref directory.Ref) error {
	link := r.q.Known[ref]
	found, ok, err := r.p.get(ctx, ref.Kind, link.RemoteID, "")
	switch {
	case status(err) == http.StatusNotFound: // It is not in the list, and the answer is no proof. The rest goes on.
		r.add(remote.StandIn(ref, link.RemoteID, err))
	case err != nil:
		o, err := remote.Unreadable(ref, link.RemoteID, err)
		if err == nil {
			r.add(o)
		}
		return err
	case ok && ref.Kind == directory.User:
		r.add(r.p.userObject(found))
	case ok:
		r.addGroup(found)
	default:
		r.state.Absent(ref, &r.q)
	}
	return nil
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
		case r.p.cfg.Members == inList && r.shown && !r.p.sample.joined(o.RemoteID):
			// RFC 7643 leaves out an attribute without values. Where the list shows no members at all, or leaves out
			// those that this process added, the server may show them only in the answer about one group.
			o.Listed = true
		case r.p.cfg.Members == byGet && r.q.Groups[o.ID].Holds(o.Witness, r.q.Now):
			o.Members = r.q.Groups[o.ID].Members
		default:
			g.Go(func() error { return r.p.fillMembers(ctx, r.s, o) })
		}
	}
	return g.Wait()
}

// fillMembers reads the members of one group.
func (p *Provider) fillMembers(ctx context.Context, s *server, o *plan.Object) error {
	members, found, err := p.members(ctx, s, o.RemoteID)
	return remote.SetMembers(o, o.Label, members, found, err)
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

// unproven is why an externalId may be another system's.
const unproven = "its externalId may be another system's"

// userObject describes a user in the planner's terms.
func (p *Provider) userObject(r resource) plan.Object {
	name := r.text(userNameAttr)
	o := plan.Object{
		Ref: directory.Ref{Kind: directory.User, ID: directory.ID(r.anchor())}, RemoteID: r.id(),
		Address: strings.ToLower(strings.TrimSpace(name)), Active: r.active(), Fields: p.fields(r, p.userFields),
		Protected: p.protectsUser(r),
	}
	if o.ID != "" {
		o.Unproven = unproven
	}
	if o.Address == "" {
		o.Label = r.id()
	}
	return o
}

// groupObject describes a group in the planner's terms, without its members.
func (p *Provider) groupObject(r resource) plan.Object {
	o := plan.Object{
		Ref: directory.Ref{Kind: directory.Group, ID: directory.ID(r.anchor())}, RemoteID: r.id(),
		Label: r.text("displayName"), Active: true, Fields: p.fields(r, p.groupFields),
		Protected: p.cfg.Protects(r.id()),
	}
	if o.ID != "" {
		o.Unproven = unproven
	}
	return o
}

// fields returns the mapped fields of a resource.
func (p *Provider) fields(r resource, mapped []string) directory.Attributes {
	out := make(directory.Attributes, 0, len(mapped))
	for _, name := range mapped {
		s, _ := parseSlot(name)
		values := r.values(s, p.cfg.single())
		if s.user && len(values) > 0 {
			values = []string{p.names.NameOf(values[0])}
		}
		if len(values) > 0 {
			out = append(out, directory.Attribute{Name: name, Values: values})
		}
	}
	return out
}

// protectsUser returns why a user is never adopted, suspended or deleted, or "".
func (p *Provider) protectsUser(r resource) string {
	if why := p.cfg.Protects(r.id(), r.text(userNameAttr)); why != "" {
		return why
	}
	for _, el := range elements(r[key(r, "roles")]) {
		texts := []string{asText(el)}
		if m, ok := el.(map[string]any); ok {
			texts = []string{asText(m[key(m, "value")]), asText(m[key(m, "display")])}
		}
		for _, role := range texts {
			if pattern := p.cfg.protectsRole(role); pattern != "" {
				return fmt.Sprintf("has the role %s (protected_roles: %s)", role, pattern)
			}
		}
	}
	return ""
}

// protectsRole returns the pattern that a role matches, or "". A role may be a path, so * matches slashes as well.
func (c *Config) protectsRole(role string) string {
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", "\x00") }
	i := slices.IndexFunc(c.ProtectedRoles, func(pattern string) bool {
		ok, err := path.Match(plain(pattern), plain(role))
		return ok && err == nil && role != ""
	})
	if i < 0 {
		return ""
	}
	return c.ProtectedRoles[i]
}
