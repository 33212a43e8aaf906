package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rollcall/directory"
)

// Compute returns what has to be done so that the current state becomes the desired one. It is pure and
// deterministic, and linear but for the sorting.
//
// Matching is by anchor; else, where the policy allows it, by an address that is unique on both sides; else the entry
// is held. What carries no anchor of ours may block a name, and nothing else happens to it.
func Compute(in Input) Plan {
	c := newComputer(&in)
	if len(c.anchored) == 0 && len(c.only) == 0 { // A first import is large, and its size is known.
		n := 0
		for i := range in.Desired {
			n += 1 + len(in.Desired[i].Members)
		}
		c.plan.Changes = make([]Change, 0, n)
	}
	for i := range in.Desired {
		if d := &in.Desired[i]; c.concerns(d.Ref) {
			c.entry(d)
		}
	}
	c.findings()
	c.departures()
	c.undelete()
	c.memberships()
	c.references()
	return c.finish()
}

// entry plans one desired entry; its memberships come later.
func (c *computer) entry(d *Desired) {
	objects := c.anchored[d.Ref]
	switch {
	case c.unpinned[d.Ref], d.Active && c.keepsOut(d): // See findings.
	case c.returns[d.Ref]: // Its account is brought back: see undelete.
	case len(objects) > 1:
		c.hold(d, Ambiguous, "%d remote objects carry its anchor (%s): remove it from all but one", len(objects),
			remoteIDs(objects))
	case !d.Active && !c.in.Capabilities.Mirror:
		if len(objects) == 0 {
			c.note(d.Ref, d.Label, d.Why, "has no account, and none is made")
		} // One with an account is a departure: see departures.
	case c.leavesOut(d):
		c.note(d.Ref, d.Label, NoAddress,
			"is left out because it has no address (no_address: leave_out); it gets an account when it has one")
	case d.Held != "" && len(c.former[d.Ref]) == 0:
		c.hold(d, d.Held, "%s", d.Detail)
	case c.withholds(d): // No account can be made without the field.
	case c.leavesAddress(d):
		c.hold(d, SameAddress, "%s is also the address of %s", d.Address, c.rivals(d))
	case len(objects) == 1:
		c.matched(d, objects[0])
	case len(c.former[d.Ref]) > 0:
		c.recreated(d)
	default:
		c.unmatched(d)
	}
}

// withholds names the fields that are left as they are. It holds the entry where it has no account and needs one of
// them.
func (c *computer) withholds(d *Desired) bool {
	var details []string
	needed := false
	for _, w := range d.Withheld {
		details = append(details, w.Detail)
		needed = needed || w.Required
	}
	if len(details) == 0 {
		return false
	}
	c.report(d.Ref, d.Label, BadMapping, "%s", strings.Join(details, "; "))
	if needed = needed && len(c.anchored[d.Ref]) == 0; needed {
		c.held[d.Ref] = true
	}
	return needed
}

// leavesOut reports whether an entry without an address is left out. An entry with an account is held, because a lost
// address is no departure.
func (c *computer) leavesOut(d *Desired) bool {
	return d.LeaveOut && len(c.anchored[d.Ref]) == 0 && len(c.former[d.Ref]) == 0 && !c.unsettled[d.Ref] &&
		c.byRemote[c.in.Links[d.Ref].RemoteID] == nil
}

// leavesAddress reports whether d has to leave its address to another entry. Of several claimants, the entry with the
// account that has the address keeps it.
func (c *computer) leavesAddress(d *Desired) bool {
	if len(c.claims[d.Address]) < 2 {
		return false
	}
	objects := c.anchored[d.Ref]
	if len(objects) == 0 {
		objects = c.former[d.Ref]
	}
	return len(objects) != 1 || objects[0].Address != d.Address
}

func (c *computer) rivals(d *Desired) string {
	var labels []string
	for _, r := range c.claims[d.Address] {
		if r.Ref != d.Ref {
			pinned := ""
			if r.Active && r.Why == Reverted {
				pinned = ", pinned by an undo"
			}
			labels = append(labels, fmt.Sprintf("%s %q (%s%s)", r.Kind, r.Label, r.ID, pinned))
		}
	}
	return clip(labels)
}

// clip joins the first few of a list.
func clip(list []string) string {
	const most = 5
	if len(list) > most {
		return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
	}
	return strings.Join(list, ", ")
}

