package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/directory"
)

// pinned lays the pins over what is desired, before anything is compared. The pinned state replaces the desired one.
// A pin that has ended is dropped, and so is the part of a pin that the source wants by itself. See Plan.Pins and
// Plan.Lapsed.
func (c *computer) pinned() {
	if len(c.in.Pins) == 0 {
		return
	}
	l := overlay{
		computer: c, activated: map[directory.Ref]bool{}, names: map[directory.Kind]map[string]bool{},
		at: make(map[directory.Ref]int, len(c.in.Desired)), members: map[directory.Ref]map[directory.Ref]bool{},
	}
	c.in.Desired = slices.Clone(c.in.Desired)
	for i := range c.in.Desired {
		l.at[c.in.Desired[i].Ref] = i
	}
	for _, pin := range c.in.Pins {
		switch {
		case c.unusable[pin.Ref]: // What it says is unknown, so the pin stays and nothing happens.
		case pin.holds(c.in.Versions[pin.Ref], l.want(pin.Ref).want()):
			pin = l.keep(pin)
		default:
			pin = Pin{Ref: pin.Ref}
		}
		if pin.Empty() {
			c.plan.Lapsed = append(c.plan.Lapsed, pin.Ref)
		} else {
			c.plan.Pins = append(c.plan.Pins, pin)
		}
	}
	for ref, want := range l.members {
		d := &c.in.Desired[l.at[ref]]
		d.Members = withMembers(d.Members, want)
	}
	slices.SortFunc(c.in.Desired, func(a, b Desired) int { return a.Ref.Compare(b.Ref) })
}

// overlay is the work of pinned.
type overlay struct {
	*computer
	// entries with an account that a pin keeps active against the source
	activated map[directory.Ref]bool
	names     map[directory.Kind]map[string]bool       // see mapped
	at        map[directory.Ref]int                    // where in in.Desired an entry is
	members   map[directory.Ref]map[directory.Ref]bool // by group: who should be a member, and who not
}

// want returns what the source wants of an entry, or nil.
func (l *overlay) want(ref directory.Ref) *Desired {
	if i, ok := l.at[ref]; ok {
		return &l.in.Desired[i]
	}
	return nil
}

// keep lays one pin over what is desired and returns what of it is still needed.
func (l *overlay) keep(p Pin) Pin {
	if l.account(&p) {
		if !p.Deleted.IsZero() { // They were for bringing it back.
			p.Address, p.Fields = "", nil
		}
		p.Account, p.Deleted = "", time.Time{}
	}
	if p.Deleted.IsZero() && !l.activated[p.Ref] {
		l.fields(&p)
	}
	groups := make([]PinnedMembership, 0, len(p.Groups))
	for _, m := range p.Groups {
		if !l.membership(p.Ref, m) {
			groups = append(groups, m)
		}
	}
	p.Groups = groups
	return p
}

// account reports whether the source wants the account as the pin has it.
func (l *overlay) account(p *Pin) (satisfied bool) {
	d, objects := l.want(p.Ref), l.anchored[p.Ref]
	wanted := d != nil && d.Active && d.Held == ""
	switch {
	case p.Account == "":
		return true
	case p.Account == StandsNone:
		if wanted {
			d.Active, d.Why = false, Reverted
		}
		return !wanted
	case !p.Deleted.IsZero() && len(objects) == 0:
		return l.gone(*p, wanted)
	case !p.Deleted.IsZero() && wanted:
		if objects[0].RemoteID != p.RemoteID && l.concerns(p.Ref) {
			l.note(p.Ref, p.Label, Reverted, fmt.Sprintf("has a new account %s: the deleted one, %s, does not come back",
				objects[0].RemoteID, p.RemoteID))
		}
		return true
	case p.Account == StandsActive:
		if !wanted {
			l.activate(p, d, objects)
		}
		return wanted
	}
	l.kept[p.Ref] = true
	if wanted {
		d.Active, d.Why = false, Reverted
	}
	return !wanted && p.Deleted.IsZero()
}

// gone brings back an account that an undone run deleted. It reports whether that is over, because the source wants
// an account and it is too late for the old one.
func (l *overlay) gone(p Pin, wanted bool) (over bool) {
	if wanted && !l.in.Now.Before(p.Deleted.Add(l.in.Capabilities.UndeleteWithin)) {
		return true
	}
	if wanted { // The source decides whether it is active.
		p.Account = StandsActive
	}
	p.Fields = l.ours(&p)
	l.back = append(l.back, p)
	l.returns[p.Ref] = true
	return false
}

