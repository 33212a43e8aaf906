package jobs

import (
	"context"
	"slices"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/plan"
	"rollcall/status"
)

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

// addHeld adds held suspensions to the set of the last plan. The run that holds them could not plan anything else.
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
	set.Changes = slices.DeleteFunc(set.Changes,
		func(h decisions.HeldChange) bool { return h.Op == plan.Suspend.String() })
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
