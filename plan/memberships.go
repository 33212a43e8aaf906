package plan

import (
	"slices"
	"strings"

	"rollcall/directory"
)

// memberships plans who joins and who leaves the groups. Members that are not ours are left alone; so are passive
// ones (disabled, out of scope, held).
func (c *computer) memberships() {
	for i := range c.in.Desired {
		d := &c.in.Desired[i]
		if d.Kind != directory.Group || d.Held != "" || c.held[d.Ref] || !d.Active {
			continue
		}
		objects := c.anchored[d.Ref]
		switch {
		case len(objects) == 1 && objects[0].ReadOnly == "":
			c.members(d, objects[0])
		case len(c.former[d.Ref]) == 1:
			c.inherited(d, c.former[d.Ref][0])
		case len(objects) == 0:
			if remote, ok := c.target[d.Ref]; ok {
				c.members(d, c.byRemote[remote]) // Adopted, or nil for one that is created.
			}
		}
	}
}

// inherited plans the members of a group that was created again. They wait with it (see guard.follows).
func (c *computer) inherited(d *Desired, o *Object) {
	before := len(c.plan.Changes)
	switch {
	case c.in.Capabilities.Mirror:
		c.members(d, nil)
		for i := before; i < len(c.plan.Changes); i++ {
			c.plan.Changes[i].Paired = true
		}
	case c.heir[o] == d && o.ReadOnly == "" && !o.Stub:
		c.members(d, o)
		for i := before; i < len(c.plan.Changes); i++ {
			c.plan.Changes[i].From = o.ID // Removals come before the group is re-anchored.
		}
	}
}

func (c *computer) members(d *Desired, o *Object) {
	if o != nil && d.Version != "" && d.Version == o.Version {
		c.plan.Counts.Anchored.Membership += len(d.Members)
		c.plan.Counts.Desired.Membership += len(d.Members)
		c.plan.Counts.Unchanged.Membership += len(d.Members)
		return
	}
	current := map[directory.Ref]string{}
	if o != nil {
		for _, remote := range o.Members {
			if ref, ok := c.memberRef(remote); ok {
				current[ref] = remote
			}
		}
	}
	c.plan.Counts.Anchored.Membership += len(current)
	desired := make(map[directory.Ref]bool, len(d.Members))
	for i := range d.Members {
		desired[d.Members[i].Ref] = true
		c.member(d, o, &d.Members[i], current)
	}
	c.leavers(d, o, desired, current)
}

// memberRef returns the entry of a member by its remote id, where it is one of ours.
func (c *computer) memberRef(remote string) (directory.Ref, bool) {
	if ref, ok := c.owner[remote]; ok {
		return ref, true
	}
	if !c.in.Capabilities.Mirror {
		return directory.Ref{}, false
	}
	return ParseRef(remote)
}

func (c *computer) member(d *Desired, o *Object, m *Member, current map[directory.Ref]string) {
	if remote, is := current[m.Ref]; is {
		c.plan.Counts.Desired.Membership++
		c.plan.Counts.Unchanged.Membership++
		if c.in.Capabilities.Mirror && remote != m.Ref.String() {
			c.renumber(d, o, m.Ref, remote)
		}
		return
	}
	remote, exists := c.target[m.Ref]
	if c.in.Capabilities.Mirror {
		remote, exists = m.Ref.String(), true
	}
	if m.Passive || !exists || c.unpinned[m.Ref] || c.orders[m.Ref] != nil || c.unordered[m.Ref] {
		return
	}
	c.plan.Counts.Desired.Membership++
	if !c.concerns(d.Ref) && !c.concerns(m.Ref) {
		return
	}
	ch := c.change(AddMember, d, o)
	ch.Member, ch.MemberRemoteID = &m.Ref, remote
	ch.MemberLabel = c.memberLabel(m.Ref)
	c.plan.Changes = append(c.plan.Changes, ch)
}

// renumber plans what a mirror does to a membership of an entry that was created again. The new ID takes the place of
// the old one.
func (c *computer) renumber(d *Desired, o *Object, ref directory.Ref, remote string) {
	old, ok := ParseRef(remote)
	if !ok {
		return
	}
	add, remove := c.change(AddMember, d, o), c.change(RemoveMember, d, o)
	add.Member, add.MemberRemoteID, add.MemberLabel, add.Paired = &ref, ref.String(), c.memberLabel(ref), true
	remove.Member, remove.MemberRemoteID, remove.MemberLabel, remove.Paired = &old, remote, c.memberLabel(ref), true
	c.plan.Changes = append(c.plan.Changes, add, remove)
}

func (c *computer) leavers(d *Desired, o *Object, desired map[directory.Ref]bool, current map[directory.Ref]string) {
	var gone []directory.Ref
	for ref, remote := range current {
		if o := c.byRemote[remote]; o != nil && c.disputed[o] {
			continue
		}
		if !desired[ref] && !c.unusable[ref] && (c.concerns(d.Ref) || c.concerns(ref)) {
			gone = append(gone, ref)
		}
	}
	if len(gone) == 0 {
		return
	}
	slices.SortFunc(gone, directory.Ref.Compare)
	if c.plan.sizes == nil {
		c.plan.sizes, c.plan.bare = map[directory.ID]int{}, map[directory.ID]bool{}
	}
	c.plan.sizes[d.ID], c.plan.bare[d.ID] = max(len(current), o.Size), len(desired) == 0
	for _, ref := range gone {
		ch := c.change(RemoveMember, d, o)
		ch.Member, ch.MemberRemoteID, ch.MemberLabel = &ref, current[ref], c.memberLabel(ref)
		if old, ok := ParseRef(current[ref]); ok && c.in.Capabilities.Mirror {
			ch.Member = &old
		}
		c.plan.Changes = append(c.plan.Changes, ch)
	}
}

func (c *computer) memberLabel(ref directory.Ref) string {
	if d := c.desired[ref]; d != nil {
		return d.Label
	}
	if objects := c.anchored[ref]; len(objects) > 0 {
		return c.label(objects[0])
	}
	return string(ref.ID)
}

// ParseRef reads what Ref.String wrote.
func ParseRef(s string) (directory.Ref, bool) {
	for _, k := range directory.Kinds {
		if id, ok := strings.CutPrefix(s, k.String()+"/"); ok && id != "" {
			return directory.Ref{Kind: k, ID: directory.ID(id)}, true
		}
	}
	return directory.Ref{}, false
}
