// Package explain explains one entry: how each source and each provider treats it, with a sentence and the evidence
// for each.
//
// An [Explainer] gathers the evidence from the sources, the ledger and the tenants. [Of] turns it into a [Document]
// and has no side effects. Sources decide which rule excludes an entry, mapping decides the scope, and plan decides
// changes and guards. The package only decides which of their answers comes first, and words it.
//
// A document contains personal data. Values of attributes and fields that are secret by their name are left out.
package explain

import (
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/source"
)

// By is the kind of name that a query gives. It is the name of the API parameter.
type By string

// The kinds of names. ByID takes an entry's unique id or its DN.
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

// Moment is a time in the format of the API: RFC 3339 with microseconds, in UTC.
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

// MomentOf returns a time; nil for the zero time.
func MomentOf(t time.Time) *Moment {
	if t.IsZero() {
		return nil
	}
	m := Moment(t)
	return &m
}

// Found is the result of a query.
type Found string

// The results of a query.
const (
	Known     Found = "found"     // one entry: known to the local directory, or seen in a live one
	Several   Found = "ambiguous" // several entries: ask by the id of one
	NotFound  Found = "not_found" // no directory has it
	Uncertain Found = "uncertain" // no directory that answered has it, and one did not answer
)

// Document explains one entry.
type Document struct {
	Query Query  `json:"query"`
	At    Moment `json:"at"`
	Found Found  `json:"found"`
	// Verdict sums up the document in one sentence. Each source and provider has its own.
	Verdict    string      `json:"verdict"`
	Entry      *Entry      `json:"entry"`
	Candidates []Candidate `json:"candidates"`
	Providers  []Provider  `json:"providers"`
	Sources    []Source    `json:"sources"`
}

// Waits reports whether a change of the entry waits for a person.
func (d *Document) Waits() bool { return d.Found == Several || d.has(Held, Conflict) }

// Partial reports whether a source or a provider did not answer.
func (d *Document) Partial() bool {
	return d.Found == Uncertain || d.has(Unknown, NotReady) ||
		slices.ContainsFunc(d.Sources, func(s Source) bool { return s.Live.Problem != "" })
}

// has reports whether a provider has one of the codes.
func (d *Document) has(codes ...Code) bool {
	return slices.ContainsFunc(d.Providers, func(p Provider) bool { return slices.Contains(codes, p.Code) })
}

// Entry is the entry in the local directory, or in its live directory if the local one does not have it.
type Entry struct {
	directory.Ref
	Label  string `json:"label"`
	Source string `json:"source"`
	DN     string `json:"dn"`
	Active bool   `json:"active"`
	// Stored reports whether the local directory has the entry. Only stored entries are provisioned.
	Stored bool `json:"stored"`
	// Attributes are the attributes that mappings may read.
	Attributes directory.Attributes `json:"attributes"`
}

// Candidate is one of several entries that a query names.
type Candidate struct {
	directory.Ref
	Label  string `json:"label"`
	Source string `json:"source"`
	DN     string `json:"dn"`
}

// SourceCode classifies the relation of a source to an entry.
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

// Source explains the entry for one source.
type Source struct {
	Container container.ID `json:"container"`
	Code      SourceCode   `json:"code"`
	Verdict   string       `json:"verdict"`
	// ReadAt is the time of the last read, CompletedAt the end of the last completed sync. Writing is the id of the
	// run that writes now.
	ReadAt      *Moment `json:"read_at"`
	CompletedAt *Moment `json:"completed_at"`
	Writing     *string `json:"writing_run_id"`
	// Stored reports whether the local directory has the entry from this source. DepartedAt is the time of its
	// departure.
	Stored     bool    `json:"stored"`
	DepartedAt *Moment `json:"departed_at"`
	Live       Live    `json:"live"`
	Held       []Hold  `json:"held"`
}

