package googleworkspace

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// lookUp reads single entries by remote id, by anchor and by address. Google cannot search groups by their anchors,
// so only users are found by anchor.
//
// For a user it also reads which of the lookup's groups have the user as a direct member, with groups.list and the
// user's id in one call a page. Such groups are in the state with their Size and with the user as their only member.
// The other groups have no members and only their ids. A plan limited to the user (Input.Only) compares exactly that.
func (p *Provider) lookUp(ctx context.Context, q provider.Query) (plan.State, error) {
	domains, err := p.verifiedDomains(ctx)
	if err != nil {
		return plan.State{}, err
	}
	l := &looking{p: p, q: q}
	if l.state.Forms, err = p.forms(ctx); err != nil {
		return plan.State{}, err
	}
	l.state.Domains, l.state.Known, l.state.EndsSessions = domains, p.knownUnits(ctx), p.endsSessions()
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
	q     provider.Query
	state remote.State
}

func (l *looking) entry(ctx context.Context, lookup provider.Lookup) error {
	found, err := l.anchored(ctx, lookup)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		l.state.Absent(lookup.Ref, &l.q)
	}
	if err := l.byAddress(ctx, lookup); err != nil {
		return err
	}
	if lookup.Kind == directory.Group {
		for _, i := range found {
			if l.state.Objects[i].ReadOnly != "" {
				continue
			}
			if err := l.p.fillMembers(ctx, &l.state.Objects[i]); err != nil {
				return err
			}
		}
		return nil
	}
	user := ""
	if len(found) == 1 {
		user = l.state.Objects[found[0]].RemoteID
	}
	return l.memberships(ctx, lookup.Groups, user)
}

// anchored finds the objects that carry the entry's anchor, by remote id, else by a search. An object with the remote
// id and without the anchor is in the state and not in the result.
func (l *looking) anchored(ctx context.Context, lookup provider.Lookup) (found []int, err error) {
	if lookup.RemoteID != "" {
		o, ok, err := l.p.getObject(ctx, lookup.Kind, lookup.RemoteID)
		if err != nil {
			if o, err = remote.Unreadable(lookup.Ref, lookup.RemoteID, err); err != nil {
				return nil, err
			}
			ok = true
		}
		if ok {
			i := l.state.Add(o)
			if o.Ref == lookup.Ref {
				return []int{i}, nil
			}
		}
	}
	if lookup.Kind != directory.User {
		return nil, nil
	}
	err = l.p.listUsers(ctx, "externalId="+quote(string(lookup.ID)), func(u *admin.User) {
		o := l.p.userObject(u)
		if o.Ref != lookup.Ref { // The search ignores the type of the value.
			return
		}
		if i := l.state.Add(o); !slices.Contains(found, i) {
			found = append(found, i)
		}
	})
	return found, err
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_.\-]+$`)

// quote quotes a value for a search clause.
func quote(value string) string {
	if plain.MatchString(value) {
		return value
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// byAddress finds the object that has the address, as its own or as an alias, unless it is in the state already.
func (l *looking) byAddress(ctx context.Context, lookup provider.Lookup) error {
	address := strings.ToLower(lookup.Address)
	_, domain, _ := strings.Cut(address, "@")
	if !slices.Contains(l.state.Domains, domain) {
		return nil // No object of this account can have the address, and Google answers 403.
	}
	for i := range l.state.Objects {
		if o := &l.state.Objects[i]; o.Address == address || slices.Contains(o.Aliases, address) {
			return nil
		}
	}
	kinds := []directory.Kind{directory.User, directory.Group}
	if lookup.Kind == directory.Group {
		slices.Reverse(kinds)
	}
	for _, kind := range kinds {
		o, ok, err := l.p.getObject(ctx, kind, address)
		if err != nil && remote.OfOneObject(err) { // The object with the address is unreadable.
			l.state.Add(plan.Object{
				Ref: directory.Ref{Kind: kind}, RemoteID: address, Address: address, Active: true, Suspender: plan.Unknown,
				Unreadable: true, ReadOnly: fmt.Sprintf("it cannot be read: %v", err),
			})
			return nil
		}
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if i := l.state.Add(o); kind == directory.Group && o.Ref == lookup.Ref && !l.state.Objects[i].Listed {
			err = l.p.fillMembers(ctx, &l.state.Objects[i])
		}
		return err
	}
	return nil
}

// memberships adds the groups, with the user as a member where it is one.
func (l *looking) memberships(ctx context.Context, groups []provider.GroupRef, user string) error {
	if len(groups) == 0 {
		return nil
	}
	in := map[string]plan.Object{}
	if user != "" {
		err := l.p.listGroups(ctx, user, func(g *admin.Group) {
			o := l.p.groupObject(g)
			o.Members, o.Size = []string{user}, int(g.DirectMembersCount)
			in[g.Id] = o
		})
		if err != nil && fault.KindOf(err) != fault.NotFound {
			return err // A user that is not found is so new that no group can contain it.
		}
	}
	for _, g := range groups {
		o, member := in[g.RemoteID]
		if !member {
			o = plan.Object{Ref: directory.Ref{Kind: directory.Group, ID: g.ID}, RemoteID: g.RemoteID, Active: true}
		}
		l.state.Add(o)
	}
	return nil
}
