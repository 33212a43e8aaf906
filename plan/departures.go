package plan

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/directory"
)

// departures plans what becomes of objects that carry our anchor and have an entry that is absent, disabled or out of
// scope. The three are treated alike and named apart. The object is suspended and, after the grace period, deleted.
func (c *computer) departures() {
	for i := range c.in.State.Objects {
		o := &c.in.State.Objects[i]
		if !o.Anchored() || !c.concerns(o.Ref) || c.heir[o] != nil || c.disputed[o] {
			continue
		}
		why, gone := c.gone(o)
		if !gone {
			continue
		}
		switch {
		case len(c.anchored[o.Ref]) > 1:
			if c.desired[o.Ref] == nil && c.anchored[o.Ref][0] == o {
				c.report(o.Ref, o.Address, Ambiguous, "%d remote objects carry its anchor (%s): "+
					"remove it from all but one", len(c.anchored[o.Ref]), remoteIDs(c.anchored[o.Ref]))
			}
		case c.in.Capabilities.Mirror:
			c.depart(Delete, o, why)
		default:
			c.leave(o, why)
		}
	}
}

// gone reports whether the object's entry left, and how.
func (c *computer) gone(o *Object) (Reason, bool) {
	if c.orders[o.Ref] != nil {
		return Ordered, true
	}
	if c.unusable[o.Ref] {
		return "", false // It is held: see findings.
	}
	if d := c.desired[o.Ref]; d != nil {
		return d.Why, !d.Active && !c.in.Capabilities.Mirror
	}
	if c.outOfScope[o.Ref] {
		return OutOfScope, true
	}
	// An object job never concludes that an entry departed. Only a run that read everything does.
	return Absent, len(c.only) == 0 || c.in.Whole
}

// leave applies the leaver policy to one object.
func (c *computer) leave(o *Object, why Reason) {
	since := c.since(o.Ref)
	if o.ReadOnly != "" || o.Protected != "" {
		never := "is never suspended or deleted"
		if o.Unreadable {
			never = "is not suspended or deleted until it can be read"
		}
		head := "left its source (" + string(why) + ")"
		if why == Ordered {
			head = c.orders[o.Ref].text()
		}
		c.report(o.Ref, c.label(o), o.untouched(), "%s and %s: %s", head, never, cmp.Or(o.ReadOnly, o.Protected))
		c.tombstone(o.Ref, since, why)
		return
	}
	p := &c.in.Policy
	end, deleted := p.Due(o.Kind, since)
	outlived := c.in.Links[o.Ref].Outlived && !o.Active
	due := deleted && !outlived && !c.kept[o.Ref] && !c.in.Now.Before(end)
	suspends := o.Kind == directory.User && o.Active && (p.action(o.Kind) != ActionDoNothing || why == Ordered)
	switch {
	case suspends && (!due || p.DeleteAfter > 0):
		c.depart(Suspend, o, why).Since = since
		if due { // A late suspension begins the grace period, in which the account can still come back.
			since = c.in.Now
		}
	case due:
		c.depart(Delete, o, why).Since = since
	default:
		c.note(o.Ref, c.label(o), why, c.waiting(o.Ref, since))
	}
	c.tombstone(o.Ref, since, why)
}

// since returns when the entry departed, by the ledger, else by the source, else now.
func (c *computer) since(ref directory.Ref) time.Time {
	if o := c.orders[ref]; o != nil {
		return o.At
	}
	if link := c.in.Links[ref]; !link.Departed.IsZero() {
		return link.Departed
	}
	if d, ok := c.departed[ref]; ok {
		return d.Left
	}
	return c.in.Now
}

func (c *computer) waiting(ref directory.Ref, since time.Time) string {
	if o := c.orders[ref]; o != nil {
		return o.text() + "; it stays suspended until its directory agrees or the order is lifted"
	}
	if c.kept[ref] {
		return "left its source; it is pinned, and not deleted, until the pin is lifted"
	}
	if c.in.Links[ref].Outlived {
		return "was deleted, and the tenant keeps the account suspended; nothing more is done to it"
	}
	if end, deleted := c.in.Policy.Due(ref.Kind, since); deleted {
		return "is deleted after " + end.UTC().Format(time.RFC3339) + " unless it comes back"
	}
	return "left its source; nothing more is done to its account"
}

