package boot

import (
	"context"
	"sync/atomic"

	"rollcall/internal/config"
	"rollcall/jobs"
	"rollcall/ledger"
	"rollcall/provider/entra"
	"rollcall/provider/pace"
)

// microsoftEntra is the second hop of one Microsoft Entra tenant.
func (a *App) microsoftEntra(cfg *config.MicrosoftEntra) (jobs.Container, error) {
	name := entraName(cfg)
	quota, err := a.entraQuota(cfg)
	if err != nil {
		return jobs.Container{}, err
	}
	calls := new(atomic.Int64)
	tenant, err := entra.New(cfg.Config, entra.Options{
		Caller:  pace.NewCaller(pace.CallerConfig{Limiter: quota, Timeout: cfg.RequestTimeout, Observe: a.observeCalls(name, calls)}),
		Observe: a.observeRequests(name),
		Cache:   ledger.NewRedisCache(a.Redis, string(name)), Getenv: a.Getenv,
		// Graph says that the quota is nearly spent before it refuses: everybody slows down then, and nobody is refused.
		Strained: func(ctx context.Context, _ float64) { _ = quota.Refused(ctx, 0) },
	})
	if err != nil {
		return jobs.Container{}, err
	}
	return a.secondHop(name, &cfg.Settings, tenant, cfg.Mapping, calls), nil
}
