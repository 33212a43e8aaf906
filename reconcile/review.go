package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/ledger"
	"rollcall/source"
)

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
	// belongs has the groups of the users that were read, where users name their groups.
	belongs map[directory.Ref][]directory.Ref
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
	mark(r.unstated, c.Unstated...)
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
	mark(r.refs, refs...)
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
	r.belongs = more.Belongs
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
	more, err := r.regrouped(ctx, left)
	if err != nil {
		return err
	}
	groups = append(groups, more...)
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

// regrouped returns the groups that have one of the entries that left, in the local directory, and those that a user
// came into or left by naming them.
func (r *review) regrouped(ctx context.Context, left []directory.Ref) (groups []directory.Ref, err error) {
	users := slices.SortedFunc(maps.Keys(r.belongs), directory.Ref.Compare)
	if len(left)+len(users) == 0 {
		return nil, nil
	}
	above, err := r.cfg.Local.Around(ctx, directory.Neighbourhood{Refs: slices.Concat(left, users)})
	if err != nil {
		return nil, err
	}
	has := map[directory.Ref][]directory.Ref{}
	for i := range above.Entries {
		g := &above.Entries[i]
		for _, m := range g.Members {
			has[m] = append(has[m], g.Ref())
			if slices.Contains(left, m) {
				groups = append(groups, g.Ref())
			}
		}
	}
	for _, u := range users {
		for _, g := range has[u] {
			if !slices.Contains(r.belongs[u], g) {
				groups = append(groups, g)
			}
		}
		for _, g := range r.belongs[u] {
			if !slices.Contains(has[u], g) {
				groups = append(groups, g)
			}
		}
	}
	return groups, nil
}
