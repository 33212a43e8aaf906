package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"time"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/plan"
)

// record stores the outcome of the run, even of a stopped one.
func (a *applier) record(ctx context.Context, complete bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	var covered ledger.Pending
	var err error
	if complete { // Before the cursor moves on, so that a run that dies here forgets nothing.
		covered, err = a.keepOpen(ctx)
	}
	if err == nil {
		err = a.hop.record(ctx, a, complete)
	}
	if err == nil && len(covered) > 0 {
		err = a.cfg.Pending.Done(ctx, covered)
	}
	a.run.Journal.Applied(a.report, err)
	return err
}

// keepView has the provider keep its view of the tenant. It comes after the record and may take long, because a large
// tenant tells the writes of a run in hundreds of pages.
func (a *applier) keepView(ctx context.Context) {
	s, ok := a.cfg.Provider.(Settler)
	if !ok || !a.run.Scope.may(confirms) {
		return
	}
	if err := s.Settle(ctx); err != nil {
		a.run.Journal.Say(Warning, "The view of the tenant was not kept; the next run reads more: "+err.Error(), nil)
	}
}

// mostRemembered bounds the number of remembered refused changes.
const mostRemembered = 5000

// link returns the newest link of an entry.
func (a *applier) link(ref directory.Ref) plan.Link {
	if l, ok := a.links[ref]; ok {
		return l
	}
	return a.view.links[ref]
}

// facts stores the facts that the next run compares itself with.
func (a *applier) facts(ctx context.Context) error {
	f := a.view.facts
	f.Refused, f.Cursor = slices.Sorted(slices.Values(a.refused)), a.view.delta.next
	f.Refused = f.Refused[:min(len(f.Refused), mostRemembered)]
	f.Rejections = a.rejected()
	f.LastFull, f.LastRun = a.cfg.Now(), a.run.ID
	if a.run.Scope.may(completes) {
		f.ReadAt = a.view.at
	}
	// A scope counts as seen when nothing of it waits for a decision.
	if a.view.approval == "" || a.report.Held.Empty() {
		f.Scope = a.cfg.Scope
	}
	f.Asks = a.cfg.Provider.Capabilities().Mirror && !a.report.Held.Empty()
	f.Users, f.Groups = a.view.entries.User, a.view.entries.Group
	f.Coverage = a.coverage()
	f.Filled, f.Emptied = a.report.Apply.Filled(), nil
	if a.run.Scope.may(confirms) && !a.cfg.Provider.Capabilities().Mirror {
		f.Sources = a.joined()
		f.Linked, f.Claims = a.linked(), claimsVersion+a.cfg.Scope
	}
	// A changed set of referrals is accepted if nothing is missing with it, or if everything held was approved.
	if len(a.view.doubts) == 0 || a.report.Held.Empty() {
		f.Referrals = a.view.snapshot.Referrals
	}
	if a.view.trusted {
		f.Positions.Trust(a.view.snapshot.Position)
	}
	return a.cfg.Ledger.SetFacts(ctx, f)
}

// rejected returns the values that the tenant refused in the last 24 hours, the newest first.
func (a *applier) rejected() []plan.Rejection {
	out := a.rejections
	for _, r := range a.view.facts.Rejections {
		if a.view.at.Before(r.At.Add(plan.RejectionLife)) {
			out = append(out, r)
		}
	}
	return out[:min(len(out), mostRemembered)]
}

// coverage returns the number of entries with each attribute, for comparison by the next run. A fall is accepted if
// none of its consequences is held.
func (a *applier) coverage() []directory.Coverage {
	waits := slices.ContainsFunc(a.report.Held.Changes, func(c plan.Change) bool {
		return c.Guard == plan.RuleCoverage || c.Guard == plan.RuleRejected || c.Guard == plan.RuleDoubt
	})
	now := a.view.snapshot.Coverage
	if !waits {
		return now
	}
	missing := a.view.missing()
	now = slices.Clone(now)
	for i := range now {
		for _, m := range missing {
			if m.Kind == now[i].Kind && m.Name == now[i].Name {
				now[i].Entries, now[i].Of = m.Before, m.Had
			}
		}
	}
	return now
}

