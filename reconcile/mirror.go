package reconcile

import (
	"context"
	"fmt"
	"slices"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/source"
)

// mirror is the hop to the local directory. The local directory compares versions by itself, in the write, and is
// published as a whole.
type mirror struct{ *Engine }

// restrict implements hop. The local directory is always one complete copy of its source, so a run cannot publish a
// part of its plan. A single entry proves no departure.
func (m mirror) restrict(s Scope) (Scope, error) {
	if s.undo != nil {
		return s, fault.Errorf(fault.Invalid,
			"a run of a source cannot be undone: it changed only the local copy, which follows its source")
	}
	if s.approvedOnly {
		s.approvedOnly = false
		s.rights |= completes
	}
	if s.limited() && !s.changed {
		s.rights &^= concludes
	}
	return s, nil
}

// read implements hop. The local directory returns only what differs from the desired versions, so the source comes
// first.
func (m mirror) read(ctx context.Context, s Scope, v *view) (err error) {
	if err := m.ledger(ctx, v); err != nil {
		return err
	}
	if c, ok := m.cfg.Provider.(Committer); ok {
		if v.readAt, err = c.Clock(ctx); err != nil {
			return err
		}
	}
	question := directory.Query{Refs: s.refs}
	if i, ok := m.cfg.Provider.(Inventory); ok {
		question.Known = i.Known
	}
	if err := m.source(ctx, question, v); err != nil {
		return err
	}
	if err := m.position(ctx, s, v); err != nil {
		return err
	}
	if v.desired, err = m.cfg.Desire(v.snapshot, plan.State{}); err != nil {
		return err
	}
	v.snapshot.Entries = nil // All of them are desired. A large directory is not kept twice.
	q := provider.Query{Versions: make(map[directory.Ref]string, len(v.desired.Desired))}
	for i := range v.desired.Desired {
		q.Versions[v.desired.Desired[i].Ref] = v.desired.Desired[i].Version
	}
	q.Lookups = v.lookups(s, v.desired.Desired)
	if err := m.state(ctx, s, q, v); err != nil {
		return err
	}
	if err := m.lostMembers(ctx, s, v); err != nil {
		return err
	}
	if err := m.stillThere(ctx, s, v); err != nil {
		return err
	}
	return m.unseen(ctx, v)
}

// mostSought is how many absent entries of a kind a full read searches for at once.
const mostSought = 500

// stillThere searches for the entries that a full read did not return, by their ids, before any of them counts as gone
// (law 1). A server may leave an entry out of a paged search, for example while it is renamed. An entry that is found
// becomes a finding, so that it stays as it is. A server that is older than the first read proves nothing. More absent
// entries than the limit of departures wait for a decision; the search ends there if the first ones are not found.
func (m mirror) stillThere(ctx context.Context, s Scope, v *view) error {
	if s.limited() || !s.may(concludes) {
		return nil
	}
	seen, absent := v.refs(), map[directory.Kind][]directory.Ref{}
	for i := range v.state.Objects {
		if ref := v.state.Objects[i].Ref; !seen[ref] {
			absent[ref.Kind] = append(absent[ref.Kind], ref)
		}
	}
	for _, kind := range []directory.Kind{directory.User, directory.Group} {
		limited, found := len(absent[kind]) > max(mostSought, m.cfg.Limits.Leave.Most), 0
		for refs := range slices.Chunk(absent[kind], mostSought) {
			n, err := m.search(ctx, refs, v)
			if err != nil {
				return err
			}
			if found += n; found == 0 && limited {
				break
			}
		}
	}
	return nil
}

