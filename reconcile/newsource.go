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
func (e *Engine) newSources(s Scope, v *view) []string {
	if e.cfg.Provider.Capabilities().Mirror {
		return nil
	}
	known := v.facts.Sources
	if known == nil {
		if s.limited() { // It does not see the objects of the other entries.
			return nil
		}
		known = v.anchoring()
	}
	return slices.DeleteFunc(v.sources(), func(slug string) bool { return slices.Contains(known, slug) })
}

// anchoring returns the sources with an entry that has an object.
func (v *view) anchoring() (out []string) {
	anchored := make(map[directory.Ref]bool, len(v.state.Objects))
	for i := range v.state.Objects {
		if o := &v.state.Objects[i]; o.Anchored() {
			anchored[o.Ref] = true
		}
	}
	for i := range v.desired.Desired {
		if d := &v.desired.Desired[i]; anchored[d.Ref] && !slices.Contains(out, d.Source) {
			out = append(out, d.Source)
		}
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

// joined returns the sources that this run synced from, but for new ones with joiners that wait for a decision.
func (a *applier) joined() []string {
	waits := map[string]bool{}
	for i := range a.report.Held.Changes {
		c := &a.report.Held.Changes[i]
		if c.Joins() && (c.Guard == plan.RuleSource || c.Guard == plan.RuleRejected) {
			waits[c.Source] = true
		}
	}
	return slices.DeleteFunc(a.view.sources(), func(slug string) bool {
		return waits[slug] && slices.Contains(a.view.joining, slug)
	})
}
