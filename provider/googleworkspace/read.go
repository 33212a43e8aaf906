package googleworkspace

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
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
	r := &reading{p: p, q: q}
	r.state.EndsSessions = p.endsSessions()
	var err error
	if r.state.Forms, err = p.forms(ctx); err != nil {
		return plan.State{}, err
	}
	if q.ByID {
		err = r.find(ctx, q.Refs())
		return r.state.State, err
	}
	if err := r.list(ctx); err != nil {
		return plan.State{}, err
	}
	// Lists lag behind writes, and Google was observed to truncate lists without notice.
	if err := r.find(ctx, r.state.Missing(r.q.Known)); err != nil {
		return plan.State{}, err
	}
	if err := r.readMembers(ctx); err != nil {
		return plan.State{}, err
	}
	return r.state.State, nil
}

// reading is one read in progress, a full one or one of single entries.
type reading struct {
	p     *Provider
	q     provider.Query
	state remote.State
}

// list lists everything. An object that moved during the listing appears on a later page again.
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
			r.state.Replace(r.p.userObject(u))
		})
	})
	g.Go(func() error {
		return r.p.listGroups(ctx, "", func(g *admin.Group) { r.state.Replace(r.p.groupObject(g)) })
	})
	return g.Wait()
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
	if status, _ := code(err); status == http.StatusNotFound && !r.q.ByID {
		// It is not in the list, and the answer is no proof. The rest goes on.
		o, found, err = remote.StandIn(ref, link.RemoteID, err), true, nil
	}
	if err != nil {
		if o, err = remote.Unreadable(ref, link.RemoteID, err); err != nil {
			return err
		}
		found = true
	}
	if found {
		r.state.Replace(o)
	} else {
		r.state.Absent(ref, &r.q)
	}
	return nil
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

// fillMembers lists the members of a group that was just seen.
func (p *Provider) fillMembers(ctx context.Context, o *plan.Object) error {
	members, found, err := p.listMembers(ctx, o.RemoteID)
	if err := remote.SetMembers(o, o.Address, members, found, err); err != nil || !o.Listed {
		return err
	}
	// The ledger must not keep a list with fewer members than the count. The same goes for members beside a count of
	// zero, because such a count would not change with them.
	if n, err := strconv.Atoi(o.Witness); err != nil || len(members) < n || n == 0 && len(members) > 0 {
		o.Witness = ""
	}
	return nil
}

// groupsPage is Google's largest page of groups and of members.
const groupsPage = 200

const groupSelection googleapi.Field = "id,email,name,description,aliases,nonEditableAliases," +
	"directMembersCount,externalIds"

// listGroups lists every group of the account or, with a user's id, the groups that have the user as a direct member.
func (p *Provider) listGroups(ctx context.Context, userKey string, each func(*admin.Group)) error {
	return pages("groups.list", func(token string) (string, error) {
		var page *admin.Groups
		err := p.callAs(ctx, "groups.list", func(err error) error {
			if status, _ := code(err); userKey != "" && status == http.StatusForbidden &&
				fault.KindOf(err) == fault.Denied {
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
		if err := haveIDs("groups.list", page.Groups, func(g *admin.Group) string { return g.Id }); err != nil {
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
	return p.cfg.Protects(g.Id, addresses...)
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
		if err == nil {
			err = haveIDs("members.list", page.Members, memberKey)
		}
		if err != nil {
			return "", err
		}
		for _, m := range page.Members {
			members = append(members, memberKey(m))
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

// memberKey returns the id of a member. An address outside of Google has none, and members.delete accepts the address.
func memberKey(m *admin.Member) string {
	if m.Id == "" {
		return strings.ToLower(m.Email)
	}
	return m.Id
}

// relists is how often a list is begun again after Google refused one of its page tokens.
const relists = 2

// pages reads pages until the last one. A page token that Google no longer accepts begins the list again, so read may
// see an object twice. A repeated page token is an error, because it would mean an endless or incomplete list.
func pages(op string, read func(token string) (next string, err error)) error {
	for began := 1; ; began++ {
		err := pagesOnce(op, read)
		expired, ok := errors.AsType[*expiredToken](err)
		switch {
		case !ok:
			return err
		case began > relists:
			return fault.Errorf(fault.Invalid, "the list cannot be read to its end: %w", expired.refusal)
		}
	}
}

// expiredToken is the refusal of a page token.
type expiredToken struct{ refusal error }

// Error implements error.
func (e *expiredToken) Error() string { return e.refusal.Error() }

func pagesOnce(op string, read func(token string) (next string, err error)) error {
	seen := map[string]bool{}
	for token := ""; ; {
		next, err := read(token)
		if status, _ := code(err); token != "" && (status == http.StatusBadRequest || status == http.StatusGone) {
			return &expiredToken{err}
		}
		if err != nil || next == "" {
			return err
		}
		if seen[next] || len(seen) == remote.MostPages {
			return fault.Errorf(fault.Unavailable,
				"%s: Google repeated a page token, so the list cannot be read to its end", op)
		}
		seen[next], token = true, next
	}
}

// haveIDs returns an error unless each object of a page has an id.
func haveIDs[T any](op string, page []*T, id func(*T) string) error {
	if slices.ContainsFunc(page, func(o *T) bool { return o == nil || id(o) == "" }) {
		return fault.Errorf(fault.Unavailable, "%s: the answer has an object without an id", op)
	}
	return nil
}
