package jobs

import (
	"context"
	"strings"
	"sync/atomic"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/status"
)

// AfterSource is the schedule of a provider that is synced after each source run that changed something.
const AfterSource = "after_source"

// Container is one source or provider as a worker sees it.
type Container struct {
	Name status.Container
	// Engine makes the engine of one execution.
	Engine func() *reconcile.Engine
	// Schedule is a cron expression, AfterSource, or empty.
	Schedule string
	// Sources are the slugs that a provider is fed from; empty for a source.
	Sources []string
	// Calls counts requests to the remote side; may be nil.
	Calls *atomic.Int64
}

// gate implements reconcile.Gate on status: for a run with its lease, for an object job without one.
type gate struct {
	store *status.Store
	name  status.Container
	lease *status.Lease
	drain <-chan struct{}
}

// NewGate returns the gate of a container for who holds no lease: an object job, or an explanation.
func NewGate(store *status.Store, name status.Container) reconcile.Gate {
	return &gate{store: store, name: name}
}

func (g *gate) fence() status.Fence {
	if g.lease == nil {
		return status.Fence{}
	}
	return g.lease.Fence()
}

// Check implements reconcile.Gate.
func (g *gate) Check(ctx context.Context) error {
	if g.lease == nil {
		return ctx.Err()
	}
	return g.lease.Check(ctx)
}

// Lock implements reconcile.Gate.
func (g *gate) Lock(ctx context.Context, entry string) (func(), bool, error) {
	if err := g.Check(ctx); err != nil {
		return nil, false, err
	}
	unlock, ok, err := g.store.Lock(ctx, g.name, g.fence(), entry)
	if err != nil || !ok {
		return nil, ok, err
	}
	// An unlock that fails leaves the lock to expire; the write under it has happened either way.
	return func() { _ = unlock(ctx) }, true, nil
}

// Spent implements reconcile.Gate.
func (g *gate) Spent(ctx context.Context) (plan.Budget, error) {
	spent, err := g.store.Spent(ctx, g.name)
	if err != nil {
		return plan.Budget{}, err
	}
	claims, err := g.store.Claims(ctx, g.name)
	if err != nil {
		return plan.Budget{}, err
	}
	b := plan.Budget{User: spent[status.BudgetUsers], Group: spent[status.BudgetGroups], Members: map[directory.ID]int{}, Claims: claims}
	for kind, n := range spent {
		if id, ok := strings.CutPrefix(string(kind), string(status.BudgetMembers(""))); ok {
			b.Members[directory.ID(id)] = n
		}
	}
	return b, nil
}

// Verdicts implements reconcile.Gate.
func (g *gate) Verdicts(ctx context.Context) (map[string]plan.Verdict, error) {
	decisions, err := g.store.Decisions(ctx, g.name)
	out := make(map[string]plan.Verdict, len(decisions))
	for print, d := range decisions {
		out[print] = plan.Verdict(d.Verdict)
	}
	return out, err
}

// Pins implements reconcile.Gate.
func (g *gate) Pins(ctx context.Context) ([]plan.Pin, error) { return g.store.Pins(ctx, g.name) }

// Pin implements reconcile.Gate.
func (g *gate) Pin(ctx context.Context, pins []plan.Pin) error {
	return g.store.Pin(ctx, g.name, pins, nil)
}

// Repin implements reconcile.Gate.
func (g *gate) Repin(ctx context.Context, change []plan.Pin, forget []directory.Ref) error {
	return g.store.Repin(ctx, g.name, change, forget)
}

// Spend implements reconcile.Gate.
func (g *gate) Spend(ctx context.Context, c *plan.Change, limit int) (func(made bool), bool, error) {
	kind := status.BudgetUsers
	switch {
	case c.Op == plan.RemoveMember:
		kind = status.BudgetMembers(string(c.ID))
	case c.Kind == directory.Group:
		kind = status.BudgetGroups
	}
	settle, ok, err := g.store.Claim(ctx, g.name, kind, c.Claim(), limit)
	if err != nil || !ok {
		return nil, ok, err
	}
	// What cannot be settled stays counted, once: the budget errs on the safe side.
	return func(made bool) { _ = settle(context.WithoutCancel(ctx), made) }, true, nil
}

// Draining implements reconcile.Gate.
func (g *gate) Draining() <-chan struct{} { return g.drain }
