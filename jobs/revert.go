package jobs

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/plan"
	"rollcall/status"
)

// StartRevert starts a run that takes back the changes of another run of the same provider. The error is
// fault.NotFound if there is no such run. It is fault.Conflict, with a text for the user, if the run cannot be
// undone.
func (c *Client) StartRevert(
	ctx context.Context, container container.ID, runID string, dryRun bool, by string,
) (status.Run, error) {
	undone, err := c.status.Get(ctx, container, runID)
	if err != nil {
		return status.Run{}, err
	}
	if _, err := revertible(ctx, c.status, undone); err != nil {
		return status.Run{}, err
	}
	return c.Start(ctx, container, dryRun, status.Trigger{Kind: status.ByRevert, By: by, Of: runID})
}

// revertible returns the plans of a run that can be undone, with the oldest first. A run that was resumed has more
// than one.
func revertible(ctx context.Context, st *status.Store, run status.Run) ([]status.PlanHead, error) {
	switch {
	case run.Container.Kind() == container.LDAP:
		return nil, fault.Errorf(fault.Conflict,
			"A run of a source changes only the local copy, which follows its source. Undo the run of the provider instead.")
	case run.State.Open():
		return nil, fault.Errorf(fault.Conflict, "The run is live. Cancel it first, or wait for its end.")
	case run.DryRun:
		return nil, fault.Errorf(fault.Conflict, "The run was a dry run and changed nothing.")
	case run.PlannedAt.IsZero():
		return nil, fault.Errorf(fault.Conflict, "The run ended before it had a plan and changed nothing.")
	}
	heads, err := plansOf(ctx, st, run)
	switch {
	case err != nil && fault.KindOf(err) == fault.NotFound:
		return nil, fault.Errorf(fault.Conflict,
			"The changes of the run are no longer on record. The newest 20 plans are kept for 30 days.")
	case err != nil:
		return nil, err
	case slices.ContainsFunc(heads, func(h status.PlanHead) bool { total, kept := applied(h); return kept < total }):
		return nil, fault.Errorf(fault.Conflict,
			"The run's plan was too long to be stored completely, so its changes are not on record.")
	case !slices.ContainsFunc(heads, func(h status.PlanHead) bool { return !h.Idle }):
		return nil, fault.Errorf(fault.Conflict, "The run changed nothing.")
	}
	return heads, nil
}

func plansOf(ctx context.Context, st *status.Store, run status.Run) ([]status.PlanHead, error) {
	last, err := st.Plan(ctx, run.Container, run.ID)
	if err != nil {
		return nil, err
	}
	heads := make([]status.PlanHead, 0, last.Earlier+1)
	for n := range last.Earlier {
		h, err := st.EarlierPlan(ctx, last, n+1)
		if err != nil {
			return nil, err
		}
		heads = append(heads, h)
	}
	return append(heads, last), nil
}

// undone returns the changes that a run that reverts another takes back.
func (w *Worker) undone(ctx context.Context, run status.Run) (*plan.Undone, error) {
	of, err := w.cfg.Status.Get(ctx, run.Container, run.Trigger.Of)
	if err != nil {
		return nil, err
	}
	heads, err := revertible(ctx, w.cfg.Status, of)
	if err != nil {
		return nil, err
	}
	u := &plan.Undone{Run: of.ID, At: of.FinishedAt, By: run.Trigger.By}
	for _, head := range heads {
		if u.Changes, err = w.appendChanges(ctx, u.Changes, head); err != nil {
			return nil, err
		}
	}
	if run.DryRun {
		return u, nil
	}
	// An undo also voids the approvals of the undone changes.
	prints, err := w.approvals(ctx, run.Container, u.Changes)
	if err != nil {
		return nil, err
	}
	return u, w.cfg.Decisions.Undecide(ctx, run.Container, prints)
}

// approvals returns the fingerprints of the approvals of changes. Secret values are not in the plan, so the
// fingerprint of a change with such values is unknown. For these it returns the fingerprints with the same entry and
// operation.
func (w *Worker) approvals(ctx context.Context, container container.ID, changes []plan.Change) ([]string, error) {
	type about struct{ op, id string }
	var prints []string
	unknown := map[about]bool{}
	for i := range changes {
		switch c := &changes[i]; {
		case !c.Approved:
		case slices.ContainsFunc(c.Fields, redacted):
			unknown[about{c.Op.String(), string(c.ID)}] = true
		default:
			prints = append(prints, c.Fingerprint())
		}
	}
	if len(unknown) == 0 {
		return prints, nil
	}
	decisions, err := w.cfg.Decisions.Decisions(ctx, container)
	for print, d := range decisions {
		if d.Verdict == string(plan.Approved) && unknown[about{d.Op, d.ID}] {
			prints = append(prints, print)
		}
	}
	return prints, err
}

