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

// stopped is a tenant with an adapter that waits before each request. The lease is lost in that wait.
type stopped struct {
	*tenantFake
	gate *gateFake
	lost error
}

func (s *stopped) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	s.gate.err = s.lost
	if err := pace.Fenced(ctx); err != nil {
		out := make([]provider.Result, len(batch))
		for i := range out {
			out[i].Err = err
		}
		return out
	}
	return s.tenantFake.Apply(ctx, batch)
}

// The lease is checked once more where the adapter begins a request.
func TestTheFenceOfARunReachesTheAdapter(t *testing.T) {
	t.Parallel()
	w, lost := newWorld(), fault.New(fault.Canceled, "check", errors.New("the lease is over"))
	w.source.snapshot.Entries = company()[:1]
	engine := reconcile.New(reconcile.Config{
		Source: w.source, Provider: &stopped{w.tenant, w.gate, lost}, Desire: desire, Ledger: w.ledger,
	})
	if _, err := engine.Execute(t.Context(), w.runOf("run", reconcile.Full())); !errors.Is(err, lost) {
		t.Errorf("Execute() = %v, want %v", err, lost)
	}
	if len(w.tenant.objects) != 0 {
		t.Errorf("%d objects were written after the lease was lost", len(w.tenant.objects))
	}
}
