package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollcall/directory"
)

// A fall is a doubt where more than fallPercent of at least fallFloor entries lost a value. Of an attribute that
// decides about activity, or is the unique ID, a fall to nothing from fewFall, or by half from someFall, is one, too.
// So is a fall to nothing from fewFall of one that gives groups their members. While other attributes still list
// members, it concerns only the groups that had the attribute, and those that show no member at all.
const (
	fallPercent = 20
	fallFloor   = 20
	fewFall     = 3
	someFall    = 6
)

// fell reports whether a count that was before and is now is a doubt.
func fell(before, now int) bool {
	return before >= fallFloor && (before-now)*100 > before*fallPercent
}

// Missing is an attribute that far fewer entries have than when it was last read.
type Missing struct {
	directory.Coverage
	// Before is how many entries had it then.
	Before int
	// Partly is set for an attribute that listed members of a few groups, if others still list members. Had are then
	// the entries that had it.
	Partly bool
	Had    []directory.ID
}

// gave reports whether the attribute may have listed a membership that a change removes.
func (m *Missing) gave(c *Change) bool {
	if m.Kind == directory.User {
		return slices.Contains(m.Had, c.Member.ID)
	}
	return slices.Contains(m.Had, c.ID)
}

// fellFar is fell for an attribute that decides about activity, or is the unique ID.
func fellFar(before, now int) bool {
	return fell(before, now) || before >= fewFall && now == 0 || before >= someFall && now*2 <= before
}

// Missed compares two readings of a source. entries and were return how many entries of a kind there are and were,
// because an attribute does not fall when entries leave.
func Missed(before, now []directory.Coverage, were, entries func(directory.Kind) int) (out []Missing) {
	for _, c := range now {
		i := slices.IndexFunc(before, func(b directory.Coverage) bool {
			return b.Kind == c.Kind && strings.EqualFold(b.Name, c.Name)
		})
		if i < 0 {
			continue
		}
		had := before[i].Entries
		if n, was := entries(c.Kind), were(c.Kind); n < was {
			had = had * n / was
		}
		far := fell(had, c.Entries) || c.Activity && fellFar(had, c.Entries)
		if far || c.Members && had >= fewFall && c.Entries == 0 {
			partly := !far && c.Lists && slices.ContainsFunc(now, func(other directory.Coverage) bool {
				return other.Kind == c.Kind && other.Lists && other.Entries > 0
			})
			out = append(out, Missing{c, before[i].Entries, partly, before[i].Of})
		}
	}
	return out
}

// String says what is missing in a sentence.
func (m Missing) String() string {
	return fmt.Sprintf("%d %ss have the attribute %s, and %d had it in the last good run", m.Entries, m.Kind, m.Name,
		m.Before)
}

// renames reports whether the change gives an object another address.
func (c *Change) renames() bool { return c.FormerAddress() != "" }

// FormerAddress returns the address that the change takes from its object, or "" if the object keeps its address.
func (c *Change) FormerAddress() string {
	for i := range c.Fields {
		if f := &c.Fields[i]; f.Name == AddressField && len(f.Before) > 0 {
			return f.Before[0]
		}
	}
	return ""
}

// empties reports whether the change clears a field that had a value.
func (f *FieldChange) empties() bool { return len(f.Before) > 0 && len(f.After) == 0 }

// loses reports whether the change clears a field of a kind of entry, and the source still reads the field. Dropping
// an attribute from the mapping removes its values from the local copy, which is no loss.
func (p *Plan) loses(k directory.Kind, f *FieldChange) bool {
	if !f.empties() {
		return false
	}
	asked := false
	for i := range p.coverage {
		c := &p.coverage[i]
		if c.Kind != k {
			continue
		}
		if slices.ContainsFunc(c.Attributes, func(name string) bool { return strings.EqualFold(name, f.Name) }) {
			return true
		}
		asked = true
	}
	return !asked
}

