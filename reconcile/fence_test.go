package reconcile_test

import (
	"context"
	"errors"
	"testing"

	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/reconcile"
)

// stopped is a tenant with an adapter that waits before each request. What the run needs is lost in that wait.
type stopped struct {
	*tenantFake
	lose func()
}

func (s *stopped) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	s.lose()
	if err := pace.Fenced(ctx); err != nil {
		out := make([]provider.Result, len(batch))
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	return s.tenantFake.Apply(ctx, batch)
}

// The lease and the pause are checked once more where the adapter begins a request.
func TestTheFenceOfARunReachesTheAdapter(t *testing.T) {
	t.Parallel()
	over := fault.New(fault.Canceled, "check", errors.New("it is over"))
	for name, lose := range map[string]func(*gateFake){
		"lease": func(g *gateFake) { g.err = over },
		"pause": func(g *gateFake) { g.pause(over) },
		"lease, while Redis is asked for the pause": func(g *gateFake) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.onPaused = func() { g.err = over }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.source.snapshot.Entries = company()[:1]
			engine := reconcile.New(reconcile.Config{Source: w.source, Desire: desire, Ledger: w.ledger,
				Provider: &stopped{w.tenant, func() { lose(w.gate) }}})
			if _, err := engine.Execute(t.Context(), w.runOf("run", reconcile.Full())); !errors.Is(err, over) {
				t.Errorf("Execute() = %v, want %v", err, over)
			}
			if len(w.tenant.objects) != 0 {
				t.Errorf("%d objects were written", len(w.tenant.objects))
			}
		})
	}
}

// A paused container is read and planned, and the plan is published. Nothing is written, also by a run that began
// before the pause, and after the pause a run does what is left.
func TestNothingIsWrittenWhilePaused(t *testing.T) {
	t.Parallel()
	paused := fault.New(fault.Canceled, "", errors.New("paused by grace"))
	for name, begins := range map[string]func(*world){
		"before the run": func(w *world) { w.gate.pause(paused) },
		"after the plan": func(w *world) { w.said.onPlan = func() { w.gate.pause(paused) } },
		"at a later write": func(w *world) {
			w.tenant.hook = func(_ plan.Change, after bool) error {
				if after && len(w.tenant.applied) > 5 {
					w.gate.pause(paused)
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.source.snapshot.Entries = company()
			begins(w)
			r, err := w.run(t.Context())
			const inFlight = 4 // the tenant's concurrency
			if !errors.Is(err, paused) || r.Failed > 0 || len(w.tenant.applied) > r.Applied || r.Applied > 6+inFlight {
				t.Errorf("a run of a paused container: %v, %d applied, %d failed", err, r.Applied, r.Failed)
			}
			if len(r.Apply.Changes) < 13 {
				t.Errorf("%d changes are planned, want all", len(r.Apply.Changes))
			}
			w.gate.pause(nil)
			w.tenant.hook, w.said.onPlan = nil, nil
			mustRun(t, w)
			if len(w.tenant.objects) != 13 {
				t.Errorf("after the pause the tenant has %d objects, want 13", len(w.tenant.objects))
			}
		})
	}
}
