package entra

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider/remote"
)

// returningLife is how long Entra keeps deleted users (learn.microsoft.com/graph/api/directory-deleteditems-restore).
const returningLife = 30 * 24 * time.Hour

// deletedUsers are the accounts of ours among the deleted items. They are listed at the first creation after a read.
type deletedUsers struct {
	mu   sync.Mutex
	byID map[directory.ID]deletedUser
}

type deletedUser struct{ id, since string }

// forget makes the next create list the deleted items again.
func (d *deletedUsers) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byID = nil
}

// take returns the account with the anchor that was deleted last, and removes it from the list.
func (d *deletedUsers) take(id directory.ID) (deletedUser, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u, ok := d.byID[id]
	delete(d.byID, id)
	return u, ok
}

// listDeleted lists the deleted accounts unless they were listed since the last read.
func (p *Provider) listDeleted(ctx context.Context) error {
	p.deleted.mu.Lock()
	defer p.deleted.mu.Unlock()
	if p.deleted.byID != nil {
		return nil
	}
	found := map[directory.ID]deletedUser{}
	list := []*item{get("deletedItems.list",
		"/directory/deletedItems/microsoft.graph.user?$select=id,onPremisesImmutableId,deletedDateTime&$top=999")}
	err := p.listWhole(ctx, list, func(r raw) {
		var u deletedUser
		anchor := ""
		take(r, "id", &u.id)
		take(r, "deletedDateTime", &u.since)
		take(r, "onPremisesImmutableId", &anchor)
		if id, ours := decodeAnchor(anchor); ours && isObjectID(u.id) && u.since >= found[id].since {
			found[id] = u
		}
	})
	switch r := refused(err); {
	case err == nil:
		p.deleted.byID = found
		return nil
	case r != nil && r.Status < 500 && fault.KindOf(err) != fault.Throttled: // Only the creation of accounts waits.
		return fault.Errorf(fault.Refused, "cannot check for a deleted account to restore: %w", err)
	}
	return err
}

// Deleted implements provider.Restorer. A restored account can take any address, so the former addresses are not
// returned.
func (p *Provider) Deleted(ctx context.Context) ([]plan.Deleted, error) {
	if err := p.listDeleted(ctx); err != nil {
		return nil, err
	}
	p.deleted.mu.Lock()
	defer p.deleted.mu.Unlock()
	out := make([]plan.Deleted, 0, len(p.deleted.byID))
	for _, id := range slices.Sorted(maps.Keys(p.deleted.byID)) {
		u := p.deleted.byID[id]
		at, err := time.Parse(time.RFC3339, u.since)
		if err != nil {
			at = p.now()
		}
		out = append(out, plan.Deleted{Ref: directory.Ref{Kind: directory.User, ID: id}, RemoteID: u.id, At: at})
	}
	return out, nil
}

// restoreDeleted restores the accounts that are among the deleted items, and ends their jobs. The other jobs stay
// open.
func (p *Provider) restoreDeleted(ctx context.Context, jobs []*job) {
	if len(jobs) == 0 {
		return
	}
	if err := p.listDeleted(ctx); err != nil {
		failAll(jobs, err)
		return
	}
	var back []*job
	ids := map[*job]string{}
	for _, j := range jobs {
		if u, found := p.deleted.take(j.ID); found {
			ids[j] = u.id
			back = append(back, j)
		}
	}
	back = p.undelete(ctx, back, ids, func(j *job) map[string]any {
		return map[string]any{"autoReconcileProxyConflict": true, "newUserPrincipalName": j.Address}
	})
	items := make([]*item, 0, len(back))
	for _, j := range back {
		body := map[string]any{"accountEnabled": true, "userPrincipalName": j.Address}
		patch(body, j.Fields)
		items = append(items, p.patchUser(ids[j], body))
	}
	p.send(ctx, items...)
	for i, j := range back {
		switch it := items[i]; {
		case notFound(it.err) && fault.KindOf(it.err) == fault.NotFound:
			// The account cannot be restored any more, so a new one is created.
		case it.err == nil:
			j.end(it)
			j.out.RemoteID = ids[j]
			j.out.Note = "restored from the deleted items"
			p.returning.end(ctx, p, ids[j])
		default:
			j.end(it)
			p.deleted.forget()
		}
	}
}

