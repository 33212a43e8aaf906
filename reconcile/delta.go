package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/ledger"
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
	run.Scope.refs, err = e.widened(ctx, d.seen)
	return "", err
}

// widened returns pending entries with the groups above the groups among them, which contain the same people, and
// with the entries that have a field that depends on one of them, such as the reports of a manager.
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
		for _, ref := range dependent {
			refs[ref] = true
		}
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

// review compares the entries that changed with the local directory.
type review struct {
	*Engine
	// was are the entries before, and gone those that are proved to have left.
	was  map[directory.Ref]*directory.Entry
	gone map[directory.Ref]string
	// sent are those that left the local directory already, such as leavers that were sent ahead of this run.
	sent []directory.Ref
	// unstated are entries that lack an attribute that decides about activity.
	unstated map[directory.Ref]bool
	// read are the entries now, and refs all that are covered.
	read  directory.Snapshot
	refs  map[directory.Ref]bool
	owing string
}

func (e *Engine) review(ctx context.Context, c source.Changes, seen ledger.Pending) (*review, error) {
	r := &review{Engine: e, was: map[directory.Ref]*directory.Entry{}, gone: map[directory.Ref]string{},
		unstated: map[directory.Ref]bool{}, refs: map[directory.Ref]bool{},
		read: directory.Snapshot{Position: c.Next.Position}}
	all := slices.Clone(c.Refs)
	all = slices.AppendSeq(all, maps.Keys(seen))
	for _, g := range c.Gone {
		all = append(all, g.Ref)
	}
	slices.SortFunc(all, directory.Ref.Compare)
	all = slices.Compact(all)
	local, err := e.cfg.Local.Around(ctx, directory.Neighbourhood{Also: all})
	if err != nil {
		return nil, err
	}
	for i := range local.Entries {
		r.was[local.Entries[i].Ref()] = &local.Entries[i]
	}
	for _, g := range c.Gone {
		if r.was[g.Ref] != nil {
			r.gone[g.Ref], r.refs[g.Ref] = g.Proof, true
		} else if slices.ContainsFunc(local.Departed, func(d directory.Departure) bool { return d.Ref == g.Ref }) {
			r.sent = append(r.sent, g.Ref)
		}
	}
	ask := slices.DeleteFunc(all, func(ref directory.Ref) bool {
		return r.gone[ref] != "" || r.was[ref] == nil && !slices.Contains(c.Refs, ref) && seen[ref] == 0
	})
	for _, ref := range c.Unstated {
		r.unstated[ref] = true
	}
	return r, r.ask(ctx, ask)
}

// ahead reports whether an entry was already gone or disabled in the local directory.
func (r *review) ahead() bool {
	return len(r.sent) > 0 || slices.ContainsFunc(r.read.Entries, func(e directory.Entry) bool {
		old := r.was[e.Ref()]
		return old != nil && !old.Active && !e.Active
	})
}

// ask reads entries. A known entry that is absent without proof keeps what it had.
func (r *review) ask(ctx context.Context, refs []directory.Ref) error {
	if len(refs) == 0 {
		return nil
	}
	more, err := r.cfg.Source.Read(ctx, directory.Query{Refs: refs})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	if err := atLeast(more.Position, r.read.Position); err != nil {
		return err
	}
	for _, ref := range refs {
		r.refs[ref] = true
	}
	for _, ref := range more.Absent {
		if old := r.was[ref]; old != nil {
			more.Findings = append(more.Findings, directory.Finding{Ref: ref, DN: old.DN, Label: old.Label(),
				Problem: "it is absent at its source, and nothing proves that it left: the next full run decides"})
			r.owing = named(ref, old.Label()) + " is absent without proof that it left"
		} else {
			delete(r.refs, ref)
		}
	}
	more.Entries = slices.DeleteFunc(more.Entries, func(e directory.Entry) bool {
		old := r.was[e.Ref()]
		back := old != nil && !old.Active && e.Active && r.unstated[e.Ref()]
		if back {
			delete(r.refs, e.Ref())
			r.owing = fmt.Sprintf("%s may be active again, and an attribute that decides about it is absent",
				named(e.Ref(), old.Label()))
		}
		return back
	})
	r.read.Entries = append(r.read.Entries, more.Entries...)
	r.read.Findings = append(r.read.Findings, more.Findings...)
	r.read.Doubts = append(r.read.Doubts, more.Doubts...)
	r.read.Notes = append(r.read.Notes, more.Notes...)
	slices.SortFunc(r.read.Entries, func(a, b directory.Entry) int { return a.Ref().Compare(b.Ref()) })
	return nil
}

