package googleworkspace

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// usersPage is Google's largest page of users.
const usersPage = 500

// userPaths are the fields that every read of a user requests.
var userPaths = []string{
	"id", "primaryEmail", "aliases", "nonEditableAliases", "isAdmin", "isDelegatedAdmin", "suspended",
	"suspensionTime", "archived", "deletionTime", "externalIds",
}

// selection returns the `fields` parameter of one user with the given mapped fields.
func selection(names []string) googleapi.Field {
	all := append([]string(nil), userPaths...)
	for _, p := range paths(names) {
		if p != "externalIds" {
			all = append(all, p)
		}
	}
	return googleapi.Field(strings.Join(all, ","))
}

// basic is the projection of users without custom fields.
const basic = "basic"

// view is what a read shows of a user.
type view struct {
	projection string
	mask       string // the custom schemas; empty with the basic projection
	fields     googleapi.Field
}

// view returns the view with the given mapped fields.
func (p *Provider) view(ctx context.Context, names []string) (view, error) {
	v := view{projection: basic, fields: selection(names)}
	schemas, err := p.shownSchemas(ctx, names)
	if len(schemas) > 0 {
		v.projection, v.mask = "custom", strings.Join(schemas, ",")
	}
	return v, err
}

// get makes one request of a user.
func (v view) get(ctx context.Context, api *admin.Service, key string) (*admin.User, error) {
	call := api.Users.Get(key).Projection(v.projection)
	if v.mask != "" {
		call.CustomFieldMask(v.mask)
	}
	return call.Fields(v.fields).Context(ctx).Do()
}

// listUsers lists every user of the account, or the results of a search.
func (p *Provider) listUsers(ctx context.Context, query string, each func(*admin.User)) error {
	list := func() *admin.UsersListCall {
		if query != "" {
			return p.api.Users.List().MaxResults(10).Query(query)
		}
		return p.api.Users.List().MaxResults(usersPage)
	}
	v, err := p.view(ctx, p.userFields)
	if err != nil {
		return err
	}
	return p.usersPages(ctx, list, v, func(u *admin.User) {
		if u.DeletionTime == "" {
			each(u)
		}
	})
}

// Deleted implements provider.Restorer. An account of ours with a time that cannot be read counts as deleted now. A
// second account beside it would be worse than an attempt to restore it too late.
func (p *Provider) Deleted(ctx context.Context) (deleted []plan.Deleted, err error) {
	list := func() *admin.UsersListCall { return p.api.Users.List().MaxResults(usersPage).ShowDeleted("true") }
	v := view{projection: basic, fields: "id,primaryEmail,deletionTime,externalIds"}
	err = p.usersPages(ctx, list, v, func(u *admin.User) {
		id, _ := one(marksOf(u).anchors)
		if id == "" {
			return
		}
		at, err := time.Parse(time.RFC3339, u.DeletionTime)
		if err != nil {
			at = p.now()
		}
		deleted = append(deleted, plan.Deleted{
			Ref: directory.Ref{Kind: directory.User, ID: id}, RemoteID: u.Id, Address: strings.ToLower(u.PrimaryEmail), At: at,
		})
	})
	return deleted, err
}

// usersPages reads every page of a list of users.
func (p *Provider) usersPages(ctx context.Context, list func() *admin.UsersListCall, v view, each func(*admin.User),
) error {
	return pages("users.list", func(token string) (string, error) {
		var page *admin.Users
		err := p.call(ctx, "users.list", func(ctx context.Context) (err error) {
			call := list().Customer(p.cfg.Customer).Projection(v.projection)
			if v.mask != "" {
				call.CustomFieldMask(v.mask)
			}
			if token != "" {
				call.PageToken(token)
			}
			page, err = call.Fields("kind,nextPageToken,users(" + v.fields + ")").Context(ctx).Do()
			return err
		})
		if err != nil {
			return "", err
		}
		if page.Kind == "" && page.NextPageToken == "" && page.Users == nil { // An empty list has a kind.
			return "", fault.Errorf(fault.Unavailable, "users.list: the answer is not a list of users")
		}
		if err := haveIDs("users.list", page.Users, func(u *admin.User) string { return u.Id }); err != nil {
			return "", err
		}
		for _, u := range page.Users {
			each(u)
		}
		return page.NextPageToken, nil
	})
}

