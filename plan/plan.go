// Package plan decides what a sync has to do, and nothing else. Compute is a pure function from the desired and the
// current state to a Plan. Guard is the brake on the destructive part of it.
//
// A plan is a value. It is sorted in the order in which it is applied. Access is taken away first, objects are created
// before others refer to them, and deletions come last. A plan prints as a table and as JSON. The same input gives the
// same bytes. A dry run is a run that stops here.
package plan

import (
	"slices"
	"strings"
	"time"

	"rollcall/directory"
)

// Op is what a change does.
type Op uint8

// The operations. Membership changes name the group in ID and the member in Member.
const (
	// Update changes mapped fields, the address among them (a rename keeps the account).
	Update Op = iota + 1
	// Adopt puts our anchor on an account that had none.
	Adopt
	// Reanchor replaces our anchor by another, because the directory was re-created. It is always held for approval.
	Reanchor
	// Restore lifts a suspension that was ours.
	Restore
	// Create makes the account or group, with its anchor.
	Create
	// Undelete brings back an account that was deleted, as far back as the provider can (see
	// Capabilities.UndeleteWithin).
	Undelete
	// AddMember adds Member to the group.
	AddMember
	// RemoveMember removes Member from the group.
	RemoveMember
	// Suspend blocks the account and leaves our mark that we did.
	Suspend
	// Delete deletes the account or group.
	Delete
)

type opWord struct{ name, verb, past string }

// opWords has the words for each operation, which are its name in logs, metrics and JSON, and its verbs for people.
var opWords = [...]opWord{
	Update:       {"update", "update", "updated"},
	Adopt:        {"adopt", "adopt", "adopted"},
	Reanchor:     {"reanchor", "re-anchor", "re-anchored"},
	Restore:      {"restore", "restore", "restored"},
	Create:       {"create", "create", "created"},
	Undelete:     {"undelete", "bring back", "brought back"},
	AddMember:    {"add_member", "add member", "added"},
	RemoveMember: {"remove_member", "remove member", "removed"},
	Suspend:      {"suspend", "suspend", "suspended"},
	Delete:       {"delete", "delete", "deleted"},
}

// Ops returns every operation in a fixed order.
func Ops() []Op {
	return []Op{Update, Adopt, Reanchor, Restore, Create, Undelete, AddMember, RemoveMember, Suspend, Delete}
}

// String returns the operation as it appears in logs, metrics and JSON.
func (o Op) String() string {
	if o >= Update && int(o) < len(opWords) {
		return opWords[o].name
	}
	return "op?"
}

// Verb returns what people say for the operation: "bring back".
func (o Op) Verb() string { return opWords[o].verb }

// VerbOf returns the verb for the name of an operation, and any other name as it is.
func VerbOf(name string) string {
	if i := slices.IndexFunc(opWords[:], func(w opWord) bool { return w.name == name && name != "" }); i >= 0 {
		return opWords[i].verb
	}
	return name
}

// Past returns the verb in the past: "brought back".
func (o Op) Past() string { return opWords[o].past }

// MarshalText implements encoding.TextMarshaler.
func (o Op) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// Destructive reports whether the operation takes something away from a person. Guards hold such changes.
func (o Op) Destructive() bool { return o == RemoveMember || o == Suspend || o == Delete }

// Tone says what the operation is for the person: a gain, a loss or a change.
func (o Op) Tone() string {
	switch {
	case o.Destructive():
		return "loss"
	case o == Create || o == Undelete || o == Restore || o == AddMember:
		return "gain"
	}
	return "change"
}

// Membership reports whether the operation concerns one member of one group.
func (o Op) Membership() bool { return o == AddMember || o == RemoveMember }

// FieldChange is one mapped field before and after.
type FieldChange struct {
	Name   string   `json:"name"`
	Before []string `json:"before,omitempty"`
	After  []string `json:"after,omitempty"`
}

// AddressField is the name under which a change of the address appears among the fields.
const AddressField = "address"

// AliasesField is the name of the field with the further addresses of an account. Its address is none of them.
const AliasesField = "aliases"