// replaces reports whether a field takes its value from another attribute now, because the one that gave it is missing
// from many entries.
func (p *Plan) replaces(k directory.Kind, f *FieldChange) bool {
	gives := func(c *directory.Coverage) bool {
		return c.Kind == k && slices.ContainsFunc(c.Attributes,
			func(name string) bool { return strings.EqualFold(name, f.Name) })
	}
	if len(f.Before) == 0 || !slices.ContainsFunc(p.missing, func(m Missing) bool { return gives(&m.Coverage) }) {
		return false
	}
	others := 0
	for i := range p.coverage {
		if gives(&p.coverage[i]) {
			others++
		}
	}
	return others > 1
}

// loses reports whether the change takes the value of a field away.
func (g *guard) loses(k directory.Kind, f *FieldChange) bool {
	return g.plan.loses(k, f) || g.plan.replaces(k, f)
}

// empties reports whether the change does nothing but take values away, and one of them is a loss.
func (g *guard) empties(c *Change) bool {
	return c.Op == Update && slices.ContainsFunc(c.Fields, func(f FieldChange) bool { return g.loses(c.Kind, &f) }) &&
		!slices.ContainsFunc(c.Fields, func(f FieldChange) bool { return !f.empties() && !g.plan.replaces(c.Kind, &f) })
}

// fieldOf names a field of one kind of entry.
type fieldOf struct {
	kind directory.Kind
	name string
}

// filled counts the objects that have a value of each field, so that a guard can tell how many lose it.
func (c *computer) filled(d *Desired, o *Object) {
	if c.plan.filled == nil {
		c.plan.filled = map[fieldOf]int{}
	}
	fields := o.Fields
	if d.Version != "" && d.Version == o.Version {
		fields = d.Fields // The object was not read, as it is as desired.
	}
	for i := range fields {
		if len(fields[i].Values) > 0 {
			c.plan.filled[fieldOf{d.Kind, fields[i].Name}]++
		}
	}
}

// Filled counts the objects with a value of each field, by the kind of entry and the name of the field.
type Filled map[string]int

// Plus returns the sums of two counts.
func (f Filled) Plus(more Filled) Filled {
	if len(more) == 0 {
		return f
	}
	out := Filled{}
	maps.Copy(out, f)
	for field, n := range more {
		out[field] += n
	}
	return out
}

func (f fieldOf) String() string { return f.kind.String() + " " + f.name }

// Filled returns how many objects have a value of each field after the plan was applied.
func (p *Plan) Filled() Filled {
	sum := maps.Clone(p.filled)
	if sum == nil {
		sum = map[fieldOf]int{}
	}
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.Op == Delete { // An object whose entry left is not counted.
			continue
		}
		for _, f := range c.Sets {
			if len(f.Values) > 0 {
				sum[fieldOf{c.Kind, f.Name}]++
			}
		}
		for _, f := range c.Fields {
			switch {
			case len(f.Before) == 0 && len(f.After) > 0:
				sum[fieldOf{c.Kind, f.Name}]++
			case len(f.Before) > 0 && len(f.After) == 0:
				sum[fieldOf{c.Kind, f.Name}]--
			}
		}
	}
	return named(sum)
}

// Emptied returns how many objects lose each field.
func (p *Plan) Emptied() Filled { return named(p.lost()) }

func named(counts map[fieldOf]int) Filled {
	out := make(Filled, len(counts))
	for field, n := range counts {
		out[field.String()] = n
	}
	return out
}

func (p *Plan) lost() map[fieldOf]int {
	lost := map[fieldOf]int{}
	for i := range p.Changes {
		if c := &p.Changes[i]; c.Op == Update {
			for k := range c.Fields {
				if f := &c.Fields[k]; p.loses(c.Kind, f) || p.replaces(c.Kind, f) {
					lost[fieldOf{c.Kind, c.Fields[k].Name}]++
				}
			}
		}
	}
	return lost
}

