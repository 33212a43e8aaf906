package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/source"
)

// Pending stores the entries that the next delta run covers. *ledger.Redis implements it.
type Pending interface {
	// Add makes entries pending.
	Add(ctx context.Context, refs ...directory.Ref) error
	// Pending returns the pending entries.
	Pending(ctx context.Context) (ledger.Pending, error)
	// Done removes entries that were seen pending and not added again since.
	Done(ctx context.Context, seen ledger.Pending) error
}

// delta is what a run knows about changes before it reads.
type delta struct {
	// seen are the entries that were pending.
	seen ledger.Pending
	// next is the source's cursor after this run.
	next source.Cursor
	// since is the cursor of the last run, for a full run that verifies delta runs.
	since source.Cursor
	// given is what was read from the source already, and readAt orders that read.
	given  *directory.Snapshot
	readAt time.Time
	// gone are the entries that are proved to have left.
	gone []directory.Ref
	// owing says why a full run should follow.
	owing string
	// ahead says that an entry may have been sent ahead of this run, so that the providers follow although the local
	// directory has the change already.
	ahead bool
}

// given is a source of which one snapshot was read already.
type given struct {
	source.Source

	read directory.Snapshot
}

// Read implements source.Source.
func (g given) Read(context.Context, directory.Query) (directory.Snapshot, error) { return g.read, nil }

// Unseen implements source.Viewer.
func (g given) Unseen(ctx context.Context, users []directory.Ref) ([]directory.Finding, error) {
	if v, ok := g.Source.(source.Viewer); ok {
		return v.Unseen(ctx, users)
	}
	return nil, nil
}

// resolve decides which entries a run covers. A run over changes becomes a full run where they cannot be told.
func (e *Engine) resolve(ctx context.Context, run *Run) (d delta, err error) {
	s := &run.Scope
	if !s.changed && !s.may(completes) {
		return d, nil
	}
	if e.cfg.Pending != nil && !s.leaving {
		if d.seen, err = e.cfg.Pending.Pending(ctx); err != nil {
			return d, err
		}
	}
	if !s.changed {
		return d, e.beginFull(ctx, run, &d)
	}
	reason, err := e.narrow(ctx, run, &d)
	if err != nil || reason == "" {
		return d, err
	}
	if s.leaving { // Only a run may read everything.
		s.refs = nil
		return delta{}, nil
	}
	run.Journal.Say(Info, "Everything is read: "+reason+".", nil)
	full := Full()
	if !s.may(writes) {
		full = full.DryRun()
	}
	*s = full
	if run.Widened != nil {
		err = run.Widened(ctx)
	}
	return d, err
}

// beginFull gets the cursor from which the changes after a full read of a source can be told.
func (e *Engine) beginFull(ctx context.Context, run *Run, d *delta) error {
	feed, ok := e.cfg.Source.(source.Delta)
	if !ok || !e.cfg.Provider.Capabilities().Mirror {
		return nil
	}
	facts, err := e.cfg.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	c, err := feed.Changes(ctx, facts.Cursor)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	if c.Whole == "" {
		d.since = facts.Cursor
	}
	if d.next = c.Next; c.Next.IsZero() {
		run.Journal.Say(Info, "Changes between full runs are not noticed: "+c.Whole+".", nil)
	}
	sayNotes(run.Journal, c.Notes)
	return nil
}

func sayNotes(j Journal, notes []string) {
	for _, note := range notes {
		j.Say(Info, note, nil)
	}
}

// narrow limits a run to what changed. A reason says why everything must be read.
func (e *Engine) narrow(ctx context.Context, run *Run, d *delta) (reason string, err error) {
	facts, err := e.cfg.Ledger.Facts(ctx)
	_, everything := d.seen[ledger.Everything]
	switch {
	case err != nil:
		return "", err
	case e.cfg.Local == nil || e.cfg.Pending == nil:
		return "changes are not told apart here", nil
	case !facts.Complete():
		return "no full run has completed yet", nil
	case facts.Scope != e.cfg.Scope:
		return "the scope or the mapping was changed since the last full run", nil
	case everything:
		return "the source was read as a whole", nil
	case len(d.seen) > source.MostChanges:
		return fmt.Sprintf("%d entries are pending or still open", len(d.seen)), nil
	}
	if e.cfg.Provider.Capabilities().Mirror {
		if facts.Asks { // The brakes of a few entries are weaker than those of all.
			return "changes of the last full run wait for a decision", nil
		}
		return e.narrowSource(ctx, run, facts.Cursor, d)
	}
	if run.Scope.refs, err = e.widened(ctx, d.seen); err != nil {
		return "", err
	}
	ordered, err := e.ordered(ctx, run.Memory)
	run.Scope.refs = slices.Compact(slices.SortedFunc(slices.Values(append(run.Scope.refs, ordered...)),
		directory.Ref.Compare))
	return "", err
}

