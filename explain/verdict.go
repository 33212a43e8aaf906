package explain

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/plan"
)

// judge finds the verdict for one provider. The most serious fact about the entry decides.
type judge struct {
	in      *ProviderInput
	p       *Provider
	ref     directory.Ref
	sources []Source
}

func (j *judge) verdict() (code Code, reason, text string) {
	code, reason, text = j.judge()
	if pin := j.in.Hop.Pin; pin != nil && j.in.Hop.SourceErr == nil && j.in.Hop.RemoteErr == nil {
		text += fmt.Sprintf(" It is pinned: %s undid run %s, and what that run changed of it stays as it was until "+
			"its source changes.", pin.By, pin.Run)
	}
	return code, reason, text
}

// judge checks missing knowledge first and success last.
func (j *judge) judge() (code Code, reason, text string) {
	h := &j.in.Hop
	switch {
	case j.in.Off:
		return SwitchedOff, "", fmt.Sprintf("%s is switched off (enabled: false): it is neither read nor written.",
			j.in.Container)
	case j.in.Err != nil:
		return Unknown, "", fmt.Sprintf("%s could not be asked: %v.", j.in.Container, j.in.Err)
	case len(j.in.Strangers) > 0:
		return NotOurs, "", j.stranger(&j.in.Strangers[0])
	case j.ref.ID == "":
		return j.notRead()
	case h.SourceErr != nil:
		return NotReady, "", fmt.Sprintf("Nothing can be said or done for %s now: %v.%s", j.in.Container, h.SourceErr,
			j.known())
	case h.RemoteErr != nil:
		return j.unreachable()
	}
	if code, reason, text, is := j.held(); is {
		return code, reason, text
	}
	if i := slices.IndexFunc(h.Apply.Held, func(x plan.Held) bool { return x.Ref == j.ref }); i >= 0 {
		x := &h.Apply.Held[i]
		if x.Reason == plan.Unsettled { // The tenant settles it in time, without a person.
			return Pending, string(x.Reason), j.conflict(x)
		}
		return Conflict, string(x.Reason), j.conflict(x)
	}
	switch {
	case j.in.Order != nil:
		return Left, string(plan.Ordered), fmt.Sprintf("It has to leave by order of %s since %s, until its directory "+
			"agrees or the order is lifted (rollcall leave --lift): %s", j.in.Order.By,
			when(j.in.Order.At), j.consequence())
	case h.OutOfScope != nil:
		return OutOfScope, h.OutOfScope.Rule, fmt.Sprintf("%s leaves it out by %s (%s): %s", j.in.Container,
			h.OutOfScope.Rule, h.OutOfScope.Setting, j.consequence())
	case h.Finding != nil:
		return Conflict, string(plan.Unusable), fmt.Sprintf("Nothing is done about it: %s.",
			strings.TrimSuffix(h.Finding.Problem, "."))
	case h.Entry == nil && (h.Departure != nil || j.departing()):
		return Left, string(plan.Absent), fmt.Sprintf("It left its source%s: %s", j.since(), j.consequence())
	case h.Entry == nil:
		return j.notRead()
	case h.Desired != nil && !h.Desired.Active:
		return Inactive, string(plan.Disabled), fmt.Sprintf("It is disabled at its source%s: %s", j.since(),
			j.consequence())
	case len(h.Apply.Changes)+len(h.Unmade)+len(h.Joining) > 0:
		return Pending, "", j.pending()
	}
	if i := j.note(plan.NoAddress); i >= 0 {
		return OutOfScope, string(plan.NoAddress), fmt.Sprintf("No account: it %s.", h.Apply.Notes[i].Detail)
	}
	if i := j.note(plan.SuspendedByElse); i >= 0 {
		return LeftAlone, string(plan.SuspendedByElse), fmt.Sprintf("Left alone: %s.", h.Apply.Notes[i].Detail)
	}
	return InStep, "", fmt.Sprintf("In step: %s carries its anchor and nothing differs.", j.account())
}

// stranger returns the verdict on an account that belongs to no entry.
func (j *judge) stranger(o *plan.Object) string {
	text := fmt.Sprintf("%s has the %s %s (%s), ", j.in.Container, o.Kind, o.Address, o.RemoteID)
	if o.ID != "" {
		return text + fmt.Sprintf("which carries the anchor of the id %s: no directory has an entry with it. A full "+
			"run says what becomes of it.", o.ID)
	}
	return text + "which carries no anchor of ours: it is left alone."
}

// notRead returns the verdict on an entry that the local directory does not have. The source has the reason.
func (j *judge) notRead() (Code, string, string) {
	var best *Source
	for i := range j.sources {
		if s := &j.sources[i]; best == nil || rank[s.Code] > rank[best.Code] {
			best = s
		}
	}
	if best == nil {
		return NotRead, "", "Nothing is provisioned: no source is configured for it."
	}
	return NotRead, string(best.Code), "Nothing is provisioned: the local directory does not have it. " + best.Verdict
}

