package reconcile

import (
	"fmt"
	"slices"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// plan computes what to do and splits it at the guards.
func (e *Engine) plan(run Run, v *view, spent plan.Budget, verdicts map[string]plan.Verdict) (Report, error) {
	in := plan.Input{
		Desired: v.desired.Desired, Departed: v.snapshot.Departed, OutOfScope: v.desired.OutOfScope, Findings: v.snapshot.Findings,
		Versions: v.snapshot.Versions, State: v.state, Doubts: v.doubts, Links: v.links, Pins: v.pins, Only: run.Only, Whole: run.whole,
		Capabilities: e.cfg.Provider.Capabilities(), Policy: e.cfg.Policy, Now: v.at,
	}
	limits := e.cfg.Limits
	v.approval = e.approval(v)
	limits.Approval, limits.Verdicts = v.approval, verdicts
	apply, held := plan.Compute(in).Guard(limits, spent)
	// The local directory is one complete answer of its source or it is not read: a part of a plan cannot be committed.
	if run.ApprovedOnly && !e.mirror() {
		apply = apply.ApprovedOnly()
	}
	if run.Undo != nil {
		apply = apply.About(v.undoes)
	}
	report := Report{Apply: apply, Held: held, Snapshot: v.snapshot, OutOfScope: v.desired.Decisions, Pinned: len(v.undoes)}
	return report, e.unproven(run, v, apply)
}

// approval says why every change waits for a person, by the policy; empty where it does not.
func (e *Engine) approval(v *view) string {
	switch e.cfg.Approval {
	case provider.ApprovalAlways:
		return "require_approval is always"
	case provider.ApprovalFirstRun:
		if v.facts.Scope == "" {
			return "require_approval is first_run, and no plan of this provider was approved yet"
		}
		if v.facts.Scope != e.cfg.Scope {
			return "require_approval is first_run, and the scope or the mapping was changed since the last good run"
		}
	case provider.ApprovalGuard:
	}
	return ""
}

// unproven refuses an object job that would create what may exist under another name: without a full run since the
// ledger began nothing proves that no group carries the anchor (law 3). Users can be searched for by their anchor.
func (e *Engine) unproven(run Run, v *view, apply plan.Plan) error {
	if len(run.Only) == 0 || e.mirror() || v.facts.Complete() {
		return nil
	}
	creates := slices.ContainsFunc(apply.Changes, func(c plan.Change) bool { return c.Op == plan.Create })
	if !creates {
		return nil
	}
	return fault.Errorf(fault.Unsafe, "no full sync of this provider has completed yet, so nothing proves that the account does not exist under another name: run a full sync first")
}

// say records what a person should know about the plan.
func say(j Journal, v *view, r Report) {
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
		j.Say(Info, fmt.Sprintf("The server gave %d search result references, which are not followed.", n), map[string]any{"referrals": v.snapshot.Referrals})
	}
	if n := len(v.strangers); n > 0 {
		const some = 10
		j.Say(Info, fmt.Sprintf("%d active accounts carry an anchor of no entry that is known. It may be another system's, or ours of somebody who left while Redis was lost: they are left alone.", n),
			map[string]any{"accounts": v.strangers[:min(n, some)]})
	}
	for _, f := range v.snapshot.Findings {
		j.Say(Warning, "Entry cannot be used: "+f.Problem, map[string]any{"kind": f.Kind.String(), "id": string(f.ID), "dn": f.DN})
	}
	for _, d := range r.Apply.Doubts {
		j.Say(Warning, "Destructive changes are held: "+d, nil)
	}
	for _, h := range r.Apply.Held {
		j.Say(Warning, "Held: "+h.Detail, map[string]any{"kind": h.Kind.String(), "id": string(h.ID), "label": h.Label, "reason": string(h.Reason)})
	}
	sayHeld(j, r.Held)
	for _, n := range r.Apply.Notes {
		if n.Reason == plan.SuspendedByElse {
			j.Say(Info, "Drift: "+n.Detail, map[string]any{"kind": n.Kind.String(), "id": string(n.ID), "label": n.Label, "reason": string(n.Reason)})
		}
	}
	j.Say(Info, fmt.Sprintf("Planned %d changes; %d are held by a guard, %d entries are in conflict.", len(r.Apply.Changes), len(r.Held.Changes), len(r.Apply.Held)), nil)
}

// sayHeld names each guard once, and each entry that it holds as far as messages go.
func sayHeld(j Journal, held plan.Plan) {
	said := map[string]bool{}
	for i := range held.Changes {
		c := &held.Changes[i]
		if !said[c.Held] {
			said[c.Held] = true
			j.Say(Warning, "Destructive changes are held: "+c.Held, map[string]any{"guard": string(c.Guard)})
		}
	}
	const most = 100
	for i := range held.Changes[:min(len(held.Changes), most)] {
		c := &held.Changes[i]
		attributes := map[string]any{"kind": c.Kind.String(), "id": string(c.ID), "label": c.Label, "op": c.Op.String(), "guard": string(c.Guard)}
		if c.Member != nil {
			attributes["member"] = string(c.Member.ID)
		}
		j.Say(Warning, "Held: "+c.Op.String(), attributes)
	}
	if n := len(held.Changes) - most; n > 0 {
		j.Say(Warning, fmt.Sprintf("Held: %d more changes.", n), nil)
	}
}
