package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
)

// view is everything that one run read.
type view struct {
	at time.Time
	// readAt orders this read of the source among others; see Committer.
	readAt   time.Time
	snapshot directory.Snapshot
	desired  mapping.Result
	state    plan.State
	links    map[directory.Ref]plan.Link
	facts    ledger.Facts
	doubts   []string
	// approval says why everything waits for a person; empty where it does not.
	approval string
	// sourceRead and stateRead say how far the reading came.
	sourceRead, stateRead bool
	// stubs is how many objects of the state are known from the ledger alone.
	stubs int
	// pins are those that were kept, with those of this run's undo, which undoes has alone.
	pins, undoes []plan.Pin
	// strangers are the addresses, or remote ids, of active accounts whose anchor names nothing that we know of.
	strangers []string
}

// read reads both sides, completely or not at all: with an error, what was read before it is for explanations only.
func (e *Engine) read(ctx context.Context, run Run) (*view, error) {
	v := &view{at: e.cfg.Now()}
	var err error
	if v.facts, err = e.cfg.Ledger.Facts(ctx); err != nil {
		return v, err
	}
	if v.links, err = e.cfg.Ledger.Links(ctx); err != nil {
		return v, err
	}
	groups, err := e.cfg.Ledger.Groups(ctx)
	if err != nil {
		return v, err
	}
	if c, ok := e.cfg.Provider.(Committer); ok {
		if v.readAt, err = c.Clock(ctx); err != nil {
			return v, err
		}
	}
	if v.snapshot, err = e.cfg.Source.Read(ctx, e.question(run)); err != nil {
		return v, fmt.Errorf("read source: %w", err)
	}
	v.sourceRead = true
	q := provider.Query{Known: v.links, Groups: groups, Now: v.at}
	if e.mirror() { // The mirror is asked for what differs, so what is desired comes first.
		if v.desired, err = e.cfg.Desire(v.snapshot, plan.State{}); err != nil {
			return v, err
		}
		q.Versions = versions(v.desired.Desired)
	}
	if len(run.Only) > 0 {
		if q.Lookups, err = e.lookups(v, run.Only, groups); err != nil {
			return v, err
		}
	}
	if v.state, err = e.remote(ctx, run, q); err != nil {
		return v, fmt.Errorf("read provider: %w", err)
	}
	v.stateRead = true
	if !e.mirror() {
		if v.desired, err = e.cfg.Desire(v.snapshot, v.state); err != nil {
			return v, err
		}
	}
	v.disown()
	if len(run.Only) > 0 && !e.mirror() {
		v.stub(groups, run.Only)
	}
	return v, e.believe(v, len(run.Only) == 0)
}

// remote reads the provider, for no longer than the run wants to wait.
func (e *Engine) remote(ctx context.Context, run Run, q provider.Query) (plan.State, error) {
	if run.within == 0 {
		return e.cfg.Provider.Read(ctx, q)
	}
	bounded, cancel := context.WithTimeout(ctx, run.within)
	defer cancel()
	state, err := e.cfg.Provider.Read(bounded, q)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil { // The words of the last of many tries say less.
		err = fault.Errorf(fault.Unavailable, "no answer within %s: the tenant is down or slow, or its quota is spent", run.within)
	}
	return state, err
}

func (e *Engine) mirror() bool { return e.cfg.Provider.Capabilities().Mirror }

// question is what to ask the source. Only the mirror's source is asked for single entries: a tenant's scope, nested
// groups and addresses can only be judged over the whole local directory, which costs no call to anybody.
func (e *Engine) question(run Run) directory.Query {
	if e.mirror() {
		return directory.Query{Refs: run.Only}
	}
	return directory.Query{}
}

func versions(desired []plan.Desired) map[directory.Ref]string {
	out := make(map[directory.Ref]string, len(desired))
	for i := range desired {
		out[desired[i].Ref] = desired[i].Version
	}
	return out
}

// believe fails the run, or doubts what is missing, where an answer is complete in form and not to be believed.
func (e *Engine) believe(v *view, full bool) error {
	v.doubts = slices.Concat(v.snapshot.Doubts, v.desired.Doubts)
	if !full {
		return nil
	}
	users := 0
	for i := range v.state.Objects {
		if o := &v.state.Objects[i]; o.Anchored() && o.Kind == directory.User {
			users++
		}
	}
	if users > 0 && v.snapshot.Count(directory.User) == 0 {
		return fault.Errorf(fault.Unsafe, "the source answered with no users where there were %d: nothing is changed; check the base DN, the filter and the rights of the account that we bind as", users)
	}
	if !v.facts.LastFull.IsZero() && !slices.Equal(v.facts.Referrals, v.snapshot.Referrals) {
		v.doubts = append(v.doubts, fmt.Sprintf("the server refers to other places than in the last good run (now: %s; then: %s)", list(v.snapshot.Referrals), list(v.facts.Referrals)))
	}
	return nil
}

