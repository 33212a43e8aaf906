package jobs

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/plan"
	"rollcall/reconcile"
)

// AfterSource is the schedule of a provider that is synced after each source run with changes.
const AfterSource = "after_source"

// Container is one source or provider as configured for a worker.
type Container struct {
	Name container.ID
	// Engine makes the engine of one execution.
	Engine func() *reconcile.Engine
	// Schedule is a cron expression, AfterSource, or empty.
	Schedule string
	// Sources are the slugs of a provider's sources. A source has none.
	Sources []string
	// Digest identifies the configuration. Workers with different digests do not execute a container side by side.
	// Without a digest the container is executed by any worker.
	Digest string
	// Watch says how a source is asked for its changes. It is nil for a provider.
	Watch *Watch
	// Calls counts requests to the remote side. It may be nil.
	Calls *atomic.Int64
}

// memory implements reconcile.Memory on decisions.
type memory struct {
	store *decisions.Store
	name  container.ID
}

// NewMemory returns the decisions, pins and budget of a container.
func NewMemory(store *decisions.Store, name container.ID) reconcile.Memory {
	return memory{store, name}
}

// Paused implements reconcile.Memory.
func (m memory) Paused(ctx context.Context) error { return m.store.Paused(ctx, m.name) }

// Ordered implements reconcile.Memory.
func (m memory) Ordered(ctx context.Context, ref directory.Ref) (bool, error) {
	return m.store.Ordered(ctx, m.name, ref)
}

// Load implements reconcile.Memory.
func (m memory) Load(ctx context.Context) (r reconcile.Remembered, err error) {
	if r.Spent, err = m.spent(ctx); err != nil {
		return r, err
	}
	kept, err := m.store.Kept(ctx, m.name)
	if err != nil {
		return r, err
	}
	r.Verdicts = make(map[string]plan.Verdict, len(kept.Decisions))
	for print, d := range kept.Decisions {
		r.Verdicts[print] = plan.Verdict(d.Verdict)
	}
	r.Pins = kept.Pins
	m.distrust(&kept, &r)
	if m.name.IsSource() { // An order suspends accounts.
		return r, nil
	}
	orders, err := m.store.Orders(ctx)
	if err != nil {
		return r, err
	}
	r.Orders = orders.At(m.name).Leave
	for _, ref := range slices.SortedFunc(maps.Keys(orders.Untrusted), directory.Ref.Compare) {
		r.Unordered = append(r.Unordered, plan.Held{Ref: ref, Reason: plan.PinLost, Detail: "its order to leave " +
			orders.Untrusted[ref] + "; no account is made or activated for it until a person gives the order again or lifts " +
			"it: rollcall leave " + string(ref.ID) + " [--lift]"})
	}
	return r, nil
}

// distrust says what of the decisions and pins is not used.
func (m memory) distrust(kept *decisions.Kept, r *reconcile.Remembered) {
	command := "rollcall adopt-decisions " + string(m.name)
	if kept.Broken != "" {
		r.Doubts = append(r.Doubts, kept.Broken+": "+command)
	}
	var unused int
	for _, u := range kept.Untrusted {
		if u.Pin.ID == "" {
			unused++
			continue
		}
		r.Unpinned = append(r.Unpinned, plan.Held{Ref: u.Pin, Label: u.Label, Reason: plan.PinLost,
			Detail: "its pin, which keeps it as it was before an undone run, " + u.Problem +
				"; nothing happens to it until a person confirms: " + command})
	}
	if unused > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d decisions are not signed, changed or gone. Approvals among them "+
			"are not used: %s lists them.", unused, command))
	}
}

func (m memory) spent(ctx context.Context) (plan.Budget, error) {
	spent, err := m.store.Spent(ctx, m.name)
	if err != nil {
		return plan.Budget{}, err
	}
	claims, err := m.store.Claims(ctx, m.name)
	if err != nil {
		return plan.Budget{}, err
	}
	b := plan.Budget{
		User: spent[decisions.BudgetUsers], Group: spent[decisions.BudgetGroups], Members: map[directory.ID]int{},
		Claims:      claims,
		Reactivated: countsOf(spent, plan.BrakeReactivate), Renamed: countsOf(spent, plan.BrakeRename),
	}
	for kind, n := range spent {
		if id, ok := strings.CutPrefix(string(kind), string(decisions.BudgetMembers(""))); ok {
			b.Members[directory.ID(id)] = n
		}
	}
	return b, nil
}

// budgetOf returns the budget in which a change is counted. Departures and removals keep their original names.
func budgetOf(c *plan.Change) decisions.BudgetKind {
	switch b := c.Brake(); {
	case b == plan.BrakeMembers:
		return decisions.BudgetMembers(string(c.ID))
	case b == plan.BrakeReactivate || b == plan.BrakeRename:
		return budgetFor(b, c.Kind)
	case c.Kind == directory.Group:
		return decisions.BudgetGroups
	}
	return decisions.BudgetUsers
}

func budgetFor(b plan.Brake, k directory.Kind) decisions.BudgetKind {
	return decisions.BudgetKind(string(b) + ":" + k.String())
}

func countsOf(spent map[decisions.BudgetKind]int, b plan.Brake) plan.Tally {
	return plan.Tally{User: spent[budgetFor(b, directory.User)], Group: spent[budgetFor(b, directory.Group)]}
}

// Keep implements reconcile.Memory.
func (m memory) Keep(ctx context.Context, changes reconcile.PinChanges) error {
	if err := m.store.Pin(ctx, m.name, changes.Set, nil); err != nil {
		return err
	}
	if err := m.store.Agree(ctx, m.name, changes.Agreed...); err != nil {
		return err
	}
	return m.store.Repin(ctx, m.name, changes.Update, changes.Remove)
}

// Spend implements reconcile.Memory.
func (m memory) Spend(ctx context.Context, c *plan.Change, limit int) (func(made bool), bool, error) {
	settle, ok, err := m.store.Claim(ctx, m.name, budgetOf(c), c.Claim(), limit)
	if err != nil || !ok {
		return nil, ok, err
	}
	// A change that cannot be settled stays counted once, so that the budget errs on the safe side.
	return func(made bool) { _ = settle(context.WithoutCancel(ctx), made) }, true, nil
}