// observe links every object that carries our anchor, and drops links to objects that are gone or belong to another
// entry.
func (a *applier) observe() {
	present, bare := a.observeObjects()
	mark(present, a.view.state.Unsettled...)
	a.observeInactive(present, bare)
	capabilities, shared := a.cfg.Provider.Capabilities(), map[directory.Ref]*plan.Object{}
	if capabilities.Shares() {
		for i := range a.view.state.Objects {
			shared[a.view.state.Objects[i].Ref] = &a.view.state.Objects[i]
		}
	}
	for i := range a.view.desired.Desired {
		d := &a.view.desired.Desired[i]
		if link := a.link(d.Ref); link.RemoteID != "" {
			link.Rekey = cmp.Or(d.Rekey, link.Rekey)
			if o := shared[d.Ref]; o != nil {
				link.Given = capabilities.Seen(link.Given, d.Fields, o.Fields)
			}
			a.set(d.Ref, link)
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
		// An account that still exists and lost its anchor keeps its link. The link prevents a second account.
		if !link.Inactive && (link.RemoteID == "" || !bare[link.RemoteID]) {
			a.lost = append(a.lost, ref)
		}
	}
}

// observeInactive remembers the inactive entries without an account. A first account for one of them is a
// reactivation. An entry with a held account stays remembered. An entry that left or is active does not. An account
// that lost its anchor keeps its link in any case.
func (a *applier) observeInactive(present map[directory.Ref]bool, bare map[string]bool) {
	held := map[directory.Ref]bool{}
	for i := range a.report.Held.Changes {
		held[a.report.Held.Changes[i].Ref] = true
	}
	inactive := map[directory.Ref]bool{}
	for i := range a.view.desired.Desired {
		d := &a.view.desired.Desired[i]
		inactive[d.Ref] = !present[d.Ref] && (!d.Active || held[d.Ref] && a.view.links[d.Ref].Inactive)
		if !inactive[d.Ref] {
			continue
		}
		link := a.link(d.Ref)
		if !bare[link.RemoteID] {
			link = plan.Link{}
		}
		link.Inactive = true
		a.set(d.Ref, link)
	}
	for ref, link := range a.view.links {
		if now := a.link(ref); link.Inactive && !inactive[ref] && now.Inactive && !bare[now.RemoteID] {
			a.lost = append(a.lost, ref)
		}
	}
}

// observeObjects links the objects that were read. It returns the entries that have an object, and the remote ids of
// the objects without our anchor.
func (a *applier) observeObjects() (present map[directory.Ref]bool, bare map[string]bool) {
	present = make(map[directory.Ref]bool, len(a.view.state.Objects))
	carriers := make(map[directory.Ref]int, len(a.view.state.Objects))
	for i := range a.view.state.Objects {
		carriers[a.view.state.Objects[i].Ref]++
	}
	bare = map[string]bool{}
	for i := range a.view.state.Objects {
		o := &a.view.state.Objects[i]
		if !o.Anchored() {
			bare[o.RemoteID] = true
			continue
		}
		present[o.Ref] = true
		link := a.link(o.Ref)
		link.Inactive = false
		if link.RemoteID != o.RemoteID {
			link.RemoteID, link.Created = o.RemoteID, time.Time{}
		}
		if carriers[o.Ref] > 1 { // An ambiguous anchor has no link, so that a lookup finds every object.
			link.RemoteID = ""
		}
		if link.Yields != "" && !a.view.stillYields(o, link.Yields) {
			link.Yields = ""
		}
		// The suspension was lifted, so a later one is not ours. A mark that is still there is left to the plan.
		if _, ours := a.links[o.Ref]; o.Active && o.Suspender != plan.Us && !ours {
			link.Suspended, link.Outlived = false, false
		}
		a.set(o.Ref, link)
	}
	return present, bare
}

// set notes a link that differs from the one of before. The ledger gets it with the next call of store.
func (a *applier) set(ref directory.Ref, link plan.Link) {
	if a.link(ref) != link {
		a.links[ref] = link
		delete(a.stored, ref)
	}
}

// store gives the ledger the links of entries, as far as it does not have them. Another run may change a link that was
// stored, so it is not written again.
func (a *applier) store(ctx context.Context, of []directory.Ref) error {
	a.mu.Lock()
	var links map[directory.Ref]plan.Link
	for _, ref := range of {
		if link, ok := a.links[ref]; ok && !a.stored[ref] {
			if links == nil {
				links = map[directory.Ref]plan.Link{}
			}
			links[ref] = link
		}
	}
	a.mu.Unlock()
	if len(links) == 0 {
		return nil
	}
	if err := a.cfg.Ledger.PutLinks(ctx, links); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for ref, link := range links {
		a.stored[ref] = a.links[ref] == link
	}
	return nil
}

// recordDepartures records the time and reason of each departure, and clears those of entries that came back.
func (a *applier) recordDepartures() {
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

// confirm records the members of the groups that this run listed and did not change, with their witness. A group that
// this run changed stays unconfirmed, and the next run lists it once.
func (a *applier) confirm(ctx context.Context) error {
	confirmed := map[directory.ID]plan.Confirmed{}
	for i := range a.view.state.Objects {
		o := &a.view.state.Objects[i]
		if o.Kind == directory.Group && o.Anchored() && o.Listed && o.Witness != "" && !a.touched[o.ID] {
			confirmed[o.ID] = plan.Confirmed{
				Witness: o.Witness, Members: o.Members, VerifyBy: plan.VerifyBy(a.view.at, o.ID),
			}
		}
	}
	return a.cfg.Ledger.Confirm(ctx, confirmed)
}

// endPins removes the pins and the orders that have ended, and reduces the other pins to the part that still differs
// from the source.
func (a *applier) endPins(ctx context.Context) error {
	if len(a.view.memory.Pins)+len(a.view.memory.Orders) == 0 {
		return nil
	}
	before := make(map[directory.Ref]*plan.Pin, len(a.view.memory.Pins))
	for i := range a.view.memory.Pins {
		before[a.view.memory.Pins[i].Ref] = &a.view.memory.Pins[i]
	}
	update := slices.Clone(a.report.Apply.Pins)
	update = slices.DeleteFunc(update, func(p plan.Pin) bool { return samePin(&p, before[p.Ref]) })
	lapsed, agreed := a.report.Apply.Lapsed, a.report.Apply.Agreed
	if len(a.report.Apply.Doubts) > 0 { // In a doubtful read, a change of the source may be a missing answer.
		lapsed, agreed = nil, nil
	}
	if len(update)+len(lapsed)+len(agreed) == 0 {
		return nil
	}
	ended := slices.DeleteFunc(slices.Clone(a.view.memory.Orders),
		func(o plan.Order) bool { return !slices.Contains(agreed, o.Ref) })
	for i := range ended {
		ref := ended[i].Ref
		a.run.Journal.Say(Info, "The order to leave has ended here: "+named(ref, "")+
			" is disabled or gone at its source.", aboutEntry(ref, "", ""))
	}
	if n := len(lapsed); n > 0 {
		a.run.Journal.Say(Info, fmt.Sprintf("%d pins have ended: the source changed, or wants the same again.", n), nil)
	}
	return a.run.Memory.Keep(ctx, PinChanges{Update: update, Remove: lapsed, Agreed: ended})
}

// newPins returns the pins of this run's undo, merged with earlier pins of the same entries.
func (v *view) newPins() []plan.Pin {
	out := make([]plan.Pin, 0, len(v.undo))
	for i := range v.undo { // Both are sorted, and every pin of the undo is among the pins.
		at, _ := slices.BinarySearchFunc(v.memory.Pins, v.undo[i].Ref,
			func(p plan.Pin, ref directory.Ref) int { return p.Ref.Compare(ref) })
		out = append(out, v.memory.Pins[at])
	}
	return out
}

func samePin(a, b *plan.Pin) bool {
	return b != nil && a.Account == b.Account && a.Address == b.Address && len(a.Groups) == len(b.Groups) &&
		reflect.DeepEqual(a.Fields, b.Fields)
}
