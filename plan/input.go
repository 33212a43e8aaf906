package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"rollcall/directory"
	"rollcall/internal/problem"
)

// Desired is one entry as the provider should have it, in the provider's own field names.
type Desired struct {
	directory.Ref
	// Label is what a person calls the entry.
	Label string
	// Source and Version name the directory entry, in its version, that this was computed from.
	Source, Version string
	// Address is the name that must be unique in the tenant, in lower case; empty where names do not exist.
	Address string
	// Active is false for one that should be suspended; Why says why, or that a pin keeps it active.
	Active bool
	Why    Reason
	// Disabled says that the entry itself is disabled in the directory, whatever the mapping of a provider says.
	Disabled bool
	// Fields are the mapped fields, sorted by name. What is not here is not ours to write.
	Fields directory.Attributes
	// Options are what the address and the fields may be as well, because the directory has several values where one is
	// needed. An object keeps what it has as long as it is one of them.
	Options directory.Attributes
	// Rekey is a fact that outlives a re-created directory (employeeNumber, mail): evidence for a Reanchor.
	Rekey string
	// Members of a group, sorted. Passive members (disabled, out of scope, held) are neither added nor removed.
	Members []Member
	// Held is set when the entry cannot be mapped; Detail says what to do about it.
	Held   Reason
	Detail string
	// LeaveOut is set where the entry is held for want of an address and the configuration leaves such entries out.
	LeaveOut bool
	// Withheld are the fields that are left as they are because their value cannot be written.
	Withheld []Withheld
}

// Withheld is a field with a value that cannot be written. The rest of the entry goes on.
type Withheld struct {
	Field, Detail string
	// Required is set where no account can be made without the field.
	Required bool
}

// Member is a desired member of a group.
type Member struct {
	directory.Ref
	Passive bool
}

// Suspender says who suspended a remote account.
type Suspender uint8

// The suspenders.
const (
	Nobody  Suspender = iota // it is active
	Us                       // our mark is on it, or the ledger says so; on an active account the mark is left over
	Else                     // another program or person
	Unknown                  // it cannot be told
)

// Object is one remote object as the provider found it.
type Object struct {
	// Kind, and ID as the anchor on the object says; the ID of a foreign object is empty.
	directory.Ref
	RemoteID string
	// Label is what people call the object. A provider without addresses gives it.
	Label   string
	Address string
	// Aliases are other addresses that the object occupies, in lower case.
	Aliases   []string
	Active    bool
	Suspender Suspender
	// Fields are those that the mapping knows, sorted by name.
	Fields directory.Attributes
	// Version, where it equals the desired one, says that the object is as desired and Fields need not be looked at.
	Version string
	// Protected says why the object is never adopted, suspended or deleted; empty when it may be.
	Protected string
	// ReadOnly says why the object is never written at all; empty when it may be. Unreadable is set where the object,
	// or its members, could not be read. Such an object exists, and unknown members are not taken for an empty group.
	ReadOnly   string
	Unreadable bool
	// Unproven says why the anchor may be another system's, where a provider's mark does not name us; empty when it
	// is surely ours. Such an object is foreign unless a known entry has that ID.
	Unproven string
	// Stub is set where the object is known from the ledger alone and was not read (an object job).
	Stub bool
	// Members of a group of ours, by remote id, sorted; foreign members too.
	Members []string
	// Size is how many members the group has in all, where Members is only some of them (an object job); else zero.
	Size int
	// Witness is a cheap fact that moves when members do; empty where the provider has none.
	Witness string
	// Listed reports that Members was read by this run and not taken from the ledger.
	Listed bool
}

// Anchored reports whether the object carries our anchor.
func (o *Object) Anchored() bool { return o.ID != "" }

// State is one complete answer of a provider.
type State struct {
	// Objects is what the tenant has, ours and foreign, in any order.
	Objects []Object
	// Domains are the tenant's verified domains, in lower case; empty where the provider has no such thing.
	Domains []string
	// Others counts the objects with our anchor that an object job does not look up. Without it, a guard would take the
	// objects that were looked up for all there are. They count as desired, too.
	Others Tally
	// Unsettled names entries with an object that was created moments ago and is not yet visible.
	Unsettled []directory.Ref
	// Deleted are the deleted accounts that carry our anchor and can still be restored; see provider.Restorer.
	Deleted []Deleted
	// DeletedUnknown says why Deleted could not be read; empty where it was read, or is not needed. No account is
	// created then, since it may be the twin of one that can be restored.
	DeletedUnknown string
	// EndsSessions says that the tenant lets us end the sessions of an account.
	EndsSessions bool
	// Known are the fields for which the tenant has a list of the values that it takes. It would refuse others.
	Known []KnownValues
	// Forms are the forms of the fields that only the tenant knows.
	Forms []Form
	// Doubts are reasons to distrust the state; they hold the destructive lane.
	Doubts []string
}