func (c *computer) depart(op Op, o *Object, why Reason) *Change {
	ch := Change{Op: op, Ref: o.Ref, RemoteID: o.RemoteID, Label: c.label(o), Address: o.Address, Why: why,
		Version: c.in.Versions[o.Ref], Inactive: op == Delete && !o.Active,
		EndSessions: op == Suspend && c.in.State.EndsSessions}
	if op == Delete && !c.in.Capabilities.Mirror { // The old values, so that a deletion can be undone.
		for _, f := range o.Fields {
			ch.Fields = append(ch.Fields, FieldChange{Name: f.Name, Before: f.Values})
		}
	}
	link := c.in.Links[o.Ref]
	ch.Counted = ch.Inactive && link.Counted(c.in.Now)
	if d := c.desired[o.Ref]; d != nil {
		ch.Source, ch.Version = d.Source, d.Version
	} else if d, ok := c.departed[o.Ref]; ok {
		ch.Source = d.Source
	}
	c.plan.Changes = append(c.plan.Changes, ch)
	return &c.plan.Changes[len(c.plan.Changes)-1]
}

// Counted reports whether the budget of the last 24 hours has the suspension of the account by us.
func (l *Link) Counted(now time.Time) bool { return l.Suspended && now.Sub(l.Departed) < 24*time.Hour }

func (c *computer) tombstone(ref directory.Ref, since time.Time, why Reason) {
	c.plan.Tombstones = append(c.plan.Tombstones, Tombstone{ref, since, why, c.in.Links[ref].Departed.IsZero()})
}

