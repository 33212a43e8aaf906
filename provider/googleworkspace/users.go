package googleworkspace

import (
	"context"
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

// listUsers lists every user of the account, or the results of a search.
func (p *Provider) listUsers(ctx context.Context, query string, each func(*admin.User)) error {
	list := func() *admin.UsersListCall {
		if query != "" {
			return p.api.Users.List().MaxResults(10).Query(query)
		}
		return p.api.Users.List().MaxResults(usersPage)
	}
	return p.usersPages(ctx, list, selection(p.userFields), func(u *admin.User) {
		if u.DeletionTime == "" {
			each(u)
		}
	})
}

// Deleted implements provider.Restorer. An account of ours with a time that cannot be read counts as deleted now: a
// second account beside it would be worse than an attempt to restore it too late.
func (p *Provider) Deleted(ctx context.Context) (deleted []plan.Deleted, err error) {
	list := func() *admin.UsersListCall { return p.api.Users.List().MaxResults(usersPage).ShowDeleted("true") }
	err = p.usersPages(ctx, list, "id,primaryEmail,deletionTime,externalIds", func(u *admin.User) {
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

// usersPages reads every page of a list of users, with these fields of each user.
func (p *Provider) usersPages(ctx context.Context, list func() *admin.UsersListCall, fields googleapi.Field,
	each func(*admin.User),
) error {
	return pages("users.list", func(token string) (string, error) {
		var page *admin.Users
		err := p.call(ctx, "users.list", func(ctx context.Context) (err error) {
			call := list().Customer(p.cfg.Customer).Projection("basic")
			if token != "" {
				call.PageToken(token)
			}
			page, err = call.Fields("kind,nextPageToken,users(" + fields + ")").Context(ctx).Do()
			return err
		})
		if err != nil {
			return "", err
		}
		if page.Kind == "" && page.Users == nil { // An empty list has a kind.
			return "", fault.Errorf(fault.Unavailable, "users.list: the answer is not a list of users")
		}
		for _, u := range page.Users {
			each(u)
		}
		return page.NextPageToken, nil
	})
}

// pages reads pages until the last one. A repeated page token is an error, because it would mean an endless or
// incomplete list.
func pages(op string, read func(token string) (next string, err error)) error {
	seen := map[string]bool{}
	for token := ""; ; {
		next, err := read(token)
		if err != nil || next == "" {
			return err
		}
		if seen[next] {
			return fault.Errorf(fault.Unavailable, "%s: Google repeated a page token, so the list cannot be read to its end", op)
		}
		seen[next], token = true, next
	}
}

// getUser reads one user by id, address or alias. found is false if Google has no user with the key, if the user is
// deleted, and if the key is that of a group.
func (p *Provider) getUser(ctx context.Context, key string, names []string) (u *admin.User, found bool, err error) {
	err = p.call(ctx, "users.get", func(ctx context.Context) (err error) {
		u, err = p.api.Users.Get(key).Projection("basic").Fields(selection(names)).Context(ctx).Do()
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
	if pattern := p.cfg.Protects(u.Id, addresses...); pattern != "" {
		return "protected by the configuration (" + pattern + ")"
	}
	return ""
}
