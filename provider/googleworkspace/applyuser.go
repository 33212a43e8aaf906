package googleworkspace

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
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

// createUser creates an account with its anchor. An account with the address and our anchor is the work of an earlier
// attempt with a lost answer.
func (p *Provider) createUser(ctx context.Context, c *plan.Change) (outcome, error) {
	if err := p.checkDomain(ctx, c.Address); err != nil {
		return outcome{}, err
	}
	e := p.edit(ctx, &admin.User{})
	e.marks.anchors = []string{string(c.ID)}
	if err := e.set(c.Fields); err != nil {
		return outcome{}, err
	}
	body := e.seal(true)
	body.PrimaryEmail = c.Address
	body.Password = remote.NewPassword()
	body.ForceSendFields = append(body.ForceSendFields, "Suspended")
	out, err := p.create(ctx, c, "users.insert", func(ctx context.Context) (string, error) {
		made, err := p.api.Users.Insert(body).Fields("id").Context(ctx).Do()
		if err != nil {
			return "", err
		}
		return made.Id, nil
	})
	if err == nil {
		// The account is there. The next run tries again what was refused.
		if err := p.addAliases(provider.Patient(ctx), out.remoteID, e.aliases.add); err != nil {
			out.note = strings.TrimPrefix(out.note+"; not added: "+err.Error(), "; ")
		}
	}
	return out, without(body.Password, err)
}

// create makes an object. insert is one attempt.
func (p *Provider) create(
	ctx context.Context, c *plan.Change, op string, insert func(context.Context) (string, error),
) (outcome, error) {
	id, attempts := "", 0
	once := func(ctx context.Context) (err error) {
		attempts++
		if id, err = insert(ctx); err == nil && id == "" { // The next attempt finds what this one created.
			err = fault.Errorf(fault.Unavailable, "%s: the answer has no id", op)
		}
		return err
	}
	err := p.call(ctx, op, once)
	if err == nil {
		p.recent.Add(id)
	}
	if status, _ := code(err); err == nil || status != http.StatusConflict {
		return outcome{remoteID: id}, err
	}
	return p.taken(ctx, c, attempts > 1, func(ctx context.Context) (string, error) {
		err := p.callAs(ctx, op, p.settling(false, true), once)
		return id, err
	})
}

// read reads the user of a change, with the fields that the change needs.
func (p *Provider) read(ctx context.Context, c *plan.Change) (*admin.User, error) {
	u, found, err := p.getUser(ctx, c.RemoteID, names(c.Fields))
	if err == nil && !found {
		return nil, gone(c)
	}
	return u, err
}

func names(fields []plan.FieldChange) []string {
	out := make([]string, 0, len(fields))
	for _, f := range fields {
		out = append(out, f.Name)
	}
	return out
}

// updateUser changes mapped fields. The account is read first only where an array changes, because Google merges all
// other fields.
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
	e := p.edit(ctx, current)
	if err := e.set(c.Fields); err != nil {
		return err
	}
	return p.write(ctx, c, e, false)
}

// claimUser puts our anchor on an account. Adopt expects an account without an anchor, Reanchor one with an older
// anchor of ours.
func (p *Provider) claimUser(ctx context.Context, c *plan.Change) error {
	current, err := p.read(ctx, c)
	if err != nil {
		return err
	}
	if err := remote.Unprotected(c, p.protectsUser(current)); err != nil {
		return err
	}
	e := p.edit(ctx, current)
	if err := carries(c, e.marks.anchors, c.ID, c.From); err != nil {
		return err // From is empty for Adopt, which allows no anchor.
	}
	e.marks.anchors = []string{string(c.ID)}
	if err := e.set(c.Fields); err != nil {
		return err
	}
	return p.write(ctx, c, e, true)
}