// atLeast requires that entries come from a server that has the changes which were told. Several servers may stand
// behind one name. The next run asks again.
func atLeast(read, told directory.Position) error {
	if read.IsZero() || told.IsZero() {
		return nil
	}
	if order := read.Compare(told); order != directory.Same && order != directory.Newer {
		return fmt.Errorf("%w: %w", ErrReadSource, fault.Errorf(fault.Unavailable,
			"the changes were told by one server (%s) and the entries read from another one (%s), which may lack them", told,
			read))
	}
	return nil
}

// recreated names a departed entry with the DN, login name or address of a new one. Whether it is the same person is
// for a full run to find out.
func (r *review) recreated() string {
	key := func(attribute, value string) string { return attribute + "=" + value }
	taken := map[string]bool{}
	for i := range r.read.Entries {
		if e := &r.read.Entries[i]; r.was[e.Ref()] == nil {
			for _, name := range []string{directory.UserName, directory.Mail, directory.EmployeeNumber} {
				taken[key(name, e.Attributes.Get(name))] = true
			}
			taken[key("dn", e.DN)] = true
		}
	}
	for ref := range r.gone {
		old := r.was[ref]
		for _, name := range []string{directory.UserName, directory.Mail, directory.EmployeeNumber} {
			if v := old.Attributes.Get(name); v != "" && taken[key(name, v)] {
				return named(ref, old.Label())
			}
		}
		if taken[key("dn", old.DN)] {
			return named(ref, old.Label())
		}
	}
	return ""
}

// regroup reads the groups whose members may be others because an entry came, left or has another name.
func (r *review) regroup(ctx context.Context, feed source.Delta) error {
	var moved []directory.Entry
	left := slices.Clone(r.sent) // Their groups still have them, and a server need not tell a change of these groups.
	for i := range r.read.Entries {
		e := &r.read.Entries[i]
		old := r.was[e.Ref()]
		if old != nil && old.DN == e.DN && old.Attributes.Get(directory.UserName) == e.Attributes.Get(directory.UserName) {
			continue
		}
		moved = append(moved, *e)
		if old != nil {
			moved, left = append(moved, *old), append(left, e.Ref())
		}
	}
	for ref := range r.gone {
		moved, left = append(moved, *r.was[ref]), append(left, ref)
	}
	groups, err := feed.Holders(ctx, moved)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	if len(left) > 0 {
		above, err := r.cfg.Local.Around(ctx, directory.Neighbourhood{Refs: left})
		if err != nil {
			return err
		}
		for i := range above.Entries {
			holds := func(m directory.Ref) bool { return slices.Contains(left, m) }
			if slices.ContainsFunc(above.Entries[i].Members, holds) {
				groups = append(groups, above.Entries[i].Ref())
			}
		}
	}
	slices.SortFunc(groups, directory.Ref.Compare)
	groups = slices.DeleteFunc(slices.Compact(groups), func(ref directory.Ref) bool { return r.refs[ref] })
	if len(groups) == 0 {
		return nil
	}
	known, err := r.cfg.Local.Around(ctx, directory.Neighbourhood{Also: groups})
	if err != nil {
		return err
	}
	for i := range known.Entries {
		r.was[known.Entries[i].Ref()] = &known.Entries[i]
	}
	return r.ask(ctx, groups)
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

// Follower has the pending entries of a provider that follows a source.
type Follower struct {
	Pending
	// Within says that a group limits the provider's scope.
	Within bool
}

// news are the entries that a source's plan makes pending at its followers.
type news struct {
	refs []directory.Ref
	// scope are also the entries below groups that may enter or leave the group that limits a scope.
	scope []directory.Ref
}

// newsOf returns what a source's plan makes pending. It reads the local directory before the plan is applied: an entry
// with other groups above it afterwards is below a group of a changed edge, before and after.
func (e *Engine) newsOf(ctx context.Context, p plan.Plan) (n news, err error) {
	if len(e.cfg.Followers) == 0 {
		return n, nil
	}
	refs, moved := map[directory.Ref]bool{}, map[directory.Ref]bool{}
	for i := range p.Changes {
		c := &p.Changes[i]
		refs[c.Ref] = true
		if c.From != "" {
			refs[directory.Ref{Kind: c.Kind, ID: c.From}] = true
		}
		switch {
		case c.Member != nil:
			refs[*c.Member] = true
			moved[*c.Member] = c.Member.Kind == directory.Group
		case c.Kind == directory.Group && reshapes(c):
			moved[c.Ref] = true
		}
	}
	maps.DeleteFunc(moved, func(_ directory.Ref, is bool) bool { return !is })
	n.refs = announced(refs)
	within := slices.ContainsFunc(e.cfg.Followers, func(f Follower) bool { return f.Within })
	if n.scope = n.refs; len(moved) == 0 || !within {
		return n, nil
	}
	below, err := e.cfg.Local.Around(ctx, directory.Neighbourhood{Refs: slices.Collect(maps.Keys(moved))})
	if errors.Is(err, source.ErrNotReady) { // A run died while it wrote, or this is the first one.
		n.scope = []directory.Ref{ledger.Everything}
		return n, nil
	}
	for i := range below.Entries {
		refs[below.Entries[i].Ref()] = true
	}
	n.scope = announced(refs)
	return n, err
}

// reshapes reports whether a change of a group changes who is in scope: a group's name and DN may name the one that
// limits the scope, and a group that leaves takes its members out of others.
func reshapes(c *plan.Change) bool {
	return c.Op != plan.Update || slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool {
		return slices.Contains([]string{plan.MirrorDN, directory.CommonName, directory.DisplayName}, f.Name)
	})
}

