package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rollcall/directory"
)

// Lane is a part of a plan that succeeds or fails on its own. The lanes are in apply order. Access is taken away
// first, then names are freed and objects made before others refer to them, and deletions come last.
type Lane uint8

// The lanes.
const (
	LaneSuspend Lane = iota
	LaneRemove
	LaneUpdate
	LaneCreate
	LaneReferences
	LaneGroups
	LaneAdd
	LaneDelete
)

// Lanes is the number of lanes.
const Lanes = int(LaneDelete) + 1

var laneNames = [...]string{
	LaneSuspend: "suspensions", LaneRemove: "removals of members", LaneUpdate: "updates of users",
	LaneCreate:     "creations of users",
	LaneReferences: "references between users", LaneGroups: "groups", LaneAdd: "additions of members",
	LaneDelete: "deletions",
}

// String names the lane in messages.
func (l Lane) String() string { return laneNames[l] }

// Lane returns the lane of the change.
func (c *Change) Lane() Lane {
	switch c.Op {
	case Suspend:
		return LaneSuspend
	case RemoveMember:
		return LaneRemove
	case AddMember:
		return LaneAdd
	case Delete:
		return LaneDelete
	case Create, Undelete:
		if c.Kind == directory.User {
			return LaneCreate
		}
	case Update, Adopt, Reanchor, Restore:
		switch {
		case c.Refers:
			return LaneReferences
		case c.Kind == directory.User:
			return LaneUpdate
		}
	}
	return LaneGroups
}

// stage is the apply order within the lanes.
func (c *Change) stage() int {
	user := c.Kind == directory.User
	switch c.Op {
	case Suspend:
		return 0
	case RemoveMember:
		return 1
	case AddMember:
		return 20
	case Delete:
		if user {
			return 24
		}
		return 23
	}
	switch {
	case c.Refers:
		return 9
	case user:
		return 1 + int(c.Op)
	}
	return 10 + int(c.Op)
}

// Stage returns the number of the change's stage. Changes of one stage and one wave do not depend on each other.
func (c *Change) Stage() int { return c.stage()*1000 + min(c.Wave, 999) }

func (c *Change) compare(o *Change) int {
	if r := cmp.Compare(c.Stage(), o.Stage()); r != 0 {
		return r
	}
	if r := c.Ref.Compare(o.Ref); r != 0 {
		return r
	}
	if c.Member != nil && o.Member != nil {
		return c.Member.Compare(*o.Member)
	}
	return 0
}

// moves reports whether o, one of ours, gives the address up in this plan.
func (c *computer) moves(o *Object, address string) bool {
	if !o.Anchored() || o.Address != address || o.ReadOnly != "" {
		return false
	}
	d := c.desired[c.entryOf(o)]
	return d != nil && d.Active && d.Held == "" && d.Address != address && c.concerns(d.Ref) && !c.leavesAddress(d) &&
		c.rejection(d, AddressField, values(d.Address)) == nil && len(c.anchored[o.Ref]) == 1 && !c.disputed[o]
}

// yields reports whether the address is an alias that a rename of ours left on o, and that the rename was made to
// free.
func (c *computer) yields(o *Object, address string) bool {
	return o.Anchored() && o.ReadOnly == "" && o.Address != address && c.in.Capabilities.RenameKeepsAddress &&
		c.in.Links[o.Ref].Yields == address
}

// wave returns after how many renames of other entries d can take its address, or -1 where something is in its way.
func (c *computer) wave(d *Desired, behind []directory.Ref) int {
	if w, ok := c.waves[d.Ref]; ok {
		return w
	}
	w := 0
	for _, o := range c.byAddress[d.Address] {
		entry := c.entryOf(o)
		if entry == d.Ref || c.yields(o, d.Address) {
			continue
		}
		if slices.Contains(behind, entry) || !c.moves(o, d.Address) {
			return -1
		}
		before := c.wave(c.desired[entry], append(behind, d.Ref))
		if before < 0 {
			return -1
		}
		w = max(w, before+1)
	}
	c.waves[d.Ref] = w
	return w
}

