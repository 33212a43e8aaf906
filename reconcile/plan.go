package reconcile

import (
	"slices"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// plan computes the changes and splits them at the guards.
func (e *Engine) plan(s Scope, v *view) (Report, error) {
	in := plan.Input{
		Desired: v.desired.Desired, Departed: v.snapshot.Departed, OutOfScope: v.desired.OutOfScope,
		Findings: v.snapshot.Findings, Versions: v.snapshot.Versions, State: v.state, Doubts: v.doubts, Links: v.links,
		Missing: v.missing(), Coverage: v.snapshot.Coverage, Forgotten: e.forgotten(v), Pins: v.memory.Pins, Only: s.refs,
		Whole:        s.limited() && s.may(concludes),
		Capabilities: e.cfg.Provider.Capabilities(), Policy: e.cfg.Policy, Now: v.at,
	}
	limits := e.cfg.Limits
	v.approval = e.approval(v)
	limits.Approval, limits.Verdicts = v.approval, v.memory.Verdicts
	limits.Stale, limits.Returning = v.stale, v.known
	apply, held := plan.Compute(in).Guard(limits, v.memory.Spent)
	if s.approvedOnly {
		apply = apply.ApprovedOnly()
	}
	if s.undo != nil {
		apply = apply.About(v.undo)
	}
	report := Report{
		Apply: apply, Held: held, Snapshot: v.snapshot, Desired: v.desired, Pinned: len(v.undo),
	}
	return report, e.unproven(s, v, apply)
}

// missing compares the coverage of each attribute with the last good run.
func (v *view) missing() []plan.Missing {
	were := func(k directory.Kind) int {
		if k == directory.User {
			return v.facts.Users
		}
		return v.facts.Groups
	}
	return plan.Missed(v.facts.Coverage, v.snapshot.Coverage, were, v.snapshot.Count)
}

// forgotten reports that the ledger is new although the tenant has objects of ours, which means that the ledger was
// lost (law 4).
func (e *Engine) forgotten(v *view) string {
	if v.facts.Complete() || e.cfg.Provider.Capabilities().Mirror {
		return ""
	}
	if !slices.ContainsFunc(v.state.Objects, func(o plan.Object) bool { return o.Anchored() }) {
		return ""
	}
	return "what was known of this tenant was lost: this run restores, renames and clears nothing, the next one does"
}

// approval says why the policy makes every change wait for a decision. It is empty if it does not.
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

// unproven refuses an object job that would create an object which may exist under another name. Before the first
// full run nothing proves that no group carries the anchor (law 4). Users can be found by their anchor.
func (e *Engine) unproven(s Scope, v *view, apply plan.Plan) error {
	if !s.limited() || e.cfg.Provider.Capabilities().Mirror || v.facts.Complete() {
		return nil
	}
	creates := slices.ContainsFunc(apply.Changes, func(c plan.Change) bool { return c.Op == plan.Create })
	if !creates {
		return nil
	}
	return fault.Errorf(fault.Unsafe, "no full sync of this provider has completed yet, so nothing proves that the "+
		"account does not exist under another name: run a full sync first")
}