// rank orders the codes of sources by how much they explain.
var rank = map[SourceCode]int{
	Absent: 1, Disabled: 2, NeverRead: 3, NotAsked: 4, Departed: 5, NotWanted: 6, OutsideBase: 7, FilteredOut: 8,
	Unusable: 9, Joined: 10,
	Leaving: 11, Read: 12,
}

// unreachable returns the verdict when the tenant did not answer.
func (j *judge) unreachable() (Code, string, string) {
	h := &j.in.Hop
	text := fmt.Sprintf("%s could not be asked: %v.", j.in.Container, h.RemoteErr)
	switch {
	case h.OutOfScope != nil:
		text += fmt.Sprintf(" Its scope leaves the entry out by %s (%s).", h.OutOfScope.Rule, h.OutOfScope.Setting)
	case h.Desired != nil && h.Desired.Held != "":
		text += fmt.Sprintf(" The entry would be held: %s.", h.Desired.Detail)
	case h.Desired != nil:
		text += fmt.Sprintf(" The mapping gives the address %s.", h.Desired.Address)
	}
	return Unknown, "", text + j.known()
}

// known describes the ledger's record.
func (j *judge) known() string {
	if j.in.Hop.Link.RemoteID == "" {
		return ""
	}
	return fmt.Sprintf(" By our records its account is %s.", j.in.Hop.Link.RemoteID)
}

// conflict returns the verdict on a conflict that only a person can resolve, with the text of the plan.
func (j *judge) conflict(x *plan.Held) string {
	heads := map[plan.Reason]string{
		plan.NoAddress:       "No account: it has no usable address",
		plan.ForeignDomain:   "No account: its address is in a domain that the tenant has not verified",
		plan.SameAddress:     "Held back: its address is not its alone",
		plan.AddressTaken:    "Held back: its name is taken by something that is not ours",
		plan.AddressKept:     "Held back: its name is taken by another account of ours",
		plan.Ambiguous:       "Held back: it cannot be told which account is its",
		plan.AnchorLost:      "Held back: its account no longer carries our anchor",
		plan.Unusable:        "Left as it is: the entry cannot be used",
		plan.BadMapping:      "Held back: the mapping failed",
		plan.ProtectedObject: "Never touched: its account is protected",
		plan.SuspendedByWhom: "Left as it is: it is not known whether Rollcall suspended its account",
		plan.PinLost:         "Left as it is: its pin cannot be trusted",
		plan.Unsettled:       "Waiting for the tenant",
		plan.Unreadable:      "Left as it is: the tenant does not show it",
		plan.Restorable:      "Held back: its deleted account has to be restored first",
	}
	detail := x.Detail
	if j.p.Desired != nil && j.p.Desired.Held != "" {
		detail = cmp.Or(j.p.Desired.Detail, detail)
	}
	return fmt.Sprintf("%s: %s.%s", cmp.Or(heads[x.Reason], "Held back"), strings.TrimSuffix(detail, "."),
		j.lastFailure())
}

// departing reports whether the plan treats the entry as departed.
func (j *judge) departing() bool {
	return slices.ContainsFunc(j.in.Hop.Apply.Tombstones, func(t plan.Tombstone) bool { return t.Ref == j.ref })
}

func (j *judge) since() string {
	if d := j.p.Departure; d != nil {
		return " (since " + when(d.Since.Time()) + ")"
	}
	return ""
}

// consequence describes the fate of the account of a departed entry.
func (j *judge) consequence() string {
	h := &j.in.Hop
	for i := range h.Apply.Changes {
		c := &h.Apply.Changes[i]
		if c.Ref != j.ref || c.Op != plan.Suspend && c.Op != plan.Delete {
			continue
		}
		first := *c // The deletion of an active account begins with its suspension.
		if s, suspends := c.Suspension(c.EndSessions); suspends {
			first = s
		}
		text := "the next run would"
		if len(j.in.Attempts) > 0 && j.in.Attempts[0].FailKind != "" &&
			slices.Contains([]string{c.Op.String(), first.Op.String()}, j.in.Attempts[0].Op) {
			text = "the next run tries again to" // The tenant may refuse again.
		}
		text += fmt.Sprintf(" %s its account %s", first.Op.Verb(), c.Address)
		if c.EndSessions {
			text += " and end its sessions"
		}
		if first.Op != c.Op {
			text += ", and then delete it"
		}
		if due := j.p.Departure; c.Op == plan.Suspend && due != nil && due.DeletedAfter != nil {
			text += ", which is deleted after " + when(due.DeletedAfter.Time()) + " unless it comes back"
		}
		return text + "." + j.uncounted() + j.unproven() + j.lastFailure()
	}
	if !slices.ContainsFunc(h.Objects, func(o plan.Object) bool { return o.Ref == j.ref }) {
		return "it has no account, and none is made." + j.lastFailure()
	}
	for _, reason := range []plan.Reason{plan.Ordered, plan.Absent, plan.Disabled, plan.OutOfScope} {
		if i := j.note(reason); i >= 0 {
			return fmt.Sprintf("%s, %s.%s", j.account(), h.Apply.Notes[i].Detail, j.receipt())
		}
	}
	return j.account() + " stays as it is."
}

