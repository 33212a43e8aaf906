package plan

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
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
	p.changes("CHANGES", apply.Changes, func(c *Change) string { return c.describe() })
	p.members("MEMBERS", apply.Changes, false)
	p.changes("HELD", held.Changes, (*Change).describeHeld)
	p.members("HELD MEMBERS", held.Changes, true)
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

func (p *printer) changes(head string, changes []Change, rest func(*Change) string) {
	var rows []printRow
	for i := range changes {
		c := &changes[i]
		if c.Op.Membership() && !p.style.All {
			continue
		}
		verb := strings.TrimSpace(c.Op.Verb() + " " + c.noun())
		rows = append(rows, printRow{c.Op.color(), verb, Clean(c.name()), Clean(rest(c))})
	}
	p.section(head, rows)
}

// noun returns the kind of object that a change is about. A membership needs no noun, because its verb has it.
func (c *Change) noun() string {
	if c.Op.Membership() {
		return ""
	}
	return c.Kind.String()
}

// members writes a line for each group: "team 37: +35 members".
func (p *printer) members(head string, changes []Change, held bool) {
	if p.style.All {
		return
	}
	type sum struct {
		name       string
		plus, less int
		why        string
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
		if held {
			g.why = string(c.Guard) + ": " + Clean(c.Held)
		}
	}
	sorted := make([]*sum, 0, len(groups))
	for _, g := range groups {
		sorted = append(sorted, g)
	}
	slices.SortFunc(sorted, func(a, b *sum) int {
		return cmp.Or(cmp.Compare(b.less, a.less), cmp.Compare(a.name, b.name))
	})
	rows := make([]printRow, 0, len(sorted))
	for _, g := range sorted {
		r := printRow{color: green, name: g.name + ": " + gains(g.plus, g.less), rest: g.why}
		if g.less > 0 {
			r.color = red
		}
		rows = append(rows, r)
	}
	p.section(head, rows)
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
		rows[i] = printRow{yellow, reason, Clean(label(h.Label, h.ID)), Clean(h.Detail)}
	}
	p.section(head, rows)
}

// section writes rows in columns under a heading. A section without rows is left out.
func (p *printer) section(head string, rows []printRow) {
	if len(rows) == 0 {
		return
	}
	left := 0
	if !p.style.All && len(rows) > briefRows {
		left, rows = len(rows)-briefRows, rows[:briefRows]
	}
	var verb, name int
	for _, r := range rows {
		verb, name = max(verb, utf8.RuneCountInString(r.verb)), max(name, utf8.RuneCountInString(r.name))
	}
	name = min(name, widestName)
	p.line("")
	p.line(p.paint(bold, head))
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
		first, more := p.fold(r.rest, printWidth-at)
		p.line(strings.TrimRight(text+"  "+first, " "))
		for _, line := range more {
			p.line(strings.Repeat(" ", at) + line)
		}
	}
	if left > 0 {
		p.line(fmt.Sprintf("  and %d more: --all shows them", left))
	}
}

// fold returns a text in lines of at most width characters, either all of them or the first one, cut.
func (p *printer) fold(text string, width int) (first string, more []string) {
	r := []rune(text)
	if len(r) <= width {
		return text, nil
	}
	if !p.style.All {
		return cutTo(text, width), nil
	}
	for len(r) > width {
		at := width
		for i := width; i > width/2; i-- {
			if r[i] == ' ' {
				at = i
				break
			}
		}
		more = append(more, strings.TrimSpace(string(r[:at])))
		r = []rune(strings.TrimSpace(string(r[at:])))
	}
	more = append(more, string(r))
	return more[0], more[1:]
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
	switch o {
	case Create, Undelete, Restore, AddMember:
		return green
	case Suspend, Delete, RemoveMember:
		return red
	case Update, Adopt, Reanchor:
	}
	return yellow
}
