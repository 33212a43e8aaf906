package reconcile

import (
	"context"
	"fmt"
	"slices"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// mayReadSingly reports whether a run that failed in reading may still suspend leavers: a full run, or one that carries
// out what was approved. The source was read, and the tenant refuses to list its objects.
func (e *Engine) mayReadSingly(s Scope, v *view, err error) bool {
	return fault.KindOf(err) == fault.Denied && v.sourceRead && !v.stateRead && s.may(confirms) && s.may(writes) &&
		s.undo == nil && !e.cfg.Provider.Capabilities().Mirror
}

// suspendKnown suspends the leavers that the ledger knows, after the tenant refused a list with the given error. Each
// account is read by its id. It must carry our anchor, and be no administrator and not protected. The guards count
// against the number of accounts in the ledger. The run fails with the given error all the same.
func (e *Engine) suspendKnown(ctx context.Context, run Run, v *view, refused error) (Report, error) {
	refs, err := e.departing(v)
	if err != nil || len(refs) == 0 {
		return Report{}, refused
	}
	approved := run.Scope.approvedOnly
	run.Scope = leavers(refs)
	run.Scope.approvedOnly = approved
	if v, err = e.read(ctx, run.Scope, run.Memory); err != nil {
		if fault.KindOf(err) == fault.Canceled {
			return Report{}, err
		}
		run.Journal.Say(Error, fmt.Sprintf(
			"%d accounts of entries that left are not suspended, because they cannot be read one by one either: %v",
			len(refs), err), nil)
		return Report{}, refused
	}
	run.Journal.Say(Warning, fmt.Sprintf("The tenant refuses a list: %v. This run suspends leavers that are known "+
		"from earlier runs, and does nothing else. %d accounts were read one by one.", refused, len(refs)), nil)
	report, err := e.carryOut(ctx, run, v)
	report.SuspendsOnly = true
	if err != nil && fault.KindOf(err) == fault.Canceled {
		return report, err
	}
	if err != nil {
		run.Journal.Say(Error, "Not every leaver was suspended: "+err.Error(), nil)
	}
	return report, fmt.Errorf("%w (%d leavers were suspended all the same)", refused, report.Applied)
}

// departing returns the users with an account in the ledger that should be suspended, as far as the source or an order
// tells.
func (e *Engine) departing(v *view) (refs []directory.Ref, err error) {
	for i := range v.memory.Orders {
		if ref := v.memory.Orders[i].Ref; stands(v.links[ref]) {
			refs = append(refs, ref)
		}
	}
	if action := e.cfg.Policy.UserDeleteAction; action == plan.ActionDoNothing {
		return refs, nil
	}
	desired, err := e.cfg.Desire(v.snapshot, plan.State{})
	if err != nil {
		return nil, err
	}
	stays := map[directory.Ref]bool{}
	for i := range desired.Desired {
		stays[desired.Desired[i].Ref] = desired.Desired[i].Active
	}
	for i := range v.snapshot.Findings {
		stays[v.snapshot.Findings[i].Ref] = true
	}
	for ref, link := range v.links {
		if ref.Kind == directory.User && stands(link) && !stays[ref] {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, directory.Ref.Compare)
	return slices.Compact(refs), nil
}
