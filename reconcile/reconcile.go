// Package reconcile is the engine: read, plan, guard, apply, record. It sees ports and never an adapter, and so does
// both hops: LDAP to the local directory, and the local directory to a tenant.
//
//	source.Read ─┐
//	             ├─▶ desire ─▶ plan.Compute ─▶ Guard ─┬─▶ apply, stage by stage ─▶ record
//	provider.Read┘                                    └─▶ held, for a person
//
// A run that dies anywhere is resumed by reading and planning again: what was applied is no longer in the plan.
// Nothing that a later step needs is kept between runs but what the ledger says, and the ledger is only an index.
package reconcile

import (
	"context"
	"time"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/source"
)

// Config is one hop of one container.
type Config struct {
	Source   source.Source
	Provider provider.Provider
	// Desire turns what the source has into what the provider should have.
	Desire func(directory.Snapshot, plan.State) (mapping.Result, error)
	Ledger ledger.Ledger
	// Version reads the version that an entry has now, "" where it is absent, and when that version was read from its source,
	// zero where nobody knows. The engine compares the version right before each write, so that an older plan never overwrites a
	// newer write. Nil where the provider compares by itself.
	Version func(ctx context.Context, source string, ref directory.Ref) (version string, since time.Time, err error)
	Policy  plan.Policy
	Limits  plan.Limits
	// Approval is require_approval; empty means provider.ApprovalGuard.
	Approval provider.Approval
	// Scope identifies the configuration of scope and mapping, so that a change of it can be noticed.
	Scope string
	// Now defaults to time.Now.
	Now func() time.Time
}

// Committer is a provider whose readers must never see it half written: the local directory. A run names itself and
// calls Begin after it read the state and before its first write, and Commit after the last one. An object job begins
// without a name and commits nothing.
type Committer interface {
	// Clock returns the time by which reads are ordered; it is asked right before the source is read.
	Clock(ctx context.Context) (time.Time, error)
	// Begin marks the provider as being written by run, with what was read at readAt.
	Begin(ctx context.Context, run string, readAt time.Time) error
	// Commit clears the mark, and reports whether anything changed since the last one.
	Commit(ctx context.Context, run string) (changed bool, err error)
}

// Settler is a provider that keeps what it saw between runs. Settle is called at the end of a full run that carried out
// its plan, so that the next one does not read this one's writes again.
type Settler interface {
	Settle(ctx context.Context) error
}

// Batcher is a provider that takes more changes at once where they go well together. Batch returns how many of the
// leading changes, all of one stage, go into the next Apply; it overrules Capabilities.BatchSize.
type Batcher interface {
	Batch(changes []plan.Change) int
}

// Gate stands between a plan and its writes: locks, the lease and the budget.
type Gate interface {
	// Check fails when the run may no longer write.
	Check(ctx context.Context) error
	// Lock takes the short lock of one entry and makes sure that the run may still write. ok is false while somebody
	// else holds it.
	Lock(ctx context.Context, entry string) (unlock func(), ok bool, err error)
	// Spent is what destructive changes the last 24 hours have seen.
	Spent(ctx context.Context) (plan.Budget, error)
	// Verdicts are the decisions of persons that are still valid, by the fingerprint of the change.
	Verdicts(ctx context.Context) (map[string]plan.Verdict, error)
	// Pins are what persons had undone: it stays as it was before, until the source changes.
	Pins(ctx context.Context) ([]plan.Pin, error)
	// Pin keeps pins, in place of those of the same entries.
	Pin(ctx context.Context, pins []plan.Pin) error
	// Repin changes pins and forgets others; those that a person lifted since Pins stay lifted.
	Repin(ctx context.Context, change []plan.Pin, forget []directory.Ref) error
	// Spend counts a destructive change that is about to be made, if no more than limit were then made in the window:
	// ok is false where others were faster. settle says whether the change was made; one that was begun and is not settled, because its
	// worker died or heard no answer, stays counted, and is not counted again by who begins it again.
	Spend(ctx context.Context, c *plan.Change, limit int) (settle func(made bool), ok bool, err error)
	// Draining is closed when the run should stop at the next safe point.
	Draining() <-chan struct{}
}

