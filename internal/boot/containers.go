package boot

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"gopkg.in/yaml.v3"

	"rollcall/api"
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
	"rollcall/provider/pace"
	"rollcall/reconcile"
	"rollcall/source"
	"rollcall/source/ldap"
)

// Containers builds every source and provider that is enabled.
func (a *App) Containers() ([]jobs.Container, error) {
	var out []jobs.Container
	for _, cfg := range a.Config.EnabledSources() {
		c, err := a.ldapSource(cfg)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", container.Source(cfg.Slug), err)
		}
		out = append(out, c)
	}
	for _, p := range a.Config.EnabledProviders() {
		c, err := a.tenant(p)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Container(), err)
		}
		out = append(out, c)
	}
	return out, nil
}

// ldapSource is the first hop of one source.
func (a *App) ldapSource(cfg *ldap.Config) (jobs.Container, error) {
	calls := new(atomic.Int64)
	src, err := a.openLDAP(cfg, func() { calls.Add(1) })
	if err != nil {
		return jobs.Container{}, err
	}
	name := container.Source(cfg.Slug)
	links := ledger.NewRedis(a.Redis, string(name))
	return jobs.Container{
		Name: name, Schedule: cfg.Schedule, Calls: calls, Watch: a.watch(cfg, src, links),
		Engine: func() *reconcile.Engine {
			return reconcile.New(reconcile.Config{
				Source: src, Provider: a.part(cfg.Slug), Ledger: links, Container: string(name), Now: a.now(),
				Clocks: a.clocks(""),
				Local:  a.reader([]string{cfg.Slug}), Pending: links, Followers: a.followers(cfg.Slug),
				Limits: plan.Limits{DayLimits: cfg.Limits},
				Desire: func(s directory.Snapshot, _ plan.State) (mapping.Result, error) {
					return mapping.Result{Desired: store.Desired(s)}, nil
				},
			})
		},
	}, nil
}

func (a *App) openLDAP(cfg *ldap.Config, progress func()) (*ldap.Source, error) {
	src, err := ldap.New(*cfg, a.Config.Attributes(cfg.Slug), ldap.Options{Getenv: a.Getenv,
		Deciding: a.Config.Deciding(cfg.Slug), StrictFiles: a.Process.StrictFiles, Progress: progress})
	if err != nil {
		return nil, err
	}
	for _, w := range src.Warnings() {
		a.Log.Warn(w, "container", container.Source(cfg.Slug))
	}
	return src, nil
}

// tenant is the second hop of one provider.
func (a *App) tenant(p *config.Provider) (jobs.Container, error) {
	name := p.Container()
	quotas, err := a.quotas(p)
	if err != nil {
		return jobs.Container{}, err
	}
	calls := new(atomic.Int64)
	env := provider.Env{
		Limiters: map[string]pace.Limiter{}, Attempt: a.observeCalls(name, calls),
		Request: func(op string, status int, err error) { a.work.Request(name, op, status, err) },
		Cache:   a.cache(name), Getenv: a.Getenv,
		Wrap: func(base http.RoundTripper) http.RoundTripper { return a.witnesses.Wrap(string(name), base) },
	}
	for _, q := range quotas {
		env.Limiters[q.Name] = q.Shared
	}
	tenant, err := p.Config.Open(env)
	if err != nil {
		return jobs.Container{}, err
	}
	a.tenants = append(a.tenants, tenant)
	return a.secondHop(p, tenant, calls), nil
}

// cache returns what is kept of a tenant between runs.
func (a *App) cache(name container.ID) provider.Cache {
	kept := provider.Cache(ledger.NewRedisCache(a.Redis, string(name)))
	if a.keepsNothing {
		return readOnly{kept}
	}
	return kept
}

// readOnly is a cache that keeps nothing new.
type readOnly struct{ provider.Cache }

// Save implements provider.Cache.
func (readOnly) Save(context.Context, string, []byte) error { return nil }

// quota is a limit of a tenant with its state on Redis.
type quota struct {
	provider.Quota
	*pace.Shared
}

// quotas returns the limits of a tenant.
func (a *App) quotas(p *config.Provider) ([]quota, error) {
	var out []quota
	for _, q := range p.Config.Quotas() {
		key := p.Container().String()
		if q.Name != "" {
			key += ":" + q.Name
		}
		shared, err := pace.NewShared(a.Redis, key, pace.Config{Rates: q.Rates})
		if err != nil {
			return nil, err
		}
		out = append(out, quota{q, shared})
	}
	return out, nil
}

