package explain

import (
	"fmt"
	"slices"
	"strings"

	"rollcall/container"
	"rollcall/plan"
)

// conclude sets whether the query led to an entry, and the summary.
func (d *Document) conclude(in *Input) {
	what := fmt.Sprintf("the %s %q", d.Query.By, d.Query.Value)
	switch {
	case len(in.Candidates) > 0:
		d.Found = Several
		d.Verdict = fmt.Sprintf("%d entries have %s: ask by the id of one of them.", len(in.Candidates), what)
	case d.Entry != nil:
		d.Found = Known
		d.Verdict = d.sum()
	default:
		d.Found = NotFound
		var asked, not []string
		for i := range d.Sources {
			switch s := &d.Sources[i]; {
			case s.Live.Problem != "":
				d.Found, not = Uncertain, append(not, fmt.Sprintf("%s (%s)", s.Container, s.Live.Problem))
			case s.Live.Asked:
				asked = append(asked, string(s.Container))
			}
		}
		d.Verdict = "No entry of the local directory has " + what
		if len(asked) > 0 {
			d.Verdict += ", and none in the live directory of " + strings.Join(asked, ", ")
		}
		if len(not) > 0 {
			d.Verdict += ". Could not be asked: " + strings.Join(not, "; ")
		}
		d.Verdict += "."
		for i := range d.Providers {
			d.Verdict += " " + d.Providers[i].Verdict
		}
	}
}

// sum returns one sentence with the entry and the code of each provider.
func (d *Document) sum() string {
	var parts []string
	for i := range d.Providers {
		p := &d.Providers[i]
		text := strings.ReplaceAll(string(p.Code), "_", " ")
		if p.Reason != "" {
			text += " (" + p.Reason + ")"
		}
		parts = append(parts, fmt.Sprintf("%s: %s", p.Container, text))
	}
	text := fmt.Sprintf("%s %s", d.Entry.Kind, d.Entry.Label)
	if d.leaving() {
		text = "Leaving: " + text
	}
	if d.Entry.Source != "" {
		text += " of " + container.Source(d.Entry.Source).String()
	}
	if len(parts) == 0 {
		return text + ": no provider is fed from its source."
	}
	return text + ". " + strings.Join(parts, "; ") + "."
}

// leaving reports whether the source no longer gives the entry, or its account is about to be suspended.
func (d *Document) leaving() bool {
	return slices.ContainsFunc(d.Sources, func(s Source) bool { return s.Code == Leaving }) ||
		slices.ContainsFunc(d.Providers, func(p Provider) bool {
			return slices.ContainsFunc(p.Next, func(r plan.Row) bool { return r.Change.Op == plan.Suspend })
		})
}
