package explain

import (
	"fmt"
	"slices"
	"strings"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/plan"
)

// held returns the verdict on a held change. A change that the newest plan holds and that is still planned comes
// before one that only the next plan would hold.
func (j *judge) held() (Code, string, string, bool) {
	planned, goes := map[string]bool{}, map[string]bool{}
	for i := range j.in.Hop.Held.Changes {
		planned[j.in.Hop.Held.Changes[i].Fingerprint()] = true
	}
	counted := j.in.Hop.Uncounted == nil && j.in.Hop.Beside == 0
	for i := range j.in.Hop.Apply.Changes {
		mark := j.in.Hop.Apply.Changes[i].Fingerprint()
		planned[mark], goes[mark] = true, counted
	}
	var first *Hold // what is held of the entry itself goes before its memberships
	for i := range j.p.Held {
		h := &j.p.Held[i]
		own := h.ID == string(j.ref.ID) && h.Member == ""
		switch {
		case !planned[h.Fingerprint] && (own || !j.joins(h)): // It was done meanwhile, or is no longer wanted.
		case goes[h.Fingerprint] && h.Decision == nil: // No guard holds it any more.
		case own:
			return Held, h.Guard, j.hold(h), true
		case first == nil:
			first = h
		}
	}
	if first != nil {
		return Held, first.Guard, j.hold(first), true
	}
	if list := j.in.Hop.Held.Changes; len(list) > 0 {
		c := &list[0]
		return Held, string(c.Guard), fmt.Sprintf("The next run would hold its %s by the guard %s: %s.",
			phrase(c, j.ref), c.Guard, c.Held), true
	}
	return "", "", "", false
}

// joins reports whether a held change adds the entry to a group that the provider does not have yet, or to the entry a
// member without an account. The plan for the entry alone does not have such a membership.
func (j *judge) joins(h *Hold) bool {
	is := func(id string) func(plan.Desired) bool {
		return func(d plan.Desired) bool { return string(d.ID) == id }
	}
	d := j.in.Hop.Desired
	return h.Op == plan.AddMember.String() && d != nil && d.Active && j.in.Order == nil &&
		(slices.ContainsFunc(j.in.Hop.Unmade, is(h.ID)) || slices.ContainsFunc(j.in.Hop.Joining, is(h.Member)))
}

func (j *judge) hold(h *Hold) string {
	text := fmt.Sprintf("Held by the guard %s: its %s waits since %s, because %s.", h.Guard, opText(h.Op),
		when(h.At.Time()), strings.TrimSuffix(h.Reason, "."))
	switch d := h.Decision; {
	case d != nil && d.Verdict == string(plan.Approved):
		return text + fmt.Sprintf(" %s approved it: the next run carries it out, until %s.", d.By,
			when(d.Expires.Time()))
	case d != nil:
		return text + fmt.Sprintf(" %s rejected it: it stays held until %s.", d.By, when(d.Expires.Time()))
	}
	return text + " " + approveWith(j.in.Container, h)
}

func approveWith(c container.ID, h *Hold) string {
	return fmt.Sprintf("To let it go: rollcall approve %s %s --entry %s", c, h.Digest, h.Fingerprint)
}

// nameless returns how many entries without an id the newest run of the source found.
func nameless(in *SourceInput, k directory.Kind) (n int) {
	for i := range in.Held.Conflicts {
		if c := &in.Held.Conflicts[i]; c.ID == "" && c.Kind == k.String() && c.Reason == string(plan.Unusable) {
			n++
		}
	}
	return n
}
