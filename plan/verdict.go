package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"rollcall/directory"
)

// Verdict is what a person decided about one held change.
type Verdict string

// The verdicts.
const (
	Approved Verdict = "approved"
	Rejected Verdict = "rejected"
)

// Fingerprint identifies what the change would do to what it found, by the entry, the action and the state before. A
// decision about a change is one about its fingerprint, and stays valid as long as the entry is unchanged.
func (c *Change) Fingerprint() string {
	whole := c.Whole()
	what, err := json.Marshal(struct {
		Op       Op
		Ref      directory.Ref
		RemoteID string
		Address  string
		Member   *directory.Ref
		Why      Reason
		From     directory.ID
		Fields   []FieldChange
	}{c.Op, c.Ref, c.RemoteID, c.Address, c.Member, c.Why, c.From, whole.Fields})
	if err != nil {
		return "" // Texts and numbers only: it cannot fail. An empty fingerprint matches no decision.
	}
	sum := sha256.Sum256(what)
	return hex.EncodeToString(sum[:12])
}

// HeldDigest identifies a set of held changes by what they would do, whatever the reason for which they are held.
func (p Plan) HeldDigest() string {
	prints := make([]string, 0, len(p.Changes))
	for i := range p.Changes {
		prints = append(prints, p.Changes[i].Fingerprint())
	}
	return DigestOf(prints)
}

// DigestOf identifies a set of changes by their fingerprints. It sorts them.
func DigestOf(prints []string) string {
	slices.Sort(prints)
	h := sha256.New()
	for _, f := range prints {
		h.Write([]byte(f))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// ApprovedOnly returns the plan with nothing in it but what a person approved.
func (p Plan) ApprovedOnly() Plan {
	p.Changes = slices.DeleteFunc(slices.Clone(p.Changes), func(c Change) bool { return !c.Approved })
	return p
}

// Suspensions returns the plan with no other changes than suspensions.
func (p Plan) Suspensions() Plan {
	p.Changes = slices.DeleteFunc(slices.Clone(p.Changes), func(c Change) bool { return c.Op != Suspend })
	return p
}

// Claim names a destructive change in the budget. The same change has the same name in every plan, so that a change
// begun by a worker that died is not counted twice. A rename to another address is another change: one that corrects a
// rename without an answer is counted, too.
func (c *Change) Claim() string {
	name := c.Op.String() + " " + c.Ref.String()
	if c.Op == Update && c.renames() {
		name += " " + c.Address
	}
	if c.Member != nil {
		name += " " + c.Member.String()
	}
	return name
}

// Rules returns every guard, for metrics that start at zero.
func Rules() []Rule {
	return []Rule{RuleLimit, RuleHalf, RuleEmpty, RuleMembers, RuleDoubt, RuleApproval, RuleReactivate, RuleRename,
		RuleEmptied, RuleCoverage, RuleSource, RuleFollows, RuleRejected}
}

// Reasons returns every reason, of departures and of entries that are held or left alone.
func Reasons() []Reason {
	return []Reason{
		Absent, Disabled, OutOfScope, Reverted, Ordered,
		NoAddress, ForeignDomain, BadMapping, SameAddress, AddressTaken, AddressKept, Ambiguous, AnchorLost, Unusable,
		Unsettled,
		Unreadable, Restorable, ProtectedObject, SuspendedByElse, SuspendedByWhom, PinLost, RecreatedEntry,
	}
}
