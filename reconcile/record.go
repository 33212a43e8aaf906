package reconcile

import (
	"context"
	"slices"
	"time"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
)

// learn keeps what a change that succeeded says of the remote object. The caller holds the lock.
func (a *applier) learn(c *plan.Change, r provider.Result) {
	if r.Note != "" {
		m := about(c)
		a.run.Journal.Say(Info, r.Note, m)
	}
	if a.mirror() || c.Op.Membership() {
		return
	}
	link := a.link(c.Ref)
	switch c.Op {
	case plan.Create:
		link = plan.Link{RemoteID: r.RemoteID, Created: a.cfg.Now()}
		a.remote[c.Ref] = r.RemoteID
	case plan.Adopt, plan.Reanchor:
		link.RemoteID = c.RemoteID
		a.remote[c.Ref] = c.RemoteID
		if c.From != "" {
			a.lost = append(a.lost, directory.Ref{Kind: c.Kind, ID: c.From})
		}
	case plan.Suspend:
		link.Suspended = !r.Foreign
	case plan.Restore:
		link.Suspended = false
		link.Departed, link.Why = time.Time{}, ""
	case plan.Undelete:
		link.RemoteID, link.Suspended = c.RemoteID, c.Inactive
		a.remote[c.Ref] = c.RemoteID
	case plan.Delete:
		a.lost = append(a.lost, c.Ref)
		delete(a.links, c.Ref)
		return
	default:
		return
	}
	a.links[c.Ref] = link
}

// intend notes suspensions before they are made. Where the remote object cannot carry our mark, the ledger has to: a run
// that dies between the write and its record would leave an account of which nobody knows who suspended it. A note that
// comes to nothing does no harm, as the next run finds the account active. The clock of the grace period is noted with it:
// of somebody who left long ago and is suspended only now it begins now.
func (a *applier) intend(ctx context.Context, batch []plan.Change) error {
	notes := map[directory.Ref]plan.Link{}
	a.mu.Lock()
	for i := range batch {
		if c := &batch[i]; c.Op == plan.Suspend && !a.mirror() {
			link := a.link(c.Ref)
			link.RemoteID, link.Suspended = c.RemoteID, true
			if t, ok := a.tombstone(c.Ref); ok {
				link.Departed, link.Why = t.Since, t.Why
			}
			a.links[c.Ref], notes[c.Ref] = link, link
		}
	}
	a.mu.Unlock()
	if len(notes) == 0 {
		return nil
	}
	return a.cfg.Ledger.PutLinks(ctx, notes)
}

func (a *applier) tombstone(ref directory.Ref) (plan.Tombstone, bool) {
	all := a.report.Apply.Tombstones
	i, ok := slices.BinarySearchFunc(all, ref, func(t plan.Tombstone, ref directory.Ref) int { return t.Ref.Compare(ref) })
	if !ok {
		return plan.Tombstone{}, false
	}
	return all[i], true
}

func (a *applier) link(ref directory.Ref) plan.Link {
	if l, ok := a.links[ref]; ok {
		return l
	}
	return a.view.links[ref]
}

// record writes to the ledger what is known now. Only a full run that carried out its plan concludes departures,
// confirms members and leaves facts.
func (a *applier) record(ctx context.Context, carriedOut bool) error {
	full := len(a.run.Only) == 0
	if a.mirror() {
		return a.commit(ctx, full && carriedOut)
	}
	a.report.Changed = a.report.Applied > 0
	if full {
		a.observe()
		a.bury()
	}
	if err := a.cfg.Ledger.PutLinks(ctx, a.links); err != nil {
		return err
	}
	if err := a.cfg.Ledger.DropLinks(ctx, a.lost...); err != nil {
		return err
	}
	if !full || !carriedOut {
		return nil
	}
	if err := a.confirm(ctx); err != nil {
		return err
	}
	if err := a.unpin(ctx); err != nil {
		return err
	}
	if s, ok := a.cfg.Provider.(Settler); ok {
		if err := s.Settle(ctx); err != nil {
			a.run.Journal.Say(Warning, "What the tenant looks like now was not kept; the next run reads more: "+err.Error(), nil)
		}
	}
	return a.facts(ctx)
}

// commit makes the local directory readable again and remembers what it was made of.
func (a *applier) commit(ctx context.Context, whole bool) error {
	if !whole {
		return nil
	}
	if err := a.run.Gate.Check(ctx); err != nil {
		return err
	}
	if c, ok := a.cfg.Provider.(Committer); ok {
		changed, err := c.Commit(ctx, a.run.ID)
		if err != nil {
			return err
		}
		a.report.Changed = changed
	}
	return a.facts(ctx)
}

