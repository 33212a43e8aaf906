package entra

import (
	"context"
	"net/http"

	"rollcall/fault"
)

// undeleteUsers brings deleted accounts back and then sets the fields as they were. They come back blocked; one that was
// active is activated with its fields.
func (p *Provider) undeleteUsers(ctx context.Context, jobs []*job) {
	ids := make([]string, 0, len(jobs))
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		if !j.Inactive {
			ids = append(ids, j.RemoteID)
		}
		items = append(items, &item{
			op: "deletedItems.restore", method: http.MethodPost, url: "/directory/deletedItems/" + j.RemoteID + "/restore",
			body: map[string]any{"autoReconcileProxyConflict": true},
		})
	}
	if err := p.returning.begin(ctx, p, ids); err != nil {
		failAll(jobs, err)
		return
	}
	p.deleted.forget()
	p.send(ctx, items...)
	for i, j := range jobs {
		switch it := items[i]; {
		case it.err == nil:
			p.recent.Add(j.RemoteID)
		case notFound(it.err): // An earlier attempt brought it back, or it is gone for good: the next request tells.
		case fault.KindOf(it.err) == fault.Conflict:
			j.fail(fault.Errorf(fault.Conflict, "the deleted account %s cannot come back as %s: %w", j.RemoteID, j.Address, it.err))
		default:
			j.end(it)
		}
	}
	p.reinstate(ctx, open(jobs))
}

// reinstate gives accounts that came back what they had.
func (p *Provider) reinstate(ctx context.Context, jobs []*job) {
	users := p.verifyUsers(ctx, jobs, false, own)
	var back []*job
	var items []*item
	for _, j := range jobs {
		if j.done {
			if j.out.Err != nil && fault.KindOf(j.out.Err) == fault.NotFound {
				j.fail(fault.Errorf(fault.Invalid, "user %s is gone for good: Entra keeps deleted users for 30 days", j.RemoteID))
			}
			continue
		}
		body := map[string]any{}
		if !j.Inactive && users[j.RemoteID].Disabled {
			body["accountEnabled"] = true
		}
		patch(body, j.Fields)
		back, items = append(back, j), append(items, p.patchUser(j.RemoteID, body))
	}
	p.sendPatches(ctx, back, items)
	for _, j := range back {
		if j.out.Err != nil {
			continue
		}
		j.out.Note = "restored from the deleted items"
		p.marks.set(j.RemoteID, j.Inactive)
		p.returning.end(ctx, p, j.RemoteID)
	}
}
