// Package preview compares the desired states that two configurations produce from the same live directory and
// tenant. An operator reads the comparison before a changed file is put in place. The package decides nothing; the
// plan of the new configuration, with its guards, says what would be held.
package preview

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/internal/secret"
	"rollcall/internal/stored"
	"rollcall/mapping"
	"rollcall/plan"
)

// Effect is what a changed configuration does to one entry.
type Effect string

// The effects in display order, with harmful ones first.
const (
	LeavesScope Effect = "leaves_scope"
	Deactivated Effect = "deactivated"
	LeavesGroup Effect = "leaves_group"
	Activated   Effect = "activated"
	Address     Effect = "address"
	Fields      Effect = "fields"
	Unmapped    Effect = "cannot_be_mapped"
	Mapped      Effect = "can_be_mapped"
	EntersScope Effect = "enters_scope"
	JoinsGroup  Effect = "joins_group"
)

// Effects returns every effect, with harmful ones first.
func Effects() []Effect {
	return []Effect{
		LeavesScope, Deactivated, LeavesGroup, Activated, Address, Fields, Unmapped, Mapped, EntersScope, JoinsGroup,
	}
}

// Difference is one effect on one entry.
type Difference struct {
	Effect Effect `json:"effect"`
	directory.Ref
	Label string `json:"label,omitempty"`
	// Member and MemberLabel name the member of a group that joins or leaves it.
	Member      *directory.Ref `json:"member,omitempty"`
	MemberLabel string         `json:"member_label,omitempty"`
	// Changes are the fields or the address that differ, before and after.
	Changes []plan.FieldChange `json:"changes,omitempty"`
	// Detail is the rule of the scope that now decides, or the reason why the entry cannot be mapped.
	Detail string `json:"detail,omitempty"`
}

// Container is the comparison of one source or provider.
type Container struct {
	Name string `json:"container"`
	// Note says that only one of the two files has the container. It is empty if both do.
	Note        string       `json:"note,omitempty"`
	Differences []Difference `json:"differences"`
	// Apply is what the new configuration would change now. Held is the part that a guard would hold.
	Apply plan.Plan `json:"plan"`
	Held  plan.Plan `json:"held_by_guards"`
}

// Harm counts the harmful changes that a guard would hold.
func (c *Container) Harm() (n int) {
	for i := range c.Held.Changes {
		switch h := &c.Held.Changes[i]; {
		case h.Op.Destructive():
			n++
		case h.Guard != plan.RuleApproval && h.Guard != plan.RuleFollows:
			n++
		}
	}
	return n
}

// Of returns the differences with one effect.
func (c *Container) Of(e Effect) []Difference {
	return slices.Collect(func(yield func(Difference) bool) {
		for _, d := range c.Differences {
			if d.Effect == e && !yield(d) {
				return
			}
		}
	})
}

// Compare returns the differences between two desired states of one container, sorted by effect and entry.
func Compare(before, after mapping.Result) []Difference {
	c := comparison{
		was: index(before.Desired), is: index(after.Desired), rules: map[directory.Ref]mapping.Decision{},
		differences: []Difference{},
	}
	for _, d := range after.Decisions {
		c.rules[d.Ref] = d
	}
	for _, d := range before.Desired {
		if _, stays := c.is[d.Ref]; !stays {
			c.leaves(d)
		}
	}
	for i := range after.Desired {
		d := &after.Desired[i]
		if was, known := c.was[d.Ref]; known {
			c.compare(was, d)
		} else {
			c.add(Difference{Effect: EntersScope, Ref: d.Ref, Label: d.Label, Detail: d.Detail})
		}
	}
	order := Effects()
	slices.SortStableFunc(c.differences, func(a, b Difference) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.Effect), slices.Index(order, b.Effect)), a.Ref.Compare(b.Ref))
	})
	return c.differences
}

type comparison struct {
	was, is     map[directory.Ref]*plan.Desired
	rules       map[directory.Ref]mapping.Decision
	differences []Difference
}

func index(desired []plan.Desired) map[directory.Ref]*plan.Desired {
	out := make(map[directory.Ref]*plan.Desired, len(desired))
	for i := range desired {
		out[desired[i].Ref] = &desired[i]
	}
	return out
}

