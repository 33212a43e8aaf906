package reconcile_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

// gateFake is a lease and a memory. It admits everything and counts.
type gateFake struct {
	mu       sync.Mutex
	budget   plan.Budget
	verdicts map[string]plan.Verdict
	pins     map[directory.Ref]plan.Pin
	orders   []plan.Order
	spent    int
	taken    int // of the limits of users and groups
	others   int // what others take right after the plan
	locked   map[string]bool
	drain    chan struct{}
	err      error
	// paused is the error of a container that a person paused.
	paused error
	// onPaused is called where the run asks whether it is paused.
	onPaused func()
}

func (g *gateFake) Check(ctx context.Context) error {
	if g.err != nil {
		return g.err
	}
	return ctx.Err()
}

func (g *gateFake) Lock(ctx context.Context, entry string) (func(), bool, error) {
	if err := g.Check(ctx); err != nil {
		return nil, false, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.locked[entry] {
		return nil, false, nil
	}
	return func() {}, true, nil
}

func (g *gateFake) Load(context.Context) (reconcile.Remembered, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	pins := slices.SortedFunc(maps.Values(g.pins), func(a, b plan.Pin) int { return a.Ref.Compare(b.Ref) })
	return reconcile.Remembered{Spent: g.budget, Verdicts: g.verdicts, Pins: pins, Orders: g.orders}, nil
}

func (g *gateFake) Ordered(_ context.Context, ref directory.Ref) (bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.ContainsFunc(g.orders, func(o plan.Order) bool { return o.Ref == ref }), nil
}

func (g *gateFake) Paused(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.onPaused != nil {
		g.onPaused()
	}
	return g.paused
}

func (g *gateFake) pause(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.paused = err
}

func (g *gateFake) Keep(_ context.Context, changes reconcile.PinChanges) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pins == nil {
		g.pins = map[directory.Ref]plan.Pin{}
	}
	for _, p := range changes.Set {
		g.pins[p.Ref] = p
	}
	for _, p := range changes.Update {
		if _, there := g.pins[p.Ref]; there {
			g.pins[p.Ref] = p
		}
	}
	for _, ref := range changes.Remove {
		delete(g.pins, ref)
	}
	return nil
}

func (g *gateFake) Spend(_ context.Context, c *plan.Change, limit int) (func(bool), bool, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.Brake() == plan.BrakeLeave {
		g.taken, g.others = g.taken+g.others, 0
		if g.taken++; g.taken > limit {
			g.taken--
			return nil, false, nil
		}
	}
	g.spent++
	return func(made bool) {
		if made {
			return
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.spent--
		if c.Brake() == plan.BrakeLeave {
			g.taken--
		}
	}, true, nil
}

func (g *gateFake) Draining() <-chan struct{} { return g.drain }

// journalFake stores messages.
type journalFake struct {
	mu       sync.Mutex
	messages []string
	// since maps each change that was made, as "op ref", to the time since which it was due.
	since map[string]time.Time
	// onPlan is called when the plan is stored.
	onPlan func()
}

func (j *journalFake) Read(int, int, int) {}
func (j *journalFake) Planned(context.Context, plan.Plan, plan.Plan) error {
	if j.onPlan != nil {
		j.onPlan()
	}
	return nil
}
func (j *journalFake) Applied(*reconcile.Report, error) {}
func (j *journalFake) Done(c *plan.Change, r provider.Result) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.since != nil && r.Err == nil {
		j.since[c.Op.String()+" "+c.Ref.String()] = c.Since
	}
}
func (j *journalFake) Say(_ reconcile.Level, event string, _ map[string]any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.messages = append(j.messages, event)
}

// ledgerFake dies at the nth write.
type ledgerFake struct {
	reconcile.Ledger
	left atomic.Int64
}

// dying returns a ledger that dies at the write after n others.
func dying(l reconcile.Ledger, n int) *ledgerFake {
	out := &ledgerFake{Ledger: l}
	out.left.Store(int64(n))
	return out
}

var errDead = fault.Errorf(fault.Unavailable, "the ledger is out of reach")

func (l *ledgerFake) die() error {
	if l.left.Add(-1) == -1 {
		return errDead
	}
	return nil
}

func (l *ledgerFake) PutLinks(ctx context.Context, links map[directory.Ref]plan.Link) error {
	if err := l.die(); err != nil {
		return err
	}
	return l.Ledger.PutLinks(ctx, links)
}

func (l *ledgerFake) DropLinks(ctx context.Context, refs ...directory.Ref) error {
	if err := l.die(); err != nil {
		return err
	}
	return l.Ledger.DropLinks(ctx, refs...)
}

func (l *ledgerFake) Confirm(ctx context.Context, g map[directory.ID]plan.Confirmed) error {
	if err := l.die(); err != nil {
		return err
	}
	return l.Ledger.Confirm(ctx, g)
}

func (l *ledgerFake) Unconfirm(ctx context.Context, ids ...directory.ID) error {
	if err := l.die(); err != nil {
		return err
	}
	return l.Ledger.Unconfirm(ctx, ids...)
}

func (l *ledgerFake) SetFacts(ctx context.Context, f ledger.Facts) error {
	if err := l.die(); err != nil {
		return err
	}
	return l.Ledger.SetFacts(ctx, f)
}