// KnownValues are the values that a tenant takes for a field, whatever their case.
type KnownValues struct {
	Field string
	// Noun is what a value is, such as "organizational unit".
	Noun   string
	Values []string
}

// has reports whether the tenant takes the values.
func (k *KnownValues) has(values []string) bool {
	return !slices.ContainsFunc(values, func(v string) bool {
		return !slices.ContainsFunc(k.Values, func(known string) bool { return strings.EqualFold(known, v) })
	})
}

// Deleted is a deleted account that can be restored until Capabilities.UndeleteWithin after At.
type Deleted struct {
	directory.Ref
	RemoteID string
	// Address is the address that the account had, and comes back with; empty where it can come back with any.
	Address string
	At      time.Time
}

// Link is what the ledger knows of one entry's remote object.
type Link struct {
	RemoteID string `json:"remote_id,omitempty"`
	// Created is when we created the object, or zero when we found it.
	Created time.Time `json:"created,omitzero"`
	// Rekey is the entry's Rekey when it was last written.
	Rekey string `json:"rekey,omitempty"`
	// Suspended says that we suspended the account, for providers that cannot carry the mark.
	Suspended bool `json:"suspended,omitempty"`
	// Outlived says that we deleted the account, and that the tenant keeps it suspended.
	Outlived bool `json:"outlived,omitempty"`
	// Inactive reports that the entry was inactive when it was last seen, and that no account carries its anchor.
	Inactive bool `json:"inactive,omitempty"`
	// Yields is a former address of the object that another entry takes. The object may still have it as an alias.
	Yields string `json:"yields,omitempty"`
	// Given has our values of the fields that others share.
	Given Given `json:"given,omitempty"`
	// Departed is since when the entry has been gone; zero when it is there.
	Departed time.Time `json:"departed,omitzero"`
	Why      Reason    `json:"why,omitempty"`
}

// Normal says what a provider does to a value before it stores it, so that the plan after an apply is empty.
type Normal uint8

// What a provider may do to a value. The zero Normal keeps it as it is.
const (
	Fold      Normal = 1 << iota // case does not count
	Trim                         // leading and trailing blanks do not count
	Unordered                    // the order of values does not count
	Squeeze                      // runs of blanks count as one
	Dial                         // visual separators of phone numbers and "tel:" do not count (RFC 3966, section 5.1.1)
	Permanent                    // a value is replaced and never cleared
	Shared                       // a list to which others add values, of which only ours are shown and removed
)

// Capabilities are static facts of a provider.
type Capabilities struct {
	// BatchSize is how many changes one Apply takes; Concurrency how many Applies may be under way.
	BatchSize, Concurrency int
	// CreatesApart says that the creation of users has a limit of its own, so that groups and members go on beside it.
	CreatesApart bool
	// Mirror is set for the local directory. Everything there is ours, disabled entries are kept as such, and what is
	// absent is deleted at once.
	Mirror bool
	// RenameKeepsAddress says that a renamed object keeps its old address as an alias. The provider deletes the alias
	// when the object with it is the TakenFrom of a change.
	RenameKeepsAddress bool
	// UndeleteWithin is how long a deleted account can be brought back; zero where it cannot.
	UndeleteWithin time.Duration
	// Normal says how values of a field are compared, by field name; AddressField for the address.
	Normal map[string]Normal
	// Refers are the fields of users that name another account by its address. They are written when both accounts
	// exist.
	Refers []string
}

// Action is what becomes of an entry that left.
type Action string

// The actions. Suspending a group is doing nothing.
const (
	ActionDelete    Action = "delete"
	ActionSuspend   Action = "suspend"
	ActionDoNothing Action = "do_nothing"
)

// Adoption is the policy for accounts that exist already and carry no anchor.
type Adoption string

// The adoption policies.
const (
	AdoptOff       Adoption = "off"
	AdoptByAddress Adoption = "by_address"
)

// Addressless is what becomes of an entry without an address (no_address in the configuration).
type Addressless string

// The policies for entries without an address.
const (
	// AddresslessHold holds the entry as a conflict. It is the default.
	AddresslessHold Addressless = "hold"
	// AddresslessLeaveOut leaves an entry without an account out. An entry that has an account is held all the same.
	AddresslessLeaveOut Addressless = "leave_out"
)

// Validate reports an unknown policy. An empty one is left to the next setting that applies.
func (a Addressless) Validate() error {
	if a == "" || a == AddresslessHold || a == AddresslessLeaveOut {
		return nil
	}
	return problem.Field("no_address", "%q is unknown: want %s or %s", string(a), AddresslessHold, AddresslessLeaveOut)
}

// Policy is the operator's word on what a plan may contain.
type Policy struct {
	UserDeleteAction, GroupDeleteAction Action
	// DeleteAfter is the grace period between an entry's departure and its deletion.
	DeleteAfter time.Duration
	Adoption    Adoption
}

