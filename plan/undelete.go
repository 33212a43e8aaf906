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

// undeleted plans an active entry that has no account, but a deleted one that can still be restored. The account is
// restored with the entry's fields and address, or the entry is held. A second account beside the deleted one would
// be a twin, and would take its address for good. It reports whether that settles the entry.
func (c *computer) undeleted(d *Desired) bool {
	if !d.Active || d.Kind != directory.User {
		return false
	}
	if why := c.in.State.DeletedUnknown; why != "" {
		c.hold(d, Restorable, "no account is created while the deleted accounts cannot be read: %s", why)
		return true
	}
	del := c.deletedOf[d.Ref]
	if del == nil {
		return false
	}
	name := strings.TrimSpace(del.Address + " (" + del.RemoteID + ")")
	until := del.At.Add(c.in.Capabilities.UndeleteWithin).UTC().Format(time.RFC3339)
	for _, address := range []string{del.Address, d.Address} {
		for _, o := range c.byAddress[address] {
			c.hold(d, Restorable, "its deleted account %s can be restored until %s, and %s %s (%s) has the address %s: take "+
				"the address from it",
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

// restorable returns the account of each entry that was deleted last and can still be restored.
func restorable(in *Input) map[directory.Ref]*Deleted {
	out := make(map[directory.Ref]*Deleted, len(in.State.Deleted))
	for i := range in.State.Deleted {
		del := &in.State.Deleted[i]
		if !in.Now.Before(del.At.Add(in.Capabilities.UndeleteWithin)) {
			continue
		}
		last := out[del.Ref]
		if last == nil || del.At.After(last.At) || del.At.Equal(last.At) && del.RemoteID > last.RemoteID {
			out[del.Ref] = del
		}
	}
	return out
}
