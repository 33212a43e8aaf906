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
)

// lookUp reads single entries: by remote id, by anchor (users; Google cannot search groups for theirs) and by address.
//
// For a user it also reads which of the lookup's groups it is a direct member of, in one call a page with groups.list
// and the user's id. Such groups are in the state with the user as their only member and with their Size; those that the user
// is not in have no members and nothing but their ids. A plan limited to the user (Input.Only) compares just that.
func (p *Provider) lookUp(ctx context.Context, q provider.Query) (plan.State, error) {
	domains, err := p.verifiedDomains(ctx)
	if err != nil {
		return plan.State{}, err
	}
	l := &looking{p: p, q: q, byID: map[string]int{}, state: plan.State{Domains: domains}}
	for _, lookup := range q.Lookups {
		if err := l.entry(ctx, lookup); err != nil {
			return plan.State{}, err
		}
	}
	return l.state, nil
}

// looking is one read of single entries under way.
type looking struct {
	p     *Provider
	q     provider.Query
	state plan.State
	byID  map[string]int
}

// add puts an object into the state, once, and returns its place.
func (l *looking) add(o plan.Object) int {
	key := o.Kind.String() + o.RemoteID
	if i, ok := l.byID[key]; ok {
		return i
	}
	l.byID[key] = len(l.state.Objects)
	l.state.Objects = append(l.state.Objects, o)
	return len(l.state.Objects) - 1
}

func (l *looking) entry(ctx context.Context, lookup provider.Lookup) error {
	found, err := l.anchored(ctx, lookup)
	if err != nil {
		return err
	}
	if len(found) == 0 && unsettled(l.q.Known[lookup.Ref], l.q) {
		l.state.Unsettled = append(l.state.Unsettled, lookup.Ref)
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

// anchored finds the objects that carry the entry's anchor: by remote id, else by a search. An object that has the
// remote id and lost the anchor is in the state and not among the found.
func (l *looking) anchored(ctx context.Context, lookup provider.Lookup) (found []int, err error) {
	if lookup.RemoteID != "" {
		o, ok, err := l.p.getObject(ctx, lookup.Kind, lookup.RemoteID)
		if err != nil {
			if o, err = unreadable(lookup.Ref, lookup.RemoteID, err); err != nil {
				return nil, err
			}
			ok = true
		}
		if ok {
			i := l.add(o)
			if o.Ref == lookup.Ref {
				return []int{i}, nil
			}
		}
	}
	if lookup.Kind != directory.User {
		return nil, nil
	}
	err = l.p.listUsers(ctx, "externalId="+quote(string(lookup.ID)), func(u *admin.User) {
		if o := l.p.userObject(u); o.Ref == lookup.Ref { // The search finds the value under any type.
			found = append(found, l.add(o))
		}
	})
	return found, err
}

var plain = regexp.MustCompile(`^[A-Za-z0-9_.\-]+$`)

// quote writes a value of a search clause.
func quote(value string) string {
	if plain.MatchString(value) {
		return value
	}
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(value) + "'"
}

// byAddress finds what has the address, as its own or as an alias, unless it is in the state already.
func (l *looking) byAddress(ctx context.Context, lookup provider.Lookup) error {
	address := strings.ToLower(lookup.Address)
	_, domain, _ := strings.Cut(address, "@")
	if !slices.Contains(l.state.Domains, domain) {
		return nil // Nothing of this account can have it, and Google answers 403 to the question.
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
		if err != nil && ofOneObject(err) { // Something has the address, and nothing else is known of it.
			l.add(plan.Object{
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
		if i := l.add(o); kind == directory.Group && o.Ref == lookup.Ref && !l.state.Objects[i].Listed {
			err = l.p.fillMembers(ctx, &l.state.Objects[i])
		}
		return err
	}
	return nil
}

// memberships adds the groups with the user as a member, or without.
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
			return err // Not found is a user who is so new that no group can have it.
		}
	}
	for _, g := range groups {
		o, member := in[g.RemoteID]
		if !member {
			o = plan.Object{Ref: directory.Ref{Kind: directory.Group, ID: g.ID}, RemoteID: g.RemoteID, Active: true}
		}
		l.add(o)
	}
	return nil
}
