package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"rollcall/directory"
	"rollcall/internal/secret"
)

// Standing is how an account stands where a pin keeps it.
type Standing string

// The standings. An empty one leaves the account to the source.
const (
	StandsActive    Standing = "active"    // it is there and active, whatever the source says
	StandsSuspended Standing = "suspended" // it is there and suspended, and is not deleted
	StandsNone      Standing = "none"      // it should not be there: the leaver policy applies
)

// Pin keeps an entry's remote object as it was before a run that a person undid, though the source says otherwise. It
// ends when the source changes what it says of the entry, when the source says the same again, or when a person lifts
// it.
type Pin struct {
	directory.Ref
	// Label is what a person calls the entry.
	Label string `json:"label,omitempty"`
	// Run is the run that was undone, Ended when it had ended, By the name of who undid it, At when.
	Run   string    `json:"run"`
	Ended time.Time `json:"ended,omitzero"`
	By    string    `json:"by,omitempty"`
	At    time.Time `json:"at"`
	// Version is the entry's version in the local directory when it was pinned; empty for one that is absent there.
	Version string `json:"version,omitempty"`
	// Want identifies the desired state of a group at that time, without its members. Their coming and going ends no
	// pin of the group.
	Want string `json:"want,omitempty"`
	// Account is the pinned state of the account. RemoteID is its id. Deleted is when the undone run deleted it, or
	// zero. A deleted account is brought back with Fields, also for a source that wants it again by now. It is the
	// source's again once it exists and is wanted.
	Account  Standing  `json:"account,omitempty"`
	RemoteID string    `json:"remote_id,omitempty"`
	Deleted  time.Time `json:"deleted,omitzero"`
	// Address and Fields are as they were; a field without values was empty.
	Address string               `json:"address,omitempty"`
	Fields  directory.Attributes `json:"fields,omitempty"`
	// Groups are the memberships that the run changed, sorted by ID.
	Groups []PinnedMembership `json:"groups,omitempty"`
}

// PinnedMembership says whether the entry was a member of a group.
type PinnedMembership struct {
	ID     directory.ID `json:"id"`
	Label  string       `json:"label,omitempty"`
	Member bool         `json:"member"`
}

// Empty reports whether the pin keeps nothing.
func (p *Pin) Empty() bool {
	return p.Account == "" && p.Address == "" && len(p.Fields) == 0 && len(p.Groups) == 0
}

// holds reports whether the source says of the entry what it said when it was pinned.
func (p *Pin) holds(version, want string) bool {
	return p.Version == version || p.Want != "" && p.Want == want
}