// Text is the verdict as a sentence, without the name of the source.
func (s *Source) Text() string {
	text := strings.TrimPrefix(s.Verdict, string(s.Container)+": ")
	if first, size := utf8.DecodeRuneInString(text); size > 0 {
		return string(unicode.ToUpper(first)) + text[size:]
	}
	return text
}

// Live is the answer of the live directory.
type Live struct {
	Asked bool `json:"asked"`
	// Problem is the reason why the directory did not answer.
	Problem    string   `json:"problem,omitempty"`
	Server     string   `json:"server,omitempty"`
	Searched   []string `json:"searched"`
	Unsearched []string `json:"unsearched"`
	Present    bool     `json:"present"`
	DN         string   `json:"dn,omitempty"`
	ID         string   `json:"id,omitempty"`
	// Changed reports whether the live entry differs from the stored one.
	Changed bool `json:"changed"`
	// Rules are the rules of the source's scope, in order.
	Rules []source.Rule `json:"rules"`
	// LeftOut lists the members of a group that lead to no usable entry, the first 200 of them.
	LeftOut []source.LeftOut `json:"left_out,omitempty"`
}

// Code classifies the state of an entry at a provider.
type Code string

// The codes of providers.
const (
	InStep     Code = "in_step"      // the account is as it should be
	Pending    Code = "pending"      // the next run changes something
	LeftAlone  Code = "left_alone"   // another program or person suspended the account, and it stays so
	Held       Code = "held"         // a guard holds a change
	Conflict   Code = "conflict"     // it waits for a person to act, as Reason says
	OutOfScope Code = "out_of_scope" // a rule of the provider leaves it out
	Inactive   Code = "disabled"     // it is disabled at its source
	Left       Code = "departed"     // it left its source
	NotRead    Code = "not_read"     // the local directory does not have it; its source says why
	NotReady   Code = "not_ready"    // the local directory cannot be read for this provider
	Unknown    Code = "unknown"      // the provider could not be asked
	// SwitchedOff is the code of a disabled provider. A disabled provider is not asked.
	SwitchedOff Code = "switched_off"
	// NotOurs is the code of a provider that has an account with the address, when no directory has an entry for it.
	NotOurs Code = "not_ours"
)

// Provider explains the entry for one provider.
type Provider struct {
	Container container.ID `json:"container"`
	Code      Code         `json:"code"`
	// Reason depends on the code: a plan.Reason, a plan.Rule, a key of the configuration or a SourceCode.
	Reason  string `json:"reason,omitempty"`
	Verdict string `json:"verdict"`
	// Scope is the decision of the provider's scope.
	Scope Scope `json:"scope"`
	// Mapping has each expression with its value for the entry. Groups are the groups that should contain the entry.
	Mapping []mapping.Value `json:"mapping"`
	Desired *Desired        `json:"desired"`
	Groups  []Group         `json:"groups"`
	Match   Match           `json:"match"`
	// Departure is the time of departure and the fate of the account.
	Departure *Departure `json:"departure"`
	// Receipt says when the departure was seen, decided and confirmed by the tenant.
	Receipt *Receipt `json:"receipt"`
	// Order says who ordered that the user leaves, and when; null without such an order.
	Order *Order `json:"order"`
	// Next has the changes of the next run, as rows of a plan.
	Next     []plan.Row `json:"next"`
	Outcomes []Outcome  `json:"outcomes"`
	// Held has the held changes of the newest plan that concern the entry, with their decisions.
	Held      []Hold     `json:"held"`
	Decisions []Decision `json:"decisions"`
	// Pins preserve the state from before an undone run.
	Pins []Pin `json:"pins"`
	// Unasked lists what was not asked, with reasons.
	Unasked []string `json:"unasked"`
	// LastFull is the end of the last completed full run; null before the first one.
	LastFull *Moment `json:"last_full"`
}

