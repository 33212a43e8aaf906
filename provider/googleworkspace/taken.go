package googleworkspace

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

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
// lost answer the look-up is repeated, because reads lag behind writes.
func (p *Provider) taken(ctx context.Context, c *plan.Change, patient bool) (outcome, error) {
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
	case h == nil:
		return outcome{}, fault.Errorf(fault.Conflict,
			"%s is in use by an object that is not visible (created or deleted moments ago, or an unmanaged account)", c.Address)
	case h.kind == c.Kind && len(h.anchors) == 1 && h.anchors[0] == string(c.ID):
		return outcome{remoteID: h.id, note: "already existed with its anchor"}, nil
	}
	return outcome{}, fault.Errorf(fault.Conflict, "%s has the address %s", h, c.Address)
}

// await looks up an address until it is visible, as long as the Caller tries. Otherwise it returns nil.
func (p *Provider) await(ctx context.Context, kind directory.Kind, address string) (h *holder, err error) {
	op := kind.String() + "s.get"
	err = p.callAs(ctx, op, func(err error) error {
		if status, _ := code(err); status == http.StatusNotFound {
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
		u, err := p.api.Users.Get(address).Projection("basic").Fields(selection(nil)).Context(ctx).Do()
		if err == nil {
			h = userHolder(u, address)
		}
		return err
	})
	if status, _ := code(err); status == http.StatusNotFound {
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
	if err := p.dropAlias(ctx, c); err != nil {
		return err
	}
	return write(ctx, true)
}

// dropAlias removes the object's new address from its aliases.
func (p *Provider) dropAlias(ctx context.Context, c *plan.Change) error {
	op := c.Kind.String() + "s.aliases.delete"
	err := p.callAs(ctx, op, settling(false, true), func(ctx context.Context) error {
		if c.Kind == directory.Group {
			return p.api.Groups.Aliases.Delete(c.RemoteID, c.Address).Context(ctx).Do()
		}
		return p.api.Users.Aliases.Delete(c.RemoteID, c.Address).Context(ctx).Do()
	})
	if fault.KindOf(err) == fault.NotFound && err != nil {
		return nil
	}
	return err
}