// clearing returns the fields that too many objects would lose, each with the reason. A plan for some entries is
// measured by the numbers of the last full run, and by what was lost since then.
func (g *guard) clearing() map[fieldOf]verdict {
	out := map[fieldOf]verdict{}
	for field, n := range g.plan.lost() {
		had := g.plan.filled[field]
		if all, known := g.plan.before[field.String()]; known {
			had, n = max(had, all), n+g.plan.since[field.String()]
		}
		if fell(had, had-n) {
			out[field] = verdict{RuleEmptied, fmt.Sprintf("%d of %d %ss would lose the field %s: more than %d %%",
				n, had, field.kind, field.name, fallPercent)}
		}
		for _, m := range g.plan.missing {
			if m.Kind == field.kind && slices.ContainsFunc(m.Attributes,
				func(name string) bool { return strings.EqualFold(name, field.name) }) {
				out[field] = verdict{RuleCoverage, m.String()}
			}
		}
	}
	return out
}

// divide splits updates that are harmful only in part. The part that a guard may hold becomes a change of its own,
// and the rest goes on.
func (g *guard) divide() {
	g.clears = g.clearing()
	doubt := g.doubtOfChanges() != ""
	renames := map[directory.Kind]bool{}
	for _, k := range directory.Kinds {
		n := g.countAll(func(c *Change) bool { return c.Kind == k && c.Brake() == BrakeRename })
		n += g.limits.Others.of(BrakeRename, k)
		renames[k] = doubt || n+g.spent.of(BrakeRename, k) > g.limits.of(BrakeRename, g.plan.Counts.Anchored.Of(k))
	}
	g.verdicts = make([]verdict, len(g.plan.Changes))
	if !slices.ContainsFunc(g.plan.Changes, func(c Change) bool { return c.Op == Update }) {
		return
	}
	out := make([]Change, 0, len(g.plan.Changes))
	for _, c := range g.plan.Changes {
		if c.Op != Update {
			out = append(out, c)
			continue
		}
		var parts [4][]FieldChange
		for _, f := range c.Fields {
			part := 0
			switch _, braked := g.clears[fieldOf{c.Kind, f.Name}]; {
			case f.Name == AddressField && len(f.Before) > 0 && renames[c.Kind]:
				part = 1
			case g.loses(c.Kind, &f) && (doubt || braked) && g.pins.askField(c.Ref, &f):
				part = 3
			case g.loses(c.Kind, &f) && (doubt || braked):
				part = 2
			}
			parts[part] = append(parts[part], f)
		}
		for part, fields := range parts {
			if len(fields) > 0 {
				one := c
				one.Fields = fields
				if part != 1 && len(parts[1]) > 0 {
					one.Address = parts[1][0].Before[0]
				}
				out = append(out, one)
			}
		}
	}
	g.plan.Changes, g.verdicts = out, make([]verdict, len(out))
}

// emptied holds what clears too many fields.
func (g *guard) emptied() {
	for i := range g.plan.Changes {
		c := &g.plan.Changes[i]
		if !g.open(i) || !g.empties(c) || c.Undoes {
			continue
		}
		for _, f := range c.Fields {
			if v, ok := g.clears[fieldOf{c.Kind, f.Name}]; ok {
				g.verdicts[i] = v
				break
			}
		}
	}
	for _, m := range g.plan.missing {
		if m.Activity {
			g.hold(RuleCoverage, m.String(), func(c *Change) bool {
				return c.Kind == m.Kind && (c.Brake() == BrakeReactivate || c.Op == Suspend && c.Why == Disabled)
			})
		}
	}
	g.unseen()
}

// unseen holds removals of members while an attribute that decides about membership is missing from many entries. If
// other attributes still list members, these are the removals from groups that had it or would keep no member. Members
// that leave themselves are no effect of it.
func (g *guard) unseen() {
	leaving := map[directory.Ref]bool{}
	for j := range g.plan.Changes {
		c := &g.plan.Changes[j]
		leaving[c.Ref] = leaving[c.Ref] || c.Op == Suspend || c.Op == Delete
	}
	for _, m := range g.plan.missing {
		if m.Members {
			g.hold(RuleCoverage, m.String(), func(c *Change) bool {
				return c.Op == RemoveMember && !c.Paired && !c.Undoes && !leaving[*c.Member] &&
					(!m.Partly || g.plan.bare[c.ID] || m.gave(c))
			})
		}
	}
}
