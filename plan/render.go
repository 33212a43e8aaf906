package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"unicode"

	"rollcall/directory"
)

// Empty reports whether there is nothing to apply.
func (p Plan) Empty() bool { return len(p.Changes) == 0 }

// Digest identifies what the plan would change; notes and counts do not count.
func (p Plan) Digest() string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for i := range p.Changes {
		_ = enc.Encode(p.Changes[i].Whole()) // Strings, numbers and texts only: it cannot fail.
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// Tallies counts the changes by operation and object type: "create" → {User: 3}.
func (p Plan) Tallies() map[Op]Tally {
	out := map[Op]Tally{}
	for i := range p.Changes {
		c := &p.Changes[i]
		t := out[c.Op]
		if c.Op.Membership() {
			t.Membership++
		} else {
			t.add(c.Kind, 1)
		}
		out[c.Op] = t
	}
	return out
}

// WriteTable prints each row of a plan in full, in the order changes, what a guard holds, notes. Print makes a text
// for a terminal.
func WriteTable(w io.Writer, apply, held Plan) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	row := func(cells ...string) { fmt.Fprintln(t, strings.Join(cells, "\t")) }
	if len(apply.Changes) > 0 {
		row("CHANGE", "KIND", "ENTRY", "WHAT")
	}
	for i := range apply.Changes {
		c := &apply.Changes[i]
		row(c.Op.String(), c.Kind.String(), Clean(c.name()), Clean(c.describe()))
	}
	if len(held.Changes) > 0 {
		row("", "", "", "")
		row("HELD", "KIND", "ENTRY", "WHY")
	}
	for i := range held.Changes {
		c := &held.Changes[i]
		row(c.Op.String(), c.Kind.String(), Clean(c.name()), Clean(c.describeHeld()))
	}
	if len(apply.Held) > 0 {
		row("", "", "", "")
		row("IN CONFLICT", "KIND", "ENTRY", "WHY")
	}
	for _, h := range apply.Held {
		row(string(h.Reason), h.Kind.String(), Clean(label(h.Label, h.ID)), Clean(h.Detail))
	}
	if len(apply.Notes) > 0 {
		row("", "", "", "")
		row("LEFT ALONE", "KIND", "ENTRY", "WHY")
	}
	for _, n := range apply.Notes {
		row(string(n.Reason), n.Kind.String(), Clean(label(n.Label, n.ID)), Clean(n.Detail))
	}
	return t.Flush()
}

// Write prints the totals for a person.
func (s Summary) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\tusers\tgroups\tmemberships\t")
	line := func(name string, c Tally) {
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t\n", name, c.User, c.Group, c.Membership)
	}
	line("desired", s.Counts.Desired)
	line("ours in the tenant", s.Counts.Anchored)
	line("foreign in the tenant", s.Counts.Foreign)
	for _, op := range Ops() {
		if c, ok := s.Changes[op]; ok {
			line("to "+op.Verb(), c)
		}
	}
	line("left alone", s.Counts.Unchanged)
	var h Tally
	for _, c := range s.Held {
		h.User, h.Group, h.Membership = h.User+c.User, h.Group+c.Group, h.Membership+c.Membership
	}
	line("held by a guard", h)
	line("in conflict", s.Conflicts)
	return t.Flush()
}

func (c *Change) name() string { return label(c.Label, c.ID) }

func label(name string, id directory.ID) string {
	if name == "" || name == string(id) {
		return string(id)
	}
	return name + " (" + string(id) + ")"
}

// describe says in one line what the change does.
func (c *Change) describe() string {
	switch c.Op {
	case AddMember, RemoveMember:
		return label(c.MemberLabel, c.Member.ID)
	case Suspend, Delete:
		text := c.Address + " " + c.Why.Because()
		if c.EndSessions {
			text += "; its sessions end"
		}
		return text
	case Create, Restore:
		return c.Address
	case Reanchor:
		return fmt.Sprintf("%s, until now anchored to %s", c.Address, c.From)
	}
	parts := make([]string, 0, len(c.Fields))
	for _, f := range c.Fields {
		parts = append(parts, f.String())
	}
	return strings.Join(parts, ", ")
}

// describeHeld says in one line which guard holds the change, why, and what the change would do.
func (c *Change) describeHeld() string {
	text := string(c.Guard) + ": " + c.Held
	if what := c.describe(); what != "" {
		text += "; " + what
	}
	return text
}

// String returns the field with both values, on one line.
func (f FieldChange) String() string {
	return fmt.Sprintf("%s: %s → %s", f.Name, show(f.Before), show(f.After))
}

func show(values []string) string {
	if len(values) == 0 {
		return "(none)"
	}
	return fmt.Sprintf("%q", strings.Join(values, " | "))
}

// Clean keeps a cell on its line, because names come from directories and may contain anything.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
}
