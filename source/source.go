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
