package googleworkspace

import (
	"context"
	"net/http"
	"time"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/fault"
	"rollcall/plan"
)

func (p *Provider) changeUser(ctx context.Context, c *plan.Change) (outcome, error) {
	switch c.Op {
	case plan.Create:
		return p.createUser(ctx, c)
	case plan.Update:
		return outcome{}, p.updateUser(ctx, c)
	case plan.Adopt, plan.Reanchor:
		return outcome{}, p.claimUser(ctx, c)
	case plan.Suspend:
		return p.suspendUser(ctx, c)
	case plan.Restore:
		return p.restoreUser(ctx, c)
	case plan.Delete:
		return p.deleteUser(ctx, c)
	case plan.Undelete:
		return p.undeleteUser(ctx, c)
	}
	return outcome{}, fault.Errorf(fault.Internal, "%s of a user", c.Op)
}

// createUser makes an account with its anchor. An account that has the address and our anchor was made by an earlier
// attempt, whose answer got lost.
func (p *Provider) createUser(ctx context.Context, c *plan.Change) (outcome, error) {
	if err := p.checkDomain(ctx, c.Address); err != nil {
		return outcome{}, err
	}
	e := newEdit(&admin.User{})
	e.marks.anchors = []string{string(c.ID)}
	if err := e.set(c.Fields); err != nil {
		return outcome{}, err
	}
	body := e.seal(true)
	body.PrimaryEmail = c.Address
	body.Password = newPassword()
	body.ForceSendFields = append(body.ForceSendFields, "Suspended")
	var made *admin.User
	attempts := 0
	err := p.call(ctx, "users.insert", func(ctx context.Context) (err error) {
		attempts++
		made, err = p.api.Users.Insert(body).Fields("id").Context(ctx).Do()
		return err
	})
	if err == nil {
		p.recent.Add(made.Id)
		return outcome{remoteID: made.Id}, nil
	}
	err = without(body.Password, err)
	if status, _ := code(err); status != http.StatusConflict {
		return outcome{}, err
	}
	return p.taken(ctx, c, attempts > 1)
}

// read reads the user that a change is about, with what the change needs to know.
func (p *Provider) read(ctx context.Context, c *plan.Change) (*admin.User, error) {
	var names []string
	for _, f := range c.Fields {
		names = append(names, f.Name)
	}
	u, found, err := p.getUser(ctx, c.RemoteID, names)
	if err == nil && !found {
		return nil, p.gone(c)
	}
	return u, err
}

// updateUser changes mapped fields. The account is read first only where an array changes: else Google merges.
func (p *Provider) updateUser(ctx context.Context, c *plan.Change) error {
	current := &admin.User{}
	if touchesArrays(c.Fields) {
		var err error
		if current, err = p.read(ctx, c); err != nil {
			return err
		}
		if err := carries(c, marksOf(current).anchors, c.ID); err != nil {
			return err
		}
	}
	e := newEdit(current)
	if err := e.set(c.Fields); err != nil {
		return err
	}
	return p.putUser(ctx, c, e.seal(false))
}

// claimUser puts our anchor on an account: Adopt on one that has none, Reanchor on one that has an older one of ours.
func (p *Provider) claimUser(ctx context.Context, c *plan.Change) error {
	current, err := p.read(ctx, c)
	if err != nil {
		return err
	}
	if err := unprotected(c, p.protectsUser(current)); err != nil {
		return err
	}
	e := newEdit(current)
	if err := carries(c, e.marks.anchors, c.ID, c.From); err != nil {
		return err // From is empty for Adopt: no anchor.
	}
	e.marks.anchors = []string{string(c.ID)}
	if err := e.set(c.Fields); err != nil {
		return err
	}
	return p.putUser(ctx, c, e.seal(true))
}

