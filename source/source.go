// Package source is the port through which the engine reads a directory. An LDAP server is a source of the first
// hop; the local directory is the source of the second.
package source

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rollcall/directory"
)

// Source reads one directory.
//
// Read returns everything that the query asks for, or an error. It never returns a partial result, because absent
// entries are deprovisioned. A dropped connection, an interrupted page, a size or time limit, or a referral in place
// of a result is an error with a kind that fault.KindOf reports. The zero Query means everything in scope. Query.Refs
// reads just these entries and reports missing ones as absent.
//
// Read may be called from several goroutines at once.
type Source interface {
	Read(ctx context.Context, q directory.Query) (directory.Snapshot, error)
}

// ErrNotReady is wrapped by the error of a source that has no complete data yet. An example is the local directory
// before the first sync of its source, or after a loss of data. ErrBusy is wrapped, too, while a writer is at work
// and will finish soon.
var (
	ErrNotReady = errors.New("the source is not ready")
	ErrBusy     = fmt.Errorf("%w: it is being written", ErrNotReady)
)

// Versioner is a source that can report the version of a single entry cheaply, which the local directory does. The
// engine compares versions right before each write, so that an older plan never overwrites a newer write.
type Versioner interface {
	// Version returns the present version of an entry and the time at which that version was read from its own
	// source. The version is empty if the entry is absent, and the time is zero if it is unknown. name is the slug of
	// the entry's source; an empty name means any source.
	Version(ctx context.Context, name string, ref directory.Ref) (version string, since time.Time, err error)
}

// Viewer is a source that may hide attributes of its entries. Where the absence of an attribute makes a user active, a
// hidden attribute does the same.
type Viewer interface {
	// Unseen returns a finding for each of these users with an attribute that decides about activity and that may be
	// there and hidden.
	Unseen(ctx context.Context, users []directory.Ref) ([]directory.Finding, error)
}

// Neighbours is a source that can read a few entries with all that is needed to decide about them, which the local
// directory can. A mapping gives for these entries what it gives for the whole directory.
type Neighbours interface {
	Around(ctx context.Context, n directory.Neighbourhood) (directory.Snapshot, error)
}

// Locator is a source that can look for one entry beyond the scope of Read and report the rule that excludes it. Its
// results are evidence for an operator and are never provisioned.
//
// The search is bounded in size and time and cannot list a directory.
type Locator interface {
	Locate(ctx context.Context, w Wanted) (Location, error)
}

// Wanted says what to look for. Exactly one of its texts is set.
type Wanted struct {
	ID directory.ID
	// Or are other spellings of the ID.
	Or       []directory.ID
	DN       string
	Mail     string
	UserName string
	// Kind limits the search. Zero searches both kinds.
	Kind directory.Kind
}

// Location is the result of a search in a live directory.
type Location struct {
	// Server is the directory that was asked.
	Server string
	// Searched are the places that were searched, in order, with those in scope first. The search ends at the first
	// place with a result.
	Searched []string
	// Unsearched are places that could not be searched, each with the reason.
	Unsearched []string
	// Incomplete is set if one of the unsearched places is one that Read searches, or is the only requested place. An
	// empty result then proves nothing.
	Incomplete bool
	// Sightings are the entries that were found. No sightings is a valid result.
	Sightings []Sighting
}

// Sighting is one entry of a live directory.
type Sighting struct {
	// Ref has an empty ID if the ID cannot be read. Its Kind is the one with the rules that the entry comes closest
	// to.
	directory.Ref
	DN string
	// Rules are the rules of the source's scope, in the order in which they are applied.
	Rules []Rule
	// LeftOut lists the values of a group in scope that lead to no usable entry, the first 200 of them.
	LeftOut []LeftOut
	// Entry is the entry as Read would return it, without members. It is nil if the entry cannot be decoded.
	Entry *directory.Entry
}

// LeftOut is a membership value that leads to no usable entry.
type LeftOut struct {
	Value  string `json:"value"`
	Reason string `json:"reason"`
}

// Rule is one condition that an entry must meet to be read.
type Rule struct {
	// Key is the configuration key, such as base_dn, user_object_filter or object_uniqueness_field.
	Key     string `json:"key"`
	Setting string `json:"setting"`
	Met     bool   `json:"met"`
	// Detail says why the rule is not met.
	Detail string `json:"detail,omitempty"`
}

// Broken returns the first rule that is not met. It returns nil for an entry in scope.
func (s *Sighting) Broken() *Rule {
	for i := range s.Rules {
		if !s.Rules[i].Met {
			return &s.Rules[i]
		}
	}
	return nil
}

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
	// Holders returns the groups in scope that list one of these entries by its DN or its userName. It also returns the
	// entries that name one in an attribute of a mapping, such as manager.
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
