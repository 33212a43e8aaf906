// Package explain puts together what is known of one entry and what would become of it: a sentence for each source and each
// provider, and the evidence behind it. It is data in, document out. It decides nothing: sources say which rule leaves an
// entry out, mapping decides scope, plan decides changes and guards; here their words are gathered and put into order.
//
// A document holds personal data by its nature, and never a secret: what is one by its name is left out.
package explain

import (
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/source"
)

// By says what a query names an entry by. It is the name of the parameter.
type By string

// The ways to name an entry. ByID takes an entry's unique id or its DN.
const (
	ByID       By = "id"
	ByEmail    By = "email"
	ByUserName By = "username"
)

// Query names an entry.
type Query struct {
	By    By     `json:"by"`
	Value string `json:"value"`
}

// Moment is a time as the API writes it: RFC 3339, microseconds, UTC.
type Moment time.Time

// MarshalText implements encoding.TextMarshaler.
func (m Moment) MarshalText() ([]byte, error) {
	return time.Time(m).UTC().AppendFormat(nil, "2006-01-02T15:04:05.000000Z"), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Moment) UnmarshalText(text []byte) error { return (*time.Time)(m).UnmarshalText(text) }

// Time returns the time; zero for none.
func (m *Moment) Time() time.Time {
	if m == nil {
		return time.Time{}
	}
	return time.Time(*m)
}

func moment(t time.Time) *Moment {
	if t.IsZero() {
		return nil
	}
	m := Moment(t)
	return &m
}

// Found says whether a query led to an entry.
type Found string

// What can become of a query.
const (
	Known     Found = "found"     // one entry: known to the local directory, or seen in a live one
	Several   Found = "ambiguous" // several entries: ask by the id of one
	NotFound  Found = "not_found" // nobody has it
	Uncertain Found = "uncertain" // nobody who could be asked has it; somebody could not be asked
)

// Document explains one entry.
type Document struct {
	Query Query  `json:"query"`
	At    Moment `json:"at"`
	Found Found  `json:"found"`
	// Verdict is the whole in one sentence; each source and provider has its own.
	Verdict    string      `json:"verdict"`
	Entry      *Entry      `json:"entry"`
	Candidates []Candidate `json:"candidates"`
	Providers  []Provider  `json:"providers"`
	Sources    []Source    `json:"sources"`
}

// Waits reports whether something about the entry waits for a person.
func (d *Document) Waits() bool {
	for i := range d.Providers {
		if c := d.Providers[i].Code; c == Held || c == Conflict {
			return true
		}
	}
	return d.Found == Several
}

// Partial reports whether somebody could not be asked.
func (d *Document) Partial() bool {
	for i := range d.Providers {
		if c := d.Providers[i].Code; c == Unknown || c == NotReady {
			return true
		}
	}
	for i := range d.Sources {
		if d.Sources[i].Live.Problem != "" {
			return true
		}
	}
	return d.Found == Uncertain
}

// Entry is the entry as the local directory has it or, where it is not there, as its live directory shows it.
type Entry struct {
	directory.Ref
	Label  string `json:"label"`
	Source string `json:"source"`
	DN     string `json:"dn"`
	Active bool   `json:"active"`
	// Stored says that the local directory has it; what is only live is provisioned nowhere.
	Stored bool `json:"stored"`
	// Attributes are those that mappings may read.
	Attributes directory.Attributes `json:"attributes"`
}

// Candidate is one of several entries that a query names.
type Candidate struct {
	directory.Ref
	Label  string `json:"label"`
	Source string `json:"source"`
	DN     string `json:"dn"`
}

// SourceCode says what a source has to do with an entry.
type SourceCode string

