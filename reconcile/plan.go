package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

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
		Missing: v.missing(), Coverage: v.snapshot.Coverage, Forgotten: e.forgotten(v),
		Pins: v.memory.Pins, Only: s.refs,
		Unpinned: v.memory.Unpinned, Unordered: v.memory.Unordered, Orders: v.memory.Orders,
		Filled: v.facts.Filled, Emptied: v.facts.Emptied,
		Whole:        s.limited() && s.may(concludes),
		Capabilities: e.cfg.Provider.Capabilities(), Policy: e.cfg.Policy, Now: v.at,
	}
	if s.may(concludes) { // A sync of one object tries a refused value again.
		in.Rejections = v.facts.Rejections
	}
	limits := e.cfg.Limits
	v.approval = e.approval(v)
	limits.Approval, limits.Verdicts = v.approval, v.memory.Verdicts
	limits.Others = v.others
	limits.Stale, limits.Returning, limits.Clocks = v.stale, v.known, v.clocks
	v.joining = e.newSources(s, v)
	limits.NewSources = v.joining
	apply, held := plan.Decide(in, limits, v.memory.Spent)
	if s.approvedOnly {
		apply = apply.ApprovedOnly()
	}
	if s.undo != nil {
		apply = apply.About(v.undo)
	}
	var leavers []directory.Ref
	if s.leaving {
		apply, leavers = leaversOf(apply)
	}
	if s.suspends || s.alone {
		apply = apply.Suspensions(v.state.EndsSessions)
		held.Changes = slices.DeleteFunc(held.Changes, func(c plan.Change) bool { // A decision is about the deletion.
			_, suspends := c.Suspension(false)
			return !suspends
		})
	}
	report := Report{
		Apply: apply, Held: held, Snapshot: v.snapshot, Desired: v.desired, Domains: v.state.Domains,
		Leavers: leavers,
	}
	if q, ok := e.cfg.Provider.(Estimator); ok {
		report.Apply.Takes = q.Estimate(apply.Changes)
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
	return plan.Missed(v.facts.Coverage, v.snapshot.Coverage, were, v.entries.Of)
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

// mostNamed bounds the number of entries that messages of one kind name.
const mostNamed = 100

// publish reports the size of the source, stores the plan, and stores the pins of an undo. All of that comes before
// the first write, so that the next run does not repeat a change that this one takes back.
func publish(ctx context.Context, run Run, v *view, r *Report) error {
	sayUndo(run, v)
	sayRead(run.Journal, v)
	if v.clocks != "" {
		run.Journal.Say(Warning, "Destructive changes are held: "+v.clocks, nil)
	}
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
	n := v.entries
	j.Read(n.User, n.Group, n.Membership)
	j.Say(Info, fmt.Sprintf("Read %d users, %d groups and %d memberships.", n.User, n.Group, n.Membership), nil)
	for _, n := range v.snapshot.Notes {
		j.Say(Info, n, nil)
	}
	for _, w := range v.memory.Warnings {
		j.Say(Warning, w, nil)
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
	if takes := plan.Lasting(r.Apply.Takes); takes != "" {
		j.Say(Info, takes, nil)
	}
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
			j.Say(Warning, "Changes are held: "+c.Held, map[string]any{"guard": string(c.Guard)})
		}
	}
	for i := range held.Changes[:min(len(held.Changes), mostNamed)] {
		c := &held.Changes[i]
		m := about(c)
		m["guard"] = string(c.Guard)
		text := "Held: " + describe(c)
		if what := c.Text(); what != "" {
			text += ": " + what
		}
		j.Say(Warning, text, m)
	}
	if n := len(held.Changes) - mostNamed; n > 0 {
		j.Say(Warning, fmt.Sprintf("Held: %d more changes.", n), nil)
	}
}

// sayHow names the commands that decide about held changes.
func (e *Engine) sayHow(run Run, r *Report) {
	if name := e.cfg.Container; name != "" && !r.Held.Empty() && run.Scope.may(writes) {
		run.Journal.Say(Info, fmt.Sprintf("To decide about what is held: rollcall held %s, then "+
			"rollcall approve %[1]s or rollcall reject %[1]s.", name), nil)
	}
}

// named formats an entry for the text of a message, with its kind and its label. The id replaces a missing label.
func named(ref directory.Ref, label string) string {
	label = cmp.Or(label, string(ref.ID))
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

// sources returns the sources of the desired entries, sorted.
func (v *view) sources() (out []string) {
	for i := range v.desired.Desired {
		if slug := v.desired.Desired[i].Source; !slices.Contains(out, slug) {
			out = append(out, slug)
		}
	}
	slices.Sort(out)
	return out
}

// newSources returns the sources that the tenant was never synced from. The ledger knows those that it was. Where the
// ledger was lost, a source is no new one if one of its entries has an object (law 4).
func (e *Engine) newSources(s Scope, v *view) (out []plan.NewSource) {
	if e.cfg.Provider.Capabilities().Mirror {
		return nil
	}
	known := v.facts.Sources
	if known == nil && s.limited() { // It does not see the objects of the other entries.
		return nil
	}
	var accounts map[string]plan.Tally
	for _, slug := range v.sources() {
		if slices.Contains(known, slug) {
			continue
		}
		if accounts == nil {
			accounts = v.accounts()
		}
		if n := accounts[slug]; known != nil || n == (plan.Tally{}) {
			out = append(out, plan.NewSource{Slug: slug, Accounts: n})
		}
	}
	return out
}

// accounts counts the objects of the entries of each source.
func (v *view) accounts() map[string]plan.Tally {
	anchored := make(map[directory.Ref]bool, len(v.state.Objects))
	for i := range v.state.Objects {
		if o := &v.state.Objects[i]; o.Anchored() {
			anchored[o.Ref] = true
		}
	}
	out := map[string]plan.Tally{}
	for i := range v.desired.Desired {
		d := &v.desired.Desired[i]
		if !anchored[d.Ref] {
			continue
		}
		n := out[d.Source]
		if d.Kind == directory.User {
			n.User++
		} else {
			n.Group++
		}
		out[d.Source] = n
	}
	return out
}

// noteFirst notes the sources of the first sync of a tenant before its first write. If the run dies, the next one goes
// on with all of them.
func (a *applier) noteFirst(ctx context.Context) error {
	if n := a.report.Apply.Counts.Anchored; n.User+n.Group > 0 || !a.run.Scope.may(confirms) {
		return nil
	}
	a.view.facts.Sources, a.view.joining = a.view.sources(), nil
	return a.cfg.Ledger.SetFacts(ctx, a.view.facts)
}

// joined returns the sources that this run or an earlier one synced from. New sources with joiners that wait for a
// decision, and those that were rejected as a whole, are not among them. A source that had no entry in this run stays
// known while it is configured.
func (a *applier) joined() []string {
	waits := map[string]bool{}
	for i := range a.report.Held.Changes {
		c := &a.report.Held.Changes[i]
		none := func(n plan.NewSource) bool { return n.Slug == c.Source && n.Accounts == plan.Tally{} }
		if c.Joins() && (c.Guard == plan.RuleSource ||
			c.Guard == plan.RuleRejected && slices.ContainsFunc(a.view.joining, none)) {
			waits[c.Source] = true
		}
	}
	all := a.view.sources()
	for _, slug := range a.view.facts.Sources {
		if slices.Contains(a.cfg.Sources, slug) && !slices.Contains(all, slug) {
			all = append(all, slug)
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(all, func(slug string) bool {
		return waits[slug] && slices.ContainsFunc(a.view.joining, func(n plan.NewSource) bool { return n.Slug == slug })
	})
}
