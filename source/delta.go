package source

import (
	"context"
	"time"

	"rollcall/directory"
)

// MostChanges bounds the entries of one Changes. Beyond it a full read costs less.
const MostChanges = 5000

// Delta is a source that can tell what changed since an earlier read.
//
// Changes never returns a guess. Every doubt about the completeness of its answer leads to Changes.Whole, and the
// caller then reads everything. Its error is that of the call, as for Read.
type Delta interface {
	// Changes returns what changed since a cursor. The zero Cursor asks for a first cursor, from which a full read that
	// begins afterwards continues.
	Changes(ctx context.Context, since Cursor) (Changes, error)
	// Holders returns the groups in scope that list one of these entries by its DN or its userName, and the entries that
	// name one in an attribute of a mapping, such as manager.
	Holders(ctx context.Context, entries []directory.Entry) ([]directory.Ref, error)
}

// Cursor says up to which change a source has been read. It is valid for one server and one configuration.
type Cursor struct {
	// Position is the position of the server.
	Position directory.Position `json:"position,omitzero"`
	// Scope is a digest of what is read: base, filters, attributes and bind account.
	Scope string `json:"scope,omitempty"`
	// Cookie is the server's own mark.
	Cookie []byte `json:"cookie,omitempty"`
	// Due are the accounts that expire before Until, sorted by time. No server reports that a date passed.
	Due   []Due     `json:"due,omitempty"`
	Until time.Time `json:"until,omitzero"`
}

// IsZero reports whether the cursor is none.
func (c *Cursor) IsZero() bool { return c.Scope == "" }

// Due is the time at which an account expires.
type Due struct {
	ID directory.ID `json:"id"`
	At time.Time    `json:"at"`
}

// Changes is what changed since a cursor.
type Changes struct {
	// Refs are the entries to read again, sorted and unique. An entry with an unknown kind is listed as both. Entries
	// that the caller does not know and cannot read are of no interest.
	Refs []directory.Ref
	// Gone are the entries that are proved to have left the scope, sorted by ref, as both kinds where the kind is
	// unknown.
	Gone []Gone
	// Unstated are the users among Refs that lack an attribute that decides about activity. Only a full read can tell
	// whether an inactive one became active or the attribute is hidden.
	Unstated []directory.Ref
	// Next is the cursor for the next call. It is zero if the source cannot tell changes at all.
	Next Cursor
	// Whole says why everything must be read. Refs and Gone are then empty, and a full read that begins now continues
	// from Next.
	Whole string
	// Notes are messages about what this source cannot tell, such as deletions.
	Notes []string
}

// Empty reports whether nothing changed.
func (c *Changes) Empty() bool { return c.Whole == "" && len(c.Refs) == 0 && len(c.Gone) == 0 }

// Gone is an entry that left the scope, with the proof.
type Gone struct {
	directory.Ref
	// Proof is what the server showed, as the end of a sentence that begins with the entry.
	Proof string `json:"proof"`
}
