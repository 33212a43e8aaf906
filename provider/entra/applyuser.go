package entra

import (
	"context"
	"net/http"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// updateUsers changes mapped fields, and what base gives besides; a change of the address is a rename, which keeps the
// account.
func (p *Provider) updateUsers(ctx context.Context, jobs []*job, base func(*job) map[string]any) {
	p.checkAddresses(ctx, jobs)
	jobs = open(jobs)
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		body := base(j)
		patch(body, j.Fields)
		if address := newAddress(j.Change); address != "" {
			body["userPrincipalName"] = address
		}
		items = append(items, p.patchUser(j.RemoteID, body))
	}
	p.sendPatches(ctx, jobs, items)
	p.nameHolders(ctx, jobs)
}

// patchUser changes one account.
func (p *Provider) patchUser(id string, body map[string]any) *item {
	return &item{op: "users.update", method: http.MethodPatch, url: "/users/" + id, body: body, retell: p.settling(id)}
}

// sendPatches ends jobs with what becomes of their requests. A request that changes nothing is not made.
func (p *Provider) sendPatches(ctx context.Context, jobs []*job, items []*item) {
	var real []*item
	for _, it := range items {
		if body, ok := it.body.(map[string]any); !ok || len(body) > 0 {
			real = append(real, it)
		}
	}
	p.send(ctx, real...)
	for i, j := range jobs {
		j.end(items[i])
	}
	p.denied(ctx, jobs, items)
}

// checkAddresses ends the jobs whose new address the tenant cannot have.
func (p *Provider) checkAddresses(ctx context.Context, jobs []*job) {
	var names []string
	for _, j := range jobs {
		address := newAddress(j.Change)
		if j.Op == plan.Create {
			address = j.Address
		} else if address == "" {
			continue
		}
		if names == nil {
			var err error
			if names, err = p.writableDomains(ctx); err != nil {
				failAll(jobs, err)
				return
			}
		}
		if err := inDomain(address, names); err != nil {
			j.fail(err)
		}
	}
}

// claimUsers puts our anchor on accounts: Adopt on one that has none, Reanchor on one that has an older one of ours.
func (p *Provider) claimUsers(ctx context.Context, jobs []*job) {
	p.verifyUsers(ctx, jobs, true, func(j *job) []directory.ID { return []directory.ID{j.ID, j.From} })
	p.updateUsers(ctx, open(jobs), func(j *job) map[string]any {
		return map[string]any{"onPremisesImmutableId": encodeAnchor(j.ID)}
	})
}

// suspendUsers blocks accounts. One that is blocked already keeps its state, and its suspension is somebody else's unless
// we know it for ours.
func (p *Provider) suspendUsers(ctx context.Context, jobs []*job) {
	users := p.verifyUsers(ctx, jobs, true, own)
	var items []*item
	var active []*job
	for _, j := range open(jobs) {
		switch {
		case users[j.RemoteID].Disabled && p.marks.has(j.RemoteID):
			j.succeed("")
		case users[j.RemoteID].Disabled:
			j.out.Foreign = true
			j.succeed("was already suspended, by somebody else: it stays theirs to lift")
		default:
			p.marks.set(j.RemoteID, true) // Before the write: its answer may get lost.
			active = append(active, j)
			items = append(items, p.patchUser(j.RemoteID, map[string]any{"accountEnabled": false}))
		}
	}
	p.sendPatches(ctx, active, items)
	for _, j := range active {
		if j.out.Err == nil {
			p.returning.end(ctx, p, j.RemoteID)
		}
		if j.out.Err != nil && !fault.KindOf(j.out.Err).Retryable() && fault.KindOf(j.out.Err) != fault.Canceled {
			p.marks.set(j.RemoteID, false)
		}
	}
}

// restoreUsers lifts suspensions of ours. An account that is shown as active gets the write all the same where the mark is
// ours: it may be shown as it was.
func (p *Provider) restoreUsers(ctx context.Context, jobs []*job) {
	users := p.verifyUsers(ctx, jobs, false, own)
	var items []*item
	var ours []*job
	for _, j := range open(jobs) {
		switch {
		case p.marks.has(j.RemoteID):
			ours = append(ours, j)
			items = append(items, p.patchUser(j.RemoteID, map[string]any{"accountEnabled": true}))
		case users[j.RemoteID].Disabled:
			j.fail(fault.Errorf(fault.Conflict, "user %s was suspended by somebody else: it stays so", j.RemoteID))
		default:
			j.succeed("")
		}
	}
	p.sendPatches(ctx, ours, items)
	for _, j := range ours {
		if j.out.Err == nil {
			p.marks.set(j.RemoteID, false)
			p.returning.end(ctx, p, j.RemoteID)
		}
	}
}

// deleteUsers deletes accounts. Entra can bring them back for thirty days.
func (p *Provider) deleteUsers(ctx context.Context, jobs []*job) {
	p.verifyUsers(ctx, jobs, true, own)
	var items []*item
	var found []*job
	for _, j := range jobs {
		switch {
		case !j.done:
			p.recent.Drop(j.RemoteID)
			found = append(found, j)
			items = append(items, &item{op: "users.delete", method: http.MethodDelete, url: "/users/" + j.RemoteID, retell: missingIsFine})
		case j.out.Err != nil && fault.KindOf(j.out.Err) == fault.NotFound:
			j.succeed("")
		}
	}
	p.sendPatches(ctx, found, items)
}

// missingIsFine takes the answer that there is no such thing for a success.
func missingIsFine(err error) error {
	if notFound(err) {
		return nil
	}
	return err
}