// search makes findings of absent entries that the source has, and returns their number.
func (m mirror) search(ctx context.Context, absent []directory.Ref, v *view) (n int, err error) {
	now, err := m.cfg.Source.Read(ctx, directory.Query{Refs: absent})
	if err != nil {
		return 0, fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	if now.Position.Compare(v.snapshot.Position) == directory.Older {
		return 0, nil
	}
	found := now.Findings
	for i := range now.Entries {
		e := &now.Entries[i]
		found = append(found, directory.Finding{Ref: e.Ref(), DN: e.DN, Label: e.Label()})
	}
	for _, f := range found {
		if !slices.Contains(absent, f.Ref) {
			continue
		}
		f.Problem = "the full read did not return it, and a search for its unique id found it: it stays as it is until a " +
			"run reads it"
		v.snapshot.Findings = append(v.snapshot.Findings, f)
		n++
	}
	return n, nil
}

// lostMembers makes findings of the members that a single group loses and that are absent at the source. They left,
// which a single entry does not prove, or were created again under another id. Their memberships stay as they are.
func (m mirror) lostMembers(ctx context.Context, s Scope, v *view) error {
	if !s.limited() || s.changed {
		return nil
	}
	has := map[directory.Ref]bool{}
	for i := range v.desired.Desired {
		for j := range v.desired.Desired[i].Members {
			has[v.desired.Desired[i].Members[j].Ref] = true
		}
	}
	var lost []directory.Ref
	for i := range v.state.Objects {
		for _, member := range v.state.Objects[i].Members {
			if ref, ok := plan.ParseRef(member); ok && !has[ref] {
				lost = append(lost, ref)
			}
		}
	}
	if len(lost) == 0 {
		return nil
	}
	now, err := m.cfg.Source.Read(ctx, directory.Query{Refs: lost})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	if err := atLeast(now.Position, v.snapshot.Position); err != nil || len(now.Absent) == 0 {
		return err
	}
	labels := map[directory.Ref]string{}
	if m.cfg.Local != nil {
		local, err := m.cfg.Local.Around(ctx, directory.Neighbourhood{Also: now.Absent})
		if err != nil {
			return err
		}
		for i := range local.Entries {
			labels[local.Entries[i].Ref()] = local.Entries[i].Label()
		}
	}
	for _, ref := range now.Absent {
		const problem = "it is absent at its source and keeps its memberships until the next full run"
		v.snapshot.Findings = append(v.snapshot.Findings,
			directory.Finding{Ref: ref, Label: labels[ref], Problem: problem})
		v.memory.Warnings = append(v.memory.Warnings, "Held: "+named(ref, labels[ref])+": "+problem)
	}
	return nil
}

// unseen makes findings of users who were inactive and would be active because the source may hide an attribute. They
// stay as they are.
func (m mirror) unseen(ctx context.Context, v *view) error {
	viewer, ok := m.cfg.Source.(source.Viewer)
	if !ok {
		return nil
	}
	inactive := map[directory.Ref]bool{}
	for i := range v.state.Objects {
		if o := &v.state.Objects[i]; o.Kind == directory.User && !o.Active {
			inactive[o.Ref] = true
		}
	}
	labels := map[directory.Ref]string{}
	var back []directory.Ref
	for i := range v.desired.Desired {
		if d := &v.desired.Desired[i]; d.Active && inactive[d.Ref] {
			back, labels[d.Ref] = append(back, d.Ref), d.Label
		}
	}
	if len(back) == 0 {
		return nil
	}
	found, err := viewer.Unseen(ctx, back)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	hidden := map[directory.Ref]bool{}
	for _, f := range found {
		if !hidden[f.Ref] {
			hidden[f.Ref], f.Label = true, labels[f.Ref]
			v.snapshot.Findings = append(v.snapshot.Findings, f)
		}
	}
	v.entries.User -= len(hidden)
	v.desired.Desired = slices.DeleteFunc(v.desired.Desired, func(d plan.Desired) bool { return hidden[d.Ref] })
	return nil
}

// position compares the position of the source with those of earlier reads. An older read fails the run. A read that
// is not provably as new is a doubt. An untrusted position is stored, so that it can be accepted.
func (m mirror) position(ctx context.Context, s Scope, v *view) error {
	known := v.facts.Positions
	order, with := known.Judge(v.snapshot.Position)
	if order == directory.Newer {
		v.trusted = true
		return nil
	}
	if s.may(keepsFacts) {
		v.facts.Positions.Doubt(v.snapshot.Position)
		if err := m.cfg.Ledger.SetFacts(ctx, v.facts); err != nil {
			return err
		}
	}
	accept := fmt.Sprintf("To accept the data of this server, run: rollcall accept-server %s", m.cfg.Container)
	// The command comes before the positions, because the reason of a failed run is cut where it is long.
	if order == directory.Older {
		return fault.Errorf(fault.Unsafe, "read from an older server. Nothing was changed. The next run continues by "+
			"itself once the server has caught up. %s (%s was read after %s)", accept, v.snapshot.Position, with)
	}
	v.stale = fmt.Sprintf("the server may be older than the last one. New entries and memberships go on. "+
		"%s (%s was read after %s)", accept, v.snapshot.Position, with)
	i, ok := m.cfg.Provider.(Inventory)
	if !ok {
		return nil
	}
	refs, err := i.Known(ctx)
	v.known = make(map[directory.Ref]bool, len(refs))
	mark(v.known, refs...)
	return err
}

// begin implements hop.
func (m mirror) begin(ctx context.Context, a *applier) error {
	if err := a.run.Lease.Check(ctx); err != nil {
		return err
	}
	c, ok := m.cfg.Provider.(Committer)
	if !ok {
		return nil
	}
	name := a.run.ID
	if a.run.Scope.limited() {
		name = ""
	}
	if p, ok := c.(Prover); ok {
		p.Proved(a.view.delta.gone...)
	}
	return c.Begin(ctx, name, a.view.readAt)
}

// write implements hop.
func (m mirror) write(ctx context.Context, a *applier, at []int) error {
	if err := a.run.Lease.Check(ctx); err != nil {
		return err
	}
	return a.send(ctx, at)
}

// prepare implements hop.
func (m mirror) prepare(context.Context, *applier, []plan.Change) error { return nil }

// learn implements hop.
func (m mirror) learn(*applier, *plan.Change, provider.Result) {}

// record makes the local directory readable again and stores the facts about its source.
func (m mirror) record(ctx context.Context, a *applier, complete bool) error {
	if complete && a.run.Scope.changed {
		if a.report.Changed = a.report.Applied > 0 || a.view.delta.ahead; a.run.Scope.leaving {
			return nil
		}
		return m.keepCursor(ctx, a.run, a.view.delta, a.report.Apply.Emptied())
	}
	if !complete || !a.run.Scope.may(keepsFacts) {
		return nil
	}
	if err := a.run.Lease.Check(ctx); err != nil {
		return err
	}
	if c, ok := m.cfg.Provider.(Committer); ok {
		changed, err := c.Commit(ctx, a.run.ID)
		if err != nil {
			return err
		}
		a.report.Changed = changed
	}
	return a.facts(ctx)
}
