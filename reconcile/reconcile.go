// Package reconcile is the engine. It reads, plans, guards, applies and records. It depends on ports and never on an
// adapter, so one engine serves both hops, from LDAP to the local directory and from the local directory to a tenant.
//
//	source.Read ─┐
//	             ├─▶ desire ─▶ plan.Compute ─▶ Guard ─┬─▶ apply, stage by stage ─▶ record
//	provider.Read┘                                    └─▶ held for a decision
//
// A run that died is resumed by reading and planning again. Its applied changes are no longer in the plan. The ledger
// is the only state that one run leaves for the next, and it is only an index.
package reconcile

import (
	"context"
	"errors"
	"slices"
	"time"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/source"
)

// Config is one hop of one container.
type Config struct {
	// Source must be a source.Versioner for a hop to a tenant, because the engine compares versions right before each
	// write. The local directory compares versions by itself.
	Source   source.Source
	Provider provider.Provider
	// Desire turns the contents of the source into the desired state of the provider.
	Desire func(directory.Snapshot, plan.State) (mapping.Result, error)
	Ledger Ledger
	Policy plan.Policy
	Limits plan.Limits
	// Approval is require_approval; empty means provider.ApprovalGuard.
	Approval provider.Approval
	// Within names the group that limits the scope. It is empty if none does.
	Within string
	// References says that the mapping has fields that depend on other entries.
	References bool
	// Local is the local directory, for delta runs. It may be nil; then delta runs become full runs.
	Local source.Neighbours
	// Pending has the entries that the next delta run covers, and Followers are the providers that follow a source.
	Pending   Pending
	Followers []Follower
	// Scope identifies the configuration of scope and mapping, so that a change of it is detected.
	Scope string
	// Sources are the sources of the provider, as they are configured.
	Sources []string
	// Container is the name of the container in commands and messages, such as ldap:corp.
	Container string
	// Now defaults to time.Now.
	Now func() time.Time
	// Clocks is asked after each read, and says which clocks disagree; empty where they agree. Harm waits only where it
	// holds. It may be nil.
	Clocks func() (text string, holds bool)
}

// Engine reconciles one hop of one container.
type Engine struct{ cfg Config }

// New returns an engine.
func New(cfg Config) *Engine {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Engine{cfg}
}

// From returns a copy of the engine that reads another source. It lets several engines share one read.
func (e *Engine) From(s source.Source) *Engine {
	cfg := e.cfg
	cfg.Source = s
	return &Engine{cfg}
}

// Run is one execution.
type Run struct {
	ID    string
	Scope Scope
	// Lease is the right to write. A scope that does not write needs none.
	Lease Lease
	// Memory has decisions, pins and budgets. A nil Memory is empty.
	Memory  Memory
	Journal Journal
	// Widened is called when a delta run becomes a full run. It may be nil.
	Widened func(ctx context.Context) error
	// Insist has changes without an answer fail when everything else is done. Otherwise they end the run with
	// fault.Unavailable where the provider answers no other change either.
	Insist bool
}

// paused fails while the container is paused.
func (r *Run) paused(ctx context.Context) error {
	if r.Memory == nil {
		return nil
	}
	return r.Memory.Paused(ctx)
}

// mayWrite fails if no further write may begin. The lease is checked last, because it may end while Redis is asked for
// the pause.
func (r *Run) mayWrite(ctx context.Context) error {
	if err := r.paused(ctx); err != nil {
		return err
	}
	return r.Lease.Check(ctx)
}

// Report sums up a run.
type Report struct {
	Apply, Held plan.Plan
	// Applied, Failed and Superseded count changes. A superseded change gave way to a newer write.
	Applied, Failed, Superseded int
	// Changed reports whether the containers that follow this one have something to do.
	Changed bool
	// Repeat reports that a full run left something to the next one. It gave way to a newer entry, an object was not
	// yet visible, or the ledger was new.
	Repeat bool
	// Snapshot is the data of the source. An object job needs its Absent and Findings.
	Snapshot directory.Snapshot
	// Desired is the desired state of the provider, with the excluded entries and the rule that excludes each.
	Desired mapping.Result
	// Domains are the domains of the tenant, for which the desired state was made.
	Domains []string
	// Results are the results of an object job's changes, by index in Apply.Changes. Other runs have none.
	Results map[int]provider.Result
	// Leavers are the users who left or were disabled, as a run over leavers found them.
	Leavers []directory.Ref
	// SuspendsOnly says that the plan has nothing but suspensions, because the tenant refused a list.
	SuspendsOnly bool
	// Owing says why a full run should follow soon. It is empty if none needs to.
	Owing string
	// Drift is the number of entries that a full run found changed although no delta run was told of a change.
	Drift int
}

// Execute carries out one run. It reads, plans, publishes the plan, applies the changes that pass the guards, and
// records the outcome. The error is that of the run as a whole, and fault.KindOf tells its kind. A bad entry is not
// such an error.
func (e *Engine) Execute(ctx context.Context, run Run) (Report, error) {
	var err error
	if run.Scope, err = e.hop().restrict(run.Scope); err != nil {
		return Report{}, err
	}
	if run.Lease != nil {
		ctx = pace.WithFence(ctx, run.Lease.Check)
	}
	if run.Scope.urgent() {
		ctx = pace.Urgent(ctx)
	}
	d, err := e.resolve(ctx, &run)
	if err != nil {
		return Report{}, err
	}
	if run.Scope.changed && len(run.Scope.refs) == 0 {
		return e.idle(ctx, run, d)
	}
	if d.given != nil {
		e = e.From(given{e.cfg.Source, *d.given})
	}
	v, err := e.read(ctx, run.Scope, run.Memory)
	if err != nil && e.mayReadSingly(run.Scope, v, err) {
		return e.suspendKnown(ctx, run, v, err)
	}
	if err != nil {
		return Report{}, err
	}
	v.delta = d
	if d.given != nil {
		v.readAt = d.readAt
	}
	return e.carryOut(ctx, run, v)
}

