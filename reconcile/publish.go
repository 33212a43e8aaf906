package reconcile

import (
	"context"
	"fmt"
	"strings"

	"rollcall/directory"
	"rollcall/plan"
)

// mostNamed bounds the number of entries that messages of one kind name.
const mostNamed = 100

// publish reports the size of the source, stores the plan, and stores the pins of an undo. All of that comes before
// the first write, so that the next run does not repeat a change that this one takes back.
func publish(ctx context.Context, run Run, v *view, r *Report) error {
	sayUndo(run, v)
	sayRead(run.Journal, v)
	sayPlan(run.Journal, r)
	if err := run.Journal.Planned(ctx, r.Apply, r.Held); err != nil {
		return err
	}
	if run.Scope.undo == nil || !run.Scope.may(writes) {
		return nil
	}
	return run.Memory.Keep(ctx, PinChanges{Set: v.newPins()})
}

func sayUndo(run Run, v *view) {
	if run.Scope.undo == nil {
		return
	}
	run.Journal.Say(Info, fmt.Sprintf("Undoing run %s: %d entries are kept as they were before it, until their source "+
		"changes or the pin is lifted.", run.Scope.undo.Run, len(v.undo)), nil)
	for _, n := range v.notUndone[:min(mostNamed, len(v.notUndone))] {
		run.Journal.Say(Warning, "Not undone: "+named(n.Ref, n.Label)+": "+n.Detail, aboutEntry(n.Ref, n.Label, ""))
	}
	if n := len(v.notUndone) - mostNamed; n > 0 {
		run.Journal.Say(Warning, fmt.Sprintf("Not undone: %d more.", n), nil)
	}
}

func sayRead(j Journal, v *view) {
	users, groups, memberships := v.snapshot.Count(directory.User), v.snapshot.Count(directory.Group), 0
	for i := range v.snapshot.Entries {
		memberships += len(v.snapshot.Entries[i].Members)
	}
	j.Read(users, groups, memberships)
	j.Say(Info, fmt.Sprintf("Read %d users, %d groups and %d memberships.", users, groups, memberships), nil)
	for _, n := range v.snapshot.Notes {
		j.Say(Info, n, nil)
	}
	if n := len(v.snapshot.Referrals); n > 0 {
		j.Say(Info, fmt.Sprintf("The server gave %d search result references, which are not followed.", n),
			map[string]any{"referrals": v.snapshot.Referrals})
	}
	if n := len(v.strangers); n > 0 {
		const some = 10
		j.Say(Info, fmt.Sprintf("%d active accounts carry an anchor of no entry that is known. They belong to another "+
			"system, or to people who left while Redis was lost: they are left alone.", n),
			map[string]any{"accounts": v.strangers[:min(n, some)]})
	}
}

func sayPlan(j Journal, r *Report) {
	for _, d := range r.Apply.Doubts {
		j.Say(Warning, "Destructive changes are held: "+d, nil)
	}
	for _, h := range r.Apply.Held {
		j.Say(Warning, "Held: "+named(h.Ref, h.Label)+": "+h.Detail, aboutEntry(h.Ref, h.Label, h.Reason))
	}
	sayHeld(j, r.Held)
	for _, n := range r.Apply.Notes {
		if n.Reason == plan.SuspendedByElse {
			j.Say(Info, "Drift: "+named(n.Ref, n.Label)+": "+n.Detail, aboutEntry(n.Ref, n.Label, n.Reason))
		}
	}
	sayLeftOut(j, r.Apply.Notes)
	j.Say(Info, fmt.Sprintf("Planned %d changes; %d are held by a guard, %d entries are in conflict.",
		len(r.Apply.Changes), len(r.Held.Changes), len(r.Apply.Held)), nil)
}

// sayLeftOut says how many entries are left out for want of an address, and names some.
func sayLeftOut(j Journal, notes []plan.Note) {
	const some = 10
	var names []string
	n := 0
	for i := range notes {
		if notes[i].Reason != plan.NoAddress {
			continue
		}
		if n++; n <= some {
			names = append(names, named(notes[i].Ref, notes[i].Label))
		}
	}
	if n == 0 {
		return
	}
	if n > some {
		names = append(names, fmt.Sprintf("and %d more", n-some))
	}
	j.Say(Info, fmt.Sprintf("Left out because they have no address (no_address: leave_out): %d entries: %s.", n,
		strings.Join(names, ", ")), nil)
}

// sayHeld reports each guard once, with the entries that it holds, up to a bound.
func sayHeld(j Journal, held plan.Plan) {
	said := map[string]bool{}
	for i := range held.Changes {
		c := &held.Changes[i]
		if !said[c.Held] {
			said[c.Held] = true
			j.Say(Warning, "Destructive changes are held: "+c.Held, map[string]any{"guard": string(c.Guard)})
		}
	}
	for i := range held.Changes[:min(len(held.Changes), mostNamed)] {
		c := &held.Changes[i]
		m := about(c)
		m["guard"] = string(c.Guard)
		j.Say(Warning, "Held: "+describe(c), m)
	}
	if n := len(held.Changes) - mostNamed; n > 0 {
		j.Say(Warning, fmt.Sprintf("Held: %d more changes.", n), nil)
	}
}

// named formats an entry for the text of a message, with its kind and its label. The id replaces a missing label.
func named(ref directory.Ref, label string) string {
	if label == "" {
		label = string(ref.ID)
	}
	return ref.Kind.String() + " " + label
}

// describe names a change with its entry. For a membership it names the member, too.
func describe(c *plan.Change) string {
	if c.Member == nil {
		return c.Op.String() + " " + named(c.Ref, c.Label)
	}
	return c.Op.String() + " " + named(*c.Member, c.MemberLabel) + ", " + named(c.Ref, c.Label)
}

func aboutEntry(ref directory.Ref, label string, reason plan.Reason) map[string]any {
	m := map[string]any{"kind": ref.Kind.String(), "id": string(ref.ID)}
	if label != "" {
		m["label"] = label
	}
	if reason != "" {
		m["reason"] = string(reason)
	}
	return m
}

func about(c *plan.Change) map[string]any {
	m := map[string]any{"kind": c.Kind.String(), "id": string(c.ID), "label": c.Label, "op": c.Op.String()}
	if c.Member != nil {
		m["member"], m["member_label"] = string(c.Member.ID), c.MemberLabel
	}
	if c.RemoteID != "" {
		m["remote_id"] = c.RemoteID
	}
	return m
}