// Change is one remote write.
type Change struct {
	Op Op `json:"op"`
	directory.Ref
	// RemoteID is the remote object's immutable id; empty until it is created.
	RemoteID string `json:"remote_id,omitempty"`
	// Label is what a person calls the entry.
	Label string `json:"label,omitempty"`
	// Address is the address that the object has after the change.
	Address string `json:"address,omitempty"`
	// Fields is what changes, sorted by name. For Create it is everything that is set.
	Fields []FieldChange `json:"fields,omitempty"`
	// Sets takes the place of Fields for a Create in the full plan of a mirror. It is what the entry has, so that the
	// plan of a first import does not have it twice. See Change.Whole.
	Sets directory.Attributes `json:"-"`
	// Member and MemberRemoteID name the member of a membership change.
	Member         *directory.Ref `json:"member,omitempty"`
	MemberRemoteID string         `json:"member_remote_id,omitempty"`
	// MemberLabel is what a person calls the member.
	MemberLabel string `json:"member_label,omitempty"`
	// Why says what led to a destructive change, such as absent, disabled or out of scope.
	Why Reason `json:"why,omitempty"`
	// From is the ID that a Reanchor replaces, or that the entry had before a mirror creates it again. The membership
	// changes of a group that is re-anchored in the same plan have it, too.
	From directory.ID `json:"from,omitempty"`
	// Source and Version say which entry, in which version, the change was computed from; Version is empty for an entry
	// that is absent. The engine reads the version again before it writes.
	Source  string `json:"source,omitempty"`
	Version string `json:"version,omitempty"`
	// Since is when the change became due, for measuring how long changes take. It is when the entry left, or was
	// last changed in the local directory. It is zero where that is unknown, or where the change answers something
	// else, such as drift.
	Since time.Time `json:"-"`
	// Wave orders changes of one stage. A rename that frees an address comes a wave before the change that takes it.
	Wave int `json:"wave,omitempty"`
	// TakenFrom is the remote id of an object of ours that still has the address as an alias, because its own rename
	// keeps it. The provider deletes that alias.
	TakenFrom string `json:"taken_from,omitempty"`
	// Inactive says of a Create that the entry is disabled, which only a mirror keeps. Of a Restore and a Delete it
	// says that the account was suspended until then, and of an Undelete that the account comes back suspended.
	Inactive bool `json:"inactive,omitempty"`
	// WasInactive says of a Create that the entry was inactive when it was last seen.
	WasInactive bool `json:"-"`
	// Approved says that a person approved the change. No guard holds it, and it spends no budget.
	Approved bool `json:"approved,omitempty"`
	// EndSessions says of a Suspend that the provider also ends the sessions of the account.
	EndSessions bool `json:"end_sessions,omitempty"`
	// Held says why the change is not applied; empty for one that is.
	Held string `json:"held,omitempty"`
	// Guard names the rule that held it.
	Guard Rule `json:"guard,omitempty"`
	// Counted says of a Delete that we suspended the account less than 24 hours ago. The budget has that departure.
	Counted bool `json:"-"`
	// Paired is set where a mirror puts an entry with a new ID in the place of the one with the old ID. The creation,
	// the deletion, and the memberships that go from one to the other are carried out together or not at all.
	Paired bool `json:"-"`
	// Undoes is set where a pin asks for the change, because a person had a run undone.
	Undoes bool `json:"-"`
	// Refers is set for an Update that only changes fields with the addresses of other accounts. It comes after all
	// accounts were created. See Capabilities.Refers.
	Refers bool `json:"-"`
}

// Suspension returns the suspension that the change is, or with which it begins. The deletion of an active account of a
// tenant begins with one.
func (c *Change) Suspension(endSessions bool) (s Change, ok bool) {
	s = *c
	if c.Op == Delete && c.Kind == directory.User && !c.Inactive {
		s.Op, s.Fields, s.EndSessions = Suspend, nil, endSessions
	}
	return s, s.Op == Suspend
}

// Whole returns the change with all of its fields in Fields.
func (c *Change) Whole() Change {
	whole := *c
	if len(c.Sets) > 0 {
		whole.Fields, whole.Sets = created(c.Sets), nil
	}
	return whole
}

// created returns what a Create sets.
func created(fields directory.Attributes) []FieldChange {
	out := make([]FieldChange, 0, len(fields))
	for _, f := range fields {
		if len(f.Values) > 0 {
			out = append(out, FieldChange{Name: f.Name, After: f.Values})
		}
	}
	return out
}

// Reason says why an entry is not, or no longer, provisioned. The set is closed, because explanations and metrics use
// it.
type Reason string

// The reasons of a departure.
const (
	Absent     Reason = "absent"       // the entry is no longer in its source
	Disabled   Reason = "disabled"     // the entry is disabled in its source
	OutOfScope Reason = "out_of_scope" // the entry exists; the provider's scope leaves it out
	Reverted   Reason = "reverted"     // a person undid the run that brought it
	Ordered    Reason = "ordered"      // a person ordered that it leaves; see Order
)

// The reasons for which an entry is held or left alone.
const (
	NoAddress     Reason = "no_address"     // the mapping gave no address
	ForeignDomain Reason = "foreign_domain" // the address is not in a verified domain of the tenant
	BadMapping    Reason = "mapping"        // a mapping failed, or a required field came out empty
	SameAddress   Reason = "same_address"   // several desired entries map to one address
	AddressTaken  Reason = "address_taken"  // something that is not ours has the address
	AddressKept   Reason = "address_kept"   // an object of ours has the address, as its own or as an alias
	Ambiguous     Reason = "ambiguous"      // several remote objects carry the anchor
	AnchorLost    Reason = "anchor_lost"    // the object that we know no longer carries our anchor
	Unusable      Reason = "unusable"       // the source gave the entry in a form that cannot be used
	Unsettled     Reason = "unsettled"      // created moments ago and not yet visible
	Unreadable    Reason = "unreadable"     // the tenant does not show the object, or the members of the group
	// its deleted account has to be restored first, and something is in the way.
	Restorable      Reason = "restorable"
	ProtectedObject Reason = "protected"         // an administrator, or an account that the configuration protects
	SuspendedByElse Reason = "suspended_by_else" // another program or person suspended the account, and it stays so
	SuspendedByWhom Reason = "suspended_by_whom" // it is not known whether we suspended the account, and it stays so
	PinLost         Reason = "pin_lost"          // another program removed or changed the entry's pin
	RecreatedEntry  Reason = "reanchor"          // the directory was re-created: offered for approval
)