// activate makes an account desired that the source does not want, as it is. Only its state and the pinned facts are
// set.
func (l *overlay) activate(p *Pin, d *Desired, objects []*Object) {
	if len(objects) == 0 {
		if l.concerns(p.Ref) {
			l.note(p.Ref, p.Label, Reverted, fmt.Sprintf("its account %s is not there any more: undo the run that deleted "+
				"it, too, or lift the pin", p.RemoteID))
		}
		return
	}
	as := Desired{
		Ref: p.Ref, Label: p.Label, Source: l.departed[p.Ref].Source, Version: l.in.Versions[p.Ref],
		Address: objects[0].Address, Active: true, Why: Reverted,
	}
	if p.Deleted.IsZero() {
		as.Address = cmp.Or(p.Address, as.Address)
		as.Fields = l.ours(p)
	}
	l.activated[p.Ref] = true
	if d != nil {
		as.Source, as.Version = d.Source, d.Version
		*d = as
		return
	}
	l.at[p.Ref] = len(l.in.Desired)
	l.in.Desired = append(l.in.Desired, as)
	delete(l.outOfScope, p.Ref)
}

// ours returns the pinned fields that are still mapped, sorted by name. No other field is ours to write.
func (l *overlay) ours(p *Pin) (out directory.Attributes) {
	mapped := l.mapped(p.Kind)
	for _, f := range p.Fields {
		if mapped[f.Name] {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b directory.Attribute) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// mapped returns the names of the fields that are mapped.
func (l *overlay) mapped(k directory.Kind) map[string]bool {
	if l.names[k] == nil {
		l.names[k] = map[string]bool{}
		for i := range l.in.Desired {
			if d := &l.in.Desired[i]; d.Kind == k {
				for _, f := range d.Fields {
					l.names[k][f.Name] = true
				}
			}
		}
	}
	return l.names[k]
}

// fields overrules the mapped fields. Those that the source wants so by itself, and those that are mapped no longer,
// go.
func (l *overlay) fields(p *Pin) {
	d := l.want(p.Ref)
	if d == nil || d.Held != "" {
		return
	}
	if d.Address == p.Address {
		p.Address = ""
	} else if p.Address != "" {
		d.Address = p.Address
	}
	var still directory.Attributes
	mapped := d.Fields
	d.Fields = slices.Clone(d.Fields)
	for _, f := range p.Fields {
		i := slices.IndexFunc(mapped, func(a directory.Attribute) bool { return a.Name == f.Name })
		if i >= 0 && !l.in.Capabilities.normal(f.Name).equal(mapped[i].Values, f.Values) {
			d.Fields[i].Values = f.Values
			still = append(still, f)
		}
	}
	p.Fields = still
}

// membership reports whether the source wants the membership as the pin has it.
func (l *overlay) membership(ref directory.Ref, m PinnedMembership) (satisfied bool) {
	group := directory.Ref{Kind: directory.Group, ID: m.ID}
	d := l.want(group)
	if d == nil {
		return false
	}
	i, found := slices.BinarySearchFunc(d.Members, ref, func(m Member,
		ref directory.Ref) int {
		return m.Ref.Compare(ref)
	})
	if found == m.Member && (!found || !d.Members[i].Passive) {
		return true
	}
	if l.members[group] == nil {
		l.members[group] = map[directory.Ref]bool{}
	}
	l.members[group][ref] = m.Member
	return false
}

func withMembers(members []Member, want map[directory.Ref]bool) []Member {
	out := make([]Member, 0, len(members)+len(want))
	for _, m := range members {
		if _, said := want[m.Ref]; !said {
			out = append(out, m)
		}
	}
	for ref, in := range want {
		if in {
			out = append(out, Member{Ref: ref})
		}
	}
	slices.SortFunc(out, func(a, b Member) int { return a.Ref.Compare(b.Ref) })
	return out
}

// undelete brings accounts back that an undone run deleted.
func (c *computer) undelete() {
	for i := range c.back {
		p := &c.back[i]
		within := c.in.Capabilities.UndeleteWithin
		switch blockers := c.byAddress[p.Address]; {
		case !c.concerns(p.Ref), c.unordered[p.Ref]: // See findings.
		case !c.in.Now.Before(p.Deleted.Add(within)):
			c.report(p.Ref, p.Label, Reverted, "its account %s was deleted on %s, and can no longer be brought back: lift "+
				"the pin", p.RemoteID, p.Deleted.UTC().Format(time.RFC3339))
		case len(blockers) > 0:
			c.report(p.Ref, p.Label, AddressKept, "%s %s (%s) has the address of the deleted account %s", blockers[0].Kind,
				blockers[0].Address, blockers[0].RemoteID, p.RemoteID)
		default:
			c.target[p.Ref], c.owner[p.RemoteID] = p.RemoteID, p.Ref
			ch := Change{
				Op: Undelete, Ref: p.Ref, RemoteID: p.RemoteID, Label: p.Label, Address: p.Address, Why: Reverted,
				Source: c.departed[p.Ref].Source, Version: c.in.Versions[p.Ref],
				Inactive: p.Account == StandsSuspended || c.orders[p.Ref] != nil,
			}
			if d := c.desired[p.Ref]; d != nil {
				ch.Source = d.Source
			}
			for _, f := range p.Fields {
				ch.Fields = append(ch.Fields, FieldChange{Name: f.Name, After: f.Values})
			}
			c.plan.Changes = append(c.plan.Changes, ch)
		}
	}
}

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
