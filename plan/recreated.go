package plan

import (
	"maps"
	"slices"
	"strings"

	"rollcall/directory"
)

// recognise finds entries that were created again, where the directory gave a person or a group with an account a new
// ID. Until a person has decided, and when the decision is carried out, the old and the new ID are one account. It
// belongs to the new entry in every comparison, and the old entry did not depart.
func (c *computer) recognise() {
	left := c.withoutEntry()
	if len(left) == 0 {
		return
	}
	claimed := map[*Object][]*Desired{}
	for i := range c.in.Desired {
		d := &c.in.Desired[i]
		if len(c.anchored[d.Ref]) > 0 || c.unsettled[d.Ref] || !d.Active && d.Held == "" && !c.in.Capabilities.Mirror {
			continue
		}
		for _, o := range c.candidates(left, d) {
			claimed[o] = append(claimed[o], d)
			c.former[d.Ref] = append(c.former[d.Ref], o)
		}
	}
	if c.in.Capabilities.Mirror { // An entry that cannot be told from another one is a new one.
		maps.DeleteFunc(c.former, func(_ directory.Ref, objects []*Object) bool {
			return len(objects) != 1 || len(claimed[objects[0]]) != 1
		})
	}
	for o, entries := range claimed {
		c.plan.Undecided = append(c.plan.Undecided, o.Ref)
		if len(entries) == 1 && len(c.former[entries[0].Ref]) == 1 {
			c.heir[o] = entries[0]
			delete(c.target, o.Ref)
			c.target[entries[0].Ref], c.owner[o.RemoteID] = o.RemoteID, entries[0].Ref
		} else if !c.in.Capabilities.Mirror {
			c.disputed[o] = true // It is not a departure either, until a person says which entry it belongs to.
		}
	}
}

// withoutEntry indexes the objects that carry our anchor and have no entry, by the facts that may outlive the entry.
func (c *computer) withoutEntry() map[string][]*Object {
	if c.in.Capabilities.Mirror && len(c.in.Only) > 0 {
		return nil // Only some entries are known: one that is not among them need not be gone.
	}
	left := map[string][]*Object{}
	for ref, objects := range c.anchored {
		if len(objects) != 1 || c.desired[ref] != nil || c.unusable[ref] || c.outOfScope[ref] || c.returns[ref] {
			continue
		}
		for _, fact := range c.facts(objects[0]) {
			left[fact] = append(left[fact], objects[0])
		}
	}
	if len(left) == 0 {
		return nil
	}
	c.dropShared(left)
	return left
}

// dropShared removes the facts that do not tell one entry from another, such as the number 0 of all externals. Those
// are facts of several objects, and of an entry that has an account of its own. In a tenant, addresses and names
// stay.
func (c *computer) dropShared(left map[string][]*Object) {
	maps.DeleteFunc(left, func(f string, objects []*Object) bool {
		return len(objects) > 1 && (c.in.Capabilities.Mirror || strings.HasPrefix(f, factRekey))
	})
	for i := range c.in.Desired {
		d := &c.in.Desired[i]
		switch {
		case len(c.anchored[d.Ref]) == 0:
		case c.in.Capabilities.Mirror:
			for _, f := range attributeFacts(d.Kind, d.Fields) {
				delete(left, f)
			}
		case d.Rekey != "":
			delete(left, fact(factRekey, d.Kind, d.Rekey))
		}
	}
}

// The facts by which an entry is recognised. Each is prefixed, as an address is not a number.
const (
	factAddress = "address "
	factRekey   = "rekey "
	factName    = "name "
	factDN      = "dn "
)

func fact(prefix string, k directory.Kind, value string) string {
	return prefix + k.String() + " " + strings.ToLower(value)
}

// facts returns what is known of an object's former entry.
func (c *computer) facts(o *Object) (out []string) {
	add := func(prefix, value string) {
		if value != "" {
			out = append(out, fact(prefix, o.Kind, value))
		}
	}
	if c.in.Capabilities.Mirror {
		return attributeFacts(o.Kind, o.Fields)
	}
	add(factAddress, o.Address)
	add(factRekey, c.in.Links[o.Ref].Rekey)
	if o.Address == "" && o.Kind == directory.Group {
		add(factName, o.Fields.Get(nameField))
	}
	return out
}

// nameField is the field by which a group without an address is recognised.
const nameField = "displayName"

// candidates returns the objects that may have been the entry's under an older ID, with the best evidence first. The
// configured fact comes first, then the address, then the name of a group without an address.
func (c *computer) candidates(left map[string][]*Object, d *Desired) []*Object {
	if c.in.Capabilities.Mirror {
		return c.mirrored(left, d)
	}
	if d.Rekey == "" {
		return nil
	}
	objects := left[fact(factRekey, d.Kind, d.Rekey)]
	switch {
	case len(objects) > 0 && !strings.EqualFold(d.Rekey, d.Address):
		return objects // An address may change hands, and other facts do not.
	case len(objects) > 0:
	case d.Address != "":
		objects = left[fact(factAddress, d.Kind, d.Address)]
	default:
		objects = left[fact(factName, d.Kind, groupName(d))]
	}
	return slices.DeleteFunc(slices.Clone(objects), func(o *Object) bool { return c.another(d, o) })
}

