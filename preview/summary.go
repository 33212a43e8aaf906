package preview

import (
	"fmt"
	"strings"

	"rollcall/directory"
	"rollcall/internal/secret"
	"rollcall/internal/stored"
	"rollcall/plan"
)

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
