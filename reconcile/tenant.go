package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/source"
)

// tenant is the hop to a tenant. Each write is made under the lock of its entry and only for the planned version.
type tenant struct{ *Engine }

// restrict implements hop.
func (t tenant) restrict(s Scope) (Scope, error) { return s, nil }

// read implements hop. The tenant's domains are read before the mapping. A limited scope reads everything as well
// before the first full run of a configuration.
func (t tenant) read(ctx context.Context, s Scope, v *view) (err error) {
	if near, ok := t.neighbours(s, v); ok {
		return t.readAround(ctx, s, v, near)
	}
	if err := t.ledger(ctx, v); err != nil {
		return err
	}
	if err := t.source(ctx, directory.Query{}, v); err != nil {
		return err
	}
	q := provider.Query{ByID: s.suspends}
	switch {
	case s.suspends:
		q.Lookups = v.lookups(s, nil)
	case s.limited(): // The domains are not known yet. Addresses and groups are all that the lookups need.
		near, err := t.cfg.Desire(groupsAnd(v.snapshot, s), plan.State{})
		if err != nil {
			return err
		}
		q.Lookups = v.lookups(s, near.Desired)
	}
	if err := t.state(ctx, s, q, v); err != nil {
		return err
	}
	if v.desired, err = t.cfg.Desire(v.snapshot, v.state); err != nil {
		return err
	}
	v.rejectUnproven()
	if s.limited() {
		v.addLinked(s)
	}
	return t.deleted(ctx, s, v)
}

// deleted reads the deleted accounts if an active user has none, because the user's account may be among them. If the
// read is refused, only the creation of accounts is held.
func (t tenant) deleted(ctx context.Context, s Scope, v *view) error {
	r, ok := t.cfg.Provider.(provider.Restorer)
	if !ok || !v.lacksAccounts(s) {
		return nil
	}
	var err error
	v.state.Deleted, err = r.Deleted(ctx)
	switch {
	case err == nil:
		return nil
	case fault.KindOf(err).Retryable() || fault.KindOf(err) == fault.Canceled:
		return fmt.Errorf("read provider: %w", err)
	}
	v.state.DeletedUnknown = err.Error()
	return nil
}

// lacksAccounts reports whether an active user of the scope has no account.
func (v *view) lacksAccounts(s Scope) bool {
	has := make(map[directory.Ref]bool, len(v.state.Objects))
	for i := range v.state.Objects {
		has[v.state.Objects[i].Ref] = true
	}
	return slices.ContainsFunc(v.desired.Desired, func(d plan.Desired) bool {
		return d.Kind == directory.User && d.Active && d.Held == "" && !has[d.Ref] &&
			(!s.limited() || slices.Contains(s.refs, d.Ref))
	})
}

// groupsAnd returns a snapshot of the scope's entries and of every group, which is enough for their mapping, scope and
// memberships.
func groupsAnd(all directory.Snapshot, s Scope) directory.Snapshot {
	entries := all.Entries
	all.Entries, all.Partial = nil, true
	for i := range entries {
		if e := &entries[i]; e.Kind == directory.Group || s.has(e.Ref()) {
			all.Entries = append(all.Entries, *e)
		}
	}
	return all
}

// rejectUnproven makes an object foreign if its anchor may belong to another system and names no known entry. An
// entry is known if it is present, departed or linked by the ledger. A foreign object keeps its name and is never
// taken over.
func (v *view) rejectUnproven() {
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
		o.Protected = cmp.Or(o.Protected, o.Unproven)
	}
}

// addLinked adds the linked objects that a limited scope did not look up. They determine the members of a group, the
// number of our objects, and the sizes of groups. An object that was looked up and not found is gone.
func (v *view) addLinked(s Scope) {
	seen := map[string]bool{}
	for i := range v.state.Objects {
		o := &v.state.Objects[i]
		seen[o.RemoteID] = true
		if c, ok := v.groups[o.ID]; ok && o.Kind == directory.Group && o.Size == 0 {
			o.Size = max(len(o.Members), len(c.Members))
		}
	}
	for ref, link := range v.links {
		if link.RemoteID == "" || seen[link.RemoteID] || s.has(ref) {
			continue
		}
		o := plan.Object{Ref: ref, RemoteID: link.RemoteID, Active: true, Stub: true}
		if ref.Kind == directory.Group {
			o.ReadOnly = "its members were not looked up"
		}
		v.state.Objects = append(v.state.Objects, o)
	}
}