// putUser writes a user, with its new address if the change has one.
func (p *Provider) putUser(ctx context.Context, c *plan.Change, body *admin.User) error {
	address := remote.NewAddress(c)
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
			return p.updateCall(ctx, c.RemoteID, body, false)
		})
	case status == http.StatusForbidden && fault.KindOf(err) == fault.Refused && !noRoom(err):
		return p.refusedUser(ctx, c.RemoteID, err)
	}
	return err
}

func (p *Provider) updateCall(ctx context.Context, id string, body *admin.User, takesAddress bool) error {
	return p.callAs(ctx, "users.update", p.settling(takesAddress, false, id), func(ctx context.Context) error {
		_, err := p.api.Users.Update(id, body).Fields("id").Context(ctx).Do()
		return err
	})
}

// refusedUser explains why Google refuses a change of this one user. Only a super administrator may change an
// administrator, and a delegated administrator may be limited to an organizational unit.
func (p *Provider) refusedUser(ctx context.Context, id string, err error) error {
	u, found, getErr := p.getUser(ctx, id, nil)
	if getErr == nil && found && (u.IsAdmin || u.IsDelegatedAdmin) {
		return fault.Errorf(fault.Refused, "user %s is an administrator, which the delegated subject may not change: %w",
			id, err)
	}
	return fault.Errorf(fault.Refused,
		"Google refuses this change of user %s: the delegated subject's role may not reach this account: %w", id, err)
}

// suspendUser suspends an account and marks it in one write. An account that is suspended already gets no mark,
// because the mark would claim a suspension that is not ours. The sessions end first, because Google does not say
// whether a suspended account can be signed out.
func (p *Provider) suspendUser(ctx context.Context, c *plan.Change) (outcome, error) {
	current, err := p.readOurs(ctx, c)
	if err != nil {
		return outcome{}, err
	}
	if current.Suspended && suspender(current, marksOf(current)) != plan.Us {
		return outcome{foreign: true,
			note: "was already suspended in the tenant, not by Rollcall, and has to be restored there"}, nil
	}
	var signedOut error
	if c.EndSessions {
		signedOut = p.signOut(ctx, c.RemoteID)
	}
	if !current.Suspended {
		e := p.edit(ctx, current)
		e.marks.suspended = p.now().UTC().Format(time.RFC3339)
		body := e.seal(true)
		body.Suspended = true
		if err := p.putUser(ctx, c, body); err != nil {
			return outcome{}, err
		}
	}
	if fault.KindOf(signedOut).Retryable() { // Once more only, because other leavers wait.
		signedOut = p.signOut(ctx, c.RemoteID)
	}
	if signedOut != nil {
		return outcome{note: "is suspended, and its sessions could not be ended: " + signedOut.Error()}, nil
	}
	return outcome{sessionsEnded: c.EndSessions}, nil
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
		return outcome{}, fault.Errorf(fault.Conflict,
			"user %s was suspended in the tenant, not by Rollcall, and stays suspended", c.RemoteID)
	}
	e := p.edit(ctx, current)
	e.marks.suspended = ""
	body := e.seal(true)
	body.ForceSendFields = append(body.ForceSendFields, "Suspended")
	return outcome{}, p.putUser(ctx, c, body)
}

// deleteUser deletes an account. Google can restore it for twenty days.
func (p *Provider) deleteUser(ctx context.Context, c *plan.Change) (outcome, error) {
	p.recent.Drop(c.RemoteID)
	if _, err := p.readOurs(ctx, c); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return outcome{}, nil
		}
		return outcome{}, err
	}
	err := p.callAs(ctx, "users.delete", p.settling(false, true), func(ctx context.Context) error {
		return p.api.Users.Delete(c.RemoteID).Context(ctx).Do()
	})
	switch status, _ := code(err); {
	case err == nil || fault.KindOf(err) == fault.NotFound:
		return outcome{}, nil
	case status == http.StatusForbidden && fault.KindOf(err) == fault.Refused:
		return outcome{}, p.refusedUser(ctx, c.RemoteID, err)
	}
	return outcome{}, err
}

