package plan

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rollcall/directory"
)

// Style says how Print shows a plan.
type Style struct {
	// All shows every change and every member. Otherwise each section ends after its first rows, and the members of a
	// group are one line.
	All bool
	// Color marks what is added, changed and taken away with the colours of a terminal.
	Color bool
}

// The layout of Print, in characters and rows.
const (
	printWidth = 100
	widestName = 42
	briefRows  = 25
)

// Colours of a terminal, as SGR parameters.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// Print writes the plan for a terminal, in the order totals, changes, what a guard holds, conflicts, and what is left
// alone. Values of secret fields are left out. No line is longer than 100 characters.
func Print(w io.Writer, apply, held Plan, style Style) error {
	if err := Summarize(apply, held).Write(w); err != nil {
		return err
	}
	p := printer{w: w, style: style}
	apply, held = Collect(slices.Collect(Rows(apply, held)))
	p.section("CHANGES", p.changes(apply.Changes))
	p.section("MEMBERS", p.members(apply.Changes))
	p.held(held.Changes)
	p.entries("IN CONFLICT", apply.Held)
	notes := make([]Held, len(apply.Notes))
	for i, n := range apply.Notes {
		notes[i] = Held(n)
	}
	p.entries("LEFT ALONE", notes)
	return p.err
}

// printer writes sections of rows and remembers the first error.
type printer struct {
	w     io.Writer
	style Style
	err   error
}

// printRow is one line with the verb, the entry, and the rest.
type printRow struct{ color, verb, name, rest string }

// changes returns a row for each change of an object, by what it does and by name, and with Style.All for each member.
func (p *printer) changes(changes []Change) []printRow {
	sorted := make([]*Change, 0, len(changes))
	for i := range changes {
		if p.style.All || !changes[i].Op.Membership() {
			sorted = append(sorted, &changes[i])
		}
	}
	slices.SortStableFunc(sorted, func(a, b *Change) int {
		return cmp.Or(cmp.Compare(a.Stage(), b.Stage()), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Label, b.Label))
	})
	rows := make([]printRow, len(sorted))
	for i, c := range sorted {
		verb := strings.TrimSpace(c.Op.Verb() + " " + c.noun())
		rows[i] = printRow{c.Op.color(), verb, Clean(cmp.Or(c.Label, string(c.ID))), p.rest(c.describe(), c.Label, c.ID)}
	}
	return rows
}

// rest returns the text about an entry, with Style.All also the id where the label is another one.
func (p *printer) rest(text, label string, id directory.ID) string {
	if p.style.All && label != "" && label != string(id) {
		text = strings.TrimPrefix(text+"; id "+string(id), "; ")
	}
	return Clean(text)
}

// held writes a section for each reason of a guard, which begins with the reason in full.
func (p *printer) held(changes []Change) {
	var reasons []string
	by := map[string][]Change{}
	for i := range changes {
		c := &changes[i]
		reason := string(c.Guard) + ": " + Clean(c.Held)
		if by[reason] == nil {
			reasons = append(reasons, reason)
		}
		by[reason] = append(by[reason], *c)
	}
	for _, reason := range reasons {
		p.heading(fmt.Sprintf("HELD (%d)", len(by[reason])))
		for _, line := range fold(reason, printWidth-2) {
			p.line("  " + line)
		}
		p.rows(p.changes(by[reason]))
		p.rows(p.members(by[reason]))
	}
}

// noun returns the kind of object that a change is about. A membership needs no noun, because its verb has it.
func (c *Change) noun() string {
	if c.Op.Membership() {
		return ""
	}
	return c.Kind.String()
}

// members returns a row for each group: "team 37: +35 members". With Style.All there are none.
func (p *printer) members(changes []Change) []printRow {
	if p.style.All {
		return nil
	}
	type sum struct {
		name       string
		plus, less int
	}
	groups := map[directory.ID]*sum{}
	for i := range changes {
		c := &changes[i]
		if !c.Op.Membership() {
			continue
		}
		g := groups[c.ID]
		if g == nil {
			g = &sum{name: Clean(cmp.Or(c.Label, string(c.ID)))}
			groups[c.ID] = g
		}
		if c.Op == AddMember {
			g.plus++
		} else {
			g.less++
		}
	}
	sorted := slices.SortedFunc(maps.Values(groups), func(a, b *sum) int {
		return cmp.Or(cmp.Compare(b.less, a.less), cmp.Compare(a.name, b.name))
	})
	rows := make([]printRow, 0, len(sorted))
	for _, g := range sorted {
		r := printRow{color: green, name: g.name + ": " + gains(g.plus, g.less)}
		if g.less > 0 {
			r.color = red
		}
		rows = append(rows, r)
	}
	return rows
}

