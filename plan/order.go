package plan

import (
	"slices"
	"time"

	"rollcall/container"
	"rollcall/directory"
)

// Order is the order of a person that a user leaves: the account is suspended, and stays so, until the directory agrees
// or the order is lifted. It passes every guard, and no policy but protection stands against it.
type Order struct {
	directory.Ref
	// Label is what a person calls the user, Source the slug of its source.
	Label  string `json:"label,omitempty"`
	Source string `json:"source"`
	// By is the name of the token that ordered it.
	By string    `json:"by"`
	At time.Time `json:"at"`
	// Providers are those that had the source when it was given, Agreed those at which it has ended. It stands at all
	// others.
	Providers []container.ID `json:"providers,omitempty"`
	Agreed    []container.ID `json:"agreed,omitempty"`
}

// StandsAt returns the providers that had the source when it was given, and at which it has not ended.
func (o *Order) StandsAt() []container.ID {
	return slices.DeleteFunc(slices.Clone(o.Providers),
		func(c container.ID) bool { return slices.Contains(o.Agreed, c) })
}

// text says who ordered it, and when.
func (o *Order) text() string {
	return "has to leave by order of " + o.By + " since " + o.At.UTC().Format(time.RFC3339)
}

// ordered lays the orders over what is desired, after the pins. An order has ended where the source says by itself that
// the user left or is disabled, and no account of it is active here; see Plan.Agreed. An entry that cannot be read, is
// out of scope, or is inactive only by this provider's mapping ends none.
func (c *computer) ordered() {
	if len(c.in.Orders) == 0 || c.in.Capabilities.Mirror {
		return
	}
	c.in.Desired = slices.Clone(c.in.Desired)
	for i := range c.in.Orders {
		o := &c.in.Orders[i]
		at, is := slices.BinarySearchFunc(c.in.Desired, o.Ref,
			func(d Desired, ref directory.Ref) int { return d.Ref.Compare(ref) })
		var d *Desired
		if is {
			d = &c.in.Desired[at]
		}
		_, left := c.departed[o.Ref]
		if c.concerns(o.Ref) && !c.unusable[o.Ref] && !c.active(o.Ref) && (d == nil && left || d != nil && d.Disabled) {
			c.plan.Agreed = append(c.plan.Agreed, o.Ref)
			continue
		}
		c.orders[o.Ref], c.kept[o.Ref] = o, true
		if d != nil {
			d.Active, d.Why = false, Ordered
		}
	}
}

// active reports whether an account of the user is active that may be suspended.
func (c *computer) active(ref directory.Ref) bool {
	return slices.ContainsFunc(c.anchored[ref],
		func(o *Object) bool { return o.Active && o.ReadOnly == "" && o.Protected == "" })
}

// keepsOut reports whether an order that cannot be trusted keeps an entry from an account, or from an active one.
func (c *computer) keepsOut(d *Desired) bool {
	return c.unordered[d.Ref] && len(c.former[d.Ref]) == 0 &&
		!slices.ContainsFunc(c.anchored[d.Ref], func(o *Object) bool { return o.Active })
}

// ordered marks the suspensions that a person ordered. The order is their approval.
func (g *guard) ordered() {
	for i := range g.plan.Changes {
		if c := &g.plan.Changes[i]; c.Op == Suspend && c.Why == Ordered {
			c.Approved = true
		}
	}
}