// begin implements hop. The members of a group that is about to change are unconfirmed first.
func (t tenant) begin(ctx context.Context, a *applier) error {
	if _, ok := t.cfg.Source.(source.Versioner); !ok {
		return fault.Errorf(fault.Internal, "the source of a tenant cannot tell the versions of its entries")
	}
	if err := a.run.Lease.Check(ctx); err != nil {
		return err
	}
	if err := a.noteFirst(ctx); err != nil {
		return err
	}
	for i := range a.changes {
		if c := &a.changes[i]; c.Op.Membership() {
			a.touched[c.ID] = true
		}
	}
	ids := slices.Collect(maps.Keys(a.touched))
	if len(ids) == 0 {
		return nil
	}
	return t.cfg.Ledger.Unconfirm(ctx, ids...)
}

// write implements hop.
func (t tenant) write(ctx context.Context, a *applier, at []int) error {
	ready := make([]int, 0, len(at))
	for _, i := range at {
		unlock, ok, err := t.admit(ctx, a, i)
		if err != nil {
			return err
		}
		if ok {
			defer unlock()
			ready = append(ready, i)
		}
	}
	if err := a.send(ctx, ready); err != nil {
		return err
	}
	// A leaver in the middle of a first provisioning is counted against the accounts that are there by then.
	refs := make([]directory.Ref, len(ready))
	for k, i := range ready {
		refs[k] = a.changes[i].Ref
	}
	return a.store(ctx, refs)
}

// admit takes the entry's lock and makes sure that the plan is not older than the entry. A change of a locked entry
// moves to the end of the run.
func (t tenant) admit(ctx context.Context, a *applier, i int) (unlock func(), ok bool, err error) {
	if err := a.run.paused(ctx); err != nil {
		return nil, false, err
	}
	c := &a.changes[i]
	unlock, ok, err = a.run.Lease.Lock(ctx, lockName(c))
	if err != nil {
		return nil, false, err
	}
	if !ok {
		a.mu.Lock()
		a.late = append(a.late, i)
		a.mu.Unlock()
		return nil, false, nil
	}
	now, since, err := t.cfg.Source.(source.Versioner).Version(ctx, c.Source, c.Ref)
	why, ordered := changedMeanwhile, false
	if err == nil && now == c.Version {
		if ordered, err = a.ordered(ctx, c); err == nil && !ordered {
			a.due(c, since)
			return unlock, true, nil
		}
		why = orderedMeanwhile
	}
	unlock()
	if err == nil {
		a.superseded(i, why)
	}
	return nil, false, err
}

// ordered reports whether a change gives a user an active account although a person has ordered since the plan was made
// that the user leaves. It is called under the lock of the entry, for which the job of an order waits.
func (a *applier) ordered(ctx context.Context, c *plan.Change) (bool, error) {
	gives := c.Op == plan.Create || c.Op == plan.Restore || c.Op == plan.Adopt || c.Op == plan.Undelete && !c.Inactive
	known := slices.ContainsFunc(a.view.memory.Orders, func(o plan.Order) bool { return o.Ref == c.Ref })
	if !gives || known || c.Kind != directory.User || a.run.Memory == nil {
		return false, nil
	}
	return a.run.Memory.Ordered(ctx, c.Ref)
}

// lockName returns the name of the lock for a change. For a membership it is the pair, so that the members of a large
// group can be written concurrently.
func lockName(c *plan.Change) string {
	if c.Member != nil {
		return c.Ref.String() + "+" + c.Member.String()
	}
	return c.Ref.String()
}

