package googleworkspace

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// Read implements provider.Provider.
//
// Without lookups it lists the account: its domains, users and groups, and the members of those groups of ours whose
// directMembersCount is not what the ledger confirmed. Where nothing changed that is one call a page and one for the
// domains. Members of groups that are not ours are never read.
func (p *Provider) Read(ctx context.Context, q provider.Query) (plan.State, error) {
	if len(q.Lookups) > 0 {
		return p.lookUp(ctx, q)
	}
	r := &reading{p: p, q: q, users: map[string]int{}, groups: map[string]int{}, anchored: map[directory.Ref]bool{}}
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

// reading is one full read under way.
type reading struct {
	p *Provider
	q provider.Query

	mu            sync.Mutex
	state         plan.State
	users, groups map[string]int // index in state.Objects by remote id
	anchored      map[directory.Ref]bool
}

// add puts an object into the state; one that a later page shows again, because it moved meanwhile, replaces the first.
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
		return r.p.listUsers(ctx, "", func(u *admin.User) {
			r.add(r.users, r.p.userObject(u))
		})
	})
	g.Go(func() error {
		return r.p.listGroups(ctx, "", func(g *admin.Group) { r.add(r.groups, r.p.groupObject(g)) })
	})
	return g.Wait()
}

// findKnown looks up the objects that the ledger knows and no list showed: lists trail behind writes, and lists that
// Google cut short without a word were seen in the wild.
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
	o, found, err := r.p.getObject(ctx, ref.Kind, link.RemoteID)
	if err != nil {
		return err
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

// unsettled reports whether an object that is not to be seen may have been created too short a time ago.
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

// readMembers fills in the members of our groups: from the ledger where the witness holds, else from Google.
func (r *reading) readMembers(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	gone := make([]bool, len(r.state.Objects))
	for i := range r.state.Objects {
		o := &r.state.Objects[i]
		if o.Kind != directory.Group || !o.Anchored() {
			continue
		}
		if c := r.q.Groups[o.ID]; c.Holds(o.Witness, r.q.Now) {
			o.Members = c.Members
			continue
		}
		g.Go(func() error {
			found, err := r.p.fillMembers(ctx, o)
			gone[i] = !found
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	kept := r.state.Objects[:0]
	for i := range r.state.Objects {
		if !gone[i] {
			kept = append(kept, r.state.Objects[i])
		}
	}
	r.state.Objects = kept
	return nil
}

// fillMembers lists the members of a group that was just seen; found is false when it is gone since.
func (p *Provider) fillMembers(ctx context.Context, o *plan.Object) (found bool, err error) {
	members, found, err := p.listMembers(ctx, o.RemoteID)
	if err != nil {
		return true, err
	}
	if found {
		o.Members, o.Listed = members, true
		// Fewer than Google says there are: not a list for the ledger to believe. Some where there are said to be none: not
		// a count, and it would not move either.
		if n, err := strconv.Atoi(o.Witness); err != nil || len(members) < n || n == 0 && len(members) > 0 {
			o.Witness = ""
		}
		return true, nil
	}
	if _, found, err = p.getGroup(ctx, o.RemoteID); err != nil {
		return true, err
	}
	if found {
		return true, fault.Errorf(fault.Unavailable, "members.list: Google does not yet know the members of group %s", strings.ToLower(o.Address))
	}
	return false, nil
}