func (c *comparison) add(d Difference) { c.differences = append(c.differences, d) }

func (c *comparison) leaves(d plan.Desired) {
	detail := "the source no longer has it"
	if rule, ok := c.rules[d.Ref]; ok {
		detail = fmt.Sprintf("%s (%s)", rule.Rule, rule.Setting)
	}
	c.add(Difference{Effect: LeavesScope, Ref: d.Ref, Label: d.Label, Detail: detail})
}

func (c *comparison) compare(was, is *plan.Desired) {
	entry := func(e Effect, detail string, changes ...plan.FieldChange) {
		c.add(Difference{Effect: e, Ref: is.Ref, Label: is.Label, Detail: detail, Changes: changes})
	}
	switch {
	case was.Active && !is.Active:
		entry(Deactivated, string(is.Why))
	case !was.Active && is.Active:
		entry(Activated, string(was.Why))
	}
	switch {
	case was.Held == "" && is.Held != "":
		entry(Unmapped, is.Detail)
		return
	case was.Held != "" && is.Held == "":
		entry(Mapped, was.Detail)
		return
	}
	if was.Address != is.Address {
		entry(Address, "", plan.FieldChange{Name: plan.AddressField, Before: text(was.Address), After: text(is.Address)})
	}
	if changes := fields(was.Fields, is.Fields); len(changes) > 0 {
		entry(Fields, "", changes...)
	}
	c.members(was, is)
}

func text(v string) []string {
	if v == "" {
		return nil
	}
	return []string{v}
}

// fields compares two sorted lists. A field that only one mapping has is compared with no values.
func fields(was, is directory.Attributes) (out []plan.FieldChange) {
	for _, f := range is {
		if before := was.Values(f.Name); !slices.Equal(before, f.Values) {
			out = append(out, plan.FieldChange{Name: f.Name, Before: before, After: f.Values})
		}
	}
	for _, f := range was {
		if !slices.ContainsFunc(is, func(a directory.Attribute) bool { return a.Name == f.Name }) {
			out = append(out, plan.FieldChange{Name: f.Name, Before: f.Values})
		}
	}
	return out
}

func (c *comparison) members(was, is *plan.Desired) {
	contains := func(list []plan.Member, ref directory.Ref) bool {
		_, found := slices.BinarySearchFunc(list, ref, func(m plan.Member, ref directory.Ref) int {
			return m.Ref.Compare(ref)
		})
		return found
	}
	for _, m := range was.Members {
		if !contains(is.Members, m.Ref) {
			c.member(LeavesGroup, is, m.Ref)
		}
	}
	for _, m := range is.Members {
		if !contains(was.Members, m.Ref) {
			c.member(JoinsGroup, is, m.Ref)
		}
	}
}

func (c *comparison) member(e Effect, group *plan.Desired, ref directory.Ref) {
	label := string(ref.ID)
	for _, list := range []map[directory.Ref]*plan.Desired{c.is, c.was} {
		if d := list[ref]; d != nil && d.Label != "" {
			label = d.Label
			break
		}
	}
	c.add(Difference{Effect: e, Ref: group.Ref, Label: group.Label, Member: &ref, MemberLabel: label})
}

// Document is a comparison of bounded size, as the API shows it.
type Document struct {
	Containers []Summary `json:"containers"`
	// Harmful is the number of harmful changes that a guard would hold.
	Harmful int `json:"harmful"`
	// Warnings are what the new configuration has that is probably not meant.
	Warnings []string `json:"warnings"`
}

// Summary is the comparison of one source or provider.
type Summary struct {
	Name string `json:"container"`
	Note string `json:"note,omitempty"`
	// Effects are those that the new configuration has, with harmful ones first.
	Effects []Group `json:"effects"`
	// Changes counts what the next run would change. Held counts what a guard would hold, by the first reasons, and
	// HeldTotal all of it. Harmful are the harmful ones of these.
	Changes   []Count `json:"changes"`
	Held      []Count `json:"held"`
	HeldTotal int     `json:"held_total"`
	Harmful   int     `json:"harmful"`
}