// ordered returns the users with an order to leave and an account that was not suspended yet, because the job for it
// failed.
func (e *Engine) ordered(ctx context.Context, memory Memory) ([]directory.Ref, error) {
	if memory == nil {
		return nil, nil
	}
	kept, err := memory.Load(ctx)
	if err != nil || len(kept.Orders) == 0 {
		return nil, err
	}
	refs := make([]directory.Ref, len(kept.Orders))
	for i := range kept.Orders {
		refs[i] = kept.Orders[i].Ref
	}
	links, err := e.cfg.Ledger.LinksOf(ctx, refs...)
	return slices.DeleteFunc(refs, func(ref directory.Ref) bool { return !stands(links[ref]) }), err
}

// stands reports whether an entry has an account that was not suspended by us.
func stands(link plan.Link) bool { return link.RemoteID != "" && !link.Suspended }

// widened adds two sorts of entries to the pending ones. The groups above a pending group contain the same people.
// Other entries have a field that depends on a pending entry, such as the reports of a manager.
func (e *Engine) widened(ctx context.Context, seen ledger.Pending) ([]directory.Ref, error) {
	refs, hood := map[directory.Ref]bool{}, directory.Neighbourhood{}
	for ref := range seen {
		refs[ref] = true
		switch {
		case ref.Kind == directory.Group:
			hood.Refs = append(hood.Refs, ref)
		case e.cfg.References:
			hood.Also = append(hood.Also, ref)
		}
	}
	if len(hood.Refs)+len(hood.Also) > 0 {
		near, err := e.cfg.Local.Around(ctx, hood)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrReadSource, err)
		}
		var claims []string
		for i := range near.Entries {
			n := &near.Entries[i]
			if n.Kind == directory.Group {
				refs[n.Ref()] = true
			}
			if e.cfg.References && seen[n.Ref()] != 0 {
				claims = append(claims, referenceClaim(n.DN))
			}
		}
		dependent, err := e.cfg.Ledger.Claimants(ctx, claims...)
		if err != nil {
			return nil, err
		}
		mark(refs, dependent...)
	}
	return slices.SortedFunc(maps.Keys(refs), directory.Ref.Compare), nil
}

// narrowSource asks the source for its changes and reads what they concern.
func (e *Engine) narrowSource(ctx context.Context, run *Run, since source.Cursor, d *delta) (reason string, err error) {
	feed, ok := e.cfg.Source.(source.Delta)
	if !ok {
		return "this source tells no changes", nil
	}
	if clock, ok := e.cfg.Provider.(Committer); ok {
		if d.readAt, err = clock.Clock(ctx); err != nil {
			return "", err
		}
	}
	c, err := feed.Changes(ctx, since)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	sayNotes(run.Journal, c.Notes)
	if d.next = c.Next; c.Whole != "" {
		return c.Whole, nil
	}
	if run.Scope.leaving { // Groups are left to the next delta run.
		c.Refs = slices.DeleteFunc(c.Refs, func(ref directory.Ref) bool { return ref.Kind == directory.Group })
		c.Gone = slices.DeleteFunc(c.Gone, func(g source.Gone) bool { return g.Kind == directory.Group })
	}
	if c.Empty() && len(d.seen) == 0 {
		return "", nil
	}
	r, err := e.review(ctx, c, d.seen)
	if err != nil {
		return "", err
	}
	if name := r.recreated(); name != "" {
		return name + " left and has the name of a new entry", nil
	}
	if !run.Scope.leaving {
		if err := r.regroup(ctx, feed); err != nil {
			return "", err
		}
	}
	d.ahead = r.ahead()
	if d.owing = r.owing; d.owing != "" {
		run.Journal.Say(Warning, "A full read is needed: "+d.owing+".", nil)
	}
	d.gone = slices.SortedFunc(maps.Keys(r.gone), directory.Ref.Compare)
	for _, ref := range d.gone {
		run.Journal.Say(Info, fmt.Sprintf("Left: %s %s.", named(ref, r.was[ref].Label()), r.gone[ref]),
			aboutEntry(ref, r.was[ref].Label(), ""))
	}
	run.Scope.refs, d.given = slices.SortedFunc(maps.Keys(r.refs), directory.Ref.Compare), &r.read
	return "", nil
}

