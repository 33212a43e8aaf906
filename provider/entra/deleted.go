package entra

import (
	"context"
	"sync"

	"rollcall/directory"
	"rollcall/fault"
)

// deletedUsers knows the accounts of ours among the deleted items, where Entra keeps them for thirty days. They are listed
// once after each read, when something is created for the first time.
type deletedUsers struct {
	mu   sync.Mutex
	byID map[directory.ID]deletedUser
}

// deletedUser is one of them.
type deletedUser struct{ id, upn, since string }

// forget has the list read again.
func (d *deletedUsers) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.byID = nil
}

// take returns the account that was deleted last of those that carry the anchor, and takes it off the list.
func (d *deletedUsers) take(id directory.ID) (deletedUser, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u, ok := d.byID[id]
	delete(d.byID, id)
	return u, ok
}

// listDeleted lists the deleted accounts unless that was done since the last read.
func (p *Provider) listDeleted(ctx context.Context) error {
	p.deleted.mu.Lock()
	defer p.deleted.mu.Unlock()
	if p.deleted.byID != nil {
		return nil
	}
	found := map[directory.ID]deletedUser{}
	list := get("deletedItems.list", "/directory/deletedItems/microsoft.graph.user?$select=id,userPrincipalName,onPremisesImmutableId,deletedDateTime&$top=999")
	err := p.list(ctx, []*item{list}, func(_ int, r raw) {
		var u deletedUser
		anchor := ""
		r.text("id", &u.id)
		r.text("userPrincipalName", &u.upn)
		r.text("deletedDateTime", &u.since)
		r.text("onPremisesImmutableId", &anchor)
		if id, ours := decodeAnchor(anchor); ours && isObjectID(u.id) && u.since >= found[id].since {
			found[id] = u
		}
	})
	if err == nil && list.err != nil {
		err = fault.Errorf(fault.Unavailable, "deletedItems.list: %w", list.err)
	}
	if err == nil {
		p.deleted.byID = found
	}
	return err
}
