// Package provider is the port through which the engine reads and writes a tenant. Google Workspace and Microsoft
// Entra ID are providers of the second hop; the local directory is the provider of the first.
package provider

import (
	"context"
	"errors"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// Provider reads and writes one tenant.
//
// Read returns the complete state that the query asks for, or an error: never part of it, because an account that is
// not in the state is created. Apply carries out each change and returns one result for each, in the same order. It
// is idempotent: a change that was carried out before (by a run that died before it could say so) succeeds. Right
// before it takes something away it makes sure that the object still carries the anchor, and refuses otherwise.
//
// Adapters translate and classify (package fault). They neither retry, log nor decide. Both methods may be called
// from several goroutines at once.
type Provider interface {
	Capabilities() plan.Capabilities
	Read(ctx context.Context, q Query) (plan.State, error)
	Apply(ctx context.Context, batch []plan.Change) []Result
}

// Restorer is a Provider that can restore deleted accounts and leaves it to the planner which ones. The engine asks it,
// once a run, before accounts are created.
type Restorer interface {
	// Deleted returns the deleted accounts that carry an anchor of ours and can still be restored.
	Deleted(ctx context.Context) ([]plan.Deleted, error)
}

// ErrSuperseded is wrapped by the error of a change that gave way: a newer version of its entry was written since the state
// was read. The change is planned anew from a new read. It is no failure.
var ErrSuperseded = errors.New("a newer version of the entry was written")

// Result is what became of one change.
type Result struct {
	// RemoteID is the object's immutable remote id, where it is known now.
	RemoteID string
	// RequestID is the remote side's name for the last call, for its support.
	RequestID string
	// Foreign is set when the change was in force already by somebody else's hand: a suspension that is not ours to lift.
	Foreign bool
	// Note says something that a person should know though the change succeeded.
	Note string
	// Err is nil for a change that is in force now.
	Err error
}

// Query says what to read. The zero Query means everything.
type Query struct {
	// Lookups limits the read to these entries, and to what stands in their way: no listing of the tenant.
	Lookups []Lookup
	// Known is what the ledger knows of remote objects: an object that was linked and is missing from a listing is looked up by its
	// remote id before it counts as gone.
	Known map[directory.Ref]plan.Link
	// Groups is what the ledger last confirmed of groups' members, by the group's ID.
	Groups map[directory.ID]plan.Confirmed
	// Versions are the versions of the entries that are desired: an object that has the same needs no fields. Only the local
	// directory makes use of it.
	Versions map[directory.Ref]string
	// Now is the time of the run.
	Now time.Time
}

// Lookup names one entry to look for: by its remote id where the ledger knows it, else by its anchor where the
// provider can search for one, and by its address.
type Lookup struct {
	directory.Ref
	RemoteID string
	Address  string
	// Members asks for the memberships of the entry too: of a group its members, of a user whether it is in Groups.
	Groups []GroupRef
}

// GroupRef is a group by ID and remote id.
type GroupRef struct {
	ID       directory.ID
	RemoteID string
}

// Confirmed is plan.Confirmed, which the ledger keeps.
type Confirmed = plan.Confirmed