// idle ends a run over changes that has nothing to do.
func (e *Engine) idle(ctx context.Context, run Run, d delta) (Report, error) {
	run.Journal.Say(Info, "Nothing changed, and nothing is still open.", nil)
	if run.Scope.leaving {
		return Report{}, nil
	}
	var empty plan.Plan
	if err := run.Journal.Planned(ctx, empty, empty); err != nil || !run.Scope.may(writes) {
		return Report{}, err
	}
	return Report{Changed: d.ahead, Owing: d.owing}, e.keepCursor(ctx, run, d, nil)
}

// countEmptied adds the fields that a delta run of a provider emptied to those of earlier ones.
func (a *applier) countEmptied(ctx context.Context) error {
	emptied := a.report.Apply.Emptied()
	if len(emptied) == 0 {
		return nil
	}
	facts := a.view.facts
	facts.Emptied = facts.Emptied.Plus(emptied)
	return a.cfg.Ledger.SetFacts(ctx, facts)
}

// keepCursor stores how far the changes of the source were read, and which fields the run emptied.
func (e *Engine) keepCursor(ctx context.Context, run Run, d delta, emptied plan.Filled) error {
	if d.next.IsZero() {
		return nil
	}
	if err := run.Lease.Check(ctx); err != nil {
		return err
	}
	facts, err := e.cfg.Ledger.Facts(ctx)
	if err != nil {
		return err
	}
	facts.Cursor, facts.Emptied = d.next, facts.Emptied.Plus(emptied)
	if order, _ := facts.Positions.Judge(d.next.Position); order == directory.Newer && !d.next.Position.IsZero() {
		facts.Positions.Trust(d.next.Position) // A later read from a server without these changes is older.
	}
	return e.cfg.Ledger.SetFacts(ctx, facts)
}

// keepOpen adds what is still open to what is pending for the next delta run, and returns what this run covered.
func (a *applier) keepOpen(ctx context.Context) (ledger.Pending, error) {
	if a.cfg.Pending == nil || a.run.Scope.leaving || !a.run.Scope.changed && !a.run.Scope.may(completes) {
		return nil, nil
	}
	open := map[directory.Ref]bool{}
	for i := range a.report.Held.Changes {
		open[a.report.Held.Changes[i].Ref] = true
	}
	for i := range a.report.Apply.Held {
		open[a.report.Apply.Held[i].Ref] = true
	}
	for _, f := range a.view.snapshot.Findings {
		open[f.Ref] = true
	}
	mark(open, slices.Concat(a.again, a.report.Apply.Undecided)...)
	var fresh []directory.Ref
	seen := maps.Clone(a.view.delta.seen)
	for ref := range open {
		if _, is := seen[ref]; is {
			delete(seen, ref)
		} else if ref.ID != "" {
			fresh = append(fresh, ref)
		}
	}
	if len(fresh) > source.MostChanges {
		fresh = []directory.Ref{ledger.Everything}
	}
	if len(fresh) == 0 {
		return seen, nil
	}
	return seen, a.cfg.Pending.Add(ctx, fresh...)
}

// follow reports whether an update only follows entries that were renamed, moved or deleted: each value that went is a
// DN that no entry has any more.
func (l *links) follow(ch *plan.Change) bool {
	if ch.Op != plan.Update || len(ch.Fields) == 0 {
		return false
	}
	if l.names == nil {
		l.names = make(map[string]bool, len(l.desired))
		for i := range l.desired {
			l.names[mapping.DNKey(l.desired[i].Fields.Get(plan.MirrorDN))] = true
		}
	}
	for _, f := range ch.Fields {
		gone := slices.DeleteFunc(slices.Clone(f.Before), func(v string) bool { return slices.Contains(f.After, v) })
		come := slices.DeleteFunc(slices.Clone(f.After), func(v string) bool { return slices.Contains(f.Before, v) })
		if f.Name == plan.MirrorDN || len(gone) == 0 || len(come) > len(gone) {
			return false
		}
		for _, value := range slices.Concat(gone, come) {
			if !mapping.IsDN(value) {
				return false
			}
		}
		if slices.ContainsFunc(gone, func(v string) bool { return l.names[mapping.DNKey(v)] }) {
			return false
		}
	}
	return true
}

var _ source.Source = given{}
