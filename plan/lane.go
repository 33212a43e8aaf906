package plan

import (
	"cmp"

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