// readOurs reads a user that a change suspends or deletes, and returns an error if the user is protected or not ours.
func (p *Provider) readOurs(ctx context.Context, c *plan.Change) (*admin.User, error) {
	current, err := p.read(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := carries(c, marksOf(current).anchors, c.ID); err != nil {
		return nil, err
	}
	return current, remote.Unprotected(c, p.protectsUser(current))
}

// undeleteWithin is how long Google keeps a deleted user (developers.google.com/workspace/admin/directory, "Restore a
// user").
const undeleteWithin = 20 * 24 * time.Hour

// undeleteUser restores a deleted account with its id, its anchor and its data, and then sets the fields of the
// change. users.undelete itself accepts only the organizational unit.
func (p *Provider) undeleteUser(ctx context.Context, c *plan.Change) (outcome, error) {
	where := ""
	for _, f := range c.Fields {
		if f.Name == "orgUnitPath" && len(f.After) > 0 {
			where = f.After[0]
		}
	}
	body := &admin.UserUndelete{OrgUnitPath: cmp.Or(where, "/")}
	undeleted := p.call(ctx, "users.undelete", func(ctx context.Context) error {
		return p.api.Users.Undelete(c.RemoteID, body).Context(ctx).Do()
	})
	if undeleted != nil && (!remote.OfOneObject(undeleted) || fault.KindOf(undeleted) == fault.Refused) {
		return outcome{}, undeleted
	}
	// An earlier attempt with a lost answer may have restored the account, whatever Google says to this one.
	current, err := p.readRestored(ctx, c)
	switch {
	case err != nil && undeleted != nil && fault.KindOf(err) == fault.NotFound:
		return outcome{}, notRestored(c, undeleted)
	case err != nil:
		return outcome{}, err
	}
	e := p.edit(ctx, current)
	if err := carries(c, e.marks.anchors, c.ID); err != nil {
		return outcome{}, err
	}
	if err := e.set(c.Fields); err != nil {
		return outcome{}, err
	}
	suspend := c.Inactive && !current.Suspended
	// A suspension that is not ours stays.
	lift := !c.Inactive && current.Suspended && suspender(current, e.marks) == plan.Us
	switch {
	case suspend:
		e.marks.suspended = p.now().UTC().Format(time.RFC3339)
	case lift:
		e.marks.suspended = ""
	}
	if e.body.Suspended = suspend; lift {
		e.body.ForceSendFields = append(e.body.ForceSendFields, "Suspended")
	}
	return outcome{note: "restored from the deleted users"}, p.write(ctx, c, e, suspend || lift)
}

// readRestored reads an account after its restoration. Reads may show the deleted account for a while.
func (p *Provider) readRestored(ctx context.Context, c *plan.Change) (u *admin.User, err error) {
	v, err := p.view(ctx, names(c.Fields))
	if err != nil {
		return nil, err
	}
	err = p.callAs(ctx, "users.get", retryMissing(), func(ctx context.Context) (err error) {
		if u, err = v.get(ctx, p.api, c.RemoteID); err == nil && u.DeletionTime != "" {
			err = gone(c)
		}
		return err
	})
	return u, err
}

// notRestored says why Google did not restore a deleted account.
func notRestored(c *plan.Change, refusal error) error {
	switch status, _ := code(refusal); {
	case status == http.StatusConflict:
		return fault.Errorf(fault.Conflict,
			"the deleted user %s cannot be restored while another object has its old address: %w", c.RemoteID, refusal)
	case strings.Contains(refusal.Error(), invalidUnit):
		return refusal
	}
	// %v hides the status: users.undelete was sent no field of the change, which would be named.
	return fault.Errorf(fault.Invalid, "user %s cannot be restored (Google keeps deleted users for 20 days): %v",
		c.RemoteID, refusal)
}