// putUser writes a user, and renames it where the change says so.
func (p *Provider) putUser(ctx context.Context, c *plan.Change, body *admin.User) error {
	address := newAddress(c)
	if address != "" {
		if err := p.checkDomain(ctx, address); err != nil {
			return err
		}
		body.PrimaryEmail = address
	}
	err := p.updateCall(ctx, c.RemoteID, body, address != "")
	status, _ := code(err)
	switch {
	case status == http.StatusConflict && address != "" && fault.KindOf(err) == fault.Conflict:
		return p.renamed(ctx, c, func(ctx context.Context, again bool) error {
			if !again {
				body.PrimaryEmail = ""
			}
			return p.updateCall(ctx, c.RemoteID, body, again)
		})
	case status == http.StatusForbidden && fault.KindOf(err) == fault.Denied: // Not every refusal comes with a reason.
		return p.forbidden(ctx, c.RemoteID, err)
	}
	return err
}

func (p *Provider) updateCall(ctx context.Context, id string, body *admin.User, takesAddress bool) error {
	return p.callAs(ctx, "users.update", p.settling(takesAddress, id), func(ctx context.Context) error {
		_, err := p.api.Users.Update(id, body).Fields("id").Context(ctx).Do()
		if err == nil {
			p.wrote.Store(true)
		}
		return err
	})
}

// forbidden tells a target that refuses us from one account that is above us: only a super administrator may change
// an administrator.
func (p *Provider) forbidden(ctx context.Context, id string, err error) error {
	u, found, getErr := p.getUser(ctx, id, nil)
	if getErr == nil && found && (u.IsAdmin || u.IsDelegatedAdmin) {
		return fault.Errorf(fault.Conflict, "user %s is an administrator, whom the delegated subject may not change: %w", id, err)
	}
	if p.wrote.Load() {
		return fault.Errorf(fault.Conflict, "Google does not let the delegated subject change user %s, though it may change others: %w", id, err)
	}
	return err
}

// suspendUser blocks an account and marks it in one write. One that is suspended already keeps its state: the mark would
// claim somebody else's suspension.
func (p *Provider) suspendUser(ctx context.Context, c *plan.Change) (outcome, error) {
	current, err := p.harm(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	if current.Suspended {
		if suspender(current, marksOf(current)) == plan.Us {
			return outcome{}, nil
		}
		return outcome{foreign: true, note: "was already suspended, by somebody else: it stays theirs to lift"}, nil
	}
	e := newEdit(current)
	e.marks.suspended = p.now().UTC().Format(time.RFC3339)
	body := e.seal(true)
	body.Suspended = true
	return outcome{}, p.putUser(ctx, c, body)
}

// restoreUser lifts a suspension of ours and removes the mark in the same write.
func (p *Provider) restoreUser(ctx context.Context, c *plan.Change) (outcome, error) {
	current, err := p.read(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	m := marksOf(current)
	if err := carries(c, m.anchors, c.ID); err != nil {
		return outcome{}, err
	}
	if !current.Suspended && m.suspended == "" {
		return outcome{}, nil
	}
	if current.Suspended && suspender(current, m) != plan.Us {
		return outcome{}, fault.Errorf(fault.Conflict, "user %s was suspended by somebody else: it stays so", c.RemoteID)
	}
	e := newEdit(current)
	e.marks.suspended = ""
	body := e.seal(true)
	body.ForceSendFields = append(body.ForceSendFields, "Suspended")
	return outcome{}, p.putUser(ctx, c, body)
}

// deleteUser deletes an account. Google can bring it back for twenty days.
func (p *Provider) deleteUser(ctx context.Context, c *plan.Change) (outcome, error) {
	if _, err := p.harm(ctx, c); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return outcome{}, nil
		}
		return outcome{}, err
	}
	p.recent.Drop(c.RemoteID)
	err := p.callAs(ctx, "users.delete", p.settling(false), func(ctx context.Context) error {
		return p.api.Users.Delete(c.RemoteID).Context(ctx).Do()
	})
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return outcome{}, err
	}
	return outcome{}, nil
}

// harm reads a user that is about to lose something, and refuses one that is not ours to take from.
func (p *Provider) harm(ctx context.Context, c *plan.Change) (*admin.User, error) {
	current, err := p.read(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := carries(c, marksOf(current).anchors, c.ID); err != nil {
		return nil, err
	}
	return current, unprotected(c, p.protectsUser(current))
}
