package reconcile

import (
	"slices"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// Scope says which entries a run covers and what it may do. Only the constructors make scopes. The zero Scope reads
// everything and has no rights.
type Scope struct {
	rights rights
	// refs limits the run to these entries. Nil means every entry.
	refs []directory.Ref
	// approvedOnly limits the plan to approved changes.
	approvedOnly bool
	// undo pins the changes of another run to their former values, and limits the plan to the pinned entries.
	undo *plan.Undone
	// readWithin bounds the time for reading the provider. Zero means no bound.
	readWithin time.Duration
}

// rights are the actions that a run may take.
type rights uint8

const (
	// concludes means that an entry which was not read has departed.
	concludes rights = 1 << iota
	// confirms means that the run read every remote object, so that links and members are confirmed.
	confirms
	// keepsFacts means that the next run compares itself with this one.
	keepsFacts
	// completes means that the run carries out its whole plan, so that no change before its read is still open.
	completes
	// writes means that the plan is carried out.
	writes
)

// Full is a run over every entry.
func Full() Scope { return Scope{rights: concludes | confirms | keepsFacts | completes | writes} }

// Entries is a run over a few entries, as an object job makes it. It never concludes that an entry departed.
func Entries(refs ...directory.Ref) Scope { return Scope{rights: writes, refs: refs} }

// Approved is a run that carries out the approved changes that are still planned. At the local directory it carries
// out the whole plan, because a part of a directory cannot be published.
func Approved() Scope {
	return Scope{rights: concludes | confirms | keepsFacts | writes, approvedOnly: true}
}

// Undoing is a run that takes back the changes of another run.
func Undoing(of *plan.Undone) Scope {
	return Scope{rights: concludes | confirms | keepsFacts | writes, undo: of}
}

// Explaining is a run that plans one entry as a full run would, and stops there. within bounds the time for reading
// the provider.
func Explaining(ref directory.Ref, within time.Duration) Scope {
	return Scope{rights: concludes, refs: []directory.Ref{ref}, readWithin: within}
}

// DryRun returns the scope without the right to write.
func (s Scope) DryRun() Scope {
	s.rights &^= writes
	return s
}

// may reports whether the scope has a right.
func (s Scope) may(r rights) bool { return s.rights&r != 0 }

// limited reports whether the scope covers only some entries.
func (s Scope) limited() bool { return len(s.refs) > 0 }

// has reports whether a limited scope names the entry.
func (s Scope) has(ref directory.Ref) bool { return slices.Contains(s.refs, ref) }
