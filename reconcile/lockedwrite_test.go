package reconcile_test

import (
	"context"
	"testing"
	"time"

	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
	"rollcall/status"
)

// timedFake notes how long a write may take.
type timedFake struct {
	*tenantFake
	most time.Duration
}

func (f *timedFake) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	f.mu.Lock()
	if until, ok := ctx.Deadline(); !ok {
		f.most = 24 * time.Hour
	} else {
		f.most = max(f.most, time.Until(until))
	}
	f.mu.Unlock()
	return f.tenantFake.Apply(ctx, batch)
}

// A write that outlives its lock would land on top of a newer one.
func TestLaw13AWriteEndsBeforeItsLockDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	tenant := &timedFake{tenantFake: w.tenant}
	engine := reconcile.New(reconcile.Config{Source: w.source, Provider: tenant, Desire: desire, Ledger: w.ledger})
	if _, err := engine.Execute(t.Context(), w.runOf("run", reconcile.Full())); err != nil {
		t.Fatal(err)
	}
	lock := status.New(nil, status.Config{}).Config().LockTTL
	if tenant.most == 0 || tenant.most >= lock-5*time.Second {
		t.Errorf("a write may take %v under a lock of %v, want some seconds less", tenant.most, lock)
	}
}