// undelete restores deleted accounts. Restored accounts are blocked, and the jobs that it returns have to complete
// them. Among these are the jobs of accounts that are not deleted items. An earlier attempt restored such an account,
// or it was removed permanently, which the next request shows.
func (p *Provider) undelete(ctx context.Context, jobs []*job, ids map[*job]string,
	body func(*job) map[string]any) []*job {
	if len(jobs) == 0 {
		return nil
	}
	var active []string
	items := make([]*item, 0, len(jobs))
	for _, j := range jobs {
		if !j.Inactive {
			active = append(active, ids[j])
		}
		items = append(items, &item{
			op: "deletedItems.restore", method: http.MethodPost, url: "/directory/deletedItems/" + ids[j] +
				"/restore", body: body(j),
		})
	}
	if err := p.returning.begin(ctx, p, active); err != nil {
		failAll(jobs, err)
		p.deleted.forget()
		return nil
	}
	p.send(ctx, items...)
	for i, j := range jobs {
		switch it := items[i]; {
		case it.err == nil:
			p.recent.Add(ids[j])
		case notFound(it.err):
		case fault.KindOf(it.err) == fault.Conflict:
			j.fail(fault.Errorf(fault.Conflict, "the deleted account %s of this entry cannot be restored as %s: %w",
				ids[j], j.Address, it.err))
		default:
			j.end(it)
			p.deleted.forget()
		}
	}
	return open(jobs)
}

// undeleteUsers restores deleted accounts and then sets the fields to their former values. An account that was active
// is activated in the same request.
func (p *Provider) undeleteUsers(ctx context.Context, jobs []*job) {
	p.checkAddresses(ctx, jobs)
	ids := map[*job]string{}
	for _, j := range open(jobs) {
		ids[j] = j.RemoteID
		p.deleted.take(j.ID)
	}
	p.undelete(ctx, open(jobs), ids, func(j *job) map[string]any {
		body := map[string]any{"autoReconcileProxyConflict": true}
		if address := remote.NewAddress(j.Change); address != "" {
			body["newUserPrincipalName"] = address
		}
		return body
	})
	p.reinstate(ctx, open(jobs))
}

// reinstate sets the fields of restored accounts.
func (p *Provider) reinstate(ctx context.Context, jobs []*job) {
	users := p.verifyUsers(ctx, jobs, false, own)
	var back []*job
	var items []*item
	for _, j := range jobs {
		if j.done {
			if j.out.Err != nil && fault.KindOf(j.out.Err) == fault.NotFound {
				j.fail(fault.Errorf(fault.Invalid,
					"user %s cannot be restored any more, because Entra keeps deleted users for 30 days",
					j.RemoteID))
			}
			continue
		}
		body := map[string]any{}
		if !j.Inactive && users[j.RemoteID].Disabled {
			body["accountEnabled"] = true
		}
		patch(body, j.Fields)
		if address := remote.NewAddress(j.Change); address != "" {
			body["userPrincipalName"] = address
		}
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

// returning are the accounts that are being restored. Restored accounts are blocked, and a second request activates
// them. If that request is lost, Rollcall still has to activate the account, although the ledger has no link for a
// deleted account.
type returning struct {
	mu  sync.Mutex
	ids map[string]time.Time
}

// load reads the restorations that other processes began.
func (r *returning) load(ctx context.Context, p *Provider) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil {
		r.ids = map[string]time.Time{}
	}
	if p.opts.Cache == nil {
		return
	}
	blob, err := p.opts.Cache.Load(ctx, "returning")
	if err != nil || blob == nil {
		return
	}
	kept := map[string]time.Time{}
	if json.Unmarshal(blob, &kept) == nil {
		maps.DeleteFunc(kept, func(_ string, since time.Time) bool { return p.now().Sub(since) > returningLife })
		r.ids = kept
	}
}

func (r *returning) has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, on := r.ids[id]
	return on
}

// begin records accounts before they are restored.
func (r *returning) begin(ctx context.Context, p *Provider, ids []string) error {
	return r.change(ctx, p, func() {
		for _, id := range ids {
			r.ids[id] = p.now()
		}
	})
}

// end removes accounts that are active, or were blocked again.
func (r *returning) end(ctx context.Context, p *Provider, ids ...string) {
	if slices.ContainsFunc(ids, r.has) { // A failure to save is repaired by the next read.
		_ = r.change(ctx, p, func() {
			for _, id := range ids {
				delete(r.ids, id)
			}
		})
	}
}

func (r *returning) change(ctx context.Context, p *Provider, do func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ids == nil {
		r.ids = map[string]time.Time{}
	}
	do()
	if p.opts.Cache == nil {
		return nil
	}
	blob, err := json.Marshal(r.ids)
	if err == nil {
		err = p.opts.Cache.Save(ctx, "returning", blob)
	}
	if err != nil {
		return fmt.Errorf("save the accounts being restored: %w", err)
	}
	return nil
}
