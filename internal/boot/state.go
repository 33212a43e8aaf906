package boot

import (
	"context"
	"fmt"
	"time"

	"rollcall/container"
	"rollcall/directory/store"
	"rollcall/internal/config"
	"rollcall/internal/metrics"
	"rollcall/jobs"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
)

// state returns what exports the state of everything that is configured. It opens no adapter: the API process needs none of
// their secrets.
func (a *App) state() (*metrics.State, error) {
	all, err := a.measured()
	if err != nil {
		return nil, err
	}
	return metrics.NewState(metrics.StateConfig{
		Redis: a.Redis, Status: a.Status, Decisions: a.Decisions, Containers: all, Queues: jobs.Queues(a.Redis), Log: a.Log,
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
	for i := range a.Config.Providers.GoogleWorkspace {
		cfg := &a.Config.Providers.GoogleWorkspace[i]
		if !cfg.On() {
			continue
		}
		c := a.tenant(googleName(cfg), &cfg.Settings)
		all, creates, err := a.googleQuotas(cfg)
		if err != nil {
			return nil, err
		}
		c.Quotas = []metrics.Quota{
			{States: all.States}, {States: creates.States, Lanes: map[string]string{pace.Calls: metrics.UserCreates}},
		}
		if err := a.measure(&c, cfg.Schedule); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	for i := range a.Config.Providers.MicrosoftEntra {
		cfg := &a.Config.Providers.MicrosoftEntra[i]
		if !cfg.On() {
			continue
		}
		c := a.tenant(entraName(cfg), &cfg.Settings)
		quota, err := a.entraQuota(cfg)
		if err != nil {
			return nil, err
		}
		c.Quotas = []metrics.Quota{{States: quota.States}}
		if err := a.measure(&c, cfg.Schedule); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// tenant is what metrics know of every provider.
func (a *App) tenant(name container.ID, s *provider.Settings) metrics.Container {
	c := metrics.Container{Name: name, Follows: s.Schedule == jobs.AfterSource, Suspends: s.UserDeleteAction != plan.ActionDoNothing}
	for _, slug := range a.slugs(s) {
		c.Sources = append(c.Sources, container.Source(slug))
	}
	return c
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
	part := store.New(store.Config{Redis: a.Redis, Slug: slug})
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

// googleQuotas returns the quota of an account, and the one of creating users within it.
func (a *App) googleQuotas(cfg *config.GoogleWorkspace) (all, creates *pace.Shared, err error) {
	rate := pace.Config{Rates: map[string]float64{pace.Calls: cfg.MaxRequestsPerSecond}}
	if all, err = pace.NewShared(a.Redis, string(googleName(cfg)), rate); err != nil {
		return nil, nil, err
	}
	rate.Rates = map[string]float64{pace.Calls: cfg.UserCreatesPerSecond()}
	creates, err = pace.NewShared(a.Redis, string(googleName(cfg))+":users.insert", rate)
	return all, creates, err
}

// entraQuota returns the quota of a tenant.
func (a *App) entraQuota(cfg *config.MicrosoftEntra) (*pace.Shared, error) {
	return pace.NewShared(a.Redis, string(entraName(cfg)), pace.Config{Rates: cfg.Rates()})
}