// getUser reads one user by id, address or alias. found is false if Google has no user with the key, if the user is
// deleted, and if the key is that of a group.
func (p *Provider) getUser(ctx context.Context, key string, names []string) (u *admin.User, found bool, err error) {
	v, err := p.view(ctx, names)
	if err != nil {
		return nil, false, err
	}
	err = p.call(ctx, "users.get", func(ctx context.Context) (err error) {
		u, err = v.get(ctx, p.api, key)
		return err
	})
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return nil, false, nil
	}
	if err == nil && u.Id == "" {
		return nil, false, fault.Errorf(fault.Unavailable, "users.get: the answer is not a user")
	}
	return u, err == nil && u.DeletionTime == "", err // Google may show a deleted user for a while.
}

// userObject describes a user in the planner's terms.
func (p *Provider) userObject(u *admin.User) plan.Object {
	m := marksOf(u)
	id, problem := one(m.anchors)
	return plan.Object{
		Ref: directory.Ref{Kind: directory.User, ID: id}, RemoteID: u.Id,
		Address: strings.ToLower(u.PrimaryEmail), Aliases: aliases(u.PrimaryEmail, u.Aliases, u.NonEditableAliases),
		Active: !u.Suspended && !u.Archived, Suspender: suspender(u, m),
		Fields: readFields(u, m, p.userFields), Protected: p.protectsUser(u), ReadOnly: problem,
	}
}

// aliases joins the lists, in lower case and without the primary address.
func aliases(primary string, lists ...[]string) []string {
	var out []string
	for _, list := range lists {
		for _, a := range list {
			if a = strings.ToLower(a); a != strings.ToLower(primary) {
				out = append(out, a)
			}
		}
	}
	return out
}

// protectsUser returns why a user is never adopted, suspended or deleted, or "".
func (p *Provider) protectsUser(u *admin.User) string {
	addresses := append(aliases("", u.Aliases, u.NonEditableAliases), strings.ToLower(u.PrimaryEmail))
	if slices.Contains(addresses, p.cfg.DelegatedSubject) {
		return "the administrator in whose name we act"
	}
	if u.IsAdmin || u.IsDelegatedAdmin {
		return "administrator"
	}
	return p.cfg.Protects(u.Id, addresses...)
}

// holder is the object that has an address.
type holder struct {
	kind     directory.Kind
	id       string
	primary  string
	anchors  []string
	asAlias  bool
	archived bool
}

// find looks up the object that has an address. It returns nil if Google shows none.
func (p *Provider) find(ctx context.Context, kind directory.Kind, address string) (*holder, error) {
	kinds := []directory.Kind{directory.User, directory.Group}
	if kind == directory.Group {
		slices.Reverse(kinds)
	}
	for _, k := range kinds {
		if h, err := p.findKind(ctx, k, address); h != nil || err != nil {
			return h, err
		}
	}
	return nil, nil
}

func (p *Provider) findKind(ctx context.Context, kind directory.Kind, address string) (*holder, error) {
	if kind == directory.Group {
		g, found, err := p.getGroup(ctx, address)
		if !found {
			return nil, err
		}
		return groupHolder(g, address), nil
	}
	u, found, err := p.getUser(ctx, address, nil)
	if !found {
		return nil, err
	}
	return userHolder(u, address), nil
}

func userHolder(u *admin.User, address string) *holder {
	return &holder{directory.User, u.Id, u.PrimaryEmail, marksOf(u).anchors,
		!strings.EqualFold(u.PrimaryEmail, address), u.Archived}
}

func groupHolder(g *admin.Group, address string) *holder {
	anchors, _ := groupAnchors(g)
	return &holder{kind: directory.Group, id: g.Id, primary: g.Email, anchors: anchors,
		asAlias: !strings.EqualFold(g.Email, address)}
}

func (h *holder) String() string {
	text := fmt.Sprintf("%s %s (%s)", h.kind, strings.ToLower(h.primary), h.id)
	if h.archived {
		text = "archived " + text
	}
	if h.asAlias {
		text += ", as an alias,"
	}
	return text
}

