package plan

import (
	"encoding/json"
	"fmt"
	"iter"
	"regexp"
	"slices"

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