func list(s []string) string {
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ", ")
}

// lookups says what to look for in the provider for an object job.
func (e *Engine) lookups(v *view, only []directory.Ref, groups map[directory.ID]plan.Confirmed) ([]provider.Lookup, error) {
	desired := v.desired
	if !e.mirror() {
		var err error // The verified domains are not known yet; addresses and groups are all that is wanted here.
		if desired, err = e.cfg.Desire(around(v.snapshot, only), plan.State{}); err != nil {
			return nil, err
		}
	}
	var out []provider.Lookup
	for _, ref := range only {
		l := provider.Lookup{Ref: ref, RemoteID: v.links[ref].RemoteID}
		for i := range desired.Desired {
			d := &desired.Desired[i]
			if d.Ref == ref {
				l.Address = d.Address
			}
			if d.Kind == directory.Group && ref.Kind == directory.User && v.links[d.Ref].RemoteID != "" && concernsMember(d, ref, l.RemoteID, groups) {
				l.Groups = append(l.Groups, provider.GroupRef{ID: d.ID, RemoteID: v.links[d.Ref].RemoteID})
			}
		}
		out = append(out, l)
	}
	return out, nil
}

// around is a snapshot of the entries and every group: what their own mapping, scope and memberships need.
func around(s directory.Snapshot, only []directory.Ref) directory.Snapshot {
	all := s.Entries
	s.Entries = nil
	for i := range all {
		if e := &all[i]; e.Kind == directory.Group || slices.Contains(only, e.Ref()) {
			s.Entries = append(s.Entries, *e)
		}
	}
	return s
}

// concernsMember reports whether the user should be in the group, or was when its members were last confirmed.
func concernsMember(d *plan.Desired, user directory.Ref, remote string, groups map[directory.ID]plan.Confirmed) bool {
	if slices.ContainsFunc(d.Members, func(m plan.Member) bool { return m.Ref == user }) {
		return true
	}
	_, was := slices.BinarySearch(groups[d.ID].Members, remote)
	return remote != "" && was
}

// disown makes objects foreign whose anchor may be somebody else's and belongs to nothing that we know of: not to an entry,
// present or departed, nor to a link. They keep their names and are never taken over.
func (v *view) disown() {
	var known map[directory.Ref]bool
	for i := range v.state.Objects {
		o := &v.state.Objects[i]
		if o.Unproven == "" || !o.Anchored() || v.links[o.Ref].RemoteID != "" {
			continue
		}
		if known == nil {
			known = v.refs()
		}
		if known[o.Ref] {
			continue
		}
		o.ID = ""
		if o.Active && o.ReadOnly == "" {
			v.strangers = append(v.strangers, cmp.Or(o.Address, o.RemoteID))
		}
		if o.Protected == "" {
			o.Protected = o.Unproven
		}
	}
}

// refs returns what the source has or had, usable or not.
func (v *view) refs() map[directory.Ref]bool {
	refs := make(map[directory.Ref]bool, len(v.desired.Desired))
	for i := range v.desired.Desired {
		refs[v.desired.Desired[i].Ref] = true
	}
	for _, ref := range v.desired.OutOfScope {
		refs[ref] = true
	}
	for _, d := range v.snapshot.Departed {
		refs[d.Ref] = true
	}
	for _, f := range v.snapshot.Findings {
		refs[f.Ref] = true
	}
	for ref := range v.snapshot.Versions {
		refs[ref] = true
	}
	return refs
}

// stub adds what the ledger knows of objects that an object job does not look up: who is who among the members of a
// group, how many objects are ours, and how large groups are. What was looked up and is not there is gone.
func (v *view) stub(groups map[directory.ID]plan.Confirmed, only []directory.Ref) {
	seen := map[string]bool{}
	for i := range v.state.Objects {
		o := &v.state.Objects[i]
		seen[o.RemoteID] = true
		if c, ok := groups[o.ID]; ok && o.Kind == directory.Group && o.Size == 0 {
			o.Size = max(len(o.Members), len(c.Members))
		}
	}
	for ref, link := range v.links {
		if link.RemoteID != "" && !seen[link.RemoteID] && !slices.Contains(only, ref) {
			o := plan.Object{Ref: ref, RemoteID: link.RemoteID, Active: true}
			if ref.Kind == directory.Group {
				o.ReadOnly = "its members were not looked up"
			}
			v.state.Objects = append(v.state.Objects, o)
			v.stubs++
		}
	}
}
