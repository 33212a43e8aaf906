package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/config"
	"rollcall/jobs"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
	"rollcall/shadow"
	"rollcall/source"
	"rollcall/source/ldap"
)

// Offline plans a container without Redis and without writing to any system. For a provider it first reads the
// sources into a local directory in this process. The App must be connected to Embedded.
func (a *App) Offline(ctx context.Context, name string) (reconcile.Report, []string, error) {
	all, err := a.Containers()
	if err != nil {
		return reconcile.Report{}, nil, err
	}
	c, err := Container(all, name)
	if err != nil {
		return reconcile.Report{}, nil, err
	}
	said := &listener{}
	if c.Name.Kind() != container.LDAP {
		for _, slug := range c.Sources {
			if _, err := fill(ctx, all, container.Source(slug), said); err != nil {
				return reconcile.Report{}, said.lines, err
			}
		}
	}
	report, err := c.Engine().Plan(ctx, nil)
	if err == nil {
		said.lines = append(said.lines, a.room(ctx, c.Name, &report.Apply)...)
	}
	return report, said.lines, err
}

// room compares what a plan creates with the room in the tenant, where the tenant shows it.
func (a *App) room(ctx context.Context, name container.ID, p *plan.Plan) (lines []string) {
	c := a.Config.Provider(name)
	if c == nil {
		return nil
	}
	var room provider.Room
	tenant, err := c.Config.Open(provider.Env{Getenv: a.Getenv})
	if asked, ok := tenant.(provider.Roomer); err == nil && ok {
		room, err = asked.Room(ctx)
	}
	if err != nil {
		return []string{name.String() + ": the room in the tenant is not known: " + err.Error()}
	}
	if text := room.Fits(p); text != "" {
		lines = append(lines, name.String()+": "+text+".")
	}
	return lines
}

// fill reads a source into the local directory.
func fill(ctx context.Context, all []jobs.Container, id container.ID, said *listener) (reconcile.Report, error) {
	source, err := Container(all, id.String())
	if err != nil {
		return reconcile.Report{}, err
	}
	said.prefix = id.String() + ": "
	return source.Engine().Execute(ctx, alone(said))
}

// alone is the run of a process that is alone.
func alone(said *listener) reconcile.Run {
	return reconcile.Run{ID: "plan", Scope: reconcile.Full(), Lease: open{}, Journal: said}
}

// open is the lease of a process that is alone.
type open struct{}

func (open) Check(ctx context.Context) error { return ctx.Err() }
func (open) Lock(ctx context.Context, _ string) (func(), bool, error) {
	return func() {}, true, ctx.Err()
}
func (open) Draining() <-chan struct{} { return nil }

// listener keeps messages.
type listener struct {
	mu     sync.Mutex
	prefix string
	lines  []string
}

func (l *listener) Read(int, int, int)                                  {}
func (l *listener) Planned(context.Context, plan.Plan, plan.Plan) error { return nil }
func (l *listener) Done(*plan.Change, provider.Result)                  {}
func (l *listener) Applied(*reconcile.Report, error)                    {}

func (l *listener) Say(_ reconcile.Level, event string, _ map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, l.prefix+event)
}

// Probe tries one connection.
type Probe struct {
	Name string
	// Try connects and reports what it saw; the error says what to do. It is ErrNoRedis where no Redis answers.
	Try func(context.Context) ([]string, error)
	// Write tries it by writing objects that it deletes again. Nil for Redis and sources.
	Write func(context.Context) ([]string, error)
}

// ErrNoRedis is the failure of the probe for Redis where no Redis answers.
var ErrNoRedis = errors.New("no answer")

// Probes returns one for Redis and for each enabled source and provider.
func Probes(p config.Process, cfg *config.Config, getenv func(string) string) []Probe {
	a := &App{Process: p, Config: cfg, Getenv: getenv, Log: slog.New(slog.DiscardHandler)}
	var out []Probe
	seen := samples{}
	if p.RedisURL != Embedded {
		out = append(out, Probe{Name: "redis", Try: a.tryRedis})
	}
	for _, c := range cfg.EnabledSources() {
		out = append(out, Probe{Name: container.Source(c.Slug).String(),
			Try: func(ctx context.Context) ([]string, error) {
				src, err := a.openLDAP(c, nil)
				if err != nil {
					return nil, err
				}
				reports, err := src.Check(ctx)
				var lines []string
				for i := range reports {
					lines = append(lines, describe(&reports[i])...)
					seen.add(c.Slug, &reports[i])
				}
				if err == nil {
					lines = append(lines, changes(ctx, src)...)
				}
				return lines, err
			}})
	}
	for _, c := range cfg.EnabledProviders() {
		out = append(out, tenantProbe(c, getenv, seen.of(cfg.Slugs(c.Settings))))
	}
	return out
}