func remoteIDs(objects []*Object) string {
	var ids []string
	for _, o := range objects {
		ids = append(ids, o.RemoteID)
	}
	return clip(ids)
}

// matched plans an entry with a remote object that carries its anchor.
func (c *computer) matched(d *Desired, o *Object) {
	if o.ReadOnly != "" {
		c.hold(d, o.untouched(), "%s", o.ReadOnly)
		return
	}
	if d.Address != o.Address && !c.mayTake(d, o) {
		return
	}
	c.filled(d, o)
	changes := len(c.plan.Changes)
	if fields := c.accepted(d, c.diff(d, o)); len(fields) > 0 {
		ch := c.change(Update, d, o)
		ch.Address = c.addressAfter(d, o)
		ch.Fields, ch.Wave, ch.TakenFrom = fields, c.waves[d.Ref], c.takenFrom(d)
		c.plan.Changes = append(c.plan.Changes, ch)
	}
	switch {
	case d.Active && !o.Active:
		c.activate(d, o)
	case d.Active && o.Suspender == Us: // Our suspension was lifted by hand, so our mark goes too.
		c.plan.Changes = append(c.plan.Changes, c.change(Restore, d, o))
	case !d.Active && o.Active: // Only a mirror keeps disabled entries.
		ch := c.change(Suspend, d, o)
		ch.Why = d.Why
		c.plan.Changes = append(c.plan.Changes, ch)
	}
	if len(c.plan.Changes) == changes {
		c.plan.Counts.Unchanged.add(d.Kind, 1)
	}
}

// activate lifts a suspension if it was ours.
func (c *computer) activate(d *Desired, o *Object) {
	switch {
	case c.in.Capabilities.Mirror || o.Suspender == Us:
		ch := c.change(Restore, d, o)
		ch.Inactive = true
		c.plan.Changes = append(c.plan.Changes, ch)
	case o.Suspender == Unknown:
		c.report(d.Ref, d.Label, SuspendedByWhom,
			"the account is suspended and nothing says by whom: activate it by hand if it should be active")
	default:
		c.note(d.Ref, d.Label, SuspendedByElse, "the account was suspended in the tenant by others: it stays so")
	}
}

// unmatched plans an entry that no remote object carries the anchor of.
func (c *computer) unmatched(d *Desired) {
	if c.unsettled[d.Ref] {
		c.hold(d, Unsettled, "created moments ago and not yet visible in the tenant: the next run looks again")
		return
	}
	if link, ok := c.in.Links[d.Ref]; ok && link.RemoteID != "" {
		if o := c.byRemote[link.RemoteID]; o != nil && !o.Anchored() && !c.adoptable(d, o) {
			c.hold(d, AnchorLost, "its account %s (%s) no longer carries our anchor: put it back, or delete the account",
				o.Address, o.RemoteID)
			return
		}
	}
	if c.undeleted(d) {
		return
	}
	blockers := c.byAddress[d.Address]
	switch {
	case d.Address == "":
		c.create(d)
	case len(blockers) == 1 && c.adoptable(d, blockers[0]):
		c.adopt(d, blockers[0])
	case c.wave(d, []directory.Ref{d.Ref}) >= 0:
		c.create(d)
	default:
		c.blocked(d, blockers)
	}
}

func (c *computer) create(d *Desired) {
	ch := c.change(Create, d, nil)
	if c.in.Capabilities.Mirror && len(c.only) == 0 {
		ch.Sets = d.Fields
	} else {
		ch.Fields = c.writable(d, created(c.fields(d)))
	}
	if c.rejects(d, AddressField, values(d.Address)) || len(c.accepted(d, ch.Fields)) < len(ch.Fields) {
		c.held[d.Ref] = true
		return
	}
	ch.Wave, ch.TakenFrom = c.waves[d.Ref], c.takenFrom(d)
	ch.WasInactive = d.Active && c.in.Links[d.Ref].Inactive
	ch.Inactive = !d.Active // Only a mirror keeps disabled entries.
	c.target[d.Ref] = ""
	c.plan.Changes = append(c.plan.Changes, ch)
}

// change starts a change of the entry.
func (c *computer) change(op Op, d *Desired, o *Object) Change {
	ch := Change{Op: op, Ref: d.Ref, Label: d.Label, Address: d.Address, Source: d.Source, Version: d.Version}
	if o != nil {
		ch.RemoteID = o.RemoteID
		ch.Address = cmp.Or(ch.Address, o.Address)
	}
	return ch
}

