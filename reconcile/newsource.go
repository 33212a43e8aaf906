package reconcile

import (
	"context"
	"slices"

	"rollcall/directory"
	"rollcall/plan"
)

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

// joined returns the sources that this run or an earlier one synced from, but for new ones with joiners that wait for a
// decision, and those that were rejected as a whole. A source that had no entry in this run stays known while it is
// configured.
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
