// Package ledger keeps what Rollcall knows of the remote objects of one container: which object belongs to which
// entry, since when an entry has been gone, what was last confirmed of each group's members, and a few facts about
// the last good run.
//
// The ledger is an index, never the truth. The truth is the anchor on the remote object: a run that finds an empty
// ledger looks objects up by their anchors, lists every group once, holds what it cannot judge, and fills the ledger
// again. Losing it costs one slow run, never a duplicate and never a deletion. So nothing here is transactional
// beyond one entry, and the last writer wins: runs and object jobs write an entry's link under that entry's lock.
//
// Redis is the ledger. It is safe for concurrent use, and its errors are of kind Unavailable where Redis cannot be
// reached.
package ledger

import (
	"time"

	"rollcall/directory"
)

// Facts are what one run leaves for the next to compare itself with.
type Facts struct {
	// LastFull is when the last full run completed; zero while the ledger may be missing links that exist.
	LastFull time.Time `json:"last_full,omitzero"`
	// ReadAt is when the last full run that was to carry out all of its plan began to read.
	ReadAt time.Time `json:"read_at,omitzero"`
	// LastRun is the id of the last good run, full or not.
	LastRun string `json:"last_run,omitempty"`
	// Referrals are the search result references of the last good run. A set that differs is a doubt.
	Referrals []string `json:"referrals,omitempty"`
	// Coverage says how many entries had each attribute that the last good run read.
	Coverage []directory.Coverage `json:"coverage,omitempty"`
	// Scope is a digest of the scope and the mapping that the last good run used. One that differs makes the next plan
	// a first plan.
	Scope string `json:"scope,omitempty"`
	// Positions are how far the servers of a source were when they were read.
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

// Complete reports whether every object that carries our anchor has its link: a full run has completed since the
// ledger began.
func (f Facts) Complete() bool { return !f.LastFull.IsZero() }
