package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"rollcall/directory"
	"rollcall/internal/secret"
)

// adoptable reports whether the policy lets d take over o, an account without an anchor that shares its address. The
// address is unique on both sides here, because claims and blockers were counted before.
func (c *computer) adoptable(d *Desired, o *Object) bool {
	return c.in.Policy.Adoption == AdoptByAddress && !o.Anchored() && o.Kind == d.Kind && o.Address == d.Address &&
		o.Protected == "" && o.ReadOnly == "" && len(c.byAddress[d.Address]) == 1
}

func (c *computer) adopt(d *Desired, o *Object) {
	c.filled(d, o)
	ch := c.change(Adopt, d, o)
	ch.Fields, ch.Address = c.accepted(d, c.diff(d, o)), c.addressAfter(d, o)
	c.target[d.Ref], c.owner[o.RemoteID] = o.RemoteID, d.Ref
	c.plan.Changes = append(c.plan.Changes, ch)
}

// rejects reports whether the tenant takes no such value for a field, or refused it for the entry lately. It names the
// value.
func (c *computer) rejects(d *Desired, field string, values []string) bool {
	if f := c.form(field); f != nil {
		if _, err := f.Values(values); err != nil {
			c.report(d.Ref, d.Label, BadMapping, "%s: %v", field, err)
			return true
		}
	}
	for i := range c.in.State.Known {
		if k := &c.in.State.Known[i]; k.Field == field && !k.has(values) {
			c.report(d.Ref, d.Label, BadMapping, "%s: the tenant has no %s %q: create it, or correct the mapping",
				field, k.Noun, strings.Join(values, ", "))
			return true
		}
	}
	r := c.rejection(d, field, values)
	if r == nil {
		return false
	}
	value := strings.Join(values, ", ")
	if Secret(field) {
		value = secret.Redacted
	}
	c.report(d.Ref, d.Label, BadMapping, "%s: the tenant refused the value %q at %s: it is tried again when it "+
		"changes, and after %s", field, value, r.At.UTC().Format(time.RFC3339),
		r.At.Add(RejectionLife).UTC().Format(time.RFC3339))
	return true
}

func (c *computer) rejection(d *Desired, field string, values []string) *Rejection {
	for i := range c.rejected[d.Ref] {
		if r := &c.rejected[d.Ref][i]; r.Field == field && r.Value == valueHash(values) {
			return r
		}
	}
	return nil
}

// accepted returns the fields without those with a value that the tenant would refuse, and names these.
func (c *computer) accepted(d *Desired, fields []FieldChange) []FieldChange {
	if len(c.rejected[d.Ref]) == 0 && len(c.in.State.Known) == 0 && len(c.in.State.Forms) == 0 {
		return fields
	}
	return slices.DeleteFunc(fields, func(f FieldChange) bool { return c.rejects(d, f.Name, f.After) })
}

// addressAfter returns the address of an object after its change. It stays if the tenant refused the new one lately.
func (c *computer) addressAfter(d *Desired, o *Object) string {
	if c.rejection(d, AddressField, values(d.Address)) != nil {
		return o.Address
	}
	return cmp.Or(d.Address, o.Address)
}