// carryOut plans, publishes the plan, and applies it.
func (e *Engine) carryOut(ctx context.Context, run Run, v *view) (Report, error) {
	report, err := e.plan(run.Scope, v)
	if err != nil {
		return report, err
	}
	report.Owing = v.delta.owing
	if err := e.verify(ctx, run, v, &report); err != nil {
		return report, err
	}
	if err := publish(ctx, run, v, &report); err != nil || !run.Scope.may(writes) {
		return report, err
	}
	e.sayHow(run, &report)
	if err := run.paused(ctx); err != nil {
		return report, err
	}
	a := e.applier(run, v, &report)
	fresh, err := e.newsOf(ctx, report.Apply)
	if err == nil {
		err = e.announce(ctx, fresh)
	}
	if err != nil {
		return report, err
	}
	if err := a.hop.begin(ctx, a); err != nil {
		return report, err
	}
	applied := a.apply(ctx)
	left := report.Superseded > 0 || len(v.state.Unsettled) > 0 || e.forgotten(v) != ""
	report.Repeat = left && run.Scope.may(confirms)
	err = errors.Join(applied, a.record(ctx, applied == nil), e.announce(context.WithoutCancel(ctx), fresh))
	if err == nil {
		a.keepView(ctx)
	}
	return report, err
}

// Plan reads and plans everything as a full run would, and writes nothing, not even facts. A nil memory is empty.
func (e *Engine) Plan(ctx context.Context, memory Memory) (Report, error) {
	s := Scope{rights: concludes}
	v, err := e.read(ctx, s, memory)
	if err != nil {
		return Report{}, err
	}
	return e.plan(s, v)
}

// hop has the differences between the two hops. mirror writes the local directory, and tenant writes a tenant. It has
// seven methods, two for reading and five for writing, because they belong together and vary together.
type hop interface {
	// restrict takes away the rights that a run of this hop cannot have.
	restrict(s Scope) (Scope, error)
	// read reads both sides into v.
	read(ctx context.Context, s Scope, v *view) error

	// begin marks what is about to be written, so that a run that dies leaves no stale fact.
	begin(ctx context.Context, a *applier) error
	// write carries out changes of one stage, which are named by their index in the plan.
	write(ctx context.Context, a *applier, at []int) error
	// prepare notes in the ledger what must be recorded before the write.
	prepare(ctx context.Context, a *applier, batch []plan.Change) error
	// learn stores the facts about the remote object that a successful change reveals. The caller holds the applier's
	// lock.
	learn(a *applier, c *plan.Change, r provider.Result)
	// record stores the run's results. complete reports that the whole plan was tried.
	record(ctx context.Context, a *applier, complete bool) error
}

func (e *Engine) hop() hop {
	if e.cfg.Provider.Capabilities().Mirror {
		return mirror{e}
	}
	return tenant{e}
}

// Scope says which entries a run covers and what it may do. Only the constructors make scopes. The zero Scope reads
// everything and has no rights.
type Scope struct {
	rights rights
	// refs limits the run to these entries. Nil means every entry.
	refs []directory.Ref
	// approvedOnly limits the plan to approved changes.
	approvedOnly bool
	// suspends limits the plan to suspensions. The objects are read one by one, because they cannot be listed.
	suspends bool
	// alone limits the plan to suspensions, so that only the accounts are read, without their groups.
	alone bool
	// undo pins the changes of another run to their former values, and limits the plan to the pinned entries.
	undo *plan.Undone
	// changed limits the run to the entries that changed since the last run and to those that are still open.
	changed bool
	// leaving limits the plan of a source to users who left or were disabled.
	leaving bool
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

// leavers is a run that suspends accounts of entries that left, where the tenant refuses to list its objects.
func leavers(refs []directory.Ref) Scope {
	return Scope{rights: concludes | writes, refs: refs, suspends: true}
}

// Changed is a run over the entries that changed since the last run, and over those that are still open. It concludes
// only proved departures. A run that cannot tell the changes becomes a full run.
func Changed() Scope { return Scope{rights: concludes | writes, changed: true} }

// Leaving is a run of a source over the users who are proved gone or were disabled since the last run. It takes part in
// no other change, and the next delta run finds the same changes again. It does nothing where changes cannot be told.
func Leaving() Scope { return Scope{rights: concludes | writes, changed: true, leaving: true} }

// Departing is a run of a provider over a few entries that left the local directory or were disabled there.
func Departing(refs ...directory.Ref) Scope { return Scope{rights: concludes | writes, refs: refs} }

// Suspending is like Departing, but it only suspends. It reads the accounts and no group.
func Suspending(refs ...directory.Ref) Scope {
	return Scope{rights: concludes | writes, refs: refs, alone: true}
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

// urgent reports whether the calls of the run go before those of full and delta runs: it is about single entries.
func (s Scope) urgent() bool { return s.limited() && !s.changed && !s.suspends }

// has reports whether a limited scope names the entry.
func (s Scope) has(ref directory.Ref) bool { return slices.Contains(s.refs, ref) }