// announced returns entries for a follower. Too many are replaced by everything.
func announced(refs map[directory.Ref]bool) []directory.Ref {
	if len(refs) > source.MostChanges {
		return []directory.Ref{ledger.Everything}
	}
	return slices.SortedFunc(maps.Keys(refs), directory.Ref.Compare)
}

// announce makes the planned changes of a source pending at the providers that follow it: before they are made, so
// that a run that dies loses none, and after it, because a provider may have read in between.
func (e *Engine) announce(ctx context.Context, n news) error {
	for _, f := range e.cfg.Followers {
		refs := n.refs
		if f.Within {
			refs = n.scope
		}
		if len(refs) == 0 {
			continue
		}
		if err := f.Add(ctx, refs...); err != nil {
			return err
		}
	}
	return nil
}

// leaversOf returns the changes of a source's plan that take a user away or disable it, and these users.
func leaversOf(p plan.Plan) (plan.Plan, []directory.Ref) {
	var refs []directory.Ref
	p.Changes = slices.DeleteFunc(slices.Clone(p.Changes), func(c plan.Change) bool {
		leaves := c.Kind == directory.User && (c.Op == plan.Delete || c.Op == plan.Suspend)
		if leaves {
			refs = append(refs, c.Ref)
		}
		return !leaves
	})
	return p, refs
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
	for _, ref := range slices.Concat(a.again, a.report.Apply.Undecided) {
		open[ref] = true
	}
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

// verify compares the plan of a full run with what the source tells of its changes since the last run. A change that
// it does not tell was missed by the delta runs in between.
func (e *Engine) verify(ctx context.Context, run Run, d delta, r *Report) error {
	if d.since.IsZero() || len(r.Apply.Changes)+len(r.Held.Changes) == 0 {
		return nil
	}
	c, err := e.cfg.Source.(source.Delta).Changes(ctx, d.since)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	if c.Whole != "" {
		return nil
	}
	told := map[directory.Ref]bool{}
	for _, ref := range c.Refs {
		told[ref] = true
	}
	for _, g := range c.Gone {
		told[g.Ref] = true
	}
	for ref := range d.seen {
		told[ref] = true
	}
	for _, changes := range [][]plan.Change{r.Apply.Changes, r.Held.Changes} {
		for i := range changes {
			ch := &changes[i]
			if told[ch.Ref] || ch.Member != nil && told[*ch.Member] {
				continue
			}
			if r.Drift++; r.Drift <= mostNamed {
				run.Journal.Say(Error, "Missed by delta runs: "+describe(ch)+". This full run puts it right. "+
					"Report the fault, and set delta: off for this source until it is understood.", about(ch))
			}
		}
	}
	return nil
}

var _ source.Source = given{}
