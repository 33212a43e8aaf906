package plan

import (
	"strings"
	"time"

	"rollcall/directory"
)

// untouched is the reason for which an object that is read-only or protected is left alone.
func (o *Object) untouched() Reason {
	if o.Unreadable {
		return Unreadable
	}
	return ProtectedObject
}

// undeleted plans an active entry without an account whose deleted account can still be restored: it is restored, with the
// entry's fields and address, or the entry is held. A second account beside the deleted one would be a twin, and would take
// its address for good. It reports whether that settles the entry.
func (c *computer) undeleted(d *Desired) bool {
	if !d.Active || d.Kind != directory.User {
		return false
	}
	if why := c.in.State.DeletedUnknown; why != "" {
		c.hold(d, Restorable, "no account is created while the deleted accounts cannot be read: %s", why)
		return true
	}
	del := c.deleted(d)
	if del == nil {
		return false
	}
	name := strings.TrimSpace(del.Address + " (" + del.RemoteID + ")")
	until := del.At.Add(c.in.Capabilities.UndeleteWithin).UTC().Format(time.RFC3339)
	for _, address := range []string{del.Address, d.Address} {
		for _, o := range c.byAddress[address] {
			c.hold(d, Restorable, "its deleted account %s can be restored until %s, and %s %s (%s) has the address %s: take the address from it",
				name, until, o.Kind, o.Address, o.RemoteID, address)
			return true
		}
	}
	ch := c.change(Undelete, d, nil)
	ch.RemoteID = del.RemoteID
	if d.Address != del.Address && d.Address != "" {
		ch.Fields = append(ch.Fields, FieldChange{AddressField, values(del.Address), values(d.Address)})
	}
	for _, f := range d.Fields {
		if len(f.Values) > 0 {
			ch.Fields = append(ch.Fields, FieldChange{Name: f.Name, After: f.Values})
		}
	}
	c.target[d.Ref], c.owner[del.RemoteID] = del.RemoteID, d.Ref
	c.plan.Changes = append(c.plan.Changes, ch)
	return true
}

// deleted returns the account of the entry that was deleted last and can still be restored, or nil.
func (c *computer) deleted(d *Desired) (last *Deleted) {
	for i := range c.in.State.Deleted {
		del := &c.in.State.Deleted[i]
		if del.Ref != d.Ref || !c.in.Now.Before(del.At.Add(c.in.Capabilities.UndeleteWithin)) {
			continue
		}
		if last == nil || del.At.After(last.At) || del.At.Equal(last.At) && strings.Compare(del.RemoteID, last.RemoteID) > 0 {
			last = del
		}
	}
	return last
}
