package googleworkspace

import (
	"context"
	"net/http"
	"strings"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

func (p *Provider) changeMember(ctx context.Context, c *plan.Change) (outcome, error) {
	if c.RemoteID == "" || c.MemberRemoteID == "" {
		return outcome{}, fault.Errorf(fault.NotFound, "%s of %s: the group or the member has no remote object", c.Op, c.Ref)
	}
	if c.Op == plan.AddMember {
		return outcome{}, p.addMember(ctx, c)
	}
	return outcome{}, p.removeMember(ctx, c)
}

// addMember makes an account a member. An existing member keeps its role.
func (p *Provider) addMember(ctx context.Context, c *plan.Change) error {
	err := p.insertMember(ctx, c, &admin.Member{Id: c.MemberRemoteID, Role: "MEMBER"})
	if fault.KindOf(err) != fault.Invalid || err == nil {
		return err
	}
	// The reference calls the address required. In practice clients send the id, which needs no look-up.
	address, lookUpErr := p.memberAddress(ctx, c)
	if lookUpErr != nil || address == "" {
		return err
	}
	return p.insertMember(ctx, c, &admin.Member{Email: address, Role: "MEMBER"})
}

func (p *Provider) insertMember(ctx context.Context, c *plan.Change, body *admin.Member) error {
	patient := settling(false, false)
	return p.callAs(ctx, "members.insert", func(err error) error {
		if alreadyMember(err) {
			return nil
		}
		return patient(err)
	}, func(ctx context.Context) error {
		_, err := p.api.Members.Insert(c.RemoteID, body).Fields("id").Context(ctx).Do()
		return err
	})
}

func (p *Provider) memberAddress(ctx context.Context, c *plan.Change) (string, error) {
	kind := directory.User
	if c.Member != nil {
		kind = c.Member.Kind
	}
	o, _, err := p.getObject(ctx, kind, c.MemberRemoteID)
	return o.Address, err
}

// removeMember ends a membership of any role, in a group that is ours.
func (p *Provider) removeMember(ctx context.Context, c *plan.Change) error {
	if _, found, err := p.ourGroup(ctx, c); err != nil || !found {
		return err
	}
	patient := settling(false, true)
	return p.callAs(ctx, "members.delete", func(err error) error {
		if notMember(err) {
			return nil
		}
		return patient(err)
	}, func(ctx context.Context) error {
		return p.api.Members.Delete(c.RemoteID, c.MemberRemoteID).Context(ctx).Do()
	})
}

// alreadyMember reports whether Google answered that the membership exists, by the reason or, without one, by the
// text.
func alreadyMember(err error) bool {
	status, reason := code(err)
	if status != http.StatusConflict {
		return false
	}
	return reason == "duplicate" || reason == "" && strings.Contains(strings.ToLower(err.Error()), "already exists")
}

// notMember reports whether Google answered that the membership does not exist. The answer is 404, 412 for a deleted
// account, or 400 "Missing required field: memberKey" for an account that no longer exists.
func notMember(err error) bool {
	status, reason := code(err)
	return fault.KindOf(err) == fault.NotFound ||
		status == http.StatusBadRequest && reason == "required" && strings.Contains(err.Error(), "memberKey")
}
