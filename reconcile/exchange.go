package reconcile

import (
	"slices"

	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// freeing is what became of a change that frees an address for another one.
type freeing uint8

const (
	// stillOpen means that the change has no outcome yet.
	stillOpen freeing = iota
	// freed means that the address is free.
	freed
	// notFreed means that the change failed or was not tried, so the address stays taken in this run.
	notFreed
	// leftOver means that the change was left to the next run.
	leftOver
)

// exchange relates the changes of a plan that take an address to those that free it, by their index in the plan. The
// applier's lock guards it.
type exchange struct {
	outcome map[int]freeing
	giver   map[int]int
	// yields maps the remote ids of the objects that keep a taken address as an alias to this address.
	yields map[string]string
}

func newExchange(changes []plan.Change) exchange {
	x := exchange{outcome: map[int]freeing{}, giver: map[int]int{}, yields: map[string]string{}}
	givers := map[string]int{}
	for i := range changes {
		if before := changes[i].FormerAddress(); before != "" {
			givers[before] = i
		}
	}
	for i := range changes {
		c := &changes[i]
		if !takesAddress(c) {
			continue
		}
		if c.TakenFrom != "" {
			x.yields[c.TakenFrom] = c.Address
		}
		if g, ok := givers[c.Address]; ok && g != i {
			x.giver[i], x.outcome[g] = g, stillOpen
		}
	}
	return x
}

// takesAddress reports whether the change gives its object an address that it did not have.
func takesAddress(c *plan.Change) bool {
	if c.Address == "" || c.Member != nil {
		return false
	}
	before := c.FormerAddress()
	return c.Op == plan.Create || before != "" && before != c.Address
}

// concluded stores the outcome of a change, if another one waits for its address. The caller holds the lock.
func (a *applier) concluded(i int, to freeing) {
	if _, gives := a.names.outcome[i]; gives {
		a.names.outcome[i] = to
	}
}

// awaits reports whether a change cannot be made now because its address is not free. The change is then postponed,
// failed with a message that names the entry with the address, or left to the next run. The caller holds the lock.
func (a *applier) awaits(i int) bool {
	g, ok := a.names.giver[i]
	if !ok {
		return false
	}
	c, giver := &a.changes[i], &a.changes[g]
	switch a.names.outcome[g] {
	case freed:
		return false
	case stillOpen:
		if a.secondPass && a.deferral == nil {
			a.late = append(a.late, i) // The other change is late, too.
		} else {
			a.postpone(i)
		}
	case notFreed:
		r := provider.Result{RemoteID: c.RemoteID, Err: fault.Errorf(fault.Conflict,
			"%s still has the address %s, because its own change of address was not made; "+
				"the next run tries both again", named(giver.Ref, giver.Label), c.Address)}
		if a.report.Results != nil {
			a.report.Results[i] = r
		}
		a.failed(c, r)
		a.concluded(i, notFreed)
	case leftOver:
		a.report.Superseded++
		a.again = append(a.again, c.Ref)
		a.concluded(i, leftOver)
		a.run.Journal.Say(Info, "Left to the next run: "+describe(c)+": "+named(giver.Ref, giver.Label)+
			" still has the address.", about(c))
	}
	return true
}

// noteYields notes in the ledger which former address an object yields to another entry. The alias that a rename
// leaves can then be deleted by a later run, too. The caller holds the lock.
func (a *applier) noteYields(c *plan.Change) {
	before := c.FormerAddress()
	if c.Op != plan.Update || before == "" || a.names.yields[c.RemoteID] != before {
		return
	}
	link := a.link(c.Ref)
	link.RemoteID, link.Yields = c.RemoteID, before
	a.set(c.Ref, link)
}

// stillYields reports whether the object has the address that it yields, and another entry should have it.
func (v *view) stillYields(o *plan.Object, address string) bool {
	if o.Address != address && !slices.Contains(o.Aliases, address) {
		return false
	}
	for i := range v.desired.Desired {
		if d := &v.desired.Desired[i]; d.Address == address && d.Ref != o.Ref {
			return true
		}
	}
	return false
}
