package boot

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"rollcall/api"
	"rollcall/audit"
	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/config"
	"rollcall/internal/console"
	"rollcall/internal/metrics"
	"rollcall/internal/redisfault"
	"rollcall/internal/session"
	"rollcall/jobs"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/source/ldap"
	"rollcall/status"
)

// observeCalls counts the calls of one container, which are progress, and measures them.
func (a *App) observeCalls(name container.ID, calls *atomic.Int64) func(pace.Attempt) {
	return func(at pace.Attempt) {
		calls.Add(1)
		a.work.Call(name, at.Waited, at.Took, at.Number > 1)
		if errors.Is(at.Late, status.ErrStale) && !errors.Is(at.Late, status.ErrCancelled) {
			a.work.Late(name)
			a.Log.Warn("a request ended after its run had passed to another worker", "container", string(name),
				"operation",
				at.Op, "outcome", at.Outcome(), "took", at.Took)
		}
	}
}

// export has the process export a collector; one of which it exports the like already is left out.
func (a *App) export(c prometheus.Collector) error {
	err := a.Metrics.Register(c)
	if _, twice := errors.AsType[prometheus.AlreadyRegisteredError](err); twice {
		return nil
	}
	return err
}

// metricsServer serves /metrics, /livez and /readyz.
func (a *App) metricsServer(addr string) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{Registry: a.Metrics}))
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { health(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) { health(w, a.ready(r.Context())) })
	return &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second}
}

// ready returns the components that keep the process from its work, by name, and why.
func (a *App) ready(ctx context.Context) map[string]string {
	const patience = 2 * time.Second
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := a.Status.Writable(ctx, a.Config.Containers()...); err != nil {
		a.Log.WarnContext(ctx, "not ready", "component", "redis", "err", err)
		return map[string]string{"redis": cmp.Or(redisfault.Refusal(err), fault.KindOf(err).String())}
	}
	if why := a.sign.Aside(); why != "" {
		return map[string]string{"key": why}
	}
	if a.aside != nil {
		if why := a.aside(); why != "" {
			return map[string]string{"worker": why}
		}
	}
	if a.superseded != nil {
		if why, some := a.superseded(); !some && len(why) > 0 {
			out := map[string]string{}
			for c, text := range why {
				out[string(c)] = text
			}
			return out
		}
	}
	return nil
}

// health writes whether the process is well. wrong names the components that are not.
func health(w http.ResponseWriter, wrong map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	body := map[string]any{"status": "ok"}
	if len(wrong) > 0 {
		body = map[string]any{"status": "unavailable", "components": wrong}
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(body)
}

// state returns the exporter for the state of all configured containers. It opens no adapter, because the API process
// does not need their secrets.
func (a *App) state() (*metrics.State, error) {
	all, err := a.measured()
	if err != nil {
		return nil, err
	}
	return metrics.NewState(metrics.StateConfig{
		Redis: a.Redis, Status: a.Status, Decisions: a.Decisions, Containers: all, Queues: jobs.Queues(a.Redis),
		Log: a.Log,
		Now: a.now(),
	}), nil
}

// measured returns every source and provider that is enabled as metrics see it.
func (a *App) measured() ([]metrics.Container, error) {
	var out []metrics.Container
	for _, cfg := range a.Config.EnabledSources() {
		c := metrics.Container{Name: container.Source(cfg.Slug), ReadAt: a.copyReadAt(cfg.Slug),
			Polled: cfg.Delta != ldap.DeltaOff}
		if err := a.measure(&c, cfg.Schedule); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	for _, p := range a.Config.EnabledProviders() {
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
		Name: p.Container(), Follows: p.Schedule == jobs.AfterSource,
		Suspends: p.UserDeleteAction != plan.ActionDoNothing,
	}
	for _, slug := range a.Config.Slugs(p.Settings) {
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
	c.Digest = a.digests()[c.Name]
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

// console returns what makes the web pages behind the API.
func (a *App) console(known session.Tokens, people *session.People, log audit.Sink) (func(*api.API) (api.Page, error),
	error) {
	limits := map[container.ID][]quota{}
	for _, p := range a.Config.EnabledProviders() {
		quotas, err := a.quotas(p)
		if err != nil {
			return nil, err
		}
		limits[p.Container()] = quotas
	}
	return func(acts *api.API) (api.Page, error) {
		desk := session.New(session.Config{Redis: a.Redis, Tokens: known, Home: console.Home, SignIn: console.SignIn,
			SignOut: console.SignOut, People: people, PeopleAt: console.SignIn, Signatures: a.signatures(), Log: a.Log,
			Audit: log, Refused: acts.RefuseToken, Client: acts.Client})
		return console.New(console.Config{
			API: acts, Desk: desk, Status: a.Status, Decisions: a.Decisions, Log: a.Log, Policy: a.policy,
			Ledger: func(c container.ID) *ledger.Redis { return ledger.NewRedis(a.Redis, string(c)) },
			Search: a.search, Entries: a.known,
			Quotas: func(ctx context.Context, c container.ID) ([]pace.State, error) { return used(ctx, limits[c]) },
		})
	}, nil
}

// facts returns the stored facts of a container.
func (a *App) facts(c container.ID) api.Facts { return ledger.NewRedis(a.Redis, string(c)) }

// policy returns the leaver policy of a provider.
func (a *App) policy(c container.ID) (plan.Policy, bool) {
	p := a.Config.Provider(c)
	if p == nil {
		return plan.Policy{}, false
	}
	return p.Policy(), true
}

// used returns the use of every limit of a tenant.
func used(ctx context.Context, quotas []quota) (out []pace.State, err error) {
	for _, q := range quotas {
		states, problem := q.States(ctx)
		for _, s := range states {
			s.Bucket = q.Lane(s.Bucket)
			out = append(out, s)
		}
		err = errors.Join(err, problem)
	}
	return out, err
}

// search finds entries of every source by the beginning of a name, an address or an id.
func (a *App) search(ctx context.Context, text string, limit int) ([]console.Found, bool, error) {
	found, whole, err := a.reader(a.Config.Slugs(&provider.Settings{})).Search(ctx, text, limit)
	out := make([]console.Found, len(found))
	for i, m := range found {
		out[i] = console.Found{Ref: m.Ref, Label: m.Label, Name: m.Name, Source: m.Source, Departed: m.Departed}
	}
	return out, whole, err
}

// known returns what the local directory says of entries.
func (a *App) known(ctx context.Context, refs []directory.Ref) (map[directory.Ref]console.Known, error) {
	out := make(map[directory.Ref]console.Known, len(refs))
	for _, slug := range a.Config.Slugs(&provider.Settings{}) {
		found, err := a.part(slug).Labels(ctx, refs)
		if err != nil {
			return nil, err
		}
		for ref, n := range found {
			if _, has := out[ref]; !has {
				_, unit, _ := strings.Cut(n.DN, ",")
				out[ref] = console.Known{Label: n.Label, Unit: unit}
			}
		}
	}
	return out, nil
}
