package boot

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/explain"
	"rollcall/fault"
	"rollcall/internal/config"
	"rollcall/jobs"
	"rollcall/provider"
	"rollcall/source"
	"rollcall/source/ldap"
)

// How long a live directory and a tenant may take to answer, and how long an explanation waits for those before it.
const (
	askSource   = 8 * time.Second
	askProvider = 8 * time.Second
	awaitTurn   = 20 * time.Second
)

// explainer gathers what explain.Of puts together. It reads: the local directory, the live ones, the ledger, the tenants
// through their shared quota. It writes nothing.
type explainer struct {
	app *App
	// turn lets one explanation at a time look for the entry: an LDIF file and the local directory are read whole, and large.
	turn chan struct{}

	mu    sync.Mutex
	built map[container.ID]*jobs.Container
}

func newExplainer(a *App) *explainer {
	return &explainer{app: a, turn: make(chan struct{}, 1), built: map[container.ID]*jobs.Container{}}
}

// Explain implements api.Explainer.
func (x *explainer) Explain(ctx context.Context, q explain.Query) (explain.Document, error) {
	select {
	case x.turn <- struct{}{}:
		defer func() { <-x.turn }()
	case <-time.After(awaitTurn):
		return explain.Document{}, fault.Errorf(fault.Unavailable, "explain: others were not done within %s", awaitTurn)
	case <-ctx.Done():
		return explain.Document{}, fault.New(fault.Unavailable, "explain", ctx.Err())
	}
	in, err := x.gather(ctx, q)
	if err == nil && q.By == explain.ByEmail && nobody(&in) {
		err = x.askTenants(ctx, &in)
	}
	if err != nil {
		return explain.Document{}, err
	}
	return explain.Of(in), nil
}

func (x *explainer) gather(ctx context.Context, q explain.Query) (explain.Input, error) {
	in := explain.Input{Query: q, Now: time.Now()}
	found, err := x.known(ctx, q)
	if err != nil {
		return in, err
	}
	if len(found) > 1 {
		in.Candidates = candidates(found)
		return in, nil
	}
	if len(found) == 1 {
		in.Ref = found[0].ref
	}
	if in.Sources, err = x.sources(ctx, q, found); err != nil {
		return in, err
	}
	if len(found) == 0 {
		in.Ref, in.Candidates = seen(in.Sources)
		if err := x.recall(ctx, &in); err != nil {
			return in, err
		}
	}
	if len(in.Candidates) > 0 {
		in.Sources = nil
		return in, nil
	}
	if !nobody(&in) {
		in.Providers, err = x.providers(ctx, &in)
	}
	return in, err
}

// sources asks every source, side by side.
func (x *explainer) sources(ctx context.Context, q explain.Query, found []stored) ([]explain.SourceInput, error) {
	list := x.app.Config.Sources.LDAP
	out := make([]explain.SourceInput, len(list))
	g, ctx := errgroup.WithContext(ctx)
	for i := range list {
		g.Go(func() (err error) { out[i], err = x.source(ctx, &list[i], q, found); return err })
	}
	return out, g.Wait()
}

func (x *explainer) source(ctx context.Context, cfg *ldap.Config, q explain.Query, found []stored) (explain.SourceInput, error) {
	in := explain.SourceInput{Container: container.Source(cfg.Slug), Enabled: cfg.Enabled}
	state, err := x.part(cfg.Slug).Status(ctx)
	if err != nil {
		return in, err
	}
	in.Completed, in.Writing, in.ReadAt, in.CompletedAt = state.Generation > 0, state.Run, state.ReadAt, state.CompletedAt
	if in.Held, in.Decisions, err = x.held(ctx, in.Container); err != nil {
		return in, err
	}
	var ref directory.Ref
	if len(found) == 1 {
		ref = found[0].ref
		if in.Stored, in.Departure, err = x.part(cfg.Slug).Entry(ctx, ref); err != nil {
			return in, err
		}
	}
	if cfg.Enabled {
		in.Location, in.LocateErr = x.locate(ctx, cfg, wanted(q, ref))
	}
	return in, nil
}

// recall looks up in the local directory whom only a live one knew by the query: somebody whose mail was changed, say.
func (x *explainer) recall(ctx context.Context, in *explain.Input) (err error) {
	for i := range in.Sources {
		s := &in.Sources[i]
		if in.Ref.ID == "" {
			return nil
		}
		if s.Stored, s.Departure, err = x.part(s.Container.Name()).Entry(ctx, in.Ref); err != nil {
			return err
		}
	}
	return nil
}