// receipt says when the tenant confirmed the departure.
func (j *judge) receipt() string {
	r := j.in.Receipt
	if r == nil {
		return ""
	}
	text := fmt.Sprintf(" The departure was seen at %s and confirmed by the tenant %s later", when(r.Seen),
		r.Took().Round(100*time.Millisecond))
	if r.Foreign {
		text += "; another party had suspended the account"
	}
	switch r.Sessions {
	case decisions.SessionsEnded:
		text += "; its sessions ended"
	case decisions.SessionsFailed:
		text += "; its sessions could not be ended"
	}
	return text + "."
}

// account describes the remote object and its state.
func (j *judge) account() string {
	for i := range j.in.Hop.Objects {
		o := &j.in.Hop.Objects[i]
		if o.Ref != j.ref {
			continue
		}
		noun := "its account"
		if o.Kind == directory.Group {
			noun = "its group"
		}
		text := fmt.Sprintf("%s %s (%s)", noun, cmp.Or(o.Address, j.called()), o.RemoteID)
		if !o.Active {
			text += map[plan.Suspender]string{plan.Us: ", suspended by us",
				plan.Else: ", suspended by others"}[o.Suspender]
		}
		return text
	}
	return "it"
}

// called returns the name of the entry for people. Some groups have no address.
func (j *judge) called() string {
	switch h := &j.in.Hop; {
	case h.Desired != nil:
		return cmp.Or(h.Desired.Label, string(j.ref.ID))
	case h.Departure != nil:
		return cmp.Or(h.Departure.Label, string(j.ref.ID))
	}
	return string(j.ref.ID)
}

func (j *judge) note(reason plan.Reason) int {
	return slices.IndexFunc(j.in.Hop.Apply.Notes, func(n plan.Note) bool {
		return n.Ref == j.ref && n.Reason == reason
	})
}

// pending describes the changes of the next run.
func (j *judge) pending() string {
	h := &j.in.Hop
	var parts []string
	type move struct {
		op  plan.Op
		own bool // of a group's members
	}
	members := map[move]int{}
	for i := range h.Apply.Changes {
		c := &h.Apply.Changes[i]
		if c.Op.Membership() {
			members[move{c.Op, c.Ref == j.ref}]++
			continue
		}
		parts = append(parts, phrase(c, j.ref))
	}
	for _, m := range []struct {
		move
		text string
	}{
		{move{plan.AddMember, false}, "add it to groups (%d)"},
		{move{plan.RemoveMember, false}, "remove it from groups (%d)"},
		{move{plan.AddMember, true}, "add members to it (%d)"},
		{move{plan.RemoveMember, true}, "remove members from it (%d)"},
	} {
		if n := members[m.move]; n > 0 {
			parts = append(parts, fmt.Sprintf(m.text, n))
		}
	}
	if n := len(h.Unmade); n > 0 {
		parts = append(parts, fmt.Sprintf("add it to groups that are not there yet (%d)", n))
	}
	if n := len(h.Joining); n > 0 {
		parts = append(parts, fmt.Sprintf("add members to it whose accounts are not there yet (%d)", n))
	}
	text := "The next run has to do: " + strings.Join(parts, ", ") + "."
	if h.Beside > 0 {
		text += fmt.Sprintf(" %d other entries have changed or wait, too: if many of them change alike, the run holds "+
			"this.", h.Beside)
	}
	return text + j.uncounted() + j.unproven() + j.lastFailure()
}

// uncounted says that guards may hold the change together with those of other entries.
func (j *judge) uncounted() string {
	if err := j.in.Hop.Uncounted; err != nil {
		return fmt.Sprintf(" Other entries were not counted (%v): if many of them change alike, the run holds this.",
			err)
	}
	return ""
}

// unproven returns the reason why a sync of the entry alone would be refused.
func (j *judge) unproven() string {
	if err := j.in.Hop.Unproven; err != nil {
		return " It has to be a full run: " + err.Error() + "."
	}
	return ""
}

// lastFailure describes the last attempt if it failed.
func (j *judge) lastFailure() string {
	if len(j.in.Attempts) == 0 || j.in.Attempts[0].FailKind == "" {
		return ""
	}
	a := j.in.Attempts[0]
	text := fmt.Sprintf(" The last attempt (%s, %s) failed: %s", a.Op, when(a.At), strings.TrimSuffix(a.FailText, "."))
	if a.RequestID != "" {
		text += " (request " + a.RequestID + ")"
	}
	return text + "."
}
