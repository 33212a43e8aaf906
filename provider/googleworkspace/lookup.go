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
	l := &reading{p: p, q: q}
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

func (l *reading) entry(ctx context.Context, lookup provider.Lookup) error {
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
func (l *reading) anchored(ctx context.Context, lookup provider.Lookup) (found []int, err error) {
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
func (l *reading) byAddress(ctx context.Context, lookup provider.Lookup) error {
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
				Ref: directory.Ref{Kind: kind}, RemoteID: address, Address: address, Active: true,
				Suspender:  plan.Unknown,
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
func (l *reading) memberships(ctx context.Context, groups []provider.GroupRef, user string) error {
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
	l.state.AddMemberships(groups, in)
	return nil
}

// edit collects one write of a user, with fields, arrays and marks, on top of the account as it was read.
type edit struct {
	current *admin.User // as read; empty for a new account
	body    *admin.User
	marks   marks
	lists   map[string][]map[string]any // arrays that change
	aliases aliasEdit
	custom  customEdit
	form    func(name string) (*plan.Form, error) // of a custom field
	marked  bool                                  // the marks change
}

func (p *Provider) edit(ctx context.Context, current *admin.User) *edit {
	e := &edit{current: current, body: &admin.User{}, marks: marksOf(current), lists: map[string][]map[string]any{},
		form: func(name string) (*plan.Form, error) { return p.form(ctx, name) }}
	if !current.Suspended {
		e.marks.suspended = "" // The mark of a lifted suspension must not claim a later one.
	}
	return e
}

func (e *edit) list(array string) []map[string]any {
	if l, ok := e.lists[array]; ok {
		return l
	}
	return elements(*arrays[array].at(e.current))
}

// set puts the changed fields, without the address, into the write.
func (e *edit) set(fields []plan.FieldChange) error {
	for _, f := range fields {
		value := after(f)
		switch f.Name {
		case plan.AddressField:
			continue
		case plan.AliasesField:
			e.setAliases(f.After)
			continue
		}
		if s, ok := scalars[f.Name]; ok {
			s.set(e.body, value)
			continue
		}
		if isCustom(f.Name) {
			form, err := e.form(f.Name)
			if err == nil {
				err = e.custom.set(e.current, form, f.After)
			}
			if err != nil {
				return err
			}
			continue
		}
		s, ok := slots[f.Name]
		if !ok {
			return fault.Errorf(fault.Invalid, "Google users have no field %q", f.Name)
		}
		e.lists[s.array] = s.write(e.list(s.array), e.marks.owned[f.Name], value)
		if delete(e.marks.owned, f.Name); value != "" {
			e.marks.owned[f.Name] = digest(value)
		}
	}
	return nil
}

// seal puts the arrays, with foreign elements as they were read, into the body. Marks are written with them.
func (e *edit) seal(withMarks bool) *admin.User {
	e.custom.seal(e.body)
	if withMarks || e.marked || len(e.lists) > 0 {
		var foreign []map[string]any
		for _, x := range e.list("externalIds") {
			if !isMark(x) {
				foreign = append(foreign, x)
			}
		}
		e.lists["externalIds"] = foreign
	}
	for name, list := range e.lists {
		all := make([]any, 0, len(list)+3)
		for _, x := range list {
			all = append(all, x)
		}
		if name == "externalIds" {
			all = append(all, e.marks.elements()...)
		}
		if len(all) == 0 {
			e.body.NullFields = append(e.body.NullFields, arrays[name].goName)
			continue
		}
		*arrays[name].at(e.body) = all
	}
	return e.body
}