// prepare notes suspensions and yielded addresses in the ledger before they are made. The ledger must have the note
// if the remote object cannot carry our mark. Otherwise a run that dies between the write and its record leaves an
// account with an unknown suspender. A note without a suspension does no harm, because the next run finds the account
// active. The note also starts the grace period, so that a late suspension gets a whole one.
func (t tenant) prepare(ctx context.Context, a *applier, batch []plan.Change) error {
	refs := make([]directory.Ref, len(batch))
	a.mu.Lock()
	for i := range batch {
		refs[i] = batch[i].Ref
		// Some tenants only suspend an account that is deleted.
		if c := &batch[i]; c.Op == plan.Suspend || c.Op == plan.Delete && c.Kind == directory.User && !c.Inactive {
			link := a.link(c.Ref)
			link.RemoteID, link.Suspended = c.RemoteID, true
			if t, ok := a.tombstone(c.Ref); ok {
				link.Departed, link.Why = t.Since, t.Why
			}
			a.set(c.Ref, link)
		} else {
			a.noteYields(c)
		}
	}
	a.mu.Unlock()
	return a.store(ctx, refs)
}

func (a *applier) tombstone(ref directory.Ref) (plan.Tombstone, bool) {
	all := a.report.Apply.Tombstones
	i, ok := slices.BinarySearchFunc(all, ref, func(t plan.Tombstone, ref directory.Ref) int {
		return t.Ref.Compare(ref)
	})
	if !ok {
		return plan.Tombstone{}, false
	}
	return all[i], true
}

// learn implements hop.
func (t tenant) learn(a *applier, c *plan.Change, r provider.Result) {
	if c.Op.Membership() {
		return
	}
	link := a.link(c.Ref)
	switch c.Op {
	case plan.Create:
		link = plan.Link{RemoteID: r.RemoteID, Created: t.cfg.Now()}
		a.remote[c.Ref] = r.RemoteID
	case plan.Adopt, plan.Reanchor:
		link.RemoteID, link.Inactive = c.RemoteID, false
		a.remote[c.Ref] = c.RemoteID
		if c.From != "" {
			old := directory.Ref{Kind: c.Kind, ID: c.From}
			link = a.link(old)
			link.RemoteID, link.Inactive = c.RemoteID, false
			a.lost = append(a.lost, old)
		}
	case plan.Suspend:
		link.Suspended = !r.Foreign
	case plan.Restore:
		link.Suspended, link.Outlived = false, false
		link.Departed, link.Why = time.Time{}, ""
	case plan.Undelete:
		link.RemoteID, link.Suspended, link.Inactive = c.RemoteID, c.Inactive, false
		a.remote[c.Ref] = c.RemoteID
	case plan.Delete:
		if r.Outlived {
			link.RemoteID, link.Suspended, link.Outlived = c.RemoteID, !r.Foreign, true
			break
		}
		a.lost = append(a.lost, c.Ref)
		delete(a.links, c.Ref)
		return
	}
	if capabilities := a.cfg.Provider.Capabilities(); c.Op != plan.Delete { // What outlived it keeps its values.
		link.Given = capabilities.After(link.Given, c.Fields)
	}
	if link.Given != "" {
		link.RemoteID = cmp.Or(link.RemoteID, c.RemoteID)
	}
	a.set(c.Ref, link)
}

// record implements hop. Only a run that read everything and carried out its plan concludes departures, confirms
// members and stores facts.
func (t tenant) record(ctx context.Context, a *applier, complete bool) error {
	if a.run.Scope.may(confirms) {
		a.observe()
		a.recordDepartures()
	}
	if err := a.store(ctx, slices.Collect(maps.Keys(a.links))); err != nil {
		return err
	}
	if err := t.cfg.Ledger.DropLinks(ctx, a.lost...); err != nil {
		return err
	}
	if complete && a.run.Scope.changed {
		return a.countEmptied(ctx)
	}
	if !complete || !a.run.Scope.may(confirms) {
		return nil
	}
	if err := a.confirm(ctx); err != nil {
		return err
	}
	if err := t.cfg.Ledger.SetClaims(ctx, a.claims()); err != nil {
		return err
	}
	if err := a.endPins(ctx); err != nil {
		return err
	}
	return a.facts(ctx)
}