func (c *computer) label(o *Object) string {
	if d := c.desired[o.Ref]; d != nil {
		return d.Label
	}
	if d := c.departed[o.Ref]; d.Label != "" {
		return d.Label
	}
	return cmp.Or(o.Label, o.Address)
}

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
			c.hold(d, Restorable, "its deleted account %s can be restored until %s, and %s %s (%s) has "+
				"the address %s: take the address from it", name, until, o.Kind, o.Address, o.RemoteID, address)
			return true
		}
	}
	ch := c.change(Undelete, d, nil)
	ch.RemoteID = del.RemoteID
	if d.Address != del.Address && d.Address != "" {
		ch.Fields = append(ch.Fields, FieldChange{AddressField, values(del.Address), values(d.Address)})
	}
	ch.Fields = append(ch.Fields, created(d.Fields)...)
	if ch.Fields = c.accepted(d, ch.Fields); !ch.renames() && del.Address != "" {
		ch.Address = del.Address
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

// Joins reports whether the change gives its entry an account or a group for the first time, or one that existed.
func (c *Change) Joins() bool { return c.Op == Create || c.Op == Adopt || c.Op == Undelete }

// NewSource is a source that a provider was never synced from.
type NewSource struct {
	Slug string
	// Accounts counts its entries with an object here: those of a decision about a part.
	Accounts Tally
}

// newSources holds what would join from a source that the tenant was never synced from, where that is more of a kind
// than a day's limit. What waits after a decision about a part goes on waiting, however few they are. The first sync of
// a tenant is held by nothing here.
func (g *guard) newSources() {
	anchored := g.plan.Counts.Anchored
	if anchored.User+anchored.Group == 0 {
		return
	}
	limit := Tally{User: Limit{}.Of(anchored.User), Group: Limit{}.Of(anchored.Group)}
	for _, source := range g.limits.NewSources {
		joins := func(c *Change) bool { return c.Source == source.Slug && c.Joins() }
		n := Tally{
			User:  g.count(func(c *Change) bool { return joins(c) && c.Kind == directory.User }),
			Group: g.count(func(c *Change) bool { return joins(c) && c.Kind == directory.Group }),
		}
		if n.User+source.Accounts.User <= limit.User && n.Group+source.Accounts.Group <= limit.Group {
			continue
		}
		g.hold(RuleSource, fmt.Sprintf("%d users and %d groups would join from %s, which was never "+
			"synced here before: without approval at most %d users and %d groups join (%d and %d carry our anchor)",
			n.User, n.Group, container.Source(source.Slug), limit.User, limit.Group,
			anchored.User, anchored.Group), joins)
	}
}

// Nameless has the entries that a source gave without a readable ID, by what they show. A known entry that is absent
// may be one of them. It is then no departure.
type Nameless map[string]*directory.Finding

// FindNameless returns the findings without an ID. Nil means that there are none.
func FindNameless(findings []directory.Finding) Nameless {
	var n Nameless
	for i := range findings {
		f := &findings[i]
		if f.ID != "" {
			continue
		}
		if n == nil {
			n = Nameless{}
		}
		shown := attributeFacts(f.Kind, f.Attributes)
		if len(shown) == 0 { // It may have moved, and shows nothing else.
			shown = append(shown, fact(factRDN, f.Kind, firstRDN(f.DN)))
		}
		for _, s := range append(shown, fact(factDN, f.Kind, f.DN)) {
			n[s] = f
		}
	}
	return n
}

// Present notes an entry with a readable ID. What it shows tells nothing about others.
func (n Nameless) Present(k directory.Kind, fields directory.Attributes) {
	if len(n) == 0 {
		return
	}
	for _, f := range attributeFacts(k, fields) {
		delete(n, f)
	}
}

// Of returns the entry without an ID that an absent entry may be, or nil. fields are what was known of it.
func (n Nameless) Of(k directory.Kind, fields directory.Attributes) *directory.Finding {
	if len(n) == 0 {
		return nil
	}
	for _, f := range append(attributeFacts(k, fields), fact(factRDN, k, firstRDN(fields.Get(MirrorDN)))) {
		if found := n[f]; found != nil {
			return found
		}
	}
	return nil
}

// factRDN is the fact of an entry that shows nothing but its DN.
const factRDN = "rdn "

// firstRDN returns the first part of a DN as it is written.
func firstRDN(dn string) string {
	for i := 0; i < len(dn); i++ {
		switch dn[i] {
		case '\\':
			i++
		case ',':
			return dn[:i]
		}
	}
	return dn
}

// nameless holds the absent entries that may be among those without a readable ID. All others leave. Where too many
// known entries lost their ID, it is more likely hidden, and everything is in doubt (laws 10 and 13).
func (c *computer) nameless() {
	if !c.in.Capabilities.Mirror || len(c.only) > 0 {
		return
	}
	nameless := FindNameless(c.in.Findings)
	if nameless == nil {
		return
	}
	for i := range c.in.Desired {
		nameless.Present(c.in.Desired[i].Kind, c.in.Desired[i].Fields)
	}
	lost := map[directory.Kind]int{}
	for i := range c.in.State.Objects {
		o := &c.in.State.Objects[i]
		if !o.Anchored() || c.desired[o.Ref] != nil || c.unusable[o.Ref] {
			continue
		}
		f := nameless.Of(o.Kind, o.Fields)
		if f == nil {
			continue
		}
		lost[o.Kind]++
		c.unusable[o.Ref] = true
		c.report(o.Ref, c.label(o), Unusable, "no entry has its unique id, and %s has no readable one and may be it: "+
			"it stays as it is until that entry is repaired or deleted", strings.TrimSpace(f.Label+" ("+f.DN+")"))
	}
	for _, k := range directory.Kinds {
		if had := c.plan.Counts.Anchored.Of(k); fellFar(had, had-lost[k]) {
			c.plan.Doubts = append(c.plan.Doubts, fmt.Sprintf("%d of %d known %ss no longer have a readable unique id "+
				"(see the findings): the account that reads the source may not see it", lost[k], had, k))
		}
	}
}