func (x *explainer) part(slug string) *store.Part {
	return store.New(store.Config{Redis: x.app.Redis, Slug: slug})
}

func (x *explainer) locate(ctx context.Context, cfg *ldap.Config, w source.Wanted) (*source.Location, error) {
	ctx, cancel := context.WithTimeout(ctx, askSource)
	defer cancel()
	src, err := x.app.openLDAP(cfg)
	if err != nil {
		return nil, err
	}
	var l source.Locator = src
	found, err := l.Locate(ctx, w)
	return &found, err
}

func (x *explainer) held(ctx context.Context, c container.ID) (decisions.HeldSet, map[string]decisions.Decision, error) {
	set, err := x.app.Decisions.Held(ctx, c)
	if err != nil {
		return set, nil, err
	}
	decisions, err := x.app.Decisions.Decisions(ctx, c)
	return set, decisions, err
}

// providers explains the entry for each provider that is fed from its source, one after the other: each has the whole local
// directory before it, which is read once.
func (x *explainer) providers(ctx context.Context, in *explain.Input) ([]explain.ProviderInput, error) {
	local := localOnce{x.app, map[string]*readOnce{}}
	var out []explain.ProviderInput
	for _, name := range x.app.providers() {
		s, _ := x.app.settings(name)
		if !feeds(in, s) {
			continue
		}
		if !s.On() {
			out = append(out, explain.ProviderInput{Container: name, Off: true})
			continue
		}
		p, err := x.provider(ctx, name, in, local)
		if err != nil {
			return nil, err
		}
		p.Policy = s.Policy()
		out = append(out, p)
	}
	return out, nil
}

// feeds reports whether one of the sources that have something to do with the entry feeds a provider.
func feeds(in *explain.Input, settings *provider.Settings) bool {
	for i := range in.Sources {
		s := &in.Sources[i]
		concerned := s.Stored != nil || s.Departure != nil || s.Location != nil && len(s.Location.Sightings) > 0
		if concerned && config.Uses(settings, s.Container.Name()) {
			return true
		}
	}
	return false
}

func (x *explainer) provider(ctx context.Context, name container.ID, in *explain.Input, local localOnce) (explain.ProviderInput, error) {
	p := explain.ProviderInput{Container: name}
	var err error
	if p.Held, p.Decisions, err = x.held(ctx, name); err != nil {
		return p, err
	}
	if in.Ref.ID == "" { // Nobody knows whom to ask the tenant for.
		return p, nil
	}
	if p.Attempts, err = x.app.Decisions.Attempts(ctx, name, in.Ref.String()); err != nil {
		return p, err
	}
	c, err := x.container(name)
	if err != nil {
		p.Err = err
		return p, nil
	}
	within := patience(ctx)
	if within <= 0 {
		p.Err = fault.Errorf(fault.Unavailable, "no time was left: others took long to answer; ask again")
		return p, nil
	}
	// One struct has the engine's findings, the other is what explain takes: they have the same fields.
	p.Hop = explain.Hop(c.Engine().From(local.of(c.Sources)).Explain(ctx, in.Ref, jobs.NewMemory(x.app.Decisions, name), within))
	if e := subject(in, p.Hop.Entry); e != nil {
		p.Mapping = x.app.mapping(name).Evaluate(e)
	}
	return p, nil
}

// container builds a provider once. It is not built at the start: what is wrong with a tenant's credentials must not keep
// the API from starting.
func (x *explainer) container(name container.ID) (*jobs.Container, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if c := x.built[name]; c != nil {
		return c, nil
	}
	c, err := x.app.provider(name)
	if err != nil {
		return nil, err
	}
	x.built[name] = &c
	return &c, nil
}

// subject is the entry whose mapping is shown: as the local directory has it, else as the live one does.
func subject(in *explain.Input, stored *directory.Entry) *directory.Entry {
	if stored != nil {
		return stored
	}
	for i := range in.Sources {
		if s := &in.Sources[i]; s.Location != nil && len(s.Location.Sightings) > 0 {
			return s.Location.Sightings[0].Entry
		}
	}
	return nil
}