// The codes of sources.
const (
	Read        SourceCode = "read"         // it is in the local directory, from this source
	Joined      SourceCode = "joined"       // it is in the live directory, in scope, and was not read yet
	Leaving     SourceCode = "leaving"      // the local directory has it and the source no longer gives it
	Departed    SourceCode = "departed"     // it was there once
	OutsideBase SourceCode = "outside_base" // the live directory has it elsewhere
	FilteredOut SourceCode = "filtered_out" // it does not match the filter
	Unusable    SourceCode = "unusable"     // it has no usable unique id
	NotWanted   SourceCode = "not_wanted"   // entries of its kind are not read from here
	NeverRead   SourceCode = "never_read"   // no sync of the source has completed
	Disabled    SourceCode = "disabled"     // the source is switched off
	Absent      SourceCode = "absent"       // it has nothing to do with the entry
	NotAsked    SourceCode = "unknown"      // the live directory could not be asked
)

// Source is what one source says.
type Source struct {
	Container container.ID `json:"container"`
	Code      SourceCode   `json:"code"`
	Verdict   string       `json:"verdict"`
	// ReadAt is when the source was last read, CompletedAt when a sync last completed; Writing is the run that writes now.
	ReadAt      *Moment `json:"read_at"`
	CompletedAt *Moment `json:"completed_at"`
	Writing     *string `json:"writing_run_id"`
	// Stored says that the local directory has the entry from this source; DepartedAt is when it left.
	Stored     bool    `json:"stored"`
	DepartedAt *Moment `json:"departed_at"`
	Live       Live    `json:"live"`
	Held       []Hold  `json:"held"`
}

// Live is what the live directory answered.
type Live struct {
	Asked bool `json:"asked"`
	// Problem says why it could not be asked.
	Problem    string   `json:"problem,omitempty"`
	Server     string   `json:"server,omitempty"`
	Searched   []string `json:"searched"`
	Unsearched []string `json:"unsearched"`
	Present    bool     `json:"present"`
	DN         string   `json:"dn,omitempty"`
	ID         string   `json:"id,omitempty"`
	// Changed says that it is not as the local directory has it.
	Changed bool `json:"changed"`
	// Rules are those of the source's scope, in order.
	Rules []source.Rule `json:"rules"`
}

// Code says how an entry stands with a provider.
type Code string

// The codes of providers.
const (
	InStep     Code = "in_step"      // the account is as it should be
	Pending    Code = "pending"      // the next run changes something
	LeftAlone  Code = "left_alone"   // somebody else suspended the account: it stays so
	Held       Code = "held"         // a guard holds a change
	Conflict   Code = "conflict"     // nothing can be done until somebody acts; Reason says what it is
	OutOfScope Code = "out_of_scope" // a rule of the provider leaves it out
	Inactive   Code = "disabled"     // it is disabled at its source
	Left       Code = "departed"     // it left its source
	NotRead    Code = "not_read"     // the local directory does not have it; its source says why
	NotReady   Code = "not_ready"    // the local directory cannot be read for this provider
	Unknown    Code = "unknown"      // the provider could not be asked
	// SwitchedOff is that of a provider that is disabled: it is not asked.
	SwitchedOff Code = "switched_off"
	// NotOurs is that of a provider that has what was asked for, and no directory has.
	NotOurs Code = "not_ours"
)

// Provider is how the entry stands with one provider.
type Provider struct {
	Container container.ID `json:"container"`
	Code      Code         `json:"code"`
	// Reason is a plan.Reason, a plan.Rule, a key of the configuration or a SourceCode, by the code.
	Reason  string `json:"reason,omitempty"`
	Verdict string `json:"verdict"`
	// Scope is what the provider's scope says.
	Scope Scope `json:"scope"`
	// Mapping are the expressions with what they made of the entry; Groups are those that it should be in.
	Mapping []mapping.Value `json:"mapping"`
	Desired *Desired        `json:"desired"`
	Groups  []Group         `json:"groups"`
	Match   Match           `json:"match"`
	// Departure is since when it is gone and what becomes of its account.
	Departure *Departure `json:"departure"`
	// Next is what the next run would do, as the rows of a plan.
	Next     []plan.Row `json:"next"`
	Outcomes []Outcome  `json:"outcomes"`
	// Held are changes that concern it in the newest plan, with what was decided.
	Held      []Hold     `json:"held"`
	Decisions []Decision `json:"decisions"`
	// Pins keep it as it was before a run that was undone.
	Pins []Pin `json:"pins"`
	// Unasked says what could not be asked, and why.
	Unasked []string `json:"unasked"`
	// LastFull is when a full run last completed; null before the first.
	LastFull *Moment `json:"last_full"`
}

