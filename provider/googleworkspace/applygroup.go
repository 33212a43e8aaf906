package googleworkspace

import (
	"context"
	"net/http"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/fault"
	"rollcall/plan"
)

func (p *Provider) changeGroup(ctx context.Context, c *plan.Change) (outcome, error) {
	switch c.Op {
	case plan.Create:
		return p.createGroup(ctx, c)
	case plan.Update:
		body := &admin.Group{}
		if err := setGroup(body, c.Fields); err != nil {
			return outcome{}, err
		}
		return outcome{}, p.patchGroup(ctx, c, body)
	case plan.Adopt, plan.Reanchor:
		return outcome{}, p.claimGroup(ctx, c)
	case plan.Suspend, plan.Restore:
		return outcome{note: "groups cannot be suspended"}, nil
	case plan.Delete:
		return outcome{}, p.deleteGroup(ctx, c)
	}
	return outcome{}, fault.Errorf(fault.Internal, "%s of a group", c.Op)
}

// setGroup puts changed fields, without the address, into a request.
func setGroup(body *admin.Group, fields []plan.FieldChange) error {
	for _, f := range fields {
		value, goName := after(f), ""
		switch f.Name {
		case plan.AddressField:
			continue
		case "name":
			body.Name, goName = value, "Name"
		case "description":
			body.Description, goName = value, "Description"
		default:
			return fault.Errorf(fault.Invalid, "Google groups have no field %q", f.Name)
		}
		if value == "" {
			body.ForceSendFields = append(body.ForceSendFields, goName)
		}
	}
	return nil
}

func (p *Provider) createGroup(ctx context.Context, c *plan.Change) (outcome, error) {
	if err := p.checkDomain(ctx, c.Address); err != nil {
		return outcome{}, err
	}
	body := &admin.Group{Email: c.Address, ExternalIds: []*admin.ExternalId{groupAnchor(c.ID)}}
	if err := setGroup(body, c.Fields); err != nil {
		return outcome{}, err
	}
	var made *admin.Group
	attempts := 0
	err := p.call(ctx, "groups.insert", func(ctx context.Context) (err error) {
		attempts++
		made, err = p.api.Groups.Insert(body).Fields("id").Context(ctx).Do()
		return err
	})
	if err == nil {
		return outcome{remoteID: made.Id}, nil
	}
	if status, _ := code(err); status != http.StatusConflict {
		return outcome{}, err
	}
	return p.taken(ctx, c, attempts > 1)
}

// claimGroup puts our anchor on a group and keeps the external ids of other systems.
func (p *Provider) claimGroup(ctx context.Context, c *plan.Change) error {
	g, found, err := p.getGroup(ctx, c.RemoteID)
	if err != nil {
		return err
	}
	if !found {
		return gone(c)
	}
	if err := unprotected(c, p.protectsGroup(g)); err != nil {
		return err
	}
	anchors, foreign := groupAnchors(g)
	if err := carries(c, anchors, c.ID, c.From); err != nil {
		return err
	}
	body := &admin.Group{ExternalIds: append(foreign, groupAnchor(c.ID))}
	if err := setGroup(body, c.Fields); err != nil {
		return err
	}
	return p.patchGroup(ctx, c, body)
}

// patchGroup writes a group, with its new address if the change has one. It uses groups.patch, because the reference
// states its patch semantics. For groups.update only the guide says that missing fields are kept.
func (p *Provider) patchGroup(ctx context.Context, c *plan.Change, body *admin.Group) error {
	address := newAddress(c)
	if address != "" {
		if err := p.checkDomain(ctx, address); err != nil {
			return err
		}
		body.Email = address
	}
	err := p.patchCall(ctx, c.RemoteID, body, address != "")
	if status, _ := code(err); status == http.StatusConflict && address != "" && fault.KindOf(err) == fault.Conflict {
		return p.renamed(ctx, c, func(ctx context.Context, again bool) error {
			if !again {
				body.Email = ""
			}
			return p.patchCall(ctx, c.RemoteID, body, again)
		})
	}
	return err
}

func (p *Provider) patchCall(ctx context.Context, id string, body *admin.Group, takesAddress bool) error {
	return p.callAs(ctx, "groups.patch", settling(takesAddress, false), func(ctx context.Context) error {
		_, err := p.api.Groups.Patch(id, body).Fields("id").Context(ctx).Do()
		return err
	})
}

// deleteGroup deletes a group of ours. Google cannot restore groups.
func (p *Provider) deleteGroup(ctx context.Context, c *plan.Change) error {
	g, found, err := p.ourGroup(ctx, c)
	if err != nil || !found {
		return err
	}
	if err := unprotected(c, p.protectsGroup(g)); err != nil {
		return err
	}
	err = p.callAs(ctx, "groups.delete", settling(false, true), func(ctx context.Context) error {
		return p.api.Groups.Delete(c.RemoteID).Context(ctx).Do()
	})
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	return nil
}

// ourGroup reads the group of a removal, and returns an error if the group is not ours. found is false if the group
// does not exist.
func (p *Provider) ourGroup(ctx context.Context, c *plan.Change) (g *admin.Group, found bool, err error) {
	g, found, err = p.getGroup(ctx, c.RemoteID)
	if err != nil {
		return nil, false, err
	}
	if !found {
		return nil, false, nil
	}
	anchors, _ := groupAnchors(g)
	return g, true, carries(c, anchors, c.ID)
}
