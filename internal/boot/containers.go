package boot

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/fault"
	"rollcall/internal/config"
	"rollcall/jobs"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
	"rollcall/provider/pace"
	"rollcall/reconcile"
	"rollcall/source/ldap"
)

// Containers builds every source and provider that is enabled: the one place where adapters are named.
func (a *App) Containers() ([]jobs.Container, error) {
	var out []jobs.Container
	for i := range a.Config.Sources.LDAP {
		if cfg := &a.Config.Sources.LDAP[i]; cfg.Enabled {
			c, err := a.ldapSource(cfg)
			if err != nil {
				return nil, fmt.Errorf("ldap:%s: %w", cfg.Slug, err)
			}
			out = append(out, c)
		}
	}
	for i := range a.Config.Providers.GoogleWorkspace {
		if cfg := &a.Config.Providers.GoogleWorkspace[i]; *cfg.Enabled {
			c, err := a.googleWorkspace(cfg)
			if err != nil {
				return nil, fmt.Errorf("google_workspace:%d: %w", cfg.ID, err)
			}
			out = append(out, c)
		}
	}
	for i := range a.Config.Providers.MicrosoftEntra {
		if cfg := &a.Config.Providers.MicrosoftEntra[i]; *cfg.Enabled {
			c, err := a.microsoftEntra(cfg)
			if err != nil {
				return nil, fmt.Errorf("microsoft_entra:%d: %w", cfg.ID, err)
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// provider builds one provider by its container's name.
func (a *App) provider(name container.ID) (jobs.Container, error) {
	for i := range a.Config.Providers.GoogleWorkspace {
		if cfg := &a.Config.Providers.GoogleWorkspace[i]; googleName(cfg) == name {
			return a.googleWorkspace(cfg)
		}
	}
	for i := range a.Config.Providers.MicrosoftEntra {
		if cfg := &a.Config.Providers.MicrosoftEntra[i]; entraName(cfg) == name {
			return a.microsoftEntra(cfg)
		}
	}
	return jobs.Container{}, fault.Errorf(fault.Invalid, "provider %q is not configured", name)
}

// providers names the providers, enabled or not.
func (a *App) providers() []container.ID {
	var out []container.ID
	for i := range a.Config.Providers.GoogleWorkspace {
		out = append(out, googleName(&a.Config.Providers.GoogleWorkspace[i]))
	}
	for i := range a.Config.Providers.MicrosoftEntra {
		out = append(out, entraName(&a.Config.Providers.MicrosoftEntra[i]))
	}
	return out
}

// mapping returns a provider's compiled mapping.
func (a *App) mapping(name container.ID) *mapping.Mapping {
	for i := range a.Config.Providers.GoogleWorkspace {
		if cfg := &a.Config.Providers.GoogleWorkspace[i]; googleName(cfg) == name {
			return cfg.Mapping
		}
	}
	for i := range a.Config.Providers.MicrosoftEntra {
		if cfg := &a.Config.Providers.MicrosoftEntra[i]; entraName(cfg) == name {
			return cfg.Mapping
		}
	}
	return nil
}

func googleName(cfg *config.GoogleWorkspace) container.ID {
	return container.ID(fmt.Sprintf("google_workspace:%d", cfg.ID))
}

func entraName(cfg *config.MicrosoftEntra) container.ID {
	return container.ID(fmt.Sprintf("microsoft_entra:%d", cfg.ID))
}

// ldapSource is the first hop of one source.
func (a *App) ldapSource(cfg *ldap.Config) (jobs.Container, error) {
	calls := new(atomic.Int64)
	src, err := a.openLDAP(cfg, ldap.WithProgress(func() { calls.Add(1) }))
	if err != nil {
		return jobs.Container{}, err
	}
	name := container.Source(cfg.Slug)
	links := ledger.NewRedis(a.Redis, string(name))
	return jobs.Container{
		Name: name, Schedule: cfg.Schedule, Calls: calls,
		Engine: func() *reconcile.Engine {
			return reconcile.New(reconcile.Config{
				Source: src, Provider: store.New(store.Config{Redis: a.Redis, Slug: cfg.Slug}), Ledger: links, Container: string(name),
				Limits: plan.Limits{DayLimits: cfg.Limits},
				Desire: func(s directory.Snapshot, _ plan.State) (mapping.Result, error) {
					return mapping.Result{Desired: store.Desired(s)}, nil
				},
			})
		},
	}, nil
}

func (a *App) openLDAP(cfg *ldap.Config, more ...ldap.Option) (*ldap.Source, error) {
	options := append([]ldap.Option{ldap.WithEnv(a.Getenv)}, more...)
	if a.Process.StrictFiles {
		options = append(options, ldap.WithStrictFiles())
	}
	src, err := ldap.New(*cfg, a.Config.Attributes(cfg.Slug), options...)
	if err != nil {
		return nil, err
	}
	for _, w := range src.Warnings() {
		a.Log.Warn(w, "container", container.Source(cfg.Slug))
	}
	return src, nil
}

// googleWorkspace is the second hop of one Google Workspace account.
func (a *App) googleWorkspace(cfg *config.GoogleWorkspace) (jobs.Container, error) {
	name := googleName(cfg)
	quota, creates, err := a.googleQuotas(cfg)
	if err != nil {
		return jobs.Container{}, err
	}
	calls := new(atomic.Int64)
	shape := pace.CallerConfig{Limiter: quota, Timeout: cfg.RequestTimeout, Observe: a.observeCalls(name, calls)}
	c := googleCaller{all: pace.NewCaller(shape)}
	shape.Limiter = within{quota, creates}
	c.creates = pace.NewCaller(shape)
	tenant, err := googleworkspace.New(cfg.Config, googleworkspace.Options{Caller: c, Observe: a.observeRequests(name)})
	if err != nil {
		return jobs.Container{}, err
	}
	return a.secondHop(name, &cfg.Settings, tenant, cfg.Mapping, calls), nil
}

// googleCaller makes calls of one unit each. Google bounds the creation of users apart from everything else (10 a second
// and domain): a refusal of one slows down the creation of users, and nothing else.
type googleCaller struct{ all, creates *pace.Caller }

// Call implements googleworkspace.Caller.
func (c googleCaller) Call(ctx context.Context, op string, fn func(context.Context) error) error {
	if op == "users.insert" {
		return c.creates.Call(ctx, op, pace.One(pace.Calls), fn)
	}
	return c.all.Call(ctx, op, pace.One(pace.Calls), fn)
}

// within is a quota inside another one: a call waits for both, and a refusal is the inner one's.
type within struct{ outer, inner pace.Limiter }

// Wait implements pace.Limiter.
func (l within) Wait(ctx context.Context, cost pace.Cost) (time.Duration, error) {
	first, err := l.inner.Wait(ctx, cost)
	if err != nil {
		return first, err
	}
	second, err := l.outer.Wait(ctx, cost)
	return first + second, err
}

// Refused implements pace.Limiter.
func (l within) Refused(ctx context.Context, retryAfter time.Duration) error {
	return l.inner.Refused(ctx, retryAfter)
}

// secondHop is what all providers share.
func (a *App) secondHop(name container.ID, s *provider.Settings, tenant provider.Provider, m *mapping.Mapping, calls *atomic.Int64) jobs.Container {
	slugs := a.slugs(s)
	links := ledger.NewRedis(a.Redis, string(name))
	return jobs.Container{
		Name: name, Schedule: s.Schedule, Sources: slugs, Calls: calls,
		Engine: func() *reconcile.Engine {
			return reconcile.New(reconcile.Config{
				Source: a.reader(slugs), Provider: tenant, Ledger: links,
				Policy: s.Policy(), Limits: plan.Limits{DayLimits: s.Limits}, Approval: s.RequireApproval, Scope: scopeOf(slugs, m),
				Desire: func(snapshot directory.Snapshot, state plan.State) (mapping.Result, error) {
					return m.Desire(mapping.Input{Snapshot: snapshot, Domains: state.Domains})
				},
			})
		},
	}
}

// slugs returns the sources that a provider is fed from. One that is disabled is not read any more, and its people stay as
// they were: switching a source off must not look like everybody in it leaving.
func (a *App) slugs(s *provider.Settings) []string {
	var out []string
	for i := range a.Config.Sources.LDAP {
		if src := &a.Config.Sources.LDAP[i]; config.Uses(s, src.Slug) {
			out = append(out, src.Slug)
		}
	}
	return out
}

func (a *App) reader(slugs []string) *store.Reader {
	parts := make([]*store.Part, 0, len(slugs))
	for _, slug := range slugs {
		parts = append(parts, store.New(store.Config{Redis: a.Redis, Slug: slug}))
	}
	return store.NewReader(parts...)
}

// scopeOf identifies the scope and the mapping of a provider.
func scopeOf(slugs []string, m *mapping.Mapping) string {
	return strings.Join(slugs, ",") + " " + m.Digest()
}

// Container returns one container by name.
func Container(all []jobs.Container, name string) (*jobs.Container, error) {
	i := slices.IndexFunc(all, func(c jobs.Container) bool { return string(c.Name) == name })
	if i >= 0 {
		return &all[i], nil
	}
	var names []string
	for _, c := range all {
		names = append(names, string(c.Name))
	}
	return nil, fault.Errorf(fault.Invalid, "container %q is not configured: have %v", name, names)
}