// Scope is the decision of a provider's scope.
type Scope struct {
	// In is null where it was not decided.
	In      *bool  `json:"in"`
	Rule    string `json:"rule,omitempty"`
	Setting string `json:"setting,omitempty"`
}

// Desired is the entry as the provider should have it.
type Desired struct {
	Address string `json:"address"`
	Active  bool   `json:"active"`
	Why     string `json:"why,omitempty"`
	Held    string `json:"held,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// Group is one that the entry should be in.
type Group struct {
	ID    directory.ID `json:"id"`
	Label string       `json:"label"`
}

// Matched says by what the remote object was found.
type Matched string

// The ways to find a remote object.
const (
	ByAnchor   Matched = "anchor"    // it carries the entry's unique id
	ByLedger   Matched = "ledger"    // only our records say so: it does not carry the anchor, or was not asked
	ByAdoption Matched = "adoption"  // the policy lets it be taken over, by its address
	ByReanchor Matched = "reanchor"  // it carries the id that the entry had before the directory was re-created
	Ambiguous  Matched = "ambiguous" // several carry the anchor
	Nothing    Matched = "none"
)

// Match is the remote object and the evidence for it.
type Match struct {
	By      Matched  `json:"by"`
	Link    *Link    `json:"link"`
	Objects []Object `json:"objects"`
}

// Link is what the ledger knows.
type Link struct {
	RemoteID   string  `json:"remote_id"`
	CreatedAt  *Moment `json:"created_at"`
	Suspended  bool    `json:"suspended_by_us"`
	DepartedAt *Moment `json:"departed_at"`
}

// Object is a remote object that concerns the entry.
type Object struct {
	Kind     directory.Kind `json:"kind"`
	RemoteID string         `json:"remote_id"`
	Address  string         `json:"address"`
	Aliases  []string       `json:"aliases"`
	// Anchor is the id of the entry whose anchor it carries; empty for a foreign one.
	Anchor      directory.ID `json:"anchor"`
	Active      bool         `json:"active"`
	SuspendedBy string       `json:"suspended_by,omitempty"`
	Protected   string       `json:"protected,omitempty"`
	ReadOnly    string       `json:"read_only,omitempty"`
}

// Departure says since when an entry is gone, why, and when its account is deleted; null where it is not.
type Departure struct {
	Since        *Moment `json:"since"`
	Why          string  `json:"why"`
	DeletedAfter *Moment `json:"deleted_after"`
}

// Outcome is one change that was tried, newest first.
type Outcome struct {
	decisions.Attempt
	At Moment `json:"at"`
	// GroupLabel is the name of the group, where the local directory has it.
	GroupLabel string `json:"group_label,omitempty"`
}

// Hold is a held change with the set that it is in and what was decided.
type Hold struct {
	decisions.HeldChange
	Digest   string    `json:"digest"`
	RunID    string    `json:"run_id"`
	At       Moment    `json:"at"`
	Decision *Decision `json:"decision"`
}

// Decision is what a person decided about a change of the entry.
type Decision struct {
	Fingerprint string `json:"fingerprint"`
	Verdict     string `json:"verdict"`
	By          string `json:"by"`
	Op          string `json:"op"`
	At          Moment `json:"at"`
	Expires     Moment `json:"expires"`
}

// Pin keeps the entry as it was before a run that a person undid, until its source changes.
type Pin struct {
	RunID string `json:"run_id"`
	By    string `json:"by"`
	At    Moment `json:"at"`
	// Account is how the account stands: active, suspended or none; empty where that is left to the source.
	Account string `json:"account,omitempty"`
	Address string `json:"address,omitempty"`
	// Fields are the names of those that are kept, Groups the memberships.
	Fields []string           `json:"fields"`
	Groups []PinnedMembership `json:"groups"`
}

// PinnedMembership says whether the entry stays a member of a group.
type PinnedMembership struct {
	ID     directory.ID `json:"id"`
	Label  string       `json:"label"`
	Member bool         `json:"member"`
}
