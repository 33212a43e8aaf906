package reconcile

import (
	"context"
	"time"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/provider"
)

// Lease is the right of one worker to write. *status.Lease is the lease of a run.
type Lease interface {
	// Check fails if the run may no longer write. It makes no call.
	Check(ctx context.Context) error
	// Lock takes the short lock of one entry and makes sure that the run may still write. ok is false while the lock
	// is held elsewhere.
	Lock(ctx context.Context, entry string) (unlock func(), ok bool, err error)
	// Draining is closed when the run should stop at the next safe point.
	Draining() <-chan struct{}
}

// Memory stores the decisions about a container, its pins and its budget between runs.
type Memory interface {
	// Paused fails with fault.Canceled while a person keeps the container from being written. It is asked before each
	// write, and makes a call about once a second.
	Paused(ctx context.Context) error
	// Ordered reports whether a person has ordered by now that a user leaves. It is asked before an account is made or
	// activated.
	Ordered(ctx context.Context, ref directory.Ref) (bool, error)
	// Load returns the presently valid state.
	Load(ctx context.Context) (Remembered, error)
	// Keep stores changes of pins and the end of orders.
	Keep(ctx context.Context, changes PinChanges) error
	// Spend counts a destructive change that is about to be made. ok is false if the window would then hold more than
	// limit. settle reports whether the change was made. A change that is never settled stays counted, and beginning
	// it again does not count it twice.
	Spend(ctx context.Context, c *plan.Change, limit int) (settle func(made bool), ok bool, err error)
}

// Remembered is what a Memory returns.
type Remembered struct {
	// Spent counts the destructive changes of the last 24 hours.
	Spent plan.Budget
	// Verdicts are the valid decisions by the fingerprint of the change.
	Verdicts map[string]plan.Verdict
	// Pins keep entries as they were before a run that was undone.
	Pins []plan.Pin
	// Unpinned are entries with a pin that cannot be trusted.
	Unpinned []plan.Held
	// Unordered are users with an order that cannot be trusted.
	Unordered []plan.Held
	// Doubts are reasons for which pins may be missing. Destructive changes wait.
	Doubts []string
	// Warnings are what a person has to know of the decisions and pins.
	Warnings []string
	// Orders are the users who have to leave by order of a person.
	Orders []plan.Order
}

// PinChanges changes the pins of a container.
type PinChanges struct {
	// Set adds pins and replaces those of the same entries.
	Set []plan.Pin
	// Update replaces existing pins. A pin that was lifted meanwhile stays lifted.
	Update []plan.Pin
	// Remove removes the pins of these entries.
	Remove []directory.Ref
	// Agreed are the orders that have ended here, as they were loaded.
	Agreed []plan.Order
}

// Journal receives the progress of a run. Its methods are called from several goroutines.
type Journal interface {
	// Read reports the size of the source.
	Read(users, groups, memberships int)
	// Planned stores the plan before any part of it is applied.
	Planned(ctx context.Context, apply, held plan.Plan) error
	// Done reports the result of a change.
	Done(c *plan.Change, r provider.Result)
	// Applied reports the outcome of the whole plan, even of a stopped run. recorded is the error of writing the
	// outcome to the ledger.
	Applied(r *Report, recorded error)
	// Say records a message for the status endpoints. Attributes add detail to the text.
	Say(level Level, event string, attributes map[string]any)
}

// Level is the level of a message.
type Level string

// The levels.
const (
	Info    Level = "info"
	Warning Level = "warning"
	Error   Level = "error"
)

// Ledger is the index of the remote objects of one container. It combines four small ports that share one store.
// *ledger.Redis implements it.
type Ledger interface {
	Links
	Groups
	Claims
	FactStore
}

// Links relates entries to remote objects.
type Links interface {
	// Links returns every link.
	Links(ctx context.Context) (map[directory.Ref]plan.Link, error)
	// LinksOf returns the links of some entries.
	LinksOf(ctx context.Context, refs ...directory.Ref) (map[directory.Ref]plan.Link, error)
	// PutLinks replaces the links of these entries.
	PutLinks(ctx context.Context, links map[directory.Ref]plan.Link) error
	// DropLinks deletes the links of these entries.
	DropLinks(ctx context.Context, refs ...directory.Ref) error
}

// Groups stores the confirmed members of groups.
type Groups interface {
	// Groups returns the confirmed members of every group, by the group's ID.
	Groups(ctx context.Context) (map[directory.ID]plan.Confirmed, error)
	// ConfirmedOf returns the confirmed members of some groups.
	ConfirmedOf(ctx context.Context, ids ...directory.ID) (map[directory.ID]plan.Confirmed, error)
	// Confirm replaces the confirmed members of these groups.
	Confirm(ctx context.Context, groups map[directory.ID]plan.Confirmed) error
	// Unconfirm deletes the confirmed members of these groups, so that the next run lists them. The engine calls it
	// before it changes members. A run that dies in between leaves the group unconfirmed.
	Unconfirm(ctx context.Context, ids ...directory.ID) error
}

// Claims records which entries claim an address or a fact that outlives an entry, so that a run over a few entries
// finds their rivals.
type Claims interface {
	// Claimants returns the entries that claim one of these.
	Claimants(ctx context.Context, keys ...string) ([]directory.Ref, error)
	// SetClaims replaces all claims.
	SetClaims(ctx context.Context, claims ledger.Claims) error
}

// FactStore stores the facts about one run that the next run compares itself with.
type FactStore interface {
	// Facts returns the facts of the last good run. A new ledger has zero facts.
	Facts(ctx context.Context) (ledger.Facts, error)
	// SetFacts replaces the facts.
	SetFacts(ctx context.Context, f ledger.Facts) error
}

// Committer is a provider that its readers must never see half written, which is the local directory. A run reads the
// state, calls Begin with its id before its first write, and calls Commit after the last one. An object job begins
// without an id and commits nothing.
type Committer interface {
	// Clock returns the time that orders reads. The engine calls it right before it reads the source.
	Clock(ctx context.Context) (time.Time, error)
	// Begin marks the provider as being written by run, with data that was read at readAt.
	Begin(ctx context.Context, run string, readAt time.Time) error
	// Commit clears the mark, and reports whether anything changed since the last Commit.
	Commit(ctx context.Context, run string) (changed bool, err error)
}

// Prover is a Committer that lets a run over some entries delete those that are proved to have left their source.
type Prover interface {
	// Proved names these entries, before Begin.
	Proved(refs ...directory.Ref)
}

// Inventory is a provider that lists its present and former entries, which the local directory does.
type Inventory interface {
	Known(ctx context.Context) ([]directory.Ref, error)
}

// Settler is a provider that keeps its view of the tenant between runs. Settle is called after a full run that
// carried out its plan, so that the next run does not read this run's writes again.
type Settler interface {
	Settle(ctx context.Context) error
}

// Estimator is a provider that tells how long changes take when its quota is used up and nothing else is in the way.
type Estimator interface {
	Estimate(changes []plan.Change) time.Duration
}

// Batcher is a provider that takes several changes in one call if they combine well. Batch returns how many of the
// leading changes, all of one stage, go into the next Apply. It takes precedence over Capabilities.BatchSize.
type Batcher interface {
	Batch(changes []plan.Change) int
}