func (c *computer) hold(d *Desired, reason Reason, format string, args ...any) {
	c.held[d.Ref] = true
	c.report(d.Ref, d.Label, reason, format, args...)
}

func (c *computer) report(ref directory.Ref, label string, reason Reason, format string, args ...any) {
	c.plan.Held = append(c.plan.Held, Held{ref, label, reason, fmt.Sprintf(format, args...)})
}

// findings holds the entries that cannot be used, and those with a pin or an order that cannot be trusted. Their
// accounts stay as they are, but an order keeps none from being suspended.
func (c *computer) findings() {
	for _, h := range c.in.Unpinned {
		if c.concerns(h.Ref) {
			c.held[h.Ref] = true
			c.plan.Held = append(c.plan.Held, h)
		}
	}
	for _, h := range c.in.Unordered {
		if c.concerns(h.Ref) {
			c.plan.Held = append(c.plan.Held, h)
		}
	}
	for i := range c.in.Findings {
		f := &c.in.Findings[i]
		if !c.concerns(f.Ref) {
			continue
		}
		label := cmp.Or(f.Label, f.DN)
		if objects := c.anchored[f.Ref]; label == "" && len(objects) > 0 {
			label = c.label(objects[0])
		}
		detail := f.Problem
		if f.DN != "" {
			detail = f.DN + ": " + detail
		}
		c.report(f.Ref, label, Unusable, "%s", detail)
	}
}

func (c *computer) note(ref directory.Ref, label string, reason Reason, detail string) {
	c.plan.Notes = append(c.plan.Notes, Note{ref, label, reason, detail})
}

func (c *computer) finish() Plan {
	p := &c.plan
	slices.SortFunc(p.Changes, func(a, b Change) int { return a.compare(&b) })
	slices.SortFunc(p.Held, func(a, b Held) int {
		return cmp.Or(a.Ref.Compare(b.Ref), cmp.Compare(a.Label, b.Label), cmp.Compare(a.Detail, b.Detail))
	})
	slices.SortFunc(p.Notes, func(a, b Note) int { return a.Ref.Compare(b.Ref) })
	slices.SortFunc(p.Tombstones, func(a, b Tombstone) int { return a.Ref.Compare(b.Ref) })
	return *p
}

// references moves the fields that name other accounts out of the creations and updates of users, into updates of
// their own. These come when all accounts exist. A field is left to a later run if the account that it names does not
// exist and is not created by this plan. A field follows a renamed account by itself.
func (c *computer) references() {
	refers := c.in.Capabilities.Refers
	if len(refers) == 0 {
		return
	}
	arriving, renamed := map[string]bool{}, map[string]string{}
	for i := range c.plan.Changes {
		ch := &c.plan.Changes[i]
		arriving[ch.Address] = true
		if before := ch.FormerAddress(); before != "" {
			renamed[before] = ch.Address
		}
	}
	kept := c.plan.Changes[:0]
	var own []Change
	for _, ch := range c.plan.Changes {
		if ch.Kind != directory.User || ch.Op != Create && ch.Op != Undelete && ch.Op != Update {
			kept = append(kept, ch)
			continue
		}
		ref := Change{Op: Update, Ref: ch.Ref, RemoteID: ch.RemoteID, Label: ch.Label, Address: ch.Address,
			Source: ch.Source, Version: ch.Version, Refers: true}
		all := ch.Fields
		ch.Fields = slices.DeleteFunc(slices.Clone(all), func(f FieldChange) bool {
			if !slices.Contains(refers, f.Name) {
				return false
			}
			before, after := strings.ToLower(strings.Join(f.Before, "")), strings.ToLower(strings.Join(f.After, ""))
			if after == "" || renamed[before] != after && c.exists(after, arriving) {
				ref.Fields = append(ref.Fields, f)
			}
			return true
		})
		if ref.Fields != nil {
			own = append(own, ref)
		}
		if ch.Op != Update || len(ch.Fields) > 0 {
			kept = append(kept, ch)
		}
	}
	c.plan.Changes = append(kept, own...)
}

// exists reports whether an account of ours has the address, now or after this plan. A plan for some entries does not
// know all accounts, and leaves the answer to the provider.
func (c *computer) exists(address string, arriving map[string]bool) bool {
	return len(c.only) > 0 || arriving[address] || slices.ContainsFunc(c.byAddress[address],
		func(o *Object) bool { return o.Anchored() && o.Address == address })
}