// another reports whether o was made for an entry other than d, so that the address changed hands.
func (c *computer) another(d *Desired, o *Object) bool {
	known := c.in.Links[o.Ref].Rekey
	return known != "" && !strings.EqualFold(known, d.Rekey) && !strings.EqualFold(known, d.Address) || c.unlike(d, o)
}

// unlike reports whether an account has another person's names. No value of the account is one of the entry's in the
// two or more fields that both have. Values are compared as the provider keeps them, and without case. What is made
// from the address is no name.
func (c *computer) unlike(d *Desired, o *Object) bool {
	local, _, _ := strings.Cut(d.Address, "@")
	compared := 0
	for _, f := range d.Fields {
		n := c.in.Capabilities.normal(f.Name) | Fold
		want, have := n.list(f.Values), n.list(o.Fields.Values(f.Name))
		if len(want) == 0 || len(have) == 0 || strings.EqualFold(want[0], d.Address) || strings.EqualFold(want[0], local) {
			continue
		}
		compared++
		if slices.ContainsFunc(want, func(v string) bool { return slices.Contains(have, v) }) {
			return false
		}
	}
	return d.Kind == directory.User && compared > 1
}

func groupName(d *Desired) string {
	if name := d.Fields.Get(nameField); name != "" {
		return name
	}
	return d.Label
}

// mirrored is candidates for the local directory, which has the attributes themselves.
func (c *computer) mirrored(left map[string][]*Object, d *Desired) (out []*Object) {
	for _, f := range attributeFacts(d.Kind, d.Fields) {
		for _, o := range left[f] { // At most one: see dropShared.
			a, b := o.Fields.Get(directory.EmployeeNumber), d.Fields.Get(directory.EmployeeNumber)
			if a == b || a == "" || b == "" {
				out = append(out, o)
			}
		}
		if out != nil {
			return out
		}
	}
	return nil
}

// attributeFacts returns the facts among an entry's attributes, the best first.
func attributeFacts(k directory.Kind, fields directory.Attributes) (out []string) {
	names := []string{directory.EmployeeNumber, directory.UserName, directory.Mail}
	if k == directory.Group {
		names = []string{directory.CommonName, directory.DisplayName, directory.Mail}
	}
	for _, name := range names {
		for _, v := range fields.Values(name) {
			out = append(out, fact(name+" ", k, v))
		}
	}
	if dn := fields.Get(MirrorDN); dn != "" {
		out = append(out, fact(factDN, k, dn))
	}
	return out
}

// MirrorDN is the name under which a mirror keeps an entry's DN among its fields. No attribute can have it.
const MirrorDN = "@dn"

// entryOf returns the entry that an object belongs to. That is the one that its anchor names, or the one that was
// created in its place.
func (c *computer) entryOf(o *Object) directory.Ref {
	if d := c.heir[o]; d != nil {
		return d.Ref
	}
	return o.Ref
}

// recreated plans an entry that has an account under an older ID: the offer to put the new ID on it.
func (c *computer) recreated(d *Desired) {
	objects := c.former[d.Ref]
	o := objects[0]
	switch {
	case c.in.Capabilities.Mirror:
		c.create(d)
		created := &c.plan.Changes[len(c.plan.Changes)-1]
		created.From, created.Paired = o.ID, true
		c.depart(Delete, o, Absent).Paired = true
	case c.disputed[o] || len(objects) > 1:
		c.hold(d, RecreatedEntry, "it looks like the entry of %s under a new id, and so do other entries: "+
			"give it a fact that is its own (rekey_by), or delete the account", describeAll(objects))
	case o.Protected != "" || o.ReadOnly != "":
		c.hold(d, ProtectedObject,
			"its account %s is anchored to the id %s that the entry had before, and is never written: %s",
			describeAll(objects), o.ID, o.Protected+o.ReadOnly)
	case o.Stub:
		c.hold(d, RecreatedEntry,
			"its account is known under the id %s that the entry had before: a full sync offers it for approval", o.ID)
	case d.Held != "":
		c.hold(d, d.Held, "%s", d.Detail)
	case d.Address != o.Address && !c.mayTake(d, o):
	default:
		c.filled(d, o)
		ch := c.change(Reanchor, d, o)
		ch.From, ch.Fields, ch.Address = o.ID, c.accepted(d, c.diff(d, o)), c.addressAfter(d, o)
		ch.Wave, ch.TakenFrom = c.waves[d.Ref], c.takenFrom(d)
		c.plan.Changes = append(c.plan.Changes, ch)
		if d.Active && !o.Active {
			c.activate(d, o)
		}
	}
}

// describeAll names objects by their addresses, or by their remote ids where they have none.
func describeAll(objects []*Object) string {
	var names []string
	for _, o := range objects {
		name := o.RemoteID
		if o.Address != "" {
			name = o.Address + " (" + o.RemoteID + ")"
		}
		names = append(names, name)
	}
	return clip(names)
}