// Due returns when the account of an entry that left at since is deleted, and whether it is deleted at all.
func (p *Policy) Due(k directory.Kind, since time.Time) (due time.Time, deleted bool) {
	return since.Add(p.DeleteAfter), p.action(k) == ActionDelete
}

func (p *Policy) action(k directory.Kind) Action {
	if k == directory.Group {
		return p.GroupDeleteAction
	}
	return p.UserDeleteAction
}

// Rejection is a value of a field that the tenant refused for an entry. A plan leaves the field as it is.
type Rejection struct {
	directory.Ref
	Field string `json:"field"`
	// Value is a hash of the values, because they may be secret.
	Value string    `json:"value"`
	At    time.Time `json:"at"`
}

// RejectionLife is how long a refused value is not sent again.
const RejectionLife = 24 * time.Hour

// Reject returns the rejection of the value that the change gives to a field. ok is false if the change has no such
// value, or takes something away. Such a change is tried in every run.
func (c *Change) Reject(field string, at time.Time) (r Rejection, ok bool) {
	if c.Op == Suspend || c.Op.Membership() || c.Op == Delete {
		return r, false
	}
	var values []string
	for i := range c.Fields {
		if f := &c.Fields[i]; f.Name == field {
			values = f.After
		}
	}
	if field == AddressField && len(values) == 0 && c.Op == Create {
		values = []string{c.Address}
	}
	return Rejection{c.Ref, field, valueHash(values), at}, len(values) > 0
}

func valueHash(values []string) string {
	sum := sha256.Sum256([]byte(strings.Join(values, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// Input is everything that Compute looks at.
type Input struct {
	// Desired has each Ref at most once.
	Desired []Desired
	// Departed says when entries left, as far as the source knows.
	Departed []directory.Departure
	// OutOfScope names entries that exist in the source and are left out by the provider's scope.
	OutOfScope []directory.Ref
	// Versions are those of all entries that exist in the source. A departure is checked against them before it
	// happens.
	Versions map[directory.Ref]string
	// Findings are entries that were seen and cannot be used. They are not absent.
	Findings []directory.Finding
	State    State
	// Doubts are the source's reasons to distrust absences; those of the provider are in State.
	Doubts []string
	// Missing are attributes that far fewer entries have than in the last good run. What their absence changes is held.
	Missing []Missing
	// Coverage has the attributes that this read of the source asked for. It is empty where that is not known.
	Coverage []directory.Coverage
	// Forgotten says why renames, reactivations and emptied fields are in doubt after our own memory was lost.
	Forgotten string
	Links     map[directory.Ref]Link
	// Rejections are the values that the tenant refused lately.
	Rejections []Rejection
	// Pins keep what an undone run had changed as it was before; sorted by Ref.
	Pins []Pin
	// Unpinned are entries with a pin that cannot be trusted. Nothing happens to them, because a pin may have kept them
	// as they are.
	Unpinned []Held
	// Unordered are users with an order to leave that cannot be trusted. Nothing gives them an account or makes theirs
	// active, because the order may be genuine.
	Unordered []Held
	// Filled counts the objects with a value of each field in the last full run, and Emptied those that lost it since.
	// A plan for some entries is measured by both. Older versions recorded neither.
	Filled, Emptied Filled
	// Orders are the users who have to leave by order of a person; sorted by Ref.
	Orders []Order
	// Only, when set, limits the plan to these entries, as in an object job.
	Only []directory.Ref
	// Whole says that Desired and OutOfScope are everything that the source has, also where Only is set. An entry in
	// neither has left.
	Whole        bool
	Capabilities Capabilities
	Policy       Policy
	Now          time.Time
}

// A group is listed again at a moment between these two spans after its last listing, whatever its witness says.
const (
	verifyFirst = 84 * time.Hour
	verifyLast  = 7 * 24 * time.Hour
)

// Confirmed is the ledger's word on a group's members. Listing members is what most remote calls are spent on; while
// the word holds they are not made.
type Confirmed struct {
	// Witness is what the provider showed when the members were listed.
	Witness string `json:"witness"`
	// Members are the remote ids that were listed then, sorted.
	Members []string `json:"members"`
	// VerifyBy is when the members are listed again though the witness did not move; see plan.VerifyBy.
	VerifyBy time.Time `json:"verify_by"`
}

// Holds reports whether the members need not be listed again.
func (c Confirmed) Holds(witness string, now time.Time) bool {
	return witness != "" && c.Witness == witness && now.Before(c.VerifyBy)
}

// VerifyBy returns when a group with members listed now is listed again at the latest, between three and a half and
// seven days later. The moment depends only on the group. Groups that were listed together, as all are by the first
// run, do not come due together.
func VerifyBy(now time.Time, id directory.ID) time.Time {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	share := float64(mix(h.Sum64())>>11) / (1 << 53)
	return now.Add(verifyFirst + time.Duration(share*float64(verifyLast-verifyFirst))).Truncate(time.Second)
}

// mix spreads ids that differ in their last letters only over all bits (the finalizer of MurmurHash3).
func mix(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}
