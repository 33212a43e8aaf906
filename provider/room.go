package provider

import (
	"context"
	"fmt"

	"rollcall/directory"
	"rollcall/plan"
)

// Roomer is a Tenant that can say how many more objects it takes.
type Roomer interface {
	// Room asks the tenant. A zero Room means that the tenant does not show it.
	Room(ctx context.Context) (Room, error)
}

// Room is how many objects a tenant has, and how many it may have.
type Room struct{ Used, Total int }

// Free is how many more objects the tenant takes.
func (r Room) Free() int { return max(0, r.Total-r.Used) }

// String says how much is used. It begins with a warning from nine tenths on.
func (r Room) String() string {
	if r.Total == 0 {
		return "the quota of objects is not visible"
	}
	text := fmt.Sprintf("%d of %d objects are in use, so there is room for %d more", r.Used, r.Total, r.Free())
	if r.Used*10 >= r.Total*9 {
		text = "warning: " + text + ". Raise the quota, or delete objects for good"
	}
	return text
}

// Fits compares the room with what a plan creates.
func (r Room) Fits(p *plan.Plan) string {
	users, groups := 0, 0
	for i := range p.Changes {
		switch c := &p.Changes[i]; {
		case c.Op != plan.Create:
		case c.Kind == directory.User:
			users++
		default:
			groups++
		}
	}
	switch n := users + groups; {
	case n == 0 || r.Total == 0:
		return ""
	case n > r.Free():
		return fmt.Sprintf("The tenant has no room for this plan: it creates %d users and %d groups, and %d of %d objects "+
			"are in use, which leaves %d. Raise the quota first, or the last %d creations fail", users, groups, r.Used, r.Total,
			r.Free(), n-r.Free())
	default:
		return fmt.Sprintf("The plan creates %d users and %d groups, and the tenant has room for %d objects", users, groups,
			r.Free())
	}
}