// secondHop is what all providers share.
func (a *App) secondHop(p *config.Provider, tenant provider.Provider, calls *atomic.Int64) jobs.Container {
	name, s, m := p.Container(), p.Settings, p.Mapping
	slugs := a.Config.Slugs(s)
	links := ledger.NewRedis(a.Redis, string(name))
	return jobs.Container{
		Name: name, Schedule: s.Schedule, Sources: slugs, Calls: calls,
		Engine: func() *reconcile.Engine {
			return reconcile.New(reconcile.Config{
				Source: a.reader(slugs), Provider: tenant, Ledger: links, Container: string(name), Now: a.now(),
				Clocks: a.clocks(name),
				Local:  a.reader(slugs), Pending: links,
				Policy: s.Policy(), Limits: plan.Limits{DayLimits: s.Limits}, Approval: s.RequireApproval,
				Scope: strings.Join(slugs, ",") + " " + m.Digest(), Sources: slugs,
				Within: m.FilterGroup(), References: m.References(),
				Desire: func(snapshot directory.Snapshot, state plan.State) (mapping.Result, error) {
					return m.Desire(mapping.Input{Snapshot: snapshot, Domains: state.Domains})
				},
			})
		},
	}
}

// watch says how a source is polled; nil where it is not.
func (a *App) watch(cfg *ldap.Config, src *ldap.Source, links *ledger.Redis) *jobs.Watch {
	if cfg.Delta == ldap.DeltaOff {
		return nil
	}
	part := a.part(cfg.Slug)
	return &jobs.Watch{
		Source: src, Every: cmp.Or(cfg.DeltaEvery, ldap.DefaultDeltaEvery),
		Cursor: func(ctx context.Context) (source.Cursor, error) {
			facts, err := links.Facts(ctx)
			return facts.Cursor, err
		},
		Left: func(ctx context.Context, ref directory.Ref) (bool, error) {
			_, left, err := part.Entry(ctx, ref)
			return left != nil, err
		},
	}
}

// followers returns the providers that are written from a source.
func (a *App) followers(slug string) (out []reconcile.Follower) {
	for _, p := range a.Config.EnabledProviders() {
		if config.Uses(p.Settings, slug) {
			out = append(out, reconcile.Follower{Pending: ledger.NewRedis(a.Redis, string(p.Container())),
				Within: p.Mapping.FilterGroup() != ""})
		}
	}
	return out
}

// part returns the local copy of a source.
func (a *App) part(slug string) *store.Part {
	return store.New(store.Config{Redis: a.Redis, Slug: slug, Now: a.now()})
}

// now returns the clock, that of this host in a process without Redis.
func (a *App) now() func() time.Time {
	if a.Clock == nil {
		return time.Now
	}
	return a.Clock.Now
}

func (a *App) reader(slugs []string) *store.Reader {
	parts := make([]*store.Part, 0, len(slugs))
	for _, slug := range slugs {
		parts = append(parts, a.part(slug))
	}
	return store.NewReader(parts...)
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

// resources shows the configuration to the API: under the names of the file, secrets left out. What the file says of
// secrets is where they are, and that is no secret.
func (a *App) resources() []api.Resource {
	var out []api.Resource
	for i := range a.Config.Sources.LDAP {
		c := &a.Config.Sources.LDAP[i]
		out = append(out, api.Resource{Container: container.Source(c.Slug), Name: c.Name, Disabled: !c.Enabled,
			Fields: shown(c)})
	}
	for i := range a.Config.Providers {
		p := &a.Config.Providers[i]
		out = append(out, api.Resource{Container: p.Container(), Name: p.Name, Disabled: !p.On(),
			Fields: shown(p.Config)})
	}
	return out
}

// shown returns a configuration as a map, under the keys of the file.
func shown(cfg any) map[string]any {
	text, err := yaml.Marshal(cfg)
	if err != nil {
		return nil
	}
	var m map[string]any
	if yaml.Unmarshal(text, &m) != nil {
		return nil
	}
	for key, v := range m {
		if strings.Contains(key, "password") && !strings.HasSuffix(key, "_file") && !strings.HasSuffix(key, "_env") {
			delete(m, key)
		}
		if _, err := json.Marshal(v); err != nil {
			delete(m, key)
		}
	}
	return m
}
