package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode"

	"rollcall/internal/secret"
)

// RowKind says what a row of a plan's document is about.
type RowKind string

// The kinds of rows, in the order of a document.
const (
	RowChange   RowKind = "change"   // a change that is applied
	RowHeld     RowKind = "held"     // a change that a guard holds
	RowConflict RowKind = "conflict" // an entry that waits for a person to act
	RowNote     RowKind = "note"     // an entry that is left alone, and why
)

// RowKinds returns every kind, in the order of a document.
func RowKinds() []RowKind { return []RowKind{RowChange, RowHeld, RowConflict, RowNote} }

// Row is one row of a plan's document. It is a Change or, for a conflict or a note, an Entry. Its JSON is flat, with
// the kind in the field row.
type Row struct {
	Kind   RowKind
	Change Change
	Entry  Held
}

type (
	changeRow struct {
		Row RowKind `json:"row"`
		Change
	}
	entryRow struct {
		Row RowKind `json:"row"`
		Held
	}
)

func (k RowKind) ofEntry() bool { return k == RowConflict || k == RowNote }

// MarshalJSON implements json.Marshaler.
func (r Row) MarshalJSON() ([]byte, error) {
	if r.Kind.ofEntry() {
		return json.Marshal(entryRow{r.Kind, r.Entry})
	}
	return json.Marshal(changeRow{r.Kind, r.Change})
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *Row) UnmarshalJSON(text []byte) error {
	var kind struct {
		Row RowKind `json:"row"`
	}
	if err := json.Unmarshal(text, &kind); err != nil {
		return err
	}
	r.Kind = kind.Row
	switch {
	case !slices.Contains(RowKinds(), r.Kind):
		return fmt.Errorf("unknown row %q", r.Kind)
	case r.Kind.ofEntry():
		return json.Unmarshal(text, &r.Entry)
	}
	if err := json.Unmarshal(text, &r.Change); err != nil {
		return err
	}
	if !slices.Contains(Ops(), r.Change.Op) {
		return fmt.Errorf("a row %q without an operation", r.Kind)
	}
	if r.Change.Op.Membership() && r.Change.Member == nil {
		return fmt.Errorf("a row %q with a membership of no member", r.Kind)
	}
	return nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (o *Op) UnmarshalText(text []byte) error {
	i := slices.IndexFunc(Ops(), func(op Op) bool { return op.String() == string(text) })
	if i < 0 {
		return fmt.Errorf("unknown operation %q", text)
	}
	*o = Ops()[i]
	return nil
}

// Rows yields a plan that went through the guards as a document, in the order changes, held changes, conflicts,
// notes. It omits the values of fields with the name of a secret, because a mapping can name any attribute.
func Rows(apply, held Plan) iter.Seq[Row] {
	return func(yield func(Row) bool) {
		r := redactor{}
		changes := func(kind RowKind, all []Change) bool {
			for i := range all {
				if !yield(Row{Kind: kind, Change: r.change(all[i].Whole())}) {
					return false
				}
			}
			return true
		}
		if !changes(RowChange, apply.Changes) || !changes(RowHeld, held.Changes) {
			return
		}
		for _, e := range apply.Held {
			if !yield(Row{Kind: RowConflict, Entry: e}) {
				return
			}
		}
		for _, n := range apply.Notes {
			if !yield(Row{Kind: RowNote, Entry: Held(n)}) {
				return
			}
		}
	}
}

// Collect makes of rows what WriteTable prints.
func Collect(rows []Row) (apply, held Plan) {
	for _, r := range rows {
		switch r.Kind {
		case RowChange:
			apply.Changes = append(apply.Changes, r.Change)
		case RowHeld:
			held.Changes = append(held.Changes, r.Change)
		case RowConflict:
			apply.Held = append(apply.Held, r.Entry)
		case RowNote:
			apply.Notes = append(apply.Notes, Note(r.Entry))
		}
	}
	return apply, held
}

// secretField recognises the names under which directories keep passwords and keys, such as userPassword, unicodePwd,
// sambaNTPassword, krbPrincipalKey and ipaNTHash.
var secretField = regexp.MustCompile(
	`(?i)passw|pwd|secret(a[^r]|[^a]|$)|credential|private_?key|api_?key|token|principalkey|nthash|lmhash|rootpw`)

// Secret reports whether a name is one of those that directories keep passwords and keys under, or a text names one.
func Secret(text string) bool { return secretField.MatchString(text) }

// Text says on one line, of bounded length, what a change of an entry does. It has no values of secret fields. A
// membership has none, because its names say it all.
func (c *Change) Text() string {
	const most = 300
	if c.Member != nil {
		return ""
	}
	plain := redactor{}.change(*c)
	text := []rune(Clean(plain.describe()))
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}

// redactor remembers which field names are those of secrets, because a plan has a few names and a million fields.
type redactor map[string]bool

func (r redactor) hides(f FieldChange) bool {
	hide, known := r[f.Name]
	if !known {
		hide = Secret(f.Name)
		r[f.Name] = hide
	}
	return hide
}

// change returns the change without the values of secret fields.
func (r redactor) change(c Change) Change {
	if !slices.ContainsFunc(c.Fields, r.hides) {
		return c
	}
	redact := func(values []string) []string {
		if len(values) == 0 {
			return nil
		}
		return []string{secret.Redacted}
	}
	c.Fields = slices.Clone(c.Fields)
	for i, f := range c.Fields {
		if r.hides(f) {
			c.Fields[i].Before, c.Fields[i].After = redact(f.Before), redact(f.After)
		}
	}
	return c
}

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
	section := func(head string, n int) {
		if n > 0 {
			row("", "", "", "")
			row(head, "KIND", "ENTRY", "WHY")
		}
	}
	section("HELD", len(held.Changes))
	for i := range held.Changes {
		c := &held.Changes[i]
		row(c.Op.String(), c.Kind.String(), Clean(c.name()), Clean(c.describeHeld()))
	}
	section("IN CONFLICT", len(apply.Held))
	for _, h := range apply.Held {
		row(string(h.Reason), h.Kind.String(), Clean(Label(h.Label, h.ID)), Clean(h.Detail))
	}
	section("LEFT ALONE", len(apply.Notes))
	for _, n := range apply.Notes {
		row(string(n.Reason), n.Kind.String(), Clean(Label(n.Label, n.ID)), Clean(n.Detail))
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

func (c *Change) name() string { return Label(c.Label, c.ID) }

// Label returns the name of an entry with its id: "Ada (4711)".
func Label[T ~string](name string, id T) string {
	if name == "" || name == string(id) {
		return string(id)
	}
	return name + " (" + string(id) + ")"
}

// describe says in one line what the change does.
func (c *Change) describe() string {
	switch c.Op {
	case AddMember, RemoveMember:
		return Label(c.MemberLabel, c.Member.ID)
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
