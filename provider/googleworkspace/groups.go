package googleworkspace

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	admin "google.golang.org/api/admin/directory/v1"
	"google.golang.org/api/googleapi"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// groupsPage is Google's largest page of groups and of members.
const groupsPage = 200

const groupSelection googleapi.Field = "id,email,name,description," +
	"aliases,nonEditableAliases,directMembersCount,externalIds"

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
