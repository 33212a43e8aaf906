package boot

import (
	"context"
	"time"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/shadow"
)

// Shadow makes a dry run as Offline does, and then reads the tenant once more. It writes to no system.
func (a *App) Shadow(ctx context.Context, name string) (shadow.Snapshot, error) {
	report, _, err := a.Offline(ctx, name)
	if err != nil {
		return shadow.Snapshot{}, err
	}
	state, err := a.tenantState(ctx, container.ID(name))
	if err != nil {
		return shadow.Snapshot{}, err
	}
	all := report.Apply
	all.Changes = append(append([]plan.Change(nil), report.Apply.Changes...), report.Held.Changes...)
	return shadow.Take(time.Now(), name, &all, &state), nil
}

// tenantState reads a tenant as the configuration has it.
func (a *App) tenantState(ctx context.Context, name container.ID) (plan.State, error) {
	for i := range a.Config.Providers {
		if c := &a.Config.Providers[i]; c.Container() == name {
			tenant, err := c.Config.Open(provider.Env{Getenv: a.Getenv})
			if err != nil {
				return plan.State{}, err
			}
			return tenant.Read(ctx, provider.Query{Now: time.Now()})
		}
	}
	return plan.State{}, fault.Errorf(fault.Invalid, "%s is no provider: a directory has no other tool", name)
}