// Group has the entries with one effect. Named are the first of them.
type Group struct {
	Effect Effect       `json:"effect"`
	Total  int          `json:"total"`
	Named  []Difference `json:"named"`
}

// Count is a number of changes of one kind. Changes that are held have a reason.
type Count struct {
	Op     plan.Op `json:"op"`
	Reason string  `json:"reason,omitempty"`
	Total  int     `json:"total"`
}

// The bounds of a Document.
const (
	mostNamed   = 50
	mostReasons = 20
	mostFields  = 10
	mostText    = 300
)

// Summarize returns the comparison in bounded size and without the values of secret fields.
func Summarize(containers []Container, warnings []string) Document {
	out := Document{Containers: make([]Summary, len(containers)), Warnings: []string{}}
	for _, w := range warnings[:min(len(warnings), mostReasons)] {
		out.Warnings = append(out.Warnings, cut(w))
	}
	for i := range containers {
		c := &containers[i]
		held := c.Reasons()
		s := Summary{Name: c.Name, Note: c.Note, Effects: []Group{}, Changes: counts(c.Apply.Changes, false),
			Held: held[:min(len(held), mostReasons)], HeldTotal: len(c.Held.Changes), Harmful: c.Harm()}
		for _, e := range Effects() {
			list := c.Of(e)
			if len(list) == 0 {
				continue
			}
			g := Group{Effect: e, Total: len(list), Named: make([]Difference, min(len(list), mostNamed))}
			for j := range g.Named {
				g.Named[j] = list[j].bounded()
			}
			s.Effects = append(s.Effects, g)
		}
		out.Containers[i] = s
		out.Harmful += s.Harmful
	}
	return out
}

// Reasons counts what a guard would hold by operation and reason.
func (c *Container) Reasons() []Count { return counts(c.Held.Changes, true) }

// counts counts changes by operation and, where they are held, by reason.
func counts(changes []plan.Change, held bool) []Count {
	out, places := []Count{}, map[Count]int{}
	for i := range changes {
		one := Count{Op: changes[i].Op}
		if held {
			one.Reason = cut(changes[i].Held)
		}
		at, known := places[one]
		if !known {
			at = len(out)
			places[one], out = at, append(out, one)
		}
		out[at].Total++
	}
	return out
}

// bounded returns the difference with short texts and without the values of secret fields.
func (d Difference) bounded() Difference {
	d.ID, d.Label, d.MemberLabel, d.Detail = directory.ID(cut(string(d.ID))), cut(d.Label), cut(d.MemberLabel),
		cut(d.Detail)
	changes := d.Changes
	d.Changes = nil
	for _, f := range changes[:min(len(changes), mostFields)] {
		d.Changes = append(d.Changes, plan.FieldChange{Name: f.Name, Before: shown(f.Name, f.Before),
			After: shown(f.Name, f.After)})
	}
	return d
}

func shown(field string, values []string) []string {
	if len(values) > 0 && plan.Secret(field) {
		return []string{secret.Redacted}
	}
	out := make([]string, 0, min(len(values), mostFields))
	for _, v := range values[:min(len(values), mostFields)] {
		out = append(out, cut(v))
	}
	return out
}

func cut(text string) string { return stored.Cut(strings.ToValidUTF8(text, "\uFFFD"), mostText) }

// Words says what happens to the entries with the effect, after their number.
func (e Effect) Words() string {
	return map[Effect]string{
		LeavesScope: "leave the scope", Deactivated: "become inactive", LeavesGroup: "leave a group",
		Activated: "become active", Address: "get another address", Fields: "get other fields",
		Unmapped: "can no longer be mapped", Mapped: "can be mapped now", EntersScope: "enter the scope",
		JoinsGroup: "join a group",
	}[e]
}

// String names the entry and says what differs.
func (d Difference) String() string {
	text := d.Kind.String() + " " + d.Label
	if d.Member != nil {
		text = fmt.Sprintf("%s: %s %s", text, d.Member.Kind, d.MemberLabel)
	}
	if d.Detail != "" {
		text += ": " + d.Detail
	}
	for i, f := range d.Changes {
		separator := ", "
		if i == 0 {
			separator = ": "
		}
		text += separator + f.String()
	}
	return text
}
