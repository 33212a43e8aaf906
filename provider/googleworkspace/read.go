package googleworkspace

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// Read implements provider.Provider.
//
// Without lookups it lists the account's domains, users and groups. It reads the members of those groups of ours with
// a directMembersCount that differs from the ledger's. An unchanged account costs one call a page and one for the
// domains. Members of foreign groups are never read.
func (p *Provider) Read(ctx context.Context, q provider.Query) (plan.State, error) {
	if len(q.Lookups) > 0 && !q.ByID {
		return p.lookUp(ctx, q)
	}
	r := &reading{p: p, q: q, users: map[string]int{}, groups: map[string]int{}, anchored: map[directory.Ref]bool{}}
	r.state.EndsSessions = p.endsSessions()
	if q.ByID {
		err := r.find(ctx, q.Refs())
		return r.state, err
	}
	if err := r.list(ctx); err != nil {
		return plan.State{}, err
	}
	if err := r.findKnown(ctx); err != nil {
		return plan.State{}, err
	}
	if err := r.readMembers(ctx); err != nil {
		return plan.State{}, err
	}
	return r.state, nil
}

// reading is one full read in progress.
type reading struct {
	p *Provider
	q provider.Query

	mu            sync.Mutex
	state         plan.State
	users, groups map[string]int // index in state.Objects by remote id
	anchored      map[directory.Ref]bool
}

// add puts an object into the state. An object that moved during the listing and appears on a later page again
// replaces the first one.
func (r *reading) add(seen map[string]int, o plan.Object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.Anchored() {
		r.anchored[o.Ref] = true
	}
	if i, ok := seen[o.RemoteID]; ok {
		r.state.Objects[i] = o
		return
	}
	seen[o.RemoteID] = len(r.state.Objects)
	r.state.Objects = append(r.state.Objects, o)
}

func (r *reading) list(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		r.state.Domains, err = r.p.readDomains(ctx)
		return err
	})
	g.Go(func() error {
		r.state.Known = r.p.knownUnits(ctx)
		return nil
	})
	g.Go(func() error {
		return r.p.listUsers(ctx, "", func(u *admin.User) {
			r.add(r.users, r.p.userObject(u))
		})
	})
	g.Go(func() error {
		return r.p.listGroups(ctx, "", func(g *admin.Group) { r.add(r.groups, r.p.groupObject(g)) })
	})
	return g.Wait()
}

// findKnown looks up the objects that are in the ledger and not in a list. Lists lag behind writes, and Google was
// observed to truncate lists without notice.
func (r *reading) findKnown(ctx context.Context) error {
	var missing []directory.Ref
	for ref, link := range r.q.Known {
		seen := r.users
		if ref.Kind == directory.Group {
			seen = r.groups
		}
		if _, listed := seen[link.RemoteID]; link.RemoteID != "" && !listed && !r.anchored[ref] {
			missing = append(missing, ref)
		}
	}
	slices.SortFunc(missing, directory.Ref.Compare)
	if err := r.find(ctx, missing); err != nil {
		return err
	}
	slices.SortFunc(r.state.Unsettled, directory.Ref.Compare)
	return nil
}

// find reads the objects of entries by the remote ids that the ledger has.
func (r *reading) find(ctx context.Context, refs []directory.Ref) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for _, ref := range refs {
		g.Go(func() error { return r.findOne(ctx, ref) })
	}
	return g.Wait()
}

func (r *reading) findOne(ctx context.Context, ref directory.Ref) error {
	link := r.q.Known[ref]
	o, found, err := r.p.getObject(ctx, ref.Kind, link.RemoteID)
	if err != nil {
		if o, err = unreadable(ref, link.RemoteID, err); err != nil {
			return err
		}
		found = true
	}
	switch {
	case found && ref.Kind == directory.User:
		r.add(r.users, o)
	case found:
		r.add(r.groups, o)
	case unsettled(link, r.q):
		r.mu.Lock()
		r.state.Unsettled = append(r.state.Unsettled, ref)
		r.mu.Unlock()
	}
	return nil
}

// unreadable returns a stand-in for an object of ours that Google refuses to show. The object exists and is not
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

// getObject reads one user or group by any of its keys, without members.
func (p *Provider) getObject(ctx context.Context, kind directory.Kind, key string) (plan.Object, bool, error) {
	if kind == directory.Group {
		g, found, err := p.getGroup(ctx, key)
		if !found {
			return plan.Object{}, false, err
		}
		return p.groupObject(g), true, nil
	}
	u, found, err := p.getUser(ctx, key, p.userFields)
	if !found {
		return plan.Object{}, false, err
	}
	return p.userObject(u), true, nil
}

// readMembers fills in the members of our groups, from the ledger where the witness is unchanged, else from Google.
func (r *reading) readMembers(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	for i := range r.state.Objects {
		o := &r.state.Objects[i]
		if o.Kind != directory.Group || !o.Anchored() {
			continue
		}
		if c := r.q.Groups[o.ID]; c.Holds(o.Witness, r.q.Now) {
			o.Members = c.Members
			continue
		}
		g.Go(func() error { return r.p.fillMembers(ctx, o) })
	}
	return g.Wait()
}