// gains returns "+35 members", "-1 member" or "+35 -1 members".
func gains(plus, less int) string {
	noun := "members"
	if plus+less == 1 {
		noun = "member"
	}
	switch {
	case less == 0:
		return fmt.Sprintf("+%d %s", plus, noun)
	case plus == 0:
		return fmt.Sprintf("-%d %s", less, noun)
	}
	return fmt.Sprintf("+%d -%d %s", plus, less, noun)
}

func (p *printer) entries(head string, held []Held) {
	rows := make([]printRow, len(held))
	for i, h := range held {
		reason := strings.ReplaceAll(string(h.Reason), "_", " ")
		rows[i] = printRow{yellow, reason, Clean(cmp.Or(h.Label, string(h.ID))), p.rest(h.Detail, h.Label, h.ID)}
	}
	p.section(head, rows)
}

// section writes rows under a heading. A section without rows is left out.
func (p *printer) section(head string, rows []printRow) {
	if len(rows) > 0 {
		p.heading(head)
		p.rows(rows)
	}
}

func (p *printer) heading(text string) {
	p.line("")
	p.line(p.paint(bold, text))
}

// rows writes rows in columns, of which the last one gets lines of its own where it is long.
func (p *printer) rows(rows []printRow) {
	left := 0
	if !p.style.All && len(rows) > briefRows {
		left, rows = len(rows)-briefRows, rows[:briefRows]
	}
	var verb, name int
	for _, r := range rows {
		verb, name = max(verb, utf8.RuneCountInString(r.verb)), max(name, utf8.RuneCountInString(r.name))
	}
	name = min(name, widestName)
	for _, r := range rows {
		text := "  "
		if verb > 0 {
			text += p.paint(r.color, pad(r.verb, verb)) + "  "
			text += pad(r.name, name)
		} else {
			text += p.paint(r.color, pad(r.name, name))
		}
		at := 2 + name + 2
		if verb > 0 {
			at += verb + 2
		}
		rest := []string{cutTo(r.rest, printWidth-at)}
		if p.style.All {
			rest = fold(r.rest, printWidth-at)
		}
		p.line(strings.TrimRight(text+"  "+rest[0], " "))
		for _, line := range rest[1:] {
			p.line(strings.Repeat(" ", at) + line)
		}
	}
	if left > 0 {
		p.line(fmt.Sprintf("  and %d more: --all shows them", left))
	}
}

// fold returns a text in lines of at most width characters. There is at least one.
func fold(text string, width int) (lines []string) {
	r := []rune(text)
	for len(r) > width {
		at := width
		for i := width; i > width/2; i-- {
			if r[i] == ' ' {
				at = i
				break
			}
		}
		lines = append(lines, strings.TrimSpace(string(r[:at])))
		r = []rune(strings.TrimSpace(string(r[at:])))
	}
	return append(lines, string(r))
}

// pad returns the text in exactly n characters.
func pad(text string, n int) string {
	text = cutTo(text, n)
	return text + strings.Repeat(" ", n-utf8.RuneCountInString(text))
}

func cutTo(text string, n int) string {
	r := []rune(text)
	if len(r) <= n {
		return text
	}
	return string(r[:n-1]) + "…"
}

func (p *printer) line(text string) {
	if p.err == nil {
		_, p.err = fmt.Fprintln(p.w, text)
	}
}

func (p *printer) paint(color, text string) string {
	if !p.style.Color || color == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// color is green for what is added, red for what is taken away, yellow for the rest.
func (o Op) color() string {
	return map[string]string{"gain": green, "loss": red, "change": yellow}[o.Tone()]
}

// Lasting says how long changes take at a provider's quota. It is empty below a minute, or where that is not known.
func Lasting(takes time.Duration) string {
	switch minutes := int(takes.Round(time.Minute).Minutes()); {
	case minutes < 1:
		return ""
	case minutes < 120:
		return "At the tenant's quota the changes take about " + numbered(minutes, "minute", "minutes") + "."
	default:
		return fmt.Sprintf("At the tenant's quota the changes take about %d hours.", (minutes+30)/60)
	}
}