// Scope is the decision of a provider's scope.
type Scope struct {
	// In is null if the scope was not decided.
	In      *bool  `json:"in"`
	Rule    string `json:"rule,omitempty"`
	Setting string `json:"setting,omitempty"`
}

// Desired is the desired state of the entry at the provider.
type Desired struct {
	Address string `json:"address"`
	Active  bool   `json:"active"`
	Why     string `json:"why,omitempty"`
	Held    string `json:"held,omitempty"`
	Detail  string `json:"detail,omitempty"`
}

// Coming returns the rows of Next without the conflict that the verdict tells, which is the first one with its reason.
func (p *Provider) Coming() []plan.Row {
	told := slices.IndexFunc(p.Next, func(r plan.Row) bool {
		return r.Kind == plan.RowConflict && string(r.Entry.Reason) == p.Reason
	})
	if told < 0 {
		return p.Next
	}
	return slices.Delete(slices.Clone(p.Next), told, told+1)
}

// Group is a group that should contain the entry.
type Group struct {
	ID    directory.ID `json:"id"`
	Label string       `json:"label"`
}

// Matched is the evidence by which the remote object was found.
type Matched string

// The kinds of evidence for a match.
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

// Link is the ledger's record of the entry.
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
	// Anchor is the entry id in the object's anchor; empty for an object without our anchor.
	Anchor      directory.ID `json:"anchor"`
	Active      bool         `json:"active"`
	SuspendedBy string       `json:"suspended_by,omitempty"`
	Protected   string       `json:"protected,omitempty"`
	ReadOnly    string       `json:"read_only,omitempty"`
}

// Departure has the time and the reason of a departure, and when the account is deleted. It is null for a present
// entry.
type Departure struct {
	Since        *Moment `json:"since"`
	Why          string  `json:"why"`
	DeletedAfter *Moment `json:"deleted_after"`
}

// Receipt is a receipt with times in the format of the API.
type Receipt struct {
	decisions.Receipt
	Seen      Moment `json:"seen"`
	Decided   Moment `json:"decided"`
	Confirmed Moment `json:"confirmed"`
}

// Took returns the time from the departure to its confirmation.
func (r *Receipt) Took() time.Duration {
	return max(0, r.Confirmed.Time().Sub(r.Seen.Time()))
}

// Order is the order of a person that the user leaves.
type Order struct {
	By string `json:"by"`
	At Moment `json:"at"`
}

// Outcome is one attempted change. Outcomes are sorted from the newest to the oldest.
type Outcome struct {
	decisions.Attempt
	At Moment `json:"at"`
	// GroupLabel is the name of the group, if the local directory has the group.
	GroupLabel string `json:"group_label,omitempty"`
}

// Hold is a held change with the digest of its set and its decision.
type Hold struct {
	decisions.HeldChange
	Digest   string    `json:"digest"`
	RunID    string    `json:"run_id"`
	At       Moment    `json:"at"`
	Decision *Decision `json:"decision"`
}

// Decision is the decision of a person about a change of the entry.
type Decision struct {
	Fingerprint string `json:"fingerprint"`
	Verdict     string `json:"verdict"`
	By          string `json:"by"`
	Op          string `json:"op"`
	At          Moment `json:"at"`
	Expires     Moment `json:"expires"`
}

// Pin preserves the state of the entry from before an undone run until its source changes.
type Pin struct {
	RunID string `json:"run_id"`
	By    string `json:"by"`
	At    Moment `json:"at"`
	// Account is active, suspended or none. It is empty if the source decides.
	Account string `json:"account,omitempty"`
	Address string `json:"address,omitempty"`
	// Fields are the names of the preserved fields. Groups are the preserved memberships.
	Fields []string           `json:"fields"`
	Groups []PinnedMembership `json:"groups"`
}

// PinnedMembership reports whether the entry stays a member of a group.
type PinnedMembership struct {
	ID     directory.ID `json:"id"`
	Label  string       `json:"label"`
	Member bool         `json:"member"`
}
