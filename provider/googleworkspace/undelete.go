package googleworkspace

import (
	"cmp"
	"context"
	"net/http"
	"time"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/fault"
	"rollcall/plan"
)

// undeleteWithin is how long Google keeps a deleted user (developers.google.com/workspace/admin/directory, "Restore a user").
const undeleteWithin = 20 * 24 * time.Hour

// undeleteUser brings a deleted account back, with its id, its anchor and what it owned, and then sets the fields as they were: of
// where it comes back only the organizational unit can be said.
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
	switch status, _ := code(undeleted); {
	case undeleted == nil:
		p.recent.Add(c.RemoteID)
	case status == http.StatusConflict:
		return outcome{}, fault.Errorf(fault.Conflict, "the deleted user %s cannot come back while something else has its address %s: %w", c.RemoteID, c.Address, undeleted)
	case fault.KindOf(undeleted) != fault.NotFound && fault.KindOf(undeleted) != fault.Invalid:
		return outcome{}, undeleted
	}
	current, err := p.read(ctx, c)
	switch {
	case err != nil && undeleted != nil && fault.KindOf(err) == fault.NotFound:
		return outcome{}, fault.Errorf(fault.Invalid, "user %s is gone for good: Google keeps deleted users for 20 days", c.RemoteID)
	case err != nil:
		return outcome{}, err
	}
	e := newEdit(current)
	if err := carries(c, e.marks.anchors, c.ID); err != nil {
		return outcome{}, err
	}
	if err := e.set(c.Fields); err != nil {
		return outcome{}, err
	}
	suspend := c.Inactive && !current.Suspended
	lift := !c.Inactive && current.Suspended && suspender(current, e.marks) == plan.Us // Somebody else's suspension stays.
	switch {
	case suspend:
		e.marks.suspended = p.now().UTC().Format(time.RFC3339)
	case lift:
		e.marks.suspended = ""
	}
	to := e.seal(suspend || lift)
	if to.Suspended = suspend; lift {
		to.ForceSendFields = append(to.ForceSendFields, "Suspended")
	}
	return outcome{note: "brought back from the deleted users"}, p.putUser(ctx, c, to)
}