// want identifies what is desired of a group but for its members; empty for anything else.
func (d *Desired) want() string {
	if d == nil || d.Kind != directory.Group {
		return ""
	}
	text, err := json.Marshal([]any{d.Address, d.Active, d.Held, d.Fields})
	if err != nil {
		return "" // Texts only: it cannot fail.
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

// field returns what the pin says of a field.
func (p *Pin) field(name string) ([]string, bool) {
	i := slices.IndexFunc(p.Fields, func(a directory.Attribute) bool { return a.Name == name })
	if i < 0 {
		return nil, false
	}
	return p.Fields[i].Values, true
}

// Undone is a run that a person wants undone.
type Undone struct {
	// Run is its id, At when it ended, By who undoes it.
	Run string
	At  time.Time
	By  string
	// Changes is what the run was to apply. A change that it did not reach is undone all the same, and stays undone.
	Changes []Change
}

// Undo returns the pins that take back what a run changed, sorted by Ref. It also returns the entries of which
// something cannot be taken back, with the reason. versions are those that the source has now. An entry that changed
// since the run was planned is left to the source. So is a part of a group that is no longer desired as the run made
// it. A deleted account is brought back in any case, because another account would not have its contents.
func Undo(u Undone, desired []Desired, versions map[directory.Ref]string, now time.Time) (pins []Pin, cannot []Note) {
	b := undoing{
		undone: &u, pins: map[directory.Ref]*Pin{}, refused: map[directory.Ref]string{}, groups: map[directory.Ref]*Desired{},
	}
	for i := range desired {
		if d := &desired[i]; d.Kind == directory.Group {
			b.groups[d.Ref] = d
		}
	}
	b.pin = func(ref directory.Ref, label string) *Pin {
		return &Pin{Ref: ref, Label: label, Run: u.Run, Ended: u.At, By: u.By, At: now, Version: versions[ref],
			Want: b.groups[ref].want()}
	}
	for i := range u.Changes {
		c := &u.Changes[i]
		switch {
		case c.Op.Membership():
			b.membership(c)
		case c.Version != versions[c.Ref] && c.Op == Delete && c.Kind == directory.User:
			b.change(c)
			b.pins[c.Ref].Account = StandsSuspended // Unless the source wants it.
		case c.Version != versions[c.Ref] && b.groups[c.Ref] != nil:
			b.group(*c, b.groups[c.Ref])
		case c.Version != versions[c.Ref]:
			b.refuse(c.Ref, c.Label, "its source entry changed since: the source decides")
		default:
			b.change(c)
		}
	}
	for _, p := range b.pins {
		if !p.Empty() {
			slices.SortFunc(p.Groups, func(x, y PinnedMembership) int { return cmp.Compare(x.ID, y.ID) })
			pins = append(pins, *p)
		}
	}
	slices.SortFunc(pins, func(x, y Pin) int { return x.Ref.Compare(y.Ref) })
	slices.SortFunc(b.cannot, func(x, y Note) int { return x.Ref.Compare(y.Ref) })
	return pins, b.cannot
}

// undoing gathers the pins of one run.
type undoing struct {
	undone  *Undone
	pin     func(directory.Ref, string) *Pin
	pins    map[directory.Ref]*Pin
	refused map[directory.Ref]string
	groups  map[directory.Ref]*Desired
	cannot  []Note
}

func (b *undoing) of(ref directory.Ref, label string) *Pin {
	p := b.pins[ref]
	if p == nil {
		p = b.pin(ref, label)
		b.pins[ref] = p
	}
	return p
}

func (b *undoing) refuse(ref directory.Ref, label, why string) {
	if b.refused[ref] == why {
		return
	}
	b.refused[ref] = why
	b.cannot = append(b.cannot, Note{ref, label, Reverted, why})
}

func (b *undoing) membership(c *Change) {
	p := b.of(*c.Member, c.MemberLabel)
	if slices.ContainsFunc(p.Groups, func(m PinnedMembership) bool { return m.ID == c.ID }) {
		return // A run that was resumed planned again: what was before its first plan counts.
	}
	p.Groups = append(p.Groups, PinnedMembership{ID: c.ID, Label: c.Label, Member: c.Op == RemoveMember})
}

// change takes back one change of an account or a group.
func (b *undoing) change(c *Change) {
	p := b.of(c.Ref, c.Label)
	p.RemoteID = cmp.Or(c.RemoteID, p.RemoteID)
	switch c.Op {
	case Create, Suspend, Restore, Delete:
		b.account(p, c)
	case Adopt, Reanchor:
		b.refuse(c.Ref, c.Label, "its account was taken over by this run and stays ours; only the fields go back")
		b.fields(p, c)
	case Update:
		b.fields(p, c)
	case Undelete:
		b.refuse(c.Ref, c.Label, "its account was brought back by this run and is not deleted again")
	case AddMember, RemoveMember:
	}
}

// group takes back a change of a group with an entry that changed since. If only members came or went, what is still
// desired as the run made it is taken back.
func (b *undoing) group(c Change, d *Desired) {
	made := len(c.Fields)
	c.Fields = slices.DeleteFunc(slices.Clone(c.Fields), func(f FieldChange) bool {
		if f.Name == AddressField {
			return !slices.Equal(f.After, values(d.Address))
		}
		return !slices.Equal(f.After, d.Fields.Values(f.Name))
	})
	if c.Op == Update && len(c.Fields) < made {
		b.refuse(c.Ref, c.Label, "its source entry changed since: the source decides")
	}
	b.change(&c)
}

// account takes back what became of an account. Of several changes, as a run has them that was resumed, the first
// says how it stood, and a deletion is one in any case.
func (b *undoing) account(p *Pin, c *Change) {
	before := StandsActive
	switch {
	case c.Op == Create:
		before = StandsNone
	case c.Op == Delete && c.Kind == directory.Group:
		b.refuse(c.Ref, c.Label, "a deleted group cannot be brought back")
		return
	case c.Op == Delete:
		p.Deleted, p.Address = b.undone.At, c.Address
		b.fields(p, c)
		if c.Inactive {
			before = StandsSuspended
		}
	case c.Op == Restore && c.Inactive:
		before = StandsSuspended
	case c.Op == Restore: // The account was active; only our mark was taken off.
		return
	}
	p.Account = cmp.Or(p.Account, before)
}

func (b *undoing) fields(p *Pin, c *Change) {
	for _, f := range c.Fields {
		switch {
		case slices.Contains(f.Before, secret.Redacted):
			b.refuse(c.Ref, c.Label, "the old value of "+f.Name+" is a secret and was not kept")
		case f.Name == AddressField:
			if len(f.Before) > 0 && p.Address == "" {
				p.Address = f.Before[0]
			}
		default:
			if _, said := p.field(f.Name); said {
				continue
			}
			p.Fields = append(p.Fields, directory.Attribute{Name: f.Name, Values: f.Before})
		}
	}
}

// MergePins adds the pins of now to those of before. Where both pin the same value, the one of now counts. Of two runs
// in a row, however, the pin of the first run counts, because it has the value before both. The order in which they are
// undone does not matter. A pin of another version of its entry has ended.
func MergePins(before, now []Pin) []Pin {
	fresh := make(map[directory.Ref]int, len(now))
	out := slices.Clone(now)
	for i := range out {
		fresh[out[i].Ref] = i
	}
	for _, old := range before {
		i, both := fresh[old.Ref]
		switch {
		case !both:
			out = append(out, old)
		case !old.holds(out[i].Version, out[i].Want):
		case out[i].Ended.After(old.Ended) && out[i].Ended.Before(old.At):
			old.Version, old.Want = out[i].Version, out[i].Want
			out[i] = old.over(out[i])
		default:
			out[i] = out[i].over(old)
		}
	}
	slices.SortFunc(out, func(x, y Pin) int { return x.Ref.Compare(y.Ref) })
	return out
}

// over returns the pin with what old says besides.
func (p Pin) over(old Pin) Pin {
	p.Account = cmp.Or(p.Account, old.Account)
	if p.Deleted.IsZero() {
		p.Deleted = old.Deleted
	}
	p.Address = cmp.Or(p.Address, old.Address)
	p.RemoteID = cmp.Or(p.RemoteID, old.RemoteID)
	p.Fields, p.Groups = slices.Clone(p.Fields), slices.Clone(p.Groups)
	for _, f := range old.Fields {
		if _, said := p.field(f.Name); !said {
			p.Fields = append(p.Fields, f)
		}
	}
	slices.SortFunc(p.Fields, func(x, y directory.Attribute) int { return strings.Compare(x.Name, y.Name) })
	for _, g := range old.Groups {
		if !slices.ContainsFunc(p.Groups, func(m PinnedMembership) bool { return m.ID == g.ID }) {
			p.Groups = append(p.Groups, g)
		}
	}
	slices.SortFunc(p.Groups, func(x, y PinnedMembership) int { return cmp.Compare(x.ID, y.ID) })
	return p
}

// About returns the plan with nothing in it but changes of what the pins keep.
func (p Plan) About(pins []Pin) Plan {
	of := byRef(pins)
	p.Changes = slices.DeleteFunc(slices.Clone(p.Changes), func(c Change) bool { return !of.concern(&c) })
	return p
}

// pinsOf are pins by the entry that they keep.
type pinsOf map[directory.Ref]*Pin

func byRef(pins []Pin) pinsOf {
	of := make(pinsOf, len(pins))
	for i := range pins {
		of[pins[i].Ref] = &pins[i]
	}
	return of
}

// concern reports whether a change concerns what the pins keep.
func (of pinsOf) concern(c *Change) bool {
	if c.Member != nil {
		pin := of[*c.Member]
		return pin != nil && slices.ContainsFunc(pin.Groups, func(m PinnedMembership) bool { return m.ID == c.ID })
	}
	pin := of[c.Ref]
	if c.Op == Update {
		return pin != nil && (pin.Address != "" || len(pin.Fields) > 0)
	}
	return pin != nil && pin.Account != ""
}

// ask reports whether the pins ask for the change. They ask for an update only if they ask for each of its fields.
// Other changes of the mapping or the source in the same entry are no part of an undo.
func (of pinsOf) ask(c *Change) bool {
	if !of.concern(c) {
		return false
	}
	return c.Op != Update || !slices.ContainsFunc(c.Fields, func(f FieldChange) bool { return !of.askField(c.Ref, &f) })
}

// askField reports whether the pin of an entry has exactly the value that the field gets.
func (of pinsOf) askField(ref directory.Ref, f *FieldChange) bool {
	pin := of[ref]
	if pin == nil {
		return false
	}
	if f.Name == AddressField {
		return pin.Address != "" && slices.Equal(f.After, values(pin.Address))
	}
	kept, said := pin.field(f.Name)
	return said && slices.Equal(f.After, kept)
}