// diff returns what has to change on o, the address first.
func (c *computer) diff(d *Desired, o *Object) []FieldChange {
	var out []FieldChange
	if d.Address != o.Address && d.Address != "" {
		out = append(out, FieldChange{AddressField, values(o.Address), values(d.Address)})
	}
	if d.Version != "" && d.Version == o.Version {
		return out
	}
	for _, f := range c.fields(d) {
		have, want := c.asKept(f.Name, o.Fields.Values(f.Name)), c.asKept(f.Name, f.Values)
		normal := c.in.Capabilities.normal(f.Name)
		if normal&Shared != 0 {
			have, want = normal.shared(f.Name, c.in.Links[d.Ref].Given, have, want)
		}
		if !normal.equal(have, want) && (normal&Permanent == 0 || len(normal.list(want)) > 0) {
			out = append(out, FieldChange{f.Name, have, want})
		}
	}
	if !c.in.Capabilities.Mirror {
		return out
	}
	for _, f := range o.Fields { // A mirror has nothing but what the source has.
		named := func(a directory.Attribute) bool { return strings.EqualFold(a.Name, f.Name) }
		if !slices.ContainsFunc(d.Fields, named) {
			out = append(out, FieldChange{f.Name, f.Values, nil})
		}
	}
	slices.SortFunc(out, func(a, b FieldChange) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// fields returns the wanted fields. The address of an account of a tenant is none of its aliases.
func (c *computer) fields(d *Desired) directory.Attributes {
	i := slices.IndexFunc(d.Fields, func(a directory.Attribute) bool { return a.Name == AliasesField })
	if i < 0 || c.in.Capabilities.Mirror || !slices.Contains(d.Fields[i].Values, d.Address) {
		return d.Fields
	}
	fields := slices.Clone(d.Fields)
	fields[i].Values = slices.DeleteFunc(slices.Clone(fields[i].Values), func(a string) bool { return a == d.Address })
	return fields
}

func values(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

// normal returns how values of the field are compared. A mirror keeps sets, as LDAP has no order of values.
func (c *Capabilities) normal(field string) Normal {
	if c.Mirror {
		return Unordered
	}
	return c.Normal[field]
}

// equal compares two lists of values in the way in which the provider keeps them.
func (n Normal) equal(a, b []string) bool {
	a, b = n.list(a), n.list(b)
	return slices.Equal(a, b)
}

// list returns the values as the provider would store them; empty values do not exist.
func (n Normal) list(in []string) []string {
	out := make([]string, 0, len(in))
	for _, v := range in {
		if n&Squeeze != 0 {
			v = strings.Join(strings.Fields(v), " ")
		}
		if n&Dial != 0 {
			v = dialled(v)
		}
		if n&Trim != 0 {
			v = strings.TrimSpace(v)
		}
		v = norm.NFC.String(v)
		if n&Fold != 0 {
			v = strings.ToLower(v)
		}
		if v != "" {
			out = append(out, v)
		}
	}
	if n&Unordered != 0 {
		slices.Sort(out)
		out = slices.Compact(out)
	}
	return out
}

// dialled returns a phone number without what only helps to read it.
func dialled(v string) string {
	const scheme = "tel:"
	if len(v) > len(scheme) && strings.EqualFold(v[:len(scheme)], scheme) {
		v = v[len(scheme):]
	}
	return strings.NewReplacer(" ", "", "\u00a0", "", "-", "", ".", "", "(", "", ")", "").Replace(v)
}

// pairs guards what a mirror does to entries that were created again. A few go on. What would pass a limit is one
// question for all of them, because half of the answer would make members of a group out of IDs that are not there.
func (g *guard) pairs() {
	paired := func(c *Change) bool { return c.Paired }
	created := func(k directory.Kind) func(*Change) bool {
		return func(c *Change) bool { return c.Paired && c.Op == Create && c.Kind == k }
	}
	users, groups := g.countAll(created(directory.User)), g.countAll(created(directory.Group))
	if users+groups == 0 {
		return
	}
	many := fmt.Sprintf("%s and %s have new ids: are they the same? Approve all or none",
		numbered(users, "person", "people"), numbered(groups, "group", "groups"))
	approved := g.countAll(func(c *Change) bool { return c.Paired && c.Op == Create && c.Approved }) == users+groups
	for i := range g.plan.Changes {
		if c := &g.plan.Changes[i]; c.Paired {
			c.Approved = approved
		}
	}
	for _, rule := range []Rule{RuleRejected, RuleDoubt, RuleApproval} {
		if why := g.verdictOf(paired, rule); why != "" {
			g.hold(rule, why, paired)
			return
		}
	}
	if g.passes(directory.User, users) || g.passes(directory.Group, groups) {
		g.hold(RuleApproval, many, paired)
	}
}

// numbered says how many of something there are.
func numbered(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// passes reports whether n of a kind are more than a day may see.
func (g *guard) passes(k directory.Kind, n int) bool {
	return n > 0 && (n+g.spent.of(BrakeLeave, k) > g.limit(k) || 2*n > g.plan.Counts.Anchored.Of(k) && n > 1)
}

// verdictOf returns why a rule holds one of the changes; empty where it holds none.
func (g *guard) verdictOf(pick func(*Change) bool, rule Rule) string {
	for i := range g.plan.Changes {
		if g.verdicts[i].rule == rule && pick(&g.plan.Changes[i]) {
			return g.verdicts[i].why
		}
	}
	return ""
}

// countAll counts changes whatever has been decided about them.
func (g *guard) countAll(pick func(*Change) bool) (n int) {
	for i := range g.plan.Changes {
		if pick(&g.plan.Changes[i]) {
			n++
		}
	}
	return n
}

// AddOption notes the other values that the address and the fields may have, which are those of other.
func (d *Desired) AddOption(other *Desired) {
	add := func(name, value string) {
		if have := d.Options.Values(name); value != "" && !slices.Contains(have, value) {
			d.Options = d.Options.Set(name, append(slices.Clone(have), value)...)
		}
	}
	if other.Address != d.Address {
		add(AddressField, other.Address)
	}
	for _, f := range other.Fields {
		if mine := d.Fields.Values(f.Name); len(f.Values) == 1 && len(mine) == 1 && f.Values[0] != mine[0] {
			add(f.Name, f.Values[0])
		}
	}
}

// settle lets accounts keep a value that is one of several in the directory, because the order of values means
// nothing.
func (c *computer) settle() {
	cloned := false
	for i := range c.in.Desired {
		d := &c.in.Desired[i]
		objects := c.anchored[d.Ref]
		if len(d.Options) == 0 || len(objects) != 1 {
			continue
		}
		if !cloned {
			c.in.Desired, cloned = slices.Clone(c.in.Desired), true
			d = &c.in.Desired[i]
		}
		c.keep(d, objects[0])
	}
}

func (c *computer) keep(d *Desired, o *Object) {
	if o.Address != "" && slices.Contains(d.Options.Values(AddressField), o.Address) {
		d.Address = o.Address
	}
	fields := slices.Clone(d.Fields)
	for i := range fields {
		normal, have := c.in.Capabilities.Normal[fields[i].Name], o.Fields.Values(fields[i].Name)
		for _, option := range d.Options.Values(fields[i].Name) {
			if values := []string{option}; normal.equal(c.asKept(fields[i].Name, have),
				c.asKept(fields[i].Name, values)) {
				fields[i] = directory.Attribute{Name: fields[i].Name, Values: values}
			}
		}
	}
	d.Fields = fields
}
