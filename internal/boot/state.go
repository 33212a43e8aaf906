package boot

import (
	"context"
	"fmt"
	"time"

	"rollcall/container"
	"rollcall/internal/config"
	"rollcall/internal/metrics"
	"rollcall/jobs"
	"rollcall/ledger"
	"rollcall/plan"
)

// state returns the exporter for the state of all configured containers. It opens no adapter, because the API process
// does not need their secrets.
func (a *App) state() (*metrics.State, error) {
	all, err := a.measured()
	if err != nil {
		return nil, err
	}
	return metrics.NewState(metrics.StateConfig{
		Redis: a.Redis, Status: a.Status, Decisions: a.Decisions, Containers: all, Queues: jobs.Queues(a.Redis), Log: a.Log,
		Now: a.now(),
	}), nil
}

// measured returns every source and provider that is enabled as metrics see it.
func (a *App) measured() ([]metrics.Container, error) {
	var out []metrics.Container
	for i := range a.Config.Sources.LDAP {
		if cfg := &a.Config.Sources.LDAP[i]; cfg.Enabled {
			c := metrics.Container{Name: container.Source(cfg.Slug), ReadAt: a.copyReadAt(cfg.Slug)}
			if err := a.measure(&c, cfg.Schedule); err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	}
	for i := range a.Config.Providers {
		p := &a.Config.Providers[i]
		if !p.On() {
			continue
		}
		c, err := a.measuredTenant(p)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// measuredTenant is what metrics know of a provider.
func (a *App) measuredTenant(p *config.Provider) (metrics.Container, error) {
	c := metrics.Container{
		Name: p.Container(), Follows: p.Schedule == jobs.AfterSource, Suspends: p.UserDeleteAction != plan.ActionDoNothing,
	}
	for _, slug := range a.slugs(p.Settings) {
		c.Sources = append(c.Sources, container.Source(slug))
	}
	quotas, err := a.quotas(p)
	if err != nil {
		return c, err
	}
	for _, q := range quotas {
		c.Quotas = append(c.Quotas, metrics.Quota{States: q.States, Lane: q.Lane})
	}
	return c, a.measure(&c, p.Schedule)
}

// measure adds what metrics know of every container.
func (a *App) measure(c *metrics.Container, schedule string) (err error) {
	c.Facts = ledger.NewRedis(a.Redis, string(c.Name)).Facts
	if c.Gap, err = jobs.LongestGap(schedule, time.Now()); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	return nil
}

// copyReadAt returns what tells when the local copy of a source was read.
func (a *App) copyReadAt(slug string) func(context.Context) (time.Time, error) {
	part := a.part(slug)
	return func(ctx context.Context) (time.Time, error) {
		s, err := part.Status(ctx)
		switch {
		case !s.CompletedReadAt.IsZero():
			return s.CompletedReadAt, err
		case s.Ready(): // Completed before it was noted when it was read.
			return s.ReadAt, err
		}
		return s.CompletedAt, err
	}
}