// fillMembers lists the members of a group that was just seen. A group with hidden members is read-only. It is
// neither empty nor absent.
func (p *Provider) fillMembers(ctx context.Context, o *plan.Object) error {
	members, found, err := p.listMembers(ctx, o.RemoteID)
	switch {
	case err != nil && !ofOneObject(err):
		return err
	case err != nil:
		o.Unreadable = true
		o.ReadOnly = fmt.Sprintf("the members of group %s cannot be read: %v", o.Address, err)
		return nil
	case !found:
		o.Unreadable = true
		o.ReadOnly = fmt.Sprintf("the members of group %s are not found; it is new, or was deleted moments ago", o.Address)
		return nil
	}
	o.Members, o.Listed = members, true
	// The ledger must not keep a list with fewer members than the count. The same goes for members beside a count of
	// zero, because such a count would not change with them.
	if n, err := strconv.Atoi(o.Witness); err != nil || len(members) < n || n == 0 && len(members) > 0 {
		o.Witness = ""
	}
	return nil
}

// groupsPage is Google's largest page of groups and of members.
const groupsPage = 200

const groupSelection googleapi.Field = "id,email,name,description,aliases,nonEditableAliases,directMembersCount,externalIds"

// listGroups lists every group of the account or, with a user's id, the groups that have the user as a direct member.
func (p *Provider) listGroups(ctx context.Context, userKey string, each func(*admin.Group)) error {
	return pages("groups.list", func(token string) (string, error) {
		var page *admin.Groups
		err := p.callAs(ctx, "groups.list", func(err error) error {
			if status, _ := code(err); userKey != "" && status == http.StatusForbidden && fault.KindOf(err) == fault.Denied {
				return fault.Errorf(fault.Refused, "the groups of user %s cannot be read: %w", userKey, err)
			}
			return err
		}, func(ctx context.Context) (err error) {
			call := p.api.Groups.List().MaxResults(groupsPage)
			if userKey != "" {
				call.UserKey(userKey) // "Cannot be used with the customer parameter."
			} else {
				call.Customer(p.cfg.Customer)
			}
			if token != "" {
				call.PageToken(token)
			}
			page, err = call.Fields("nextPageToken,groups(" + groupSelection + ")").Context(ctx).Do()
			return err
		})
		if err != nil {
			return "", err
		}
		for _, g := range page.Groups {
			each(g)
		}
		return page.NextPageToken, nil
	})
}

// getGroup reads one group by id, address or alias. found is false if Google does not know the group.
func (p *Provider) getGroup(ctx context.Context, key string) (g *admin.Group, found bool, err error) {
	err = p.call(ctx, "groups.get", func(ctx context.Context) (err error) {
		g, err = p.api.Groups.Get(key).Fields(groupSelection).Context(ctx).Do()
		return err
	})
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return nil, false, nil
	}
	if err == nil && g.Id == "" {
		return nil, false, fault.Errorf(fault.Unavailable, "groups.get: the answer is not a group")
	}
	return g, err == nil, err
}

// groupObject describes a group in the planner's terms, without its members.
func (p *Provider) groupObject(g *admin.Group) plan.Object {
	anchors, _ := groupAnchors(g)
	id, problem := one(anchors)
	o := plan.Object{
		Ref: directory.Ref{Kind: directory.Group, ID: id}, RemoteID: g.Id,
		Address: strings.ToLower(g.Email), Aliases: aliases(g.Email, g.Aliases, g.NonEditableAliases),
		Active: true, Protected: p.protectsGroup(g), ReadOnly: problem,
		Witness: strconv.FormatInt(g.DirectMembersCount, 10),
	}
	for _, f := range []directory.Attribute{{Name: "description", Values: []string{g.Description}},
		{Name: "name", Values: []string{g.Name}}} {
		if f.Values[0] != "" {
			o.Fields = append(o.Fields, f)
		}
	}
	return o
}

// protectsGroup returns why a group is never adopted or deleted, or "".
func (p *Provider) protectsGroup(g *admin.Group) string {
	addresses := append(aliases("", g.Aliases, g.NonEditableAliases), strings.ToLower(g.Email))
	if pattern := p.cfg.Protects(g.Id, addresses...); pattern != "" {
		return "protected by the configuration (" + pattern + ")"
	}
	return ""
}

// listMembers returns the remote ids of a group's direct members, sorted. found is false if the group does not exist.
func (p *Provider) listMembers(ctx context.Context, groupID string) (members []string, found bool, err error) {
	err = pages("members.list", func(token string) (string, error) {
		var page *admin.Members
		err := p.call(ctx, "members.list", func(ctx context.Context) (err error) {
			call := p.api.Members.List(groupID).MaxResults(groupsPage)
			if token != "" {
				call.PageToken(token)
			}
			page, err = call.Fields("nextPageToken,members(id,email)").Context(ctx).Do()
			return err
		})
		if err != nil {
			return "", err
		}
		for _, m := range page.Members {
			key := m.Id
			if key == "" { // An address outside of Google has no id, and members.delete accepts the address.
				key = strings.ToLower(m.Email)
			}
			members = append(members, key)
		}
		return page.NextPageToken, nil
	})
	if err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return nil, false, nil
		}
		return nil, false, err
	}
	slices.Sort(members)
	return slices.Compact(members), true, nil
}