// changes says whether a source tells its changes between full reads. That it does not is no mistake.
func changes(ctx context.Context, src *ldap.Source) []string {
	c, err := src.Changes(ctx, source.Cursor{})
	switch {
	case err != nil:
		return []string{"warning: changes between full reads cannot be asked for: " + err.Error()}
	case c.Next.IsZero():
		return []string{"changes between full reads are not noticed: " + c.Whole}
	}
	return append([]string{"changes between full reads are told by the server"}, c.Notes...)
}

// tenantProbe returns the probe of a provider. sampled returns entries of its sources that were read
// before.
func tenantProbe(c *config.Provider, getenv func(string) string, sampled func() []directory.Entry) Probe {
	name := c.Container().String()
	open := func() (provider.Tenant, error) { return c.Config.Open(provider.Env{Getenv: getenv}) }
	return Probe{
		Name: name,
		Try: func(ctx context.Context) ([]string, error) {
			tenant, err := open()
			if err != nil {
				return nil, err
			}
			lines, err := tenant.Check(ctx)
			if err == nil {
				lines = append(lines, foresee(ctx, c, tenant, sampled())...)
			}
			return lines, err
		},
		Write: func(ctx context.Context) ([]string, error) {
			tenant, err := open()
			if err != nil {
				return nil, err
			}
			p, ok := tenant.(provider.Prober)
			if !ok {
				return nil, fault.Errorf(fault.Invalid, "there is nothing to probe: %s is known", c.Type.ProductName())
			}
			return p.Probe(ctx)
		},
	}
}

// tryRedis connects to Redis and leaves. A Redis that answers with a refusal is there, and its configuration is wrong.
func (a *App) tryRedis(ctx context.Context) ([]string, error) {
	rdb, closeRedis, err := Connect(ctx, a.Process, a.Log)
	if err == nil {
		defer closeRedis()
		wrong, err := checkKey(ctx, a.Process, rdb)
		if wrong == "" || err != nil {
			return nil, err
		}
		return []string{"warning: " + wrong}, nil
	}
	var reply redis.Error
	if fault.KindOf(err) == fault.Unavailable && !errors.As(err, &reply) {
		return []string{"not reachable; needed for syncs, not for `plan`"}, fmt.Errorf("%w: %w", ErrNoRedis, err)
	}
	return nil, err
}

// describe says in words what a server showed.
func describe(r *ldap.Report) []string {
	first := r.Server + " is " + r.Family
	if strings.HasPrefix(r.Server, "file:") {
		first = r.Server + " is an LDIF export"
	}
	if r.Vendor != "" {
		first += " (" + strings.TrimSpace(r.Vendor+" "+r.Version) + ")"
	}
	if r.TLS != "" {
		first += ", over " + r.TLS
	}
	lines := []string{first}
	for _, s := range []struct {
		what string
		ldap.Sample
	}{{"users", r.Users}, {"groups", r.Groups}} {
		if !s.Searched {
			lines = append(lines, s.what+" are not read")
			continue
		}
		line := fmt.Sprintf("%d %s on the first page", s.Count, s.what)
		if s.More {
			line += " and more behind it"
		}
		if s.Disabled > 0 {
			line += fmt.Sprintf(", %d disabled", s.Disabled)
		}
		if s.BuiltIn > 0 {
			line += fmt.Sprintf(", %d built into Active Directory left out", s.BuiltIn)
		}
		if s.Unusable > 0 {
			line += fmt.Sprintf(", %d WITHOUT a usable unique id", s.Unusable)
		}
		if s.Example != "" {
			line += "; the first is " + s.Example
		}
		lines = append(lines, line)
	}
	for _, w := range r.Warnings {
		lines = append(lines, "warning: "+w)
	}
	return lines
}

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
	c := a.Config.Provider(name)
	if c == nil {
		return plan.State{}, fault.Errorf(fault.Invalid, "%s is no provider: a directory has no other tool", name)
	}
	tenant, err := c.Config.Open(provider.Env{Getenv: a.Getenv})
	if err != nil {
		return plan.State{}, err
	}
	return tenant.Read(ctx, provider.Query{Now: time.Now()})
}