// mayTake reports whether d may be renamed to its desired address, and holds it where not.
func (c *computer) mayTake(d *Desired, o *Object) bool {
	if d.Address == "" || c.wave(d, []directory.Ref{d.Ref}) >= 0 {
		return true
	}
	blockers := slices.DeleteFunc(slices.Clone(c.byAddress[d.Address]), func(b *Object) bool { return b == o })
	c.blocked(d, blockers)
	return false
}

// takenFrom returns the remote id of the object of ours that keeps d's address as an alias after its own rename.
func (c *computer) takenFrom(d *Desired) string {
	if !c.in.Capabilities.RenameKeepsAddress {
		return ""
	}
	for _, o := range c.byAddress[d.Address] {
		if c.entryOf(o) != d.Ref && (c.moves(o, d.Address) || c.yields(o, d.Address)) {
			return o.RemoteID
		}
	}
	return ""
}

// ring returns d and the other entries of a ring in which each waits for the address of the next. It returns nil if d
// is in no ring. Two entries never wait for one address, because they would be held for sharing it.
func (c *computer) ring(d *Desired) []*Desired {
	path := []*Desired{d}
	for {
		last := path[len(path)-1]
		i := slices.IndexFunc(c.byAddress[last.Address], func(o *Object) bool {
			return c.entryOf(o) != last.Ref && c.moves(o, last.Address)
		})
		if i < 0 {
			return nil
		}
		next := c.desired[c.entryOf(c.byAddress[last.Address][i])]
		if slices.Contains(path, next) {
			return path
		}
		path = append(path, next)
	}
}

// blocked holds d and names what has its address.
func (c *computer) blocked(d *Desired, blockers []*Object) {
	o := blockers[0]
	what := fmt.Sprintf("%s %s (%s)", o.Kind, o.Address, o.RemoteID)
	if o.Address != d.Address {
		what = fmt.Sprintf("%s, as an alias of %s", d.Address, what)
	}
	switch {
	case o.Anchored():
		c.hold(d, AddressKept, "%s", c.keptBy(d, o, what))
	case o.Protected != "":
		c.hold(d, AddressTaken, "%s has the address and is protected (%s): it is never adopted", what, o.Protected)
	case o.ReadOnly != "":
		c.hold(d, AddressTaken, "%s has the address and is never written: %s", what, o.ReadOnly)
	case c.in.Policy.Adoption == AdoptByAddress:
		c.hold(d, AddressTaken, "%s has the address and cannot be adopted: it must be of the same kind and have it as its "+
			"only name there", what)
	default:
		c.hold(d, AddressTaken, "%s has the address and is not ours: rename it, or allow adoption (adoption: by_address)",
			what)
	}
}

// keptBy says why o, which is ours, keeps the address that d should have, and what to do about it.
func (c *computer) keptBy(d *Desired, o *Object, what string) string {
	if ring := c.ring(d); ring != nil {
		return c.ringText(ring)
	}
	owner := c.entryOf(o)
	text := fmt.Sprintf("%s has the address and is the account of %s %q (%s)", what, owner.Kind, c.label(o), owner.ID)
	_, gone := c.gone(o)
	switch {
	case o.Address != d.Address:
		return text + ": delete the alias, or give the entry another address"
	case !c.concerns(owner):
		return text + ": a full sync frees the address if that entry has another one by now"
	case gone:
		return text + ", which left: rename or delete that account, or give the entry another address"
	}
	return text + ", which keeps it until its own address can be changed"
}

// ringText names the entries of a ring with their addresses now and afterwards.
func (c *computer) ringText(ring []*Desired) string {
	var names []string
	for _, e := range ring {
		from := ""
		for _, objects := range [][]*Object{c.anchored[e.Ref], c.former[e.Ref]} {
			if len(objects) == 1 {
				from = objects[0].Address
			}
		}
		names = append(names, fmt.Sprintf("%s %q (%s to %s)", e.Kind, e.Label, from, e.Address))
	}
	aliases := ""
	if c.in.Capabilities.RenameKeepsAddress {
		aliases = " and delete its former address from its aliases"
	}
	return "these entries wait for each other's addresses: " + strings.Join(names, ", ") +
		". Give the account of one of them a free address by hand" + aliases + "; the next run does the rest"
}