// Because says it in a sentence: "because the entry is disabled".
func (r Reason) Because() string {
	switch r {
	case Reverted:
		return "because the run that brought it was undone"
	case Ordered:
		return "because a person ordered it"
	}
	return "because the entry is " + strings.ReplaceAll(string(r), "_", " ")
}

// Held is an entry that needs the action of a person.
type Held struct {
	directory.Ref
	Label  string `json:"label,omitempty"`
	Reason Reason `json:"reason"`
	Detail string `json:"detail"`
}

// Note is information that needs no action of ours, such as drift or an entry that is left out of scope.
type Note Held

// Tombstone says since when an entry that carries our anchor is gone from its source, and why.
type Tombstone struct {
	directory.Ref
	Since time.Time `json:"since"`
	Why   Reason    `json:"why"`

	fresh bool // the ledger did not have it
}

// Plan is what a sync has to do.
type Plan struct {
	// Changes is sorted in apply order.
	Changes []Change `json:"changes"`
	// Held is sorted by Ref.
	Held []Held `json:"held"`
	// Notes is sorted by Ref.
	Notes []Note `json:"notes"`
	// Tombstones is the complete list of departed entries that carry our anchor, sorted by Ref.
	Tombstones []Tombstone `json:"tombstones,omitempty"`
	// Doubts are reasons to distrust absences; any of them holds the destructive changes.
	Doubts []string `json:"doubts,omitempty"`
	// Pins are those that still keep something, without what the source wants by itself now. Lapsed names the entries
	// with pins that have ended. Both are sorted by Ref.
	Pins   []Pin           `json:"-"`
	Lapsed []directory.Ref `json:"-"`
	// Undecided are entries that left, with an object that an entry with a new ID may have had. It is unsorted.
	Undecided []directory.Ref `json:"-"`
	// Takes is how long the changes take at the provider's quota. It is zero where that is not known.
	Takes time.Duration `json:"-"`
	// Agreed names the users with an order that has ended, because their source says the same.
	Agreed []directory.Ref `json:"-"`
	// Counts says how many entries the plan was made of.
	Counts Counts `json:"counts"`

	sizes     map[directory.ID]int  // current members of the groups that lose some
	bare      map[directory.ID]bool // those of them that should have no member
	filled    map[fieldOf]int       // objects that have a value of a field
	before    Filled                // see Input
	since     Filled                // see Input
	missing   []Missing             // see Input
	coverage  []directory.Coverage  // see Input; nil except in a mirror
	forgotten string                // see Input
	mirror    bool
	caps      *caps // nil before Guard
}

// Counts are totals for a summary and for the guards.
type Counts struct {
	// Desired entries should exist and be active; desired memberships are those of such groups.
	Desired Tally `json:"desired"`
	// Anchored objects carry our anchor; anchored memberships are current ones between such objects.
	Anchored Tally `json:"anchored"`
	// Foreign objects do not carry our anchor.
	Foreign Tally `json:"foreign"`
	// Unchanged entries are as they should be.
	Unchanged Tally `json:"unchanged"`
}

// Tally counts by object type.
type Tally struct {
	User       int `json:"user"`
	Group      int `json:"group"`
	Membership int `json:"membership"`
}

// Of returns the count of one kind of entry.
func (t *Tally) Of(k directory.Kind) int {
	if k == directory.User {
		return t.User
	}
	return t.Group
}

func (t *Tally) add(k directory.Kind, n int) {
	if k == directory.User {
		t.User += n
	} else {
		t.Group += n
	}
}

// Summary is a plan in numbers.
type Summary struct {
	Counts Counts `json:"counts"`
	// Changes are applied and Held are held by a guard, by what they do.
	Changes map[Op]Tally `json:"changes"`
	Held    map[Op]Tally `json:"held"`
	// Conflicts and Notes count entries.
	Conflicts Tally `json:"conflicts"`
	Notes     Tally `json:"notes"`
	// Doubts are the reasons that hold every destructive change.
	Doubts []string `json:"doubts"`
}

// Summarize counts a plan that went through the guards.
func Summarize(apply, held Plan) Summary {
	s := Summary{Counts: apply.Counts, Changes: apply.Tallies(), Held: held.Tallies(),
		Doubts: append([]string{}, apply.Doubts...)}
	count := func(t *Tally, ref directory.Ref) { t.add(ref.Kind, 1) }
	for _, e := range apply.Held {
		count(&s.Conflicts, e.Ref)
	}
	for _, n := range apply.Notes {
		count(&s.Notes, n.Ref)
	}
	return s
}
