// Package ledger stores what Rollcall knows of the remote objects of one container. It stores the link between each
// object and its entry, the departure time of entries, the last confirmed members of each group, and a few facts
// about the last good run.
//
// The ledger is an index. The source of truth is the anchor on the remote object. A run with an empty ledger looks
// objects up by their anchors, lists every group once, holds what it cannot judge, and fills the ledger again. Losing
// it costs one slow run, but never causes a duplicate or a deletion. Nothing here is transactional beyond one entry,
// and the last writer wins. Runs and object jobs write an entry's link under that entry's lock.
//
// Redis is the implementation. It is safe for concurrent use. Its errors are of kind Unavailable if Redis cannot be
// reached.
package ledger

import (
	"time"

	"rollcall/directory"
)

// Facts are the facts about one run that the next run compares itself with.
type Facts struct {
	// LastFull is when the last full run completed. It is zero while the ledger may lack existing links.
	LastFull time.Time `json:"last_full,omitzero"`
	// ReadAt is when the last full run that could apply its whole plan began to read.
	ReadAt time.Time `json:"read_at,omitzero"`
	// LastRun is the id of the last good run, full or not.
	LastRun string `json:"last_run,omitempty"`
	// Referrals are the search result references of the last good run. A different set is a doubt.
	Referrals []string `json:"referrals,omitempty"`
	// Coverage counts the entries that had each attribute in the last good run.
	Coverage []directory.Coverage `json:"coverage,omitempty"`
	// Scope is a digest of the scope and the mapping that the last good run used. A different digest makes the next
	// plan a first plan.
	Scope string `json:"scope,omitempty"`
	// Positions are the positions of the source's servers when they were read.
	Positions Positions `json:"positions,omitzero"`
	// Refused names changes that the target refused in the last full run, by plan.Change.Claim. The next run tries them
	// after the others of their stage.
	Refused []string `json:"refused,omitempty"`
	// Plan is the digest of the last plan that was applied.
	Plan string `json:"plan,omitempty"`
	// Users and Groups are how many entries the last good run read.
	Users  int `json:"users,omitempty"`
	Groups int `json:"groups,omitempty"`
}

// Complete reports whether every object with our anchor has a link, which is so once a full run has completed.
func (f Facts) Complete() bool { return !f.LastFull.IsZero() }