func redacted(f plan.FieldChange) bool {
	return slices.Contains(f.Before, secret.Redacted) || slices.Contains(f.After, secret.Redacted)
}

// appendChanges reads the changes that a plan was to apply.
func (w *Worker) appendChanges(ctx context.Context, to []plan.Change, head status.PlanHead) ([]plan.Change, error) {
	_, size := applied(head)
	for from := 0; from < size; {
		rows, err := w.cfg.Status.PlanRows(ctx, head, from, min(planRowsAtOnce, size-from))
		if err != nil {
			return nil, err
		}
		for _, text := range rows {
			var row plan.Row
			if err := json.Unmarshal(text, &row); err != nil {
				return nil, fault.Errorf(fault.Internal, "plan of run %s: %w", head.RunID, err)
			}
			to = append(to, row.Change)
		}
		from += len(rows)
	}
	return to, nil
}

// planRowsAtOnce is the number of plan rows in one read.
const planRowsAtOnce = 5000

// applied returns the number of changes to apply, and how many of them are stored as the plan's first rows.
func applied(head status.PlanHead) (total, kept int) {
	for _, s := range head.Sections {
		if s.Name == string(plan.RowChange) {
			return s.Total, s.Kept
		}
	}
	return 0, 0
}

// keepHeld records the changes of a run's plan that are held for a decision, and its conflicts. A dry run shows its
// plan and replaces nothing.
func (w *Worker) keepHeld(ctx context.Context, run status.Run, apply, held plan.Plan) error {
	if run.DryRun {
		return nil
	}
	set := heldSet(run.ID, w.cfg.Now(), held)
	set.ConflictCount = len(apply.Held)
	for _, h := range apply.Held[:min(len(apply.Held), decisions.MostConflicts)] {
		set.Conflicts = append(set.Conflicts, decisions.Conflict{
			Kind: h.Kind.String(), ID: string(h.ID), Label: h.Label, Reason: string(h.Reason), Detail: h.Detail,
		})
	}
	return w.cfg.Decisions.SetHeld(context.WithoutCancel(ctx), run.Container, set)
}

// addHeld adds held suspensions, and held deletions that begin with one, to the set of the last plan. The run that
// holds them could not plan anything else.
func (w *Worker) addHeld(ctx context.Context, run status.Run, held plan.Plan) error {
	if run.DryRun {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	set, err := w.cfg.Decisions.Held(ctx, run.Container)
	if err != nil {
		return err
	}
	if set.Unsigned { // SetHeld would sign what another program may have written.
		set = decisions.HeldSet{}
	}
	more := heldSet(run.ID, w.cfg.Now(), held)
	set.RunID, set.At = more.RunID, more.At
	again := make(map[string]bool, len(more.Changes))
	for i := range more.Changes {
		again[more.Changes[i].Kind+"/"+more.Changes[i].ID] = true
	}
	set.Changes = slices.DeleteFunc(set.Changes, func(h decisions.HeldChange) bool {
		return h.Op == plan.Suspend.String() || h.Op == plan.Delete.String() && again[h.Kind+"/"+h.ID]
	})
	set.Changes = append(more.Changes, set.Changes...)
	prints := make([]string, len(set.Changes))
	for i := range set.Changes {
		prints[i] = set.Changes[i].Fingerprint
	}
	set.Digest = plan.DigestOf(prints)
	return w.cfg.Decisions.SetHeld(ctx, run.Container, set)
}

func heldSet(runID string, now time.Time, held plan.Plan) decisions.HeldSet {
	set := decisions.HeldSet{Digest: held.HeldDigest(), RunID: runID, At: now.UTC()}
	for row := range plan.Rows(plan.Plan{}, held) { // without the values of secrets
		c, print := &row.Change, held.Changes[len(set.Changes)].Fingerprint()
		h := decisions.HeldChange{
			Fingerprint: print, Op: c.Op.String(), Kind: c.Kind.String(), ID: string(c.ID), Label: c.Label, Address: c.Address,
			RemoteID: c.RemoteID, Why: string(c.Why), Guard: string(c.Guard), Reason: c.Held, From: string(c.From),
		}
		if c.Member != nil {
			h.Member, h.MemberLabel = string(c.Member.ID), c.MemberLabel
		}
		if len(c.Fields) > 0 {
			h.Fields = c.Fields
		}
		set.Changes = append(set.Changes, h)
	}
	return set
}

// StartApproved starts the run that carries out only the approved changes.
func (c *Client) StartApproved(ctx context.Context, container container.ID, by string) (status.Run, error) {
	return c.Start(ctx, container, false, status.Trigger{Kind: status.ByApproval, By: by})
}