// Journal is where a run says what it sees and does. Its methods are called from several goroutines.
type Journal interface {
	// Read reports what the source had.
	Read(users, groups, memberships int)
	// Planned stores the plan before anything of it is applied.
	Planned(ctx context.Context, apply, held plan.Plan) error
	// Done reports what became of a change.
	Done(c *plan.Change, r provider.Result)
	// Say records a message for the status endpoints. Attributes name what the text does not.
	Say(level Level, event string, attributes map[string]any)
}

// Follower is a Journal that is told how the run goes on after its plan.
type Follower interface {
	// Applied reports what became of the plan, also where the run was stopped.
	Applied(r *Report)
	// Recorded reports that what is known now was written down.
	Recorded()
}

// Level is the level of a message.
type Level string

// The levels.
const (
	Info    Level = "info"
	Warning Level = "warning"
	Error   Level = "error"
)

// Engine reconciles one hop of one container.
type Engine struct{ cfg Config }

// New returns an engine.
func New(cfg Config) *Engine {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Engine{cfg}
}

// From returns an engine like this one that reads another source in place of its own: what several engines read is then read once.
func (e *Engine) From(s source.Source) *Engine {
	cfg := e.cfg
	cfg.Source = s
	return &Engine{cfg}
}

// Run is one execution.
type Run struct {
	ID string
	// Only limits the run to these entries: an object job. It concludes no departure.
	Only []directory.Ref
	// DryRun stops after planning.
	DryRun bool
	// ApprovedOnly limits the run to what a person approved and is still planned. A run of a source carries out its whole
	// plan, what was approved with it.
	ApprovedOnly bool
	// Undo, where it is set, pins what another run changed as it was before, and limits the run to taking that back.
	Undo    *plan.Undone
	Gate    Gate
	Journal Journal

	// whole says that a run of a few entries concludes of them what a full one would: to explain, never to write.
	whole bool
	// within bounds the reading of the provider, where it is not zero.
	within time.Duration
}

// Report sums up a run.
type Report struct {
	Apply, Held plan.Plan
	// Applied, Failed and Superseded count changes; Superseded ones gave way to a newer write.
	Applied, Failed, Superseded int
	// Changed reports whether those who follow this container should look at it.
	Changed bool
	// Snapshot is what the source answered; an object job looks at Absent and Findings.
	Snapshot directory.Snapshot
	// OutOfScope names entries that the provider's scope leaves out, and by which rule.
	OutOfScope []mapping.Decision
	// Results of an object job's changes, in the order of Apply.Changes; nil for others.
	Results map[int]provider.Result
	// Pinned is how many entries an undo pinned.
	Pinned int
}

// Execute carries out one run: it reads, plans, applies what the guards let through, and records. The error, of a kind
// that fault.KindOf tells, is that of the run as a whole; one bad entry is none.
func (e *Engine) Execute(ctx context.Context, run Run) (Report, error) {
	view, err := e.read(ctx, run)
	if err != nil {
		return Report{}, err
	}
	spent, err := run.Gate.Spent(ctx)
	if err != nil {
		return Report{}, err
	}
	verdicts, err := run.Gate.Verdicts(ctx)
	if err != nil {
		return Report{}, err
	}
	if err := e.pins(ctx, run, view); err != nil {
		return Report{}, err
	}
	report, err := e.plan(run, view, spent, verdicts)
	if err != nil {
		return report, err
	}
	say(run.Journal, view, report)
	if err := run.Journal.Planned(ctx, report.Apply, report.Held); err != nil {
		return report, err
	}
	if run.DryRun {
		return report, nil
	}
	if run.Undo != nil { // Kept before anything is taken back: the next run must not do again what this one undoes.
		if err := run.Gate.Pin(ctx, view.fresh()); err != nil {
			return report, err
		}
	}
	err = e.apply(ctx, run, view, &report)
	return report, err
}

// Plan reads and plans everything and writes nothing: what `rollcall plan` prints.
func (e *Engine) Plan(ctx context.Context) (Report, error) {
	view, err := e.read(ctx, Run{})
	if err != nil {
		return Report{}, err
	}
	return e.plan(Run{}, view, plan.Budget{}, nil)
}