// taken resolves a create that Google refused because the address is in use. It succeeds where an earlier attempt
// created the object. Otherwise it returns a Conflict that names the object with the address. After an attempt with a
// lost answer the look-up is repeated, because reads lag behind writes. An address that the change may take from the
// aliases of another object is taken, and again repeats the create.
func (p *Provider) taken(
	ctx context.Context, c *plan.Change, patient bool, again func(context.Context) (string, error),
) (outcome, error) {
	h, err := p.find(ctx, c.Kind, c.Address)
	if err != nil {
		return outcome{}, err
	}
	if h == nil && patient {
		if h, err = p.await(ctx, c.Kind, c.Address); err != nil {
			return outcome{}, err
		}
	}
	switch {
	case yields(c, h):
		if err := p.deleteAlias(ctx, h, c.Address); err != nil {
			return outcome{}, err
		}
		id, err := again(ctx)
		note := fmt.Sprintf("took its address %s from the aliases of %s %s", c.Address, h.kind, strings.ToLower(h.primary))
		return outcome{remoteID: id, note: note}, err
	case h == nil:
		return outcome{}, fault.Errorf(fault.Conflict,
			"%s is in use by an object that is not visible (created or deleted moments ago, or an unmanaged account)", c.Address)
	case h.kind == c.Kind && len(h.anchors) == 1 && h.anchors[0] == string(c.ID):
		p.recent.Add(h.id)
		return outcome{remoteID: h.id, note: "already existed with its anchor"}, nil
	}
	return outcome{}, fault.Errorf(fault.Conflict, "%s has the address %s", h, c.Address)
}

// await looks up an address until it is visible, as long as the Caller tries. Otherwise it returns nil.
func (p *Provider) await(ctx context.Context, kind directory.Kind, address string) (h *holder, err error) {
	op := kind.String() + "s.get"
	err = p.callAs(ctx, op, func(err error) error {
		if fault.KindOf(err) == fault.NotFound {
			return fault.Errorf(fault.Unavailable, "not yet visible: %w", err)
		}
		return err
	}, func(ctx context.Context) error {
		if kind == directory.Group {
			g, err := p.api.Groups.Get(address).Fields(groupSelection).Context(ctx).Do()
			if err == nil {
				h = groupHolder(g, address)
			}
			return err
		}
		u, err := p.api.Users.Get(address).Projection(basic).Fields(selection(nil)).Context(ctx).Do()
		if err == nil {
			h = userHolder(u, address)
		}
		return err
	})
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return nil, nil
	}
	return h, err
}

// renamed resolves a 409 answer to a rename. Google was observed to send it although the rename was done. It also
// sends it while an earlier rename settles, and when the address is taken. write sends the change again, with or
// without the address.
func (p *Provider) renamed(
	ctx context.Context, c *plan.Change, write func(ctx context.Context, withAddress bool) error,
) error {
	h, err := p.find(ctx, c.Kind, c.Address)
	switch {
	case err != nil:
		return err
	case yields(c, h):
	case h == nil:
		return fault.Errorf(fault.Conflict,
			"%s is in use by an object that is not visible, or an earlier change of the address is still settling", c.Address)
	case h.kind != c.Kind || h.id != c.RemoteID:
		return fault.Errorf(fault.Conflict, "%s has the address %s", h, c.Address)
	case !h.asAlias:
		if len(c.Fields) == 1 {
			return nil
		}
		return write(ctx, false)
	}
	if err := p.deleteAlias(ctx, h, c.Address); err != nil {
		return err
	}
	return write(ctx, true)
}

// yields reports whether the object with the change's address has it only as an alias, and yields it to the change.
func yields(c *plan.Change, h *holder) bool {
	return h != nil && h.asAlias && c.TakenFrom != "" && h.id == c.TakenFrom
}

// deleteAlias removes an address from the aliases of an object. One that the object does not have is a success.
func (p *Provider) deleteAlias(ctx context.Context, h *holder, alias string) error {
	op := h.kind.String() + "s.aliases.delete"
	err := p.callAs(ctx, op, p.settling(false, true), func(ctx context.Context) error {
		if h.kind == directory.Group {
			return p.api.Groups.Aliases.Delete(h.id, alias).Context(ctx).Do()
		}
		return p.api.Users.Aliases.Delete(h.id, alias).Context(ctx).Do()
	})
	if fault.KindOf(err) == fault.NotFound && err != nil {
		return nil
	}
	return err
}