func (a *applier) facts(ctx context.Context) error {
	f := a.view.facts
	f.LastFull, f.LastRun, f.Plan = a.cfg.Now(), a.run.ID, a.report.Apply.Digest()
	if a.run.Undo == nil && (!a.run.ApprovedOnly || a.mirror()) {
		f.ReadAt = a.view.at
	}
	if a.view.approval == "" || a.report.Held.Empty() { // A scope counts as seen when nothing of it waits for a person.
		f.Scope = a.cfg.Scope
	}
	f.Users, f.Groups = a.view.snapshot.Count(directory.User), a.view.snapshot.Count(directory.Group)
	// A changed set with which nobody is missing, or with which a person let everything go, is the new one.
	if len(a.view.doubts) == 0 || a.report.Held.Empty() {
		f.Referrals = a.view.snapshot.Referrals
	}
	return a.cfg.Ledger.SetFacts(ctx, f)
}

// observe links every object that carries our anchor, and forgets links to what is no longer there or is another's.
func (a *applier) observe() {
	rekeys := make(map[directory.Ref]string, len(a.view.desired.Desired))
	for i := range a.view.desired.Desired {
		rekeys[a.view.desired.Desired[i].Ref] = a.view.desired.Desired[i].Rekey
	}
	present := make(map[directory.Ref]bool, len(a.view.state.Objects))
	carriers := make(map[directory.Ref]int, len(a.view.state.Objects))
	for i := range a.view.state.Objects {
		carriers[a.view.state.Objects[i].Ref]++
	}
	bare := map[string]bool{} // remote ids of objects without an anchor of ours
	for i := range a.view.state.Objects {
		o := &a.view.state.Objects[i]
		if !o.Anchored() {
			bare[o.RemoteID] = true
			continue
		}
		present[o.Ref] = true
		link := a.link(o.Ref)
		if link.RemoteID != o.RemoteID {
			link.RemoteID, link.Created = o.RemoteID, time.Time{}
		}
		if carriers[o.Ref] > 1 { // Nobody can say which it is: whoever looks again must find all of them.
			link.RemoteID = ""
		}
		// Whoever lifted the suspension: a later one is not ours. A mark that the provider still shows is the plan's business.
		if _, ours := a.links[o.Ref]; o.Active && o.Suspender != plan.Us && !ours {
			link.Suspended = false
		}
		a.set(o.Ref, link)
	}
	for _, ref := range a.view.state.Unsettled {
		present[ref] = true
	}
	for ref, rekey := range rekeys {
		if link := a.link(ref); link.RemoteID != "" && rekey != "" {
			link.Rekey = rekey
			a.set(ref, link)
		}
	}
	gone := map[directory.Ref]bool{}
	for _, ref := range a.lost {
		gone[ref] = true
		delete(a.links, ref)
	}
	for ref, link := range a.view.links {
		if _, made := a.links[ref]; present[ref] || made || gone[ref] {
			continue
		}
		// An account that is there and lost its anchor keeps its link: it is what keeps a second one from being made.
		if link.RemoteID == "" || !bare[link.RemoteID] {
			a.lost = append(a.lost, ref)
		}
	}
}

// set keeps a link that differs from what the ledger has.
func (a *applier) set(ref directory.Ref, link plan.Link) {
	if _, pending := a.links[ref]; pending || a.view.links[ref] != link {
		a.links[ref] = link
	}
}

// bury records who is gone since when, and wakes who came back.
func (a *applier) bury() {
	gone := make(map[directory.Ref]bool, len(a.report.Apply.Tombstones))
	for _, t := range a.report.Apply.Tombstones {
		gone[t.Ref] = true
		link := a.link(t.Ref)
		if link.RemoteID == "" {
			continue
		}
		link.Departed, link.Why = t.Since, t.Why
		a.set(t.Ref, link)
	}
	for ref := range a.view.links {
		if link := a.link(ref); !gone[ref] && !link.Departed.IsZero() {
			link.Departed, link.Why = time.Time{}, ""
			a.set(ref, link)
		}
	}
	for _, ref := range a.lost {
		delete(a.links, ref)
	}
}

// confirm records the members of the groups that this run listed and did not change, with the witness of that moment.
// A group that we changed is unconfirmed: the next run lists it once.
func (a *applier) confirm(ctx context.Context) error {
	confirmed := map[directory.ID]plan.Confirmed{}
	for i := range a.view.state.Objects {
		o := &a.view.state.Objects[i]
		if o.Kind == directory.Group && o.Anchored() && o.Listed && o.Witness != "" && !a.touched[o.ID] {
			confirmed[o.ID] = plan.Confirmed{Witness: o.Witness, Members: o.Members, VerifyBy: plan.VerifyBy(a.view.at, o.ID)}
		}
	}
	return a.cfg.Ledger.Confirm(ctx, confirmed)
}
