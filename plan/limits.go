package plan

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math"
	"slices"

	"rollcall/directory"
	"rollcall/internal/problem"
)

// Brake names a kind of harm. Each has a budget of its own, which is counted over 24 hours and for each kind of entry.
type Brake string

// The brakes.
const (
	BrakeLeave   Brake = "leave"   // suspensions and deletions
	BrakeMembers Brake = "members" // removals from one group
	// accounts that become active again, and first accounts of entries last seen inactive.
	BrakeReactivate Brake = "reactivate"
	BrakeRename     Brake = "rename" // changes of an address
)

// Brake returns the budget that the change is counted in; empty for a change that is counted in none. An undo gives
// back accounts, addresses and fields because a person asked for it by the run's name. That is decided, and not
// counted.
func (c *Change) Brake() Brake {
	if b := c.harm(); !c.Undoes || b != BrakeReactivate && b != BrakeRename {
		return b
	}
	return ""
}

// harm returns the brake for the change, whatever it was asked for.
func (c *Change) harm() Brake {
	switch {
	case c.Paired:
		return ""
	case c.Op == Suspend || c.Op == Delete:
		return BrakeLeave
	case c.Op == RemoveMember:
		return BrakeMembers
	case c.Op == Restore && c.Inactive, c.Op == Undelete && !c.Inactive, c.Op == Create && c.WasInactive:
		return BrakeReactivate
	case c.Op == Update && c.renames():
		return BrakeRename
	}
	return ""
}

// Limit bounds one kind of harm in a day: Share percent of the objects that carry our anchor, at least Least and at
// most Most. The zero value of a field means its default.
type Limit struct {
	Share int `yaml:"share"`
	Least int `yaml:"at_least"`
	Most  int `yaml:"at_most"`
}

// Of returns how many of n objects a day may see.
func (l Limit) Of(n int) int {
	l = l.withDefaults()
	return min(l.Most, max(l.Least, n*l.Share/100))
}

func (l Limit) withDefaults() Limit {
	return Limit{cmp.Or(l.Share, 5), cmp.Or(l.Least, 3), cmp.Or(l.Most, 500)}
}

// MemberLimit bounds the removals from one group in a day: Share percent of a group that has more than Above members.
type MemberLimit struct {
	Share int `yaml:"share"`
	Above int `yaml:"above"`
}

// Of returns how many members may leave a group of n in a day.
func (l MemberLimit) Of(n int) int {
	if n <= cmp.Or(l.Above, 20) {
		return math.MaxInt
	}
	return n * cmp.Or(l.Share, 30) / 100
}

// DayLimits are what the configuration says under limits.
type DayLimits struct {
	Leave      Limit       `yaml:"leave"`
	Reactivate Limit       `yaml:"reactivate"`
	Rename     Limit       `yaml:"rename"`
	Members    MemberLimit `yaml:"members"`
}

// Validate returns what is wrong as problem.Errors with the path of the field below limits.
func (l DayLimits) Validate() (errs []error) {
	whole := func(path string, n int) {
		if n < 0 {
			errs = append(errs, problem.Field("limits."+path, "%d is negative", n))
		}
	}
	share := func(path string, n int) {
		if n < 0 || n > 100 {
			errs = append(errs, problem.Field("limits."+path, "%d is no percentage: want 1 to 100", n))
		}
	}
	for _, named := range []struct {
		name string
		Limit
	}{{"leave", l.Leave}, {"reactivate", l.Reactivate}, {"rename", l.Rename}} {
		share(named.name+".share", named.Share)
		whole(named.name+".at_least", named.Least)
		whole(named.name+".at_most", named.Most)
		if d := named.withDefaults(); d.Least > d.Most {
			errs = append(errs, problem.Field("limits."+named.name, "at_least (%d) is more than at_most (%d)",
				d.Least, d.Most))
		}
	}
	share("members.share", l.Members.Share)
	whole("members.above", l.Members.Above)
	return errs
}

// Limits are the thresholds of the guards, with what was decided.
type Limits struct {
	DayLimits
	// Approval, where it is not empty, holds every change for a decision, and says why.
	Approval string
	// Stale, where it is not empty, says why the read may be older than an earlier one. It holds every change but new
	// entries and new memberships.
	Stale string
	// Clocks, where it is not empty, says which clocks disagree. It holds all harm, because limits and grace periods
	// count time.
	Clocks string
	// Returning are entries that existed before. Their creation is no new entry, because an older read brings them
	// back.
	Returning map[directory.Ref]bool
	// NewSources are the sources that the provider was never synced from.
	NewSources []NewSource
	// Others counts what the same run does to other entries, for the plan of a single one. The guards count it, too.
	Others Budget
	// Verdicts are the decisions by the change's fingerprint. An approved change passes every guard and counts against
	// none.
	Verdicts map[string]Verdict
}

// of returns how many objects of a kind a brake lets go in a day.
func (l *DayLimits) of(b Brake, anchored int) int {
	switch b {
	case BrakeReactivate:
		return l.Reactivate.Of(anchored)
	case BrakeRename:
		return l.Rename.Of(anchored)
	}
	return l.Leave.Of(anchored)
}

// Budget is what the last 24 hours have seen, of runs and object jobs together.
type Budget struct {
	// User and Group count suspensions and deletions.
	User, Group int
	// Reactivated and Renamed count accounts that became active again and changes of addresses.
	Reactivated, Renamed Tally
	// Members counts removals by the group's ID.
	Members map[directory.ID]int
	// Claims names changes that are counted above and were perhaps not made, because their worker died. See
	// Change.Claim.
	Claims map[string]bool
}

func (b *Budget) of(brake Brake, k directory.Kind) int {
	switch brake {
	case BrakeReactivate:
		return b.Reactivated.Of(k)
	case BrakeRename:
		return b.Renamed.Of(k)
	}
	if k == directory.User {
		return b.User
	}
	return b.Group
}

// caps are the daily limits that a plan was guarded with. Each counted change is taken from the budget within them
// when it is applied, because other runs may have spent it since.
type caps struct {
	limits   DayLimits
	anchored Tally
	members  map[directory.ID]int
	mirror   bool
}

// Limit returns how many changes like c a day may see. A plan that was not guarded has no limits.
func (p Plan) Limit(c *Change) int {
	if p.caps == nil {
		return math.MaxInt
	}
	switch b := c.Brake(); {
	case b == BrakeMembers:
		if limit, ok := p.caps.members[c.ID]; ok {
			return limit
		}
	case b != "" && (b != BrakeReactivate || !p.caps.mirror):
		return p.caps.limits.of(b, p.caps.anchored.Of(c.Kind))
	}
	return math.MaxInt
}

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

// Suspensions returns the plan with no other changes than suspensions. They include those with which deletions begin.
func (p Plan) Suspensions(endSessions bool) Plan {
	all := p.Changes
	p.Changes = nil
	for i := range all {
		if s, ok := all[i].Suspension(endSessions); ok {
			p.Changes = append(p.Changes, s)
		}
	}
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
